"""Requests and limits: of containers, of pods, of claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, duplicate, forbidden, invalid, not_found, of_messages, required
from ecpmon.kube.quantities import is_whole, parsed

STANDARD_CONTAINER: Final = ("cpu", "memory", "ephemeral-storage")
# What the server calls a standard resource, wherever it counts any.
STANDARD: Final = frozenset(
    (
        *STANDARD_CONTAINER, "storage", "pods", "services", "replicationcontrollers", "resourcequotas", "secrets",
        "configmaps", "persistentvolumeclaims", "requests.cpu", "requests.memory", "requests.storage",
        "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
        "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip
_POD_LEVEL: Final = ("cpu", "memory")
_HUGE: Final = "hugepages-"
_REQUESTS: Final = "requests."
_LONGEST_DOMAIN: Final = 253


def is_huge(name: str) -> bool:
    """Huge pages of some size."""
    return name.startswith(_HUGE)


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """What only whole pieces are given of, such as `nvidia.com/gpu`."""
    if is_native(name) or name.startswith(_REQUESTS):
        return False
    # As a quota counts it, its name has to be good as well.
    return not names.qualified_name(name) and name.index("/") + len(_REQUESTS) <= _LONGEST_DOMAIN


def resource_name_causes(name: str, at: str) -> Causes:
    """A resource by any name."""
    yield from of_messages(at, name, names.qualified_name(name))
    if "/" not in name and name not in STANDARD and not is_huge(name):
        yield invalid(at, name, "must be a standard resource type or fully qualified")


def container_resource_causes(name: str, at: str) -> Causes:
    """A resource that a container can have."""
    yield from resource_name_causes(name, at)
    if "/" not in name:
        if name not in STANDARD_CONTAINER and not is_huge(name):
            yield invalid(at, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(at, name, "doesn't follow extended resource name standard")


def amount_causes(name: str, text: str, at: str) -> Causes:
    """Not negative, and whole where pieces are counted."""
    value = parsed(text)
    if value < 0:
        yield invalid(at, text, "must be greater than or equal to 0")
    elif is_extended(name) and not is_whole(value):
        yield invalid(at, text, "must be an integer")


def requirement_causes(resources: Mapping[str, Any], path: str, claims: Mapping[str, Any]) -> Causes:
    """`resources` of a container; `claims` are the pod's resource claims by name."""
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            at = f"{path}.{side}[{name}]"
            yield from container_resource_causes(name, at)
            yield from amount_causes(name, text, at)
            if is_huge(name):
                yield from _pages(name, text, at)
    yield from compared(requests, limits, path)
    yield from _huge_alone({**requests, **limits}, path)
    yield from _claims(resources.get("claims") or (), path, claims)


def _pages(name: str, text: str, at: str) -> Causes:
    """Huge pages are given whole."""
    try:
        size = parsed(name.removeprefix(_HUGE))
    except ValueError:
        return
    if size > 0 and parsed(text) % size:
        yield invalid(at, text, f"must be a multiple of {name.removeprefix(_HUGE)}")


def compared(requests: Mapping[str, str], limits: Mapping[str, str], path: str) -> Causes:
    """A request against its limit; what cannot be promised twice needs both to be the same."""
    for name, text in requests.items():
        overcommitted = is_native(name) and not is_huge(name)
        if name not in limits:
            if not overcommitted:
                yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif not overcommitted and parsed(text) != parsed(limits[name]):
            yield invalid(f"{path}.requests", text, f"must be equal to {name} limit of {limits[name]}")
        elif parsed(text) > parsed(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid(f"{path}.requests", text, detail)


def _huge_alone(amounts: Mapping[str, str], path: str) -> Causes:
    if any(map(is_huge, amounts)) and not {"cpu", "memory"} & amounts.keys():
        yield forbidden(path, "HugePages require cpu or memory")


def _claims(asked: Any, path: str, claims: Mapping[str, Any]) -> Causes:
    seen: set[tuple[str, str]] = set()
    for index, claim in enumerate(asked):
        at, name = f"{path}.claims[{index}]", claim.get("name", "")
        key = (name, claim.get("request", ""))
        if not name:
            yield required(at)
        elif key in seen:
            yield duplicate(at, name)
        elif name not in claims:
            yield not_found(at, name)
        seen.add(key)


def pod_level_causes(spec: Mapping[str, Any], path: str) -> Causes:
    """`resources` of a whole pod: only cpu, memory and huge pages, and no less than its containers ask for."""
    resources = spec.get("resources")
    if resources is None:
        return
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            at = f"{path}.resources.{side}[{name}]"
            if name not in _POD_LEVEL and not is_huge(name):
                yield invalid(at, name, "must be a supported resource for pods")
            yield from amount_causes(name, text, at)
    if resources.get("claims"):
        yield forbidden(f"{path}.resources.claims", "claims may not be set for Resources at pod-level")
    yield from compared(requests, limits, f"{path}.resources")
    yield from _enough(spec, requests, limits, path)


def _enough(
    spec: Mapping[str, Any], requests: Mapping[str, str], limits: Mapping[str, str], path: str
) -> Causes:
    containers = [item.get("resources") or {} for item in spec.get("containers") or ()]
    for name, text in requests.items():
        asked = sum(parsed((item.get("requests") or {}).get(name, "0")) for item in containers)
        if asked > parsed(text):
            detail = f"must be greater than or equal to aggregate container requests of {asked:f}"
            yield invalid(f"{path}.resources.requests[{name}]", text, detail)
    for name, text in limits.items():
        for index, item in enumerate(containers):
            most = (item.get("limits") or {}).get(name, "0")
            if parsed(most) > parsed(text):
                detail = f"must be less than or equal to pod limits of {text}"
                yield invalid(f"{path}.containers[{index}].resources.limits[{name}]", most, detail)
