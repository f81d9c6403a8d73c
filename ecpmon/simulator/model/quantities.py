"""Kubernetes quantities: `500m`, `1Gi`, `2e3`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import ceil
from typing import Any, Final

from ecpmon.simulator.model.objects import Manifest, Resources

GPU: Final = "nvidia.com/gpu"
# An exponent belongs to the number; E alone means exa.
_SPLIT: Final = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(.*)")
_MOST: Final = 2**60
_EXPONENT: Final = 30
_SUFFIXES: Final = {
    "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("num", start=-3)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}


def quantity(value: Any) -> Decimal:
    """The number that a quantity stands for; 0 for what is none (the API has refused that before)."""
    return _parsed(str(value))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Decimal:
    found = _SPLIT.fullmatch(text.strip())
    if found is None or found[2] not in _SUFFIXES:
        return Decimal(0)
    try:
        return bounded(Decimal(found[1])) * _SUFFIXES[found[2]]
    except InvalidOperation:
        return Decimal(0)


def bounded(amount: Decimal) -> Decimal:
    """At most 1e30 and at least 1e-30 in size: `1e99999999` written out would be 100 MB of digits."""
    if amount and not -_EXPONENT <= amount.adjusted() <= _EXPONENT:
        return Decimal(10).scaleb(_EXPONENT - 1 if amount.adjusted() > 0 else -_EXPONENT).copy_sign(amount)
    return amount


def spelled(resource: str, amount: Decimal) -> str:
    """`amount` of a resource as Kubernetes writes it: CPU in millicores, memory in binary units."""
    if resource.rpartition(".")[2] == "cpu":
        milli = ceil(amount * 1000)
        return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
    whole = ceil(amount)
    if any(word in resource for word in ("memory", "storage")):
        for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
            if whole and whole % 1024**power == 0:
                return f"{whole // 1024**power}{unit}"
    return str(whole)


# Millicores that a pod without a CPU limit can use: what a large node has.
UNLIMITED: Final = 96_000
Amounts = dict[str, Decimal]


def requests_of(pod_spec: Manifest) -> Resources:
    """What the scheduler sets aside for a pod of what nodes are told apart by."""
    wanted = pod_requests(pod_spec)
    return Resources(_whole(wanted, "cpu", 1000), _whole(wanted, "memory"), _whole(wanted, GPU))


def cpu_limit_of(pod_spec: Manifest) -> int:
    """Millicores that a pod's containers can use together; UNLIMITED when one of them has no limit."""
    containers = pod_spec.get("containers") or ()
    bounded_all = all("cpu" in ((c.get("resources") or {}).get("limits") or {}) for c in containers)
    if not bounded_all and "cpu" not in ((pod_spec.get("resources") or {}).get("limits") or {}):
        return UNLIMITED
    return _whole(pod_limits(pod_spec), "cpu", 1000)


def pod_requests(pod_spec: Manifest) -> Amounts:
    """What a pod requests of each resource, as kube-scheduler and quotas count it (`_together`)."""
    found = _together(pod_spec, container_requests)
    own = pod_spec.get("resources") or {}
    for name, value in (own.get("limits") or {}).items():
        stated = all(name in container_requests(c) for c in pod_spec.get("containers") or ())
        if not stated:
            found[name] = quantity(value)
    for name, value in (own.get("requests") or {}).items():
        found[name] = quantity(value)
    return _plus(found, _amounts(pod_spec.get("overhead") or {}))


def pod_limits(pod_spec: Manifest) -> Amounts:
    """What a pod may use of each resource, as quotas count it."""
    found = _together(pod_spec, container_limits)
    for name, value in ((pod_spec.get("resources") or {}).get("limits") or {}).items():
        found[name] = quantity(value)
    overhead = _amounts(pod_spec.get("overhead") or {})
    return _plus(found, {name: value for name, value in overhead.items() if name in found})


def _together(pod_spec: Manifest, of: Callable[[Manifest], Manifest]) -> Amounts:
    """All containers and sidecars at once, or the largest init container beside the sidecars begun before it."""
    total: Amounts = {}
    for container in pod_spec.get("containers") or ():
        total = _plus(total, _amounts(of(container)))
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in pod_spec.get("initContainers") or ():
        wanted = _amounts(of(container))
        if container.get("restartPolicy") == "Always":
            total, sidecars = _plus(total, wanted), _plus(sidecars, wanted)
            wanted = sidecars
        else:
            wanted = _plus(wanted, sidecars)
        highest = _highest(highest, wanted)
    return _highest(total, highest)


def _amounts(stated: Manifest) -> Amounts:
    return {name: quantity(value) for name, value in stated.items()}


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in {**one, **other}}


def _highest(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}


def _whole(wanted: Amounts, name: str, factor: int = 1) -> int:
    """Rounded up, at most what a 64-bit integer holds: no node has that much anyway."""
    amount = wanted.get(name, Decimal(0))
    return max(0, min(ceil(min(amount, Decimal(_MOST)) * factor), _MOST))


def container_requests(container: Manifest) -> dict[str, Any]:
    """Requests of a container; limits stand in for those that are absent."""
    resources = container.get("resources") or {}
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}


def container_limits(container: Manifest) -> dict[str, Any]:
    return dict((container.get("resources") or {}).get("limits") or {})
