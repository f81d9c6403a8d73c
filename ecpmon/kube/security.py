"""Security contexts: what the server finds contradictory or out of range (not what a policy forbids)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube.causes import Causes, duplicate, invalid, one_of, required, unsupported

_PROFILES: Final = ("Localhost", "RuntimeDefault", "Unconfined")
_MAX_ID: Final = 2**31 - 1
_ID_RANGE: Final = f"must be between 0 and {_MAX_ID}, inclusive"


def container_security_causes(security: Mapping[str, Any] | None, at: str, spec: Mapping[str, Any]) -> Causes:
    """`securityContext` of a container in the pod `spec`."""
    if security is None:
        return
    yield from _ids(security, ("runAsUser", "runAsGroup"), at)
    yield from one_of(security, "procMount", ("Default", "Unmasked"), at)
    if security.get("procMount") == "Unmasked" and spec.get("hostUsers") is not False:
        detail = "`hostUsers` must be false to use `Unmasked`"
        yield invalid(f"{at}.procMount", "Unmasked", detail)
    if security.get("allowPrivilegeEscalation") is False:
        if security.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield invalid(at, dict(security), detail)
        if "CAP_SYS_ADMIN" in ((security.get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            yield invalid(at, dict(security), detail)
    yield from _profiles(security, at)


def pod_security_causes(security: Mapping[str, Any] | None, at: str, spec: Mapping[str, Any]) -> Causes:
    """`securityContext` of the pod `spec`."""
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{at.removesuffix('.securityContext')}.shareProcessNamespace", True, detail)
    if security is None:
        return
    yield from _ids(security, ("fsGroup", "runAsUser", "runAsGroup"), at)
    for index, group in enumerate(security.get("supplementalGroups") or ()):
        if not 0 <= group <= _MAX_ID:
            yield invalid(f"{at}.supplementalGroups[{index}]", group, _ID_RANGE)
    yield from one_of(security, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), at)
    yield from one_of(security, "supplementalGroupsPolicy", ("Merge", "Strict"), at)
    yield from one_of(security, "seLinuxChangePolicy", ("MountOption", "Recursive"), at)
    yield from _sysctls(security.get("sysctls") or (), at)
    yield from _profiles(security, at)


def _ids(security: Mapping[str, Any], keys: tuple[str, ...], at: str) -> Causes:
    for key in keys:
        if not 0 <= security.get(key, 0) <= _MAX_ID:
            yield invalid(f"{at}.{key}", security[key], _ID_RANGE)


def _profiles(security: Mapping[str, Any], at: str) -> Causes:
    for key in ("seccompProfile", "appArmorProfile"):
        profile = security.get(key)
        if profile is not None:
            yield from _profile(profile, f"{at}.{key}", key)


def _profile(profile: Mapping[str, Any], at: str, what: str) -> Causes:
    kind, file = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        yield required(f"{at}.type", f"type is required when {what} is set")
    elif kind == "Localhost":
        if not file:
            detail = f"must be set when {what[: -len('Profile')]} type is Localhost"
            yield required(f"{at}.localhostProfile", detail)
        elif file.startswith("/") or ".." in file.split("/"):
            yield invalid(f"{at}.localhostProfile", file, "must be a relative path without '..'")
        return
    elif kind not in _PROFILES:
        yield unsupported(f"{at}.type", kind, _PROFILES)
    if file is not None:
        yield invalid(f"{at}.localhostProfile", file, "can only be set when `type` is Localhost")


def _sysctls(sysctls: Any, at: str) -> Causes:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, where = sysctl.get("name", ""), f"{at}.sysctls[{index}].name"
        if not name:
            yield required(where)
        elif (
            len(name) > 253
            or not name.replace("/", ".").replace("_", "").replace("-", "").replace(".", "").isalnum()
        ):
            yield invalid(where, name, "must have at most 253 characters and be dotted words")
        elif name in seen:
            yield duplicate(where, name)
        seen.add(name)
