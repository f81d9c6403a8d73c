"""What the REST interface answers, as JSON: the shapes that its routes declare and `documents` makes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ecpmon.shapes import TypedDict
from ecpmon.simulator.model.failures import FailureType, Reach
from ecpmon.simulator.model.pods import PodPhase

# RFC 3339 in UTC with six digits, so that texts sort like times.
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
_Ready = Annotated[bool | None, Field(description="null: it was never ready.")]


class Healthy(TypedDict):
    status: Literal["ok"]


class PodShown(TypedDict):
    name: str
    uid: str
    phase: PodPhase
    ready: Annotated[bool, Field(description="Its probe passes.")]
    reachable: Annotated[bool, Field(description="Ready, and not cut off from its users.")]
    reason: Annotated[str, Field(description="Why it does not serve; empty: it does.")]
    message: str
    node: str | None
    restarts: int
    created_at: Instant
    started_at: Instant | None
    ready_since: Instant | None


class ServiceShown(TypedDict):
    name: str
    desired: int
    ready: Annotated[int, Field(description="Pods that its users reach.")]
    sessions: int
    cpu_millicores: int
    memory_mib: int
    gpu: int
    design_sessions: Annotated[int, Field(description="Sessions that all its pods together are made for.")]
    startup_seconds: float
    pods: list[PodShown]


class TenantShown(TypedDict):
    tenant_id: str
    namespace: str
    created_at: Instant
    ready: _Ready
    services: list[ServiceShown]


class TenantSummary(TypedDict):
    tenant_id: str
    namespace: str
    ready: _Ready
    services: Annotated[list[str], Field(description="Their names.")]


class TenantList(TypedDict):
    tenants: list[TenantSummary]


class Restarted(TypedDict):
    tenant_id: str
    restarted: Annotated[int, Field(description="Deployments that have new pods.")]
    timestamp: Instant


class Accepted(TypedDict):
    accepted: Annotated[int, Field(description="How many numbers.")]
    timestamp: Instant


class Numbers(TypedDict):
    """A tenant's numbers now, weighted by what its services request or by their requests."""

    cpu_usage: Annotated[float, Field(description="Percent of what is requested.")]
    memory_usage: Annotated[float, Field(description="Percent of what is requested.")]
    gpu_usage: Annotated[float, Field(description="Percent.")]
    network_in: Annotated[float, Field(description="Bytes per second.")]
    network_out: Annotated[float, Field(description="Bytes per second.")]
    network_rps: Annotated[float, Field(description="Requests per second that are offered.")]
    storage_used: Annotated[int, Field(description="Bytes.")]
    request_count: Annotated[int, Field(description="Requests since counting began, failed ones included.")]
    response_time: Annotated[float, Field(description="Milliseconds.")]
    error_rate: Annotated[float, Field(description="Share of the requests, 0 to 1.")]
    sessions: int


class ServiceNumbers(TypedDict):
    service: str
    desired: int
    ready: Annotated[int, Field(description="Pods that its users reach.")]
    sessions: int
    pod_cpu_millicores: Annotated[float, Field(description="What one pod uses; pods share the load evenly.")]
    pod_memory_mib: float


class CounterLabels(TypedDict):
    service: str


class Counter(TypedDict):
    """A counter as it stands: not added up, so that each restart can be seen."""

    metric: Literal["requests_total", "errors_total"]
    labels: CounterLabels
    value: int


class ExternalNumbers(TypedDict):
    timestamp: Instant
    metrics: dict[str, float]


class TenantMetrics(TypedDict):
    tenant_id: str
    timestamp: Instant
    ready: _Ready
    services: list[ServiceNumbers]
    metrics: Numbers
    counters: list[Counter]
    external: Annotated[
        dict[str, ExternalNumbers], Field(description="By source: what was posted, the newest of each.")
    ]


class AllMetrics(TypedDict):
    timestamp: Instant
    tenants: list[TenantMetrics]


class KnownTruth(TypedDict):
    """Of the last 24 hours, in percent and minutes; null before anything is known."""

    availability: float | None
    uptime_percentage: float | None
    downtime_minutes: float


class TenantMetricsAndTruth(TenantMetrics):
    sla_data: KnownTruth


class AllMetricsAndTruth(TypedDict):
    timestamp: Instant
    tenants: list[TenantMetricsAndTruth]


class Amounts(TypedDict):
    cpu_millicores: int
    memory_bytes: int
    gpu: int


class AmountsAndStorage(Amounts):
    storage_bytes: int


class Shares(TypedDict):
    """Percent of the capacity."""

    cpu_millicores: float
    memory_bytes: float
    gpu: float
    storage_bytes: float


class NodeShown(TypedDict):
    name: str
    ready: bool
    capacity: Amounts
    used: Annotated[Amounts, Field(description="What pods that are bound to it request.")]


class SystemMetrics(TypedDict):
    timestamp: Instant
    nodes: list[NodeShown]
    capacity: Annotated[AmountsAndStorage, Field(description="Of the nodes that are ready.")]
    used: AmountsAndStorage
    utilization: Shares
    tenants: int
    pods: Annotated[dict[str, int], Field(description="By phase.", examples=[{"Running": 3, "Pending": 0}])]


class FailureKindShown(TypedDict):
    failure_type: FailureType
    description: str
    severity_means: str
    default_duration_seconds: float
    default_severity: float
    outage: Annotated[str, Field(description="When it makes a tenant not ready.")]
    reach: Reach


class FailureCatalogue(TypedDict):
    failure_types: list[FailureKindShown]


class Affected(TypedDict):
    """What was chosen when the failure started."""

    pods: list[str]
    services: list[str]
    nodes: list[str]


class FailureShown(TypedDict):
    id: Annotated[str, Field(examples=["f-0f3c1b2a4d5e"])]
    tenant_id: str
    failure_type: FailureType
    severity: float
    start: Instant
    end: Instant
    duration_seconds: float
    target_service: str | None
    active: Annotated[bool, Field(description="false: it is still to come.")]
    effect: str
    affected: Affected


class FailureList(TypedDict):
    tenant_id: str
    failures: Annotated[list[FailureShown], Field(description="Those that run.")]
    scheduled: Annotated[list[FailureShown], Field(description="Those that are still to come.")]


class FailuresEnded(TypedDict):
    tenant_id: str
    ended: Annotated[list[str], Field(description="Their ids.", examples=[["f-0f3c1b2a4d5e"]])]
    timestamp: Instant


class ScenarioStepShown(TypedDict):
    """In seconds; null: what the catalogue says."""

    at: float
    failure_type: FailureType
    duration: float | None
    severity: float | None
    target_service: str | None


class ScenarioShown(TypedDict):
    description: str
    steps: list[ScenarioStepShown]


class ScenarioList(TypedDict):
    scenarios: Annotated[dict[str, ScenarioShown], Field(description="By name.")]


class ScenarioBegun(TypedDict):
    failures: list[FailureShown]


class TrueInterval(TypedDict):
    start: Instant
    end: Annotated[Instant | None, Field(description="null: it lasts.")]
    state: Literal["up", "down"]


class Truth(TypedDict):
    tenant_id: str
    since: Annotated[Instant | None, Field(description="null: nothing is known of the span.")]
    until: Instant
    intervals: list[TrueInterval]
    down_seconds: float


class ClockShown(TypedDict):
    now: Instant
    mode: Literal["wall", "manual"]
    speed: Annotated[float, Field(description="Simulated seconds per second; 0: it stands still.")]
