"""How a deployment is shown: `status` says how it stands, `phase` where it is, as in the source documents. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from ecpmon.model.deployments import PROGRESS, DeployedObject, DeploymentRecord, DeploymentStatus
from ecpmon.openapi.declaring import TypedDict

Standing = Annotated[
    Literal["pending", "deploying", "completed", "failed", "rolled-back"],
    Field(description="`pending`: nobody has begun it; the last three are final.", examples=["deploying"]),
]
Phase = Annotated[
    DeploymentStatus,
    Field(description="Where it is; of one that failed, where it was then.", examples=["creating-services"]),
]
_BEGINS: Final = {percent: phase for phase, percent in PROGRESS.items()}


class ObjectShown(TypedDict):
    type: Annotated[str, Field(examples=["Deployment"])]
    name: Annotated[str, Field(examples=["callbot"])]
    status: Annotated[str, Field(examples=["created"])]
    replicas: Annotated[str | None, Field(description="`ready/desired` of workloads.", examples=["2/2"])]


class PendingObject(TypedDict):
    """`Pending`: not there yet. `Progressing`: there, and not all of its pods are ready."""

    type: Annotated[str, Field(examples=["Deployment"])]
    name: Annotated[str, Field(examples=["callbot"])]
    status: Literal["Pending", "Progressing"]


def standing_of(record: DeploymentRecord) -> Standing:
    """`pending` until somebody begins, then `deploying` until it is over."""
    status = record.status
    if status is DeploymentStatus.PENDING:
        return "pending"
    if status is DeploymentStatus.COMPLETED:
        return "completed"
    if status is DeploymentStatus.FAILED:
        return "failed"
    return "rolled-back" if status is DeploymentStatus.ROLLED_BACK else "deploying"


def phase_of(record: DeploymentRecord) -> DeploymentStatus:
    """The step it is at, or has come to: progress is the percentage at which a step begins, and never falls."""
    if record.status.is_final and record.status is not DeploymentStatus.COMPLETED:
        return _BEGINS.get(record.progress, record.status)
    return record.status


def created(record: DeploymentRecord) -> list[ObjectShown]:
    """What is there."""
    return [
        {"type": o.kind, "name": o.name, "status": o.status, "replicas": o.replicas}
        for o in record.objects
        if _waits(record, o) is None
    ]


def pending(record: DeploymentRecord) -> list[PendingObject]:
    """What is still to come."""
    return [
        {"type": o.kind, "name": o.name, "status": waits}
        for o in record.objects
        if (waits := _waits(record, o)) is not None
    ]


def _waits(record: DeploymentRecord, found: DeployedObject) -> Literal["Pending", "Progressing"] | None:
    if found.status == "pending":
        return "Pending"
    if record.status.is_final or found.replicas is None:
        return None
    ready, _, desired = found.replicas.partition("/")
    return "Progressing" if ready != desired else None


def completion(record: DeploymentRecord, usual: float | None, now: datetime) -> datetime | None:
    """When it was over or will be, after `usual` seconds. None: nobody asked for it, or it takes longer than usual."""
    if record.finished_at is not None or record.requested_at is None or usual is None:
        return record.finished_at
    expected = record.requested_at + timedelta(seconds=usual)
    return expected if expected > now else None
