"""SLA, alerts and maintenance."""

# Without postponed annotations: with them Python does not know what is required.
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from ecpmon.client.types.common import Bounds, Hint


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
