"""Measurements, in and out, and live."""

# Without postponed annotations: with them Python does not know what is required.
from typing import Any, NotRequired, TypedDict

from ecpmon.client.types.common import Bounds, Hint, Metrics


class RejectedSample(TypedDict):
    metric: str
    reason: str
    message: str


class PushResult(TypedDict):
    """`accepted`: samples that are stored now. `rejected` names the first 20 of `rejected_count` that are not."""

    accepted: int
    rejected: list[RejectedSample]
    rejected_count: int
    timestamp: str
    hint: NotRequired[Hint]


class PushEntry(TypedDict):
    metrics: Metrics
    timestamp: NotRequired[str]


class Point(TypedDict):
    timestamp: str
    value: float


class TimeRange(TypedDict):
    start: str
    end: str


class Monitoring(TypedDict):
    tenant_id: str
    time_range: TimeRange
    step_seconds: float
    metrics: dict[str, list[Point]]
    summary: dict[str, float]
    metric_sources: dict[str, str]
    sources: dict[str, Any]


class SystemMetrics(TypedDict):
    cluster_status: str
    total_tenants: int
    active_tenants: int
    total_resources: dict[str, Any]
    used_resources: dict[str, Any]
    utilization: dict[str, float]


class MonitoringMessage(TypedDict):
    """`state` comes with a change of the tenant's availability."""

    timestamp: str
    tenant_id: str
    metrics: dict[str, float]
    state: NotRequired[str]


class SlaData(TypedDict):
    """Of the last 24 hours."""

    availability: float | None
    bounds: Bounds
    coverage: float | None
    stale: bool
    status: str
    uptime_percentage: float | None
    downtime_minutes: float


class RealtimeMessage(TypedDict):
    """`sla_data` null: not known right now."""

    timestamp: str
    tenant_id: str
    metrics: dict[str, float]
    sla_data: SlaData | None
    state: NotRequired[str]
