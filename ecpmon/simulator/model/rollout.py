"""What the status of deployments and replica sets says, and the events of their scaling."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecpmon.simulator.model import happenings
from ecpmon.simulator.model.controllers import DEPLOYMENTS, STIR, is_available, min_ready, replica_set_key
from ecpmon.simulator.model.manifests import surge_and_unavailable
from ecpmon.simulator.model.objects import Deployment, ReplicaSet, WorkloadCondition, WorkloadStatus
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import SECOND

_COMPLETE: Final = "NewReplicaSetAvailable"
_TIMED_OUT: Final = "ProgressDeadlineExceeded"


def observe_group(draft: Draft, group: str) -> None:
    """Write the counts of a workload's pods, and what they mean, into its status."""
    pods = draft.pods_in(group)
    deployment = draft.deployments.get(group)
    by_set: dict[str, list[Pod]] = {}
    for pod in pods:
        by_set.setdefault(pod.replica_set, []).append(pod)
    for replica_set in draft.replica_sets_of(group):
        _observe_set(draft, deployment, replica_set, by_set.get(replica_set.meta.key, []))
    if deployment is not None:
        _observe_deployment(draft, deployment, pods)


def _observe_set(draft: Draft, deployment: Deployment | None, found: ReplicaSet, pods: list[Pod]) -> None:
    settle = min_ready(found.manifest)
    count = len(pods)
    ready = sum(p.serving for p in pods)
    available = sum(is_available(draft, p, settle) for p in pods)
    desired = count if deployment else int(found.manifest["spec"].get("replicas", 1))
    if found.refused and deployment:
        desired = max(count, deployment.spec.replicas)
    if (count, desired, ready, available) != (found.replicas, found.desired, found.ready, found.available):
        if deployment and desired != found.desired:
            _tell_scaling(draft, deployment, found, desired)
        draft.put_replica_set(
            replace(found, replicas=count, desired=desired, ready=ready, available=available)
        )
    if settle:
        _look_again(draft, found.group, pods, settle)


def _look_again(draft: Draft, group: str, pods: list[Pod], settle: int) -> None:
    """A pod becomes available some time after it became ready."""
    for pod in pods:
        if pod.ready_since == draft.now:
            draft.push(draft.now + settle, STIR, group)


def _tell_scaling(draft: Draft, deployment: Deployment, found: ReplicaSet, desired: int) -> None:
    way = "up" if desired > found.desired else "down"
    message = f"Scaled {way} replica set {found.meta.name} from {found.desired} to {desired}"
    happenings.record(
        draft, "Deployment", deployment.meta, "ScalingReplicaSet", message, component=DEPLOYMENTS
    )


def _observe_deployment(draft: Draft, found: Deployment, pods: list[Pod]) -> None:
    settle = min_ready(found.manifest)
    current = replica_set_key(found)
    counted = WorkloadStatus(
        replicas=len(pods),
        updated=sum(p.replica_set == current for p in pods),
        ready=sum(p.serving for p in pods),
        available=sum(is_available(draft, p, settle) for p in pods),
        observed_generation=found.meta.generation,
        conditions=found.status.conditions,
    )
    progressed = _moved_on(found.status, counted) or found.meta.generation != found.status.observed_generation
    if progressed:
        found = replace(found, progressed_at=draft.now)
    conditions = _conditions(draft, found, counted)
    status = replace(counted, conditions=conditions)
    if status != found.status or progressed:
        _expect_progress(draft, found, status)
        meta = replace(found.meta, resource_version=draft.next_revision())
        found = replace(found, meta=meta, status=status)
        draft.deployments[meta.key] = found


def _moved_on(before: WorkloadStatus, after: WorkloadStatus) -> bool:
    """What Kubernetes counts as progress of a rollout."""
    return (
        after.updated > before.updated
        or after.replicas - after.updated < before.replicas - before.updated
        or after.ready > before.ready
        or after.available > before.available
    )


def _expect_progress(draft: Draft, found: Deployment, status: WorkloadStatus) -> None:
    """Look again when the deadline has passed without progress."""
    if found.progressed_at == draft.now and not is_complete(found, status):
        draft.push(draft.now + _deadline(found), STIR, found.meta.key)


def _deadline(found: Deployment) -> int:
    seconds = found.manifest["spec"].get("progressDeadlineSeconds")
    return (600 if seconds is None else int(seconds)) * SECOND


def is_complete(found: Deployment, status: WorkloadStatus) -> bool:
    wanted = found.spec.replicas
    return status.counts == (wanted, wanted, status.ready, wanted)


def _conditions(draft: Draft, found: Deployment, status: WorkloadStatus) -> tuple[WorkloadCondition, ...]:
    before = {condition.type: condition for condition in found.status.conditions}
    wanted = [_available(found, status), _progressing(draft, found, status, before.get("Progressing"))]
    refused = next((s for s in draft.replica_sets_of(found.meta.key) if s.refused), None)
    if refused is not None:
        wanted.append(("ReplicaFailure", "True", "FailedCreate", refused.refused))
    return tuple(_dated(draft, before.get(kind), kind, *rest) for kind, *rest in wanted)


def _dated(
    draft: Draft, before: WorkloadCondition | None, kind: str, status: str, reason: str, message: str
) -> WorkloadCondition:
    if before is None:
        return WorkloadCondition(kind, status, reason, message, draft.now, draft.now)
    if (before.status, before.reason, before.message) == (status, reason, message):
        return before
    changed = before.changed_at if before.status == status else draft.now
    return WorkloadCondition(kind, status, reason, message, changed, draft.now)


def _available(found: Deployment, status: WorkloadStatus) -> tuple[str, str, str, str]:
    wanted = found.spec.replicas
    _, unavailable = surge_and_unavailable(found.manifest, wanted)
    if status.available >= wanted - unavailable:
        message = "Deployment has minimum availability."
        return "Available", "True", "MinimumReplicasAvailable", message
    message = "Deployment does not have minimum availability."
    return "Available", "False", "MinimumReplicasUnavailable", message


def _progressing(
    draft: Draft, found: Deployment, status: WorkloadStatus, before: WorkloadCondition | None
) -> tuple[str, str, str, str]:
    name = replica_set_key(found).split("/", 1)[1]
    if found.manifest["spec"].get("paused"):
        return "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"
    complete = is_complete(found, status)
    # Once complete, pods that fail later are no rollout; a new template is one.
    rolled = before is not None and before.reason == _COMPLETE and f'"{name}"' in before.message
    if complete or (rolled and status.replicas == status.updated):
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return "Progressing", "True", _COMPLETE, message
    if draft.now - found.progressed_at >= _deadline(found):
        return "Progressing", "False", _TIMED_OUT, f'ReplicaSet "{name}" has timed out progressing.'
    if before is None:
        return "Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{name}"'
    return "Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
