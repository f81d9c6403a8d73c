"""What Alertmanager told us about a tenant (api.md §5), as it was told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, reply, tenant_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_shapes import Pagination
from ecpmon.openapi.declaring import Query, TypedDict, read_query
from ecpmon.ports.alerts import ReceivedAlert

routes = Routes()
# Nobody pages further: retention keeps the rest for whoever asks by SQL.
MAX_SKIP: Final = 100_000


class ReceivedQuery(Query):
    """Both statuses, unless one is named."""

    skip: Annotated[int, Field(ge=0, le=MAX_SKIP)] = 0
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100
    status: Literal["firing", "resolved"] | None = None


class ReceivedShown(TypedDict):
    """`ends_at` null: it was not over when it was told."""

    fingerprint: str
    alert_name: str
    severity: str
    status: Literal["firing", "resolved"]
    starts_at: datetime
    ends_at: datetime | None
    received_at: datetime
    labels: dict[str, str]
    annotations: dict[str, str]


class ReceivedPage(TypedDict):
    tenant_id: str
    alerts: list[ReceivedShown]
    pagination: Pagination


@routes.get(
    "/api/v1/tenants/{tenant_id}/alerts/received",
    Permission.READ,
    query=ReceivedQuery,
    answers={200: ReceivedPage},
)
async def received(request: web.Request) -> web.Response:
    """What Alertmanager told us about the tenant, newest first: each alert once when it fired, once when it ended."""
    tenant, query = await tenant_of(request, with_deleted=True), read_query(request, ReceivedQuery)
    skip, limit = query.skip, query.limit
    found = await backend_of(request).external_alerts.page(tenant, query.status, skip, limit + 1)
    shown: ReceivedPage = {
        "tenant_id": tenant.tenant_id,
        "alerts": [_received(told) for told in found[:limit]],
        "pagination": {"skip": skip, "limit": limit, "has_more": len(found) > limit},
    }
    return reply(shown)


def _received(told: ReceivedAlert) -> ReceivedShown:
    alert = told.alert
    return {
        "fingerprint": alert.fingerprint,
        "alert_name": alert.alert_name,
        "severity": alert.severity,
        "status": "firing" if alert.status == "firing" else "resolved",
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "received_at": told.received_at,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
    }
