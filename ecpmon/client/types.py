"""What goes in and comes out, as typed dictionaries: what the service sends is handed on as it is.

Times are RFC 3339 texts in UTC, percentages numbers from 0 to 100 unless they are texts such as `"99.9%"`. A later
service may send more members than are listed here. A tenant's contract (`credits`, `service_hours` …) is docs/sla.md.
"""

# Without postponed annotations: with them Python does not know what is required.
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

Preset = Literal["micro", "small", "medium", "large"]
TenantStatus = Literal["pending", "deploying", "running", "degraded", "failed", "deleting"]
MetricType = Literal[
    "cpu", "memory", "gpu", "network", "storage", "request", "response", "error", "sla", "custom"
]
Interval = Literal["15s", "1m", "5m", "1h", "1d"]
Method = Literal["kubernetes", "gitops", "simulator"]
Metrics = Mapping[str, float]


class SlaTarget(TypedDict, total=False):
    availability: str
    response_time: str
    concurrent_users: int


class TenantRequest(TypedDict):
    """A new tenant. Without a preset it gets the recommended one, without a target 99.5 %."""

    tenant_id: str
    name: str
    service_requirements: Mapping[str, int]
    preset: NotRequired[Preset | None]
    sla_target: NotRequired[SlaTarget]
    description: NotRequired[str | None]
    sli_source: NotRequired[Literal["auto", "prometheus", "simulator", "push"]]
    push_interval: NotRequired[int]
    push_mode: NotRequired[Literal["changes", "samples"]]
    time_zone: NotRequired[str]
    maintenance_accounting: NotRequired[Literal["exclude", "count_as_up"]]
    language: NotRequired[Literal["en", "ko"]]
    credits: NotRequired[Mapping[str, Any] | None]
    service_hours: NotRequired[Mapping[str, Any] | None]
    component_weights: NotRequired[Mapping[str, float] | None]


class TenantChanges(TypedDict, total=False):
    """What is absent stays; of a mapping by service as well, where null takes a member away."""

    name: str
    description: str | None
    preset: Preset | None
    service_requirements: Mapping[str, int | None]
    sla_target: SlaTarget
    service_resources: Mapping[str, Mapping[str, str | None] | None] | None
    push_mode: Literal["changes", "samples"]
    language: Literal["en", "ko"]
    time_zone: str
    maintenance_accounting: Literal["exclude", "count_as_up"]
    credits: Mapping[str, Any] | None
    service_hours: Mapping[str, Any] | None
    acknowledge_autoscaling: bool


class Resources(TypedDict):
    cpu: str
    memory: str
    gpu: int
    storage: str


class Bounds(TypedDict):
    """What if every gap was down, and what if every gap was up."""

    low: float | None
    high: float | None


class CreatedTenant(TypedDict):
    tenant_id: str
    status: TenantStatus
    deployment_id: str
    estimated_resources: Resources
    estimated_cost: str
    deployment_time: str
    created_at: str


class TenantRow(TypedDict):
    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    status: TenantStatus
    services_count: int
    cpu_limit: str
    memory_limit: str
    gpu_limit: int
    storage_limit: str
    gpu_type: str | None
    sla_availability: str | None
    sla_bounds: Bounds
    sla_coverage: float | None
    sla_status: str
    sla_stale: bool
    sla_as_of: str | None
    sla_response_time: str | None
    created_at: str
    description: str | None


class Pagination(TypedDict):
    skip: int
    limit: int
    has_more: bool


class TenantPage(TypedDict):
    tenants: list[TenantRow]
    total_count: int
    demo_count: int
    active_count: int
    pagination: Pagination


class ServiceResources(TypedDict):
    cpu_request: str
    memory_request: str


class Service(TypedDict):
    service_name: str
    service_type: str
    enabled: bool
    count: int
    image: str
    resources: ServiceResources


class Hint(TypedDict):
    """A success that will not do what it is most likely meant for (docs/errors.md)."""

    code: str
    message: str


class Tenant(TypedDict):
    """`etag` goes into `update_tenant`, for a change that nobody else has overtaken."""

    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    status: TenantStatus
    service_requirements: dict[str, int]
    resources: Resources
    gpu_type: str | None
    sla_target: SlaTarget
    sli_source: str
    push_interval: int
    push_mode: str
    time_zone: str
    maintenance_accounting: str
    language: str
    credits: dict[str, Any] | None
    service_hours: dict[str, Any] | None
    services: list[Service]
    description: str | None
    created_at: str
    updated_at: str
    hints: list[Hint]
    etag: NotRequired[str]


class Change(TypedDict):
    """`effect`: what bringing it out does, for example `rollout`."""

    service: str
    field: str
    effect: str


class UpdatedTenant(TypedDict):
    """`changes`: what a deployment of it would change."""

    tenant_id: str
    name: str | None
    status: TenantStatus
    preset: str
    recommended_preset: str | None
    service_requirements: dict[str, int]
    sla_target: SlaTarget
    estimated_resources: Resources
    estimated_cost: str | None
    deployment_time: str | None
    updated_at: str
    changes: list[Change]
    redeploy_needed: bool
    restarts_pods: list[str]


class Deletion(TypedDict):
    message: str
    deletion_id: str
    estimated_time: str


class Alternative(TypedDict):
    preset: str
    resources: Resources
    cost: str
    performance_impact: str


class ResourcePlan(TypedDict):
    recommended_preset: str
    resources: Resources
    gpu_type: str | None
    estimated_cost: str
    alternatives: list[Alternative]


class RejectedSample(TypedDict):
    metric: str
    reason: str


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


class Finding(TypedDict):
    code: str
    document: int | None
    object: str | None
    path: str | None
    message: str


class ManifestReport(TypedDict):
    valid: bool
    warnings: list[Finding]
    errors: list[Finding]
    simulator_compatible: bool
    resource_summary: dict[str, Any]
    estimated_cost: str | None
    deployment_time: str | None


class DeploymentBegun(TypedDict):
    """`deployment_id` None: a dry run, with what validation says beside it."""

    deployment_id: str | None
    status: str
    valid: NotRequired[bool]
    errors: NotRequired[list[Finding]]
    warnings: NotRequired[list[Finding]]


class CreatedResource(TypedDict):
    type: str
    name: str
    status: str
    replicas: str | None


class PendingResource(TypedDict):
    type: str
    name: str


class LogLine(TypedDict):
    timestamp: str
    level: str
    message: str


class Deployment(TypedDict):
    tenant_id: str
    deployment_id: str
    method: str
    status: str
    progress: int
    phase: str
    message: str
    created_resources: list[CreatedResource]
    pending_resources: list[PendingResource]
    created_at: str
    finished_at: str | None
    estimated_completion: str | None
    requested_by: str
    forced_because: str | None
    burned_minutes: float | None
    burned_bounds: Bounds
    burned_coverage: float | None
    logs: list[LogLine]


class Deployments(TypedDict):
    tenant_id: str
    deployments: list[Deployment]


class DeploymentReport(TypedDict):
    deployment_id: str
    status: str


class DeploymentStep(TypedDict):
    deployment_id: str
    status: str
    progress: int
    phase: str
    message: str


class ErrorBudget(TypedDict):
    total_minutes: float
    consumed_minutes: float
    remaining_minutes: float
    remaining_percent: float | None


class SlaWindow(TypedDict):
    window: str
    start: str
    end: str
    availability: float | None
    bounds: Bounds
    coverage: float | None
    verdict: str
    status: str
    eligible_minutes: float
    up_minutes: float
    down_minutes: float
    gap_minutes: float
    maintenance_minutes: float
    error_budget: ErrorBudget
    burn_rate: float | None
    projected_exhaustion: str | None
    failure_count: int
    recovery_time_avg: float | None


class Sla(TypedDict):
    tenant_id: str
    target: float
    as_of: str
    state: str
    stale: bool
    windows: list[SlaWindow]


class SlaAnalysis(TypedDict):
    tenant_id: str
    current_sla: float | None
    target_sla: float
    status: str
    uptime_percentage: float | None
    failure_count: int
    recovery_time_avg: float | None
    bounds: Bounds
    coverage: float | None
    verdict: str


class SlaSummary(TypedDict):
    """Worst first."""

    as_of: str
    tenants: list[dict[str, Any]]


class Incident(TypedDict):
    start: str
    end: str | None
    ongoing: bool
    duration_seconds: float
    down_seconds: float
    recovery_seconds: float | None
    cause: str | None
    budget_minutes: float
    recoveries: list[dict[str, Any]]


# `from` is a word of Python.
Incidents = TypedDict(
    "Incidents",
    {"tenant_id": str, "from": str, "to": str, "incidents": list[Incident], "gap_minutes": float},
)


class WebhookAction(TypedDict):
    type: Literal["webhook"]
    url: str
    method: NotRequired[Literal["POST", "PUT"]]
    headers: NotRequired[Mapping[str, str]]


class EmailAction(TypedDict):
    type: Literal["email"]
    recipients: list[str]


class AlertRequest(TypedDict):
    alert_name: str
    condition: str
    duration: NotRequired[str]
    severity: NotRequired[str]
    actions: NotRequired[list[WebhookAction | EmailAction]]


class AlertRule(TypedDict):
    rule_id: str
    tenant_id: str
    alert_name: str
    kind: str
    condition: str
    duration: str
    severity: str
    actions: list[dict[str, Any]]
    state: str
    since: str | None
    value: float | None
    frozen: bool
    flapping: bool
    alert_id: str | None
    created_at: str
    hints: list[Hint]


class AlertRules(TypedDict):
    tenant_id: str
    alerts: list[AlertRule]


class MaintenanceRequest(TypedDict):
    start: str
    reason: str
    end: NotRequired[str]
    duration: NotRequired[str]
    rrule: NotRequired[str]
    time_zone: NotRequired[str]
    title: NotRequired[str]
    approved_by: NotRequired[str]
    category: NotRequired[str]


class SimulatorDeployment(TypedDict):
    status: str
    deployment_id: str
    simulator_dashboard: str
    resources_count: int
    sla_monitoring: bool
    failure_scenario: str | None


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


class AlertMessage(TypedDict):
    alert_id: str
    tenant_id: str | None
    severity: str
    type: str
    message: str
    metric: str | None
    current_value: float | None
    threshold: float | None
    status: Literal["firing", "resolved"]
    timestamp: str
