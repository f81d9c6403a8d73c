"""Kubernetes quantities: `500m`, `1Gi`, `2e3`."""

from __future__ import annotations

import re
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


def requests_of(pod_spec: Manifest) -> Resources:
    """What the scheduler sets aside for a pod: the sum of its containers' requests."""
    wanted = [container_requests(container) for container in pod_spec.get("containers") or ()]
    return Resources(_total(wanted, "cpu", 1000), _total(wanted, "memory"), _total(wanted, GPU))


def _total(wanted: list[dict[str, Any]], name: str, factor: int = 1) -> int:
    """The sum over the containers, at most what a 64-bit integer holds: no node has that much anyway."""
    total = sum((quantity(requests.get(name, 0)) for requests in wanted), Decimal(0))
    return max(0, min(ceil(min(total, Decimal(_MOST)) * factor), _MOST))


def container_requests(container: Manifest) -> dict[str, Any]:
    """Requests of a container; limits stand in for those that are absent."""
    resources = container.get("resources") or {}
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
