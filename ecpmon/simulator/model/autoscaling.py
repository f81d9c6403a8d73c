"""HorizontalPodAutoscalers: replicas follow the measured use of CPU and memory."""

from __future__ import annotations

from math import ceil
from typing import Final

from ecpmon.simulator.model import happenings
from ecpmon.simulator.model.deploying import rescale
from ecpmon.simulator.model.hashing import digest
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.objects import Deployment, Meta
from ecpmon.simulator.model.quantities import quantity
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import SECOND, Micros, timestamp
from ecpmon.simulator.model.workload import Reading, observe, rhythm

AUTOSCALERS: Final = "horizontalpodautoscalers.autoscaling"
TICK: Final = "autoscaler"
PERIOD: Final[Micros] = 30 * SECOND
TOLERANCE: Final = 0.1
_STABLE_SECONDS: Final = 300
_MAX_REMEMBERED: Final = 128
_COMPONENT: Final = "horizontal-pod-autoscaler"


def expect(draft: Draft, key: ObjectKey) -> None:
    """Have an autoscaler looked at, once a period, each at a second of its own within it."""
    name = f"{key.namespace}/{key.name}"
    offset = digest(draft.seed, TICK, name) % (PERIOD // SECOND) * SECOND
    draft.push(((draft.now - offset) // PERIOD + 1) * PERIOD + offset, TICK, name)


def on_tick(draft: Draft, name: str) -> None:
    """Compare the load with the target, scale, write the status, and come again."""
    key = ObjectKey(AUTOSCALERS, *name.split("/", 1))
    found = draft.object(key)
    if found is None:
        draft.recommendations.pop(name, None)
        return
    expect(draft, key)
    target = found["spec"]["scaleTargetRef"]
    deployment = draft.deployments.get(f"{key.namespace}/{target['name']}")
    if target.get("kind") != "Deployment" or deployment is None:
        _write(draft, key, found, _lost(draft, found, str(target["name"])))
        return
    status = _evaluate(draft, name, found, deployment)
    _write(draft, key, found, status)


def _write(draft: Draft, key: ObjectKey, found: Document, status: Document) -> None:
    if found.get("status") != status:
        draft.put_object(key, {**found, "status": status}, followed=False)


def reading_of(draft: Draft, deployment: Deployment) -> Reading:
    shape = rhythm(draft.seed, deployment.tenant_id, deployment.spec.name)
    return observe(deployment.spec, deployment.pod_sessions, deployment.condition, shape, draft.now)


def _evaluate(draft: Draft, name: str, found: Document, deployment: Deployment) -> Document:
    spec = found["spec"]
    current = deployment.spec.replicas
    measured = [
        _metric(metric, deployment, reading_of(draft, deployment)) for metric in spec.get("metrics") or ()
    ]
    wishes = [_wish(ratio, deployment) for ratio, _ in measured if ratio is not None]
    active = bool(wishes) and current > 0 and deployment.condition.alive > 0
    wanted = max(wishes) if active else current
    bounded = min(max(wanted, int(spec.get("minReplicas", 1))), int(spec["maxReplicas"])) if current else 0
    stable = _stabilised(draft, name, spec, current, bounded)
    if stable != current:
        least = int(spec.get("minReplicas", 1))
        _tell(draft, found, deployment, stable, _why(spec, measured, current, stable))
        # A manifest that leaves the number to its autoscaler was planned for the smallest that this allows.
        rescale(draft, deployment, stable, designed=current < least == stable)
    metrics = [document for ratio, document in measured if ratio is not None and active]
    conditions = _conditions(draft, found, active=active, wanted=wanted, bounded=bounded, stable=stable)
    last = timestamp(draft.now) if stable != current else (found.get("status") or {}).get("lastScaleTime")
    return {
        **({"lastScaleTime": last} if last else {}),
        "currentReplicas": current,
        "desiredReplicas": stable,
        **({"currentMetrics": metrics} if metrics else {}),
        "conditions": conditions,
    }


def _metric(metric: Document, deployment: Deployment, reading: Reading) -> tuple[float | None, Document]:
    """(use over target, the entry of currentMetrics); no ratio for a metric that is not measured."""
    resource = metric.get("resource") or {}
    name = resource.get("name")
    if metric.get("type") != "Resource" or name not in ("cpu", "memory"):
        return None, {}
    requests = deployment.spec.resources
    percent = reading.cpu if name == "cpu" else reading.memory
    whole = requests.cpu_millicores if name == "cpu" else requests.memory_bytes
    used = whole * percent / 100
    value = f"{round(used)}m" if name == "cpu" else str(round(used))
    target = resource.get("target") or {}
    now: Document = {"averageValue": value}
    if target.get("averageUtilization") and whole:
        ratio = percent / float(target["averageUtilization"])
        now = {"averageUtilization": round(percent), **now}
    elif target.get("averageValue"):
        stated = float(quantity(target["averageValue"])) * (1000 if name == "cpu" else 1)
        ratio = used / stated if stated else 1.0
    else:
        return None, {}  # of what is not requested there is no percentage
    return ratio, {"type": "Resource", "resource": {"name": name, "current": now}}


def _wish(ratio: float, deployment: Deployment) -> int:
    """ceil(current × use / target), unless the use is close to the target."""
    if abs(ratio - 1.0) <= TOLERANCE:
        return deployment.spec.replicas
    return ceil(max(1, deployment.condition.alive) * ratio)


def _stabilised(draft: Draft, name: str, spec: Document, current: int, wanted: int) -> int:
    """Scale down only to the highest recommendation of the window; scaling up may at most double (or +4)."""
    down = ((spec.get("behavior") or {}).get("scaleDown") or {}).get("stabilizationWindowSeconds")
    window = (_STABLE_SECONDS if down is None else int(down)) * SECOND
    kept = [(at, n) for at, n in draft.recommendations.get(name, ()) if at > draft.now - window]
    kept.append((draft.now, wanted))
    draft.recommendations[name] = tuple(kept[-_MAX_REMEMBERED:])
    if wanted >= current:
        return min(wanted, max(2 * current, current + 4))
    return min(current, max(n for _, n in kept))


def _why(spec: Document, measured: list[tuple[float | None, Document]], current: int, wanted: int) -> str:
    """What kube-controller-manager says of the metric that decided."""
    if wanted < current:
        return "All metrics below target"
    if current < int(spec.get("minReplicas", 1)):
        return "Current number of replicas below Spec.MinReplicas"
    pairs = zip(spec.get("metrics") or (), measured, strict=True)
    _, resource = max(
        ((ratio, metric["resource"]) for metric, (ratio, _) in pairs if ratio is not None),
        key=lambda pair: pair[0],
    )
    is_share = resource["target"].get("averageUtilization")
    share = " utilization (percentage of request)" if is_share else ""
    return f"{resource['name']} resource{share} above target"


def _tell(draft: Draft, found: Document, deployment: Deployment, replicas: int, reason: str) -> None:
    meta = Meta(found["metadata"]["name"], deployment.meta.namespace, found["metadata"]["uid"], 0, 0)
    happenings.record(
        draft,
        "HorizontalPodAutoscaler",
        meta,
        "SuccessfulRescale",
        f"New size: {replicas}; reason: {reason}",
        component=_COMPONENT,
    )


def _conditions(
    draft: Draft, found: Document, *, active: bool, wanted: int, bounded: int, stable: int
) -> list[Document]:
    able = ("True", "ReadyForNewScale", "recommended size matches current size")
    if stable != bounded:
        able = ("True", "ScaleDownStabilized", "recent recommendations were higher than current one")
    working = ("True", "ValidMetricFound", "the HPA was able to successfully calculate a replica count")
    if not active:
        message = "the HPA was unable to compute the replica count: no metrics returned from ready pods"
        working = ("False", "FailedGetResourceMetric", message)
    limited = ("False", "DesiredWithinRange", "the desired count is within the acceptable range")
    if wanted > bounded:
        limited = (
            "True",
            "TooManyReplicas",
            "the desired replica count is more than the maximum replica count",
        )
    elif wanted < bounded:
        limited = (
            "True",
            "TooFewReplicas",
            "the desired replica count is less than the minimum replica count",
        )
    wishes = [("AbleToScale", *able), ("ScalingActive", *working), ("ScalingLimited", *limited)]
    return [_dated(draft, found, *wish) for wish in wishes]


def _lost(draft: Draft, found: Document, name: str) -> Document:
    message = f'the HPA controller was unable to get the target\'s current scale: deployments.apps "{name}" not found'
    return {
        "currentReplicas": 0,
        "desiredReplicas": 0,
        "conditions": [_dated(draft, found, "AbleToScale", "False", "FailedGetScale", message)],
    }


def _dated(draft: Draft, found: Document, kind: str, status: str, reason: str, message: str) -> Document:
    made = {"type": kind, "status": status, "reason": reason, "message": message}
    for before in (found.get("status") or {}).get("conditions") or ():
        if before["type"] == kind and before["status"] == status:
            return {**made, "lastTransitionTime": before["lastTransitionTime"]}
    return {**made, "lastTransitionTime": timestamp(draft.now)}
