"""What a pod asks of the cluster, by the scheduler's formula.

Containers and sidecars run together; before them each init container runs beside the sidecars that were started
before it. The pod needs whatever is more, of each resource. What is stated for the pod as a whole replaces the
sum, and the overhead of its runtime comes on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from ecpmon.kube.amounts import Amounts, added, amounts, greatest
from ecpmon.kube.shapes import items, mapping

Side = Literal["requests", "limits"]
_POD_LEVEL: Final = ("cpu", "memory")
_HUGE: Final = "hugepages-"


def stated(container: dict[str, Any], defaults: Sequence[dict[str, Any]] = ()) -> dict[Side, dict[str, Any]]:
    """Requests and limits of a container as admission completes them: limits stand in for requests, and
    `defaults` (the `Container` items of LimitRanges) for what is not stated."""
    resources = mapping(container.get("resources"))
    limits = dict(mapping(resources.get("limits")))
    requests = {**limits, **mapping(resources.get("requests"))}
    for item in defaults:
        standard = mapping(item.get("default"))
        limits = {**standard, **limits}
        requests = {**(mapping(item.get("defaultRequest")) or standard), **requests}
    return {"requests": requests, "limits": limits}


def pod_needs(
    spec: dict[str, Any], side: Side, defaults: Sequence[dict[str, Any]] = (), *, sound: bool = False
) -> Amounts:
    """What the pod asks for on one side. `sound`: a container without a limit counts with its request."""

    def of(container: Any) -> Amounts:
        if not defaults and not (isinstance(container, dict) and container.get("resources")):
            return {}
        both = stated(mapping(container), defaults)
        return amounts({**both["requests"], **both["limits"]} if sound else both[side])

    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in items(spec.get("initContainers")):
        own = of(container)
        if mapping(container).get("restartPolicy") == "Always":
            sidecars = added((sidecars, own))
            peak = greatest(peak, sidecars)
        else:
            peak = greatest(peak, added((own, sidecars)))
    together = added((*(of(container) for container in items(spec.get("containers"))), sidecars))
    return _whole_pod(spec, side, greatest(together, peak), sound=sound)


def _whole_pod(spec: dict[str, Any], side: Side, found: Amounts, *, sound: bool) -> Amounts:
    resources = mapping(spec.get("resources"))
    limits, requests = mapping(resources.get("limits")), mapping(resources.get("requests"))
    own = limits if side == "limits" else {**limits, **requests}
    if sound:
        own = {**requests, **limits}
    level = {name: v for name, v in own.items() if name in _POD_LEVEL or str(name).startswith(_HUGE)}
    found = {**found, **amounts(level)}
    overhead = amounts(mapping(spec.get("overhead")))
    if side == "limits" and not sound:  # a pod without a limit does not get one by its overhead
        overhead = {name: value for name, value in overhead.items() if found.get(name)}
    return added((found, overhead))
