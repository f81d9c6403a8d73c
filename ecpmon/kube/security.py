"""Security contexts: what the server finds contradictory or out of range (not what a policy forbids)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube.causes import Causes, duplicate, forbidden, invalid, one_of, required, unsupported
from ecpmon.kube.windows import windows_causes

_PROFILES: Final = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL: Final = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_MAX_ID: Final = 2**31 - 1
# What a pod with users of its own cannot share with its node; two of the names are those of Go.
# Settings of the kernel by the namespace that they belong to.
_NAMESPACED: Final = {
    "hostNetwork": re.compile(r"net\."),
    "hostIPC": re.compile(r"kernel\.(shm|msg|sem\Z)|fs\.mqueue\."),
}
_HOST: Final = {"hostNetwork": "hostNetwork", "hostPID": "HostPID", "hostIPC": "HostIPC"}
_SYSTEMS: Final = ("linux", "windows")
_NOT_IN_WINDOWS: Final = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls",
    "runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
_NOT_IN_WINDOWS_CONTAINERS: Final = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip
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
    yield from windows_causes(security.get("windowsOptions"), f"{at}.windowsOptions")


def pod_security_causes(security: Mapping[str, Any] | None, at: str, spec: Mapping[str, Any]) -> Causes:
    """`securityContext` of the pod `spec`."""
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{at.removesuffix('.securityContext')}.shareProcessNamespace", True, detail)
    if spec.get("hostUsers") is False:
        for key, name in _HOST.items():
            if spec.get(key):
                field = f"{at.removesuffix('.securityContext')}.{name}"
                yield forbidden(field, "when `pod.Spec.HostUsers` is false")
    if security is None:
        return
    yield from _ids(security, ("fsGroup", "runAsUser", "runAsGroup"), at)
    for index, group in enumerate(security.get("supplementalGroups") or ()):
        if not 0 <= group <= _MAX_ID:
            yield invalid(f"{at}.supplementalGroups[{index}]", group, _ID_RANGE)
    yield from one_of(security, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), at)
    yield from one_of(security, "supplementalGroupsPolicy", ("Merge", "Strict"), at)
    yield from one_of(security, "seLinuxChangePolicy", ("MountOption", "Recursive"), at)
    yield from _sysctls(security.get("sysctls") or (), at, spec)
    yield from _profiles(security, at)
    yield from windows_causes(security.get("windowsOptions"), f"{at}.windowsOptions")


def os_causes(spec: Mapping[str, Any], path: str) -> Causes:
    """What a pod says of the system that it is for, and what does not fit that."""
    name = (spec.get("os") or {}).get("name")
    if "os" not in spec:
        return
    if not name:
        yield required(f"{path}.os.name", "cannot be empty")
    elif name not in _SYSTEMS:
        yield unsupported(f"{path}.os", name, _SYSTEMS)
    else:
        yield from _unfit(spec, path, windows=name == "windows")


def _unfit(spec: Mapping[str, Any], path: str, *, windows: bool) -> Causes:
    detail = "cannot be set for a windows pod" if windows else "windows options cannot be set for a linux pod"
    own = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace") if windows else ()
    places: list[tuple[str, tuple[str, ...], Mapping[str, Any]]] = [(path, own, spec)]
    options = ("windowsOptions",)
    security = spec.get("securityContext") or {}
    places.append((f"{path}.securityContext", _NOT_IN_WINDOWS if windows else options, security))
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            at = f"{path}.{key}[{index}].securityContext"
            fields = _NOT_IN_WINDOWS_CONTAINERS if windows else options
            places.append((at, fields, container.get("securityContext") or {}))
    for at, unfit, holder in places:
        for key in unfit:
            if key in holder:
                yield forbidden(f"{at}.{key}", detail)


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
    elif kind not in _PROFILES:
        yield unsupported(f"{at}.type", kind, _PROFILES)
    elif kind == "Localhost":
        yield from _file(file, f"{at}.localhostProfile", what)
    elif file is not None:
        yield invalid(f"{at}.localhostProfile", file, "can only be set when `type` is Localhost")


def _file(file: str | None, at: str, what: str) -> Causes:
    """The name of a profile on the node: AppArmor's is a word, seccomp's a path."""
    armour = what == "appArmorProfile"
    if file is None or (armour and not file.strip()):
        yield required(at, f"must be set when {what[: -len('Profile')]} type is Localhost")
    if file is not None and armour and file != file.strip():
        yield invalid(at, file, "must not be padded with whitespace")
    elif file is not None and not armour and (file.startswith("/") or ".." in file.split("/")):
        yield invalid(at, file, "must be a relative path without '..'")


def _sysctls(sysctls: Any, at: str, spec: Mapping[str, Any]) -> Causes:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, where = sysctl.get("name", ""), f"{at}.sysctls[{index}].name"
        if not name:
            yield required(where)
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            yield invalid(where, name, "must have at most 253 characters and be dotted words")
        elif name in seen:
            yield duplicate(where, name)
        seen.add(name)
        yield from _of_the_node(name, where, spec)


def _of_the_node(name: str, where: str, spec: Mapping[str, Any]) -> Causes:
    """A setting of a network or of shared memory that the pod has no namespace of its own for."""
    dotted = _dotted(name)
    for host, pattern in _NAMESPACED.items():
        if spec.get(host) and pattern.match(dotted):
            yield invalid(where, name, f"may not be specified when '{host}' is true")


def _dotted(name: str) -> str:
    """`net/ipv4/conf/eth0.1/x` is `net.ipv4.conf.eth0/1.x`: whichever comes first is what parts its words."""
    first = next((sign for sign in name if sign in "./"), ".")
    return name if first == "." else name.translate(str.maketrans("./", "/."))
