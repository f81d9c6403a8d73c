"""Annotations of pods that a server reads: what deleting one costs, and the profiles of former versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ecpmon.kube.causes import Causes, forbidden, invalid

_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_MIRROR: Final = "kubernetes.io/config.mirror"
_ARMOUR: Final = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP: Final = "container.seccomp.security.alpha.kubernetes.io/"
_LOCAL: Final = "localhost/"
_WHOLE: Final = re.compile(r"-?[0-9]+|0", re.ASCII)
# The values that say the same as a profile's type.
_SAME: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "appArmorProfile": {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)},
    "seccompProfile": {
        "Unconfined": ("unconfined",),
        "RuntimeDefault": ("runtime/default", "docker/default"),
    },
}
Profile = Mapping[str, Any]


def pod_annotation_causes(
    annotations: Mapping[str, str], spec: Mapping[str, Any], path: str, pod_path: str
) -> Causes:
    """`path` is that of the annotations, `pod_path` that of the pod's spec."""
    if not annotations:
        return
    if _MIRROR in annotations and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        yield invalid(f"{path}[{_MIRROR}]", annotations[_MIRROR], detail)
    cost = annotations.get(_COST)
    if cost is not None and not _is_cost(cost):
        yield invalid(f"{path}[{_COST}]", cost, "must be a 32bit integer")
    yield from _formats(annotations, spec, path)
    yield from _contradictions(annotations, spec, pod_path)


def _is_cost(text: str) -> bool:
    if not _WHOLE.fullmatch(text) or (text[0] == "0" and text != "0") or len(text) > 20:
        return False
    return -(2**31) <= int(text) < 2**31


def _formats(annotations: Mapping[str, str], spec: Mapping[str, Any], path: str) -> Causes:
    known = {container.get("name", "") for _, container in _containers(spec, "")}
    for key, value in annotations.items():
        if key == _SECCOMP_POD or key.startswith(_SECCOMP):
            yield from _seccomp(value, f"{path}.{key}")
        elif key.startswith(_ARMOUR):
            name = key.removeprefix(_ARMOUR)
            if name not in known:
                yield invalid(f"{path}[{key}]", name, "container not found")
            if value not in ("", "runtime/default", "unconfined") and not value.startswith(_LOCAL):
                yield invalid(f"{path}[{key}]", value, f'invalid AppArmor profile name: "{value[:200]}"')


def _seccomp(value: str, at: str) -> Causes:
    file = value.removeprefix(_LOCAL)
    if value.startswith(_LOCAL):
        if file.startswith("/"):
            yield invalid(at, file, "must be a relative path")
        if ".." in file.split("/"):
            yield invalid(at, file, "must not contain '..'")
    elif value not in ("unconfined", "runtime/default", "docker/default"):
        yield invalid(at, value, "must be a valid seccomp profile")


def _contradictions(annotations: Mapping[str, str], spec: Mapping[str, Any], path: str) -> Causes:
    """Profiles that are said twice, and not alike."""
    own = spec.get("securityContext") or {}
    if "seccompProfile" in own and _SECCOMP_POD in annotations:
        at = f"{path}.securityContext"
        yield from _alike(annotations[_SECCOMP_POD], own["seccompProfile"], at, "seccompProfile")
    windows = (spec.get("os") or {}).get("name") == "windows"
    for at, container in _containers(spec, path):
        security: Profile = container.get("securityContext") or {}
        name, armour = container.get("name", ""), security.get("appArmorProfile", own.get("appArmorProfile"))
        said: tuple[tuple[str, str, Profile | None], ...] = (
            ("seccompProfile", _SECCOMP, security.get("seccompProfile")),
            ("appArmorProfile", _ARMOUR, None if windows else armour),
        )
        for key, prefix, profile in said:
            value = annotations.get(f"{prefix}{name}")
            if profile is not None and value is not None:
                yield from _alike(value, profile, f"{at}.securityContext", key)


def _alike(value: str, profile: Profile, at: str, key: str) -> Causes:
    kind, word = profile.get("type", ""), "seccomp" if key == "seccompProfile" else "apparmor"
    other = f"{word} type in annotation and field must match"
    if kind == "Localhost":
        if not value.startswith(_LOCAL):
            yield forbidden(f"{at}.{key}.type", other)
        elif value.removeprefix(_LOCAL) != profile.get("localhostProfile"):
            detail = f"{word} profile in annotation and field must match"
            yield forbidden(f"{at}.{key}.localhostProfile", detail)
    elif value not in _SAME[key].get(kind, (value,)):
        yield forbidden(f"{at}.{key}.type", other)


def _containers(spec: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            yield f"{path}.{key}[{index}]", container
