"""Measurements: pushed, read back, and of the cluster as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field

from ecpmon.api.answers.common import Hint
from ecpmon.model.ingest import Rejection
from ecpmon.openapi.declaring import TypedDict


class RejectedMetric(TypedDict):
    metric: str
    reason: Annotated[Rejection, Field(description="For programs.")]
    message: Annotated[
        str, Field(description="The same for people; in Korean when `Accept-Language` prefers it.")
    ]


class PushEntry(TypedDict):
    """What was measured at one time. Samples that cannot be taken are named in the answer, and cost no others."""

    timestamp: NotRequired[
        Annotated[str | None, Field(description="ISO 8601, without an offset UTC; absent: now")]
    ]
    metrics: Annotated[dict[str, float], Field(min_length=1)]


class PushAnswer(TypedDict):
    """Sent after the samples are committed. `rejected` names the first 20 samples that were not taken, and
    `rejected_count` counts all of them."""

    accepted: int
    rejected: list[RejectedMetric]
    rejected_count: int
    timestamp: Annotated[datetime, Field(description="of the newest entry")]
    hint: NotRequired[
        Annotated[Hint, Field(description="what was taken will not do what it is most likely meant for")]
    ]


class Point(TypedDict):
    """The average of a step, by its begin."""

    timestamp: datetime
    value: float


class TimeRange(TypedDict):
    start: datetime
    end: datetime


class SeriesShown(TypedDict):
    """`metrics` by key; `summary`: `avg_` and `max_` of each, over all its samples."""

    metrics: dict[str, list[Point]]
    summary: dict[str, float]


class Measurements(SeriesShown):
    """Of several sources of one metric one is shown, which `metric_sources` names; all of them are in `sources`."""

    tenant_id: str
    time_range: TimeRange
    step_seconds: float
    metric_sources: dict[str, str]
    sources: dict[str, SeriesShown]


class ClusterQuantities(TypedDict):
    """As Kubernetes writes them; storage is decimal, and absent where the cluster does not tell it."""

    cpu: Annotated[str, Field(examples=["45000m"])]
    memory: Annotated[str, Field(examples=["64Gi"])]
    gpu: int
    storage: NotRequired[Annotated[str, Field(examples=["40.0TB"])]]


class Cluster(TypedDict):
    """`used_resources` and `utilization`, in percent, as far as the caller's tenants use it."""

    cluster_status: Literal["healthy", "degraded", "critical"]
    total_resources: ClusterQuantities
    used_resources: ClusterQuantities
    utilization: dict[str, float]


class System(Cluster):
    total_tenants: int
    active_tenants: int
