"""Alert messages of `/ws/alerts` (api.md §8)."""

from __future__ import annotations

from typing import Final

from ecpmon.api.answers.live import AlertMessage, AlertType
from ecpmon.names import CANONICAL_METRICS
from ecpmon.ports.alerts import AlertEvent, ExternalAlert

_RESOURCES: Final = frozenset({"cpu", "memory", "gpu", "storage", "network"})
_SLA_TYPES: Final[dict[str, AlertType]] = {
    "burn_rate": "sla_burn_rate",
    "budget": "sla_budget",
    "no_data": "no_data",
    "recovery": "recovery",
}
# Of a flapping rule, in whichever state it is; that what was silenced is told; and who looks after it.
_TOLD_AGAIN: Final = frozenset(
    {"calmed", "rule_deleted", "rule_replaced", "silence_over", "acknowledged", "unacknowledged"}
)
# Of rules and of recoveries.
_OPEN_STATES: Final = frozenset({"firing", "doubted", "restarting", "waiting", "escalated"})


def type_of(kind: str, metric: str | None) -> AlertType:
    """`resource_usage` for thresholds on resources, as in the source documents."""
    if kind in _SLA_TYPES:
        return _SLA_TYPES[kind]
    known = CANONICAL_METRICS.get(metric or "")
    return "resource_usage" if known and known[0] in _RESOURCES else "threshold"


def is_told(event: AlertEvent) -> bool:
    """Whether sockets hear of it."""
    if event.from_state == event.to_state:
        return event.reason in _TOLD_AGAIN
    return event.kind == "recovery" or "firing" in (event.from_state, event.to_state)


def message_of_event(event: AlertEvent) -> AlertMessage:
    message: AlertMessage = {
        "alert_id": event.alert_id,
        "tenant_id": event.tenant_id,
        "severity": event.severity,
        "type": type_of(event.kind, event.metric),
        "message": event.message,
        "metric": event.metric,
        "current_value": event.value,
        "threshold": event.threshold,
        "status": "firing" if event.to_state in _OPEN_STATES else "resolved",
        "timestamp": event.at,
    }
    if event.flapping or event.reason == "calmed":
        message["flapping"] = event.flapping
    if event.suppressed:
        message["suppressed"] = event.suppressed
    if event.reason in ("acknowledged", "unacknowledged"):
        message["acknowledged"] = event.reason == "acknowledged"
    if event.silenced_by:
        message["silenced"] = True
    if event.objective:
        message["objective"] = event.objective
    return message


def message_of_external(alert: ExternalAlert) -> AlertMessage:
    notes = alert.annotations
    resolved = alert.status == "resolved"
    return {
        "alert_id": alert.fingerprint,
        "tenant_id": alert.tenant_id,
        "severity": alert.severity,
        "type": "alertmanager",
        "message": notes.get("summary") or notes.get("description") or alert.alert_name,
        "metric": None,
        "current_value": None,
        "threshold": None,
        "status": "resolved" if resolved else "firing",
        "timestamp": (alert.ends_at if resolved else None) or alert.starts_at,
    }
