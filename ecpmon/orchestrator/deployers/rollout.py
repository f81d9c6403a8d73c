"""What the status of a Deployment and of its pods says about a rollout. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ecpmon.kube.amounts import quantity


class Stage(StrEnum):
    PROGRESSING = "progressing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """`ready` and `desired` are pods; `reason` is the controller's message when it gave up."""

    stage: Stage
    ready: int
    desired: int
    reason: str = ""

    @property
    def replicas(self) -> str:
        return f"{self.ready}/{self.desired}"


def judge(deployment: Mapping[str, Any]) -> Rollout:
    """As `kubectl rollout status` judges: the controller has seen this generation, every pod is of the newest
    template, and all of them are available."""
    status = deployment.get("status") or {}
    desired = deployment["spec"].get("replicas", 1)
    ready = int(status.get("readyReplicas") or 0)
    seen = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
    if not seen:
        return Rollout(Stage.PROGRESSING, ready, desired)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Rollout(Stage.FAILED, ready, desired, str(condition.get("message") or "no progress"))
    counts = {
        name: int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", "availableReplicas")
    }
    old = counts["replicas"] - counts["updatedReplicas"]
    done = counts["updatedReplicas"] >= desired and counts["availableReplicas"] >= desired and old <= 0
    return Rollout(Stage.DONE if done else Stage.PROGRESSING, ready, desired)


def replica_failure(deployment: Mapping[str, Any]) -> str:
    """Why no pods can be made (a quota, for example); "" when they can."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return f"{condition.get('reason', 'ReplicaFailure')}: {condition.get('message', '')}"
    return ""


def waiting_reasons(pods: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Why pods do not serve, each reason once: `ImagePullBackOff: …`, `Unschedulable: …`, `CrashLoopBackOff: …`."""
    found: dict[str, None] = {}
    for pod in pods:
        status = pod.get("status") or {}
        for condition in status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                found[_said(condition)] = None
        containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        for container in containers:
            waiting = (container.get("state") or {}).get("waiting")
            if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
                found[_said(waiting)] = None
    return tuple(found)


def _said(part: Mapping[str, Any]) -> str:
    reason, message = str(part.get("reason") or "waiting"), str(part.get("message") or "")
    return f"{reason}: {message}" if message else reason


def owns_replicas(deployment: Mapping[str, Any], manager: str) -> bool:
    """Whether `manager` is on record as having applied `spec.replicas`."""
    return any(
        entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in deployment["metadata"].get("managedFields") or ()
    )


# What the server writes by itself.
_SERVERS = ("resourceVersion", "managedFields", "generation", "uid", "creationTimestamp", "selfLink")
_REVISION = "deployment.kubernetes.io/revision"


def as_applied(live: Mapping[str, Any], *, keep_replicas: bool = True) -> dict[str, Any]:
    """A live object as a document to apply again: without status and what the server writes by itself."""
    made = {key: value for key, value in live.items() if key != "status"}
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVERS}
    if "annotations" in metadata:
        kept = {key: value for key, value in metadata["annotations"].items() if key != _REVISION}
        metadata["annotations"] = kept
    made["metadata"] = metadata
    if not keep_replicas and isinstance(made.get("spec"), Mapping):
        made["spec"] = {key: value for key, value in made["spec"].items() if key != "replicas"}
    return made


def same_content(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two readings of an object differ in nothing but status and bookkeeping."""
    if one["metadata"].get("resourceVersion") == other["metadata"].get("resourceVersion"):
        return True
    return as_applied(one) == as_applied(other)


def holds(live: Any, wanted: Any) -> bool:
    """Whether a live object says all that `wanted` says; what the server added to it does not matter.

    Lists have their order, and equal quantities are equal however they are written (`2000m`, `2`).
    """
    if isinstance(wanted, Mapping):
        # What is empty need not be there: servers leave it out.
        return all(
            holds(live.get(key), value) if isinstance(live, Mapping) and key in live else not value
            for key, value in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        same = isinstance(live, (list, tuple)) and len(live) == len(wanted)
        return same and all(holds(mine, theirs) for mine, theirs in zip(live, wanted, strict=True))
    return bool(live == wanted) or _same_quantity(live, wanted)


def _same_quantity(live: Any, wanted: Any) -> bool:
    try:
        return quantity(live) == quantity(wanted)
    except ValueError:
        return False
