"""Who changed what, and what Alertmanager told."""

# Without postponed annotations: with them Python does not know what is required.
from typing import Any, TypedDict

from ecpmon.client.types.tenants import Pagination


class AuditEntry(TypedDict):
    """`before` and `after` hold what was changed; null: there was nothing, or is nothing."""

    id: int
    at: str
    actor: str
    address: str | None
    request_id: str | None
    tenant_id: str | None
    action: str
    subject: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditEntries(TypedDict):
    entries: list[AuditEntry]
    next_cursor: str | None


class ReceivedAlert(TypedDict):
    fingerprint: str
    alert_name: str
    severity: str
    status: str
    starts_at: str
    ends_at: str | None
    received_at: str
    labels: dict[str, str]
    annotations: dict[str, str]


class ReceivedAlerts(TypedDict):
    tenant_id: str
    alerts: list[ReceivedAlert]
    pagination: Pagination
