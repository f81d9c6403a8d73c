"""What was done about a tenant that was down (api.md §5)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ecpmon.api.common import backend_of, query_int, reply, tenant_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.model.recovery import Recovery

routes = Routes()


@routes.get("/api/v1/tenants/{tenant_id}/recoveries", Permission.READ)
async def recoveries(request: web.Request) -> web.Response:
    """Automatic recoveries of a tenant, newest first."""
    tenant = await tenant_of(request, with_deleted=True)
    limit = query_int(request, "limit", 100, 1, 1000)
    found = await backend_of(request).recoveries.of_tenant(tenant, limit)
    return reply({"tenant_id": tenant.tenant_id, "recoveries": [_shown(r) for r in found]})


def _shown(recovery: Recovery) -> dict[str, Any]:
    return {
        "recovery_id": recovery.recovery_id,
        "alert_name": recovery.alert_name,
        "severity": recovery.severity,
        "fingerprint": recovery.fingerprint,
        "alert_starts_at": recovery.alert_starts_at,
        "state": recovery.state.value,
        "reason": recovery.reason.value,
        "detail": recovery.detail,
        "tries": recovery.tries,
        "restarted_deployments": recovery.restarted,
        "created_at": recovery.created_at,
        "updated_at": recovery.updated_at,
        "restarted_at": recovery.restarted_at,
        "next_check_at": recovery.due_at,
        "escalated_at": recovery.escalated_at,
        "ended_at": recovery.ended_at,
        "joined_to": recovery.joined_to,
    }
