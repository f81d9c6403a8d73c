"""What was done about a tenant that was down (api.md §5)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, reply, tenant_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.model.recovery import Recovery, RecoveryReason, RecoveryState
from ecpmon.openapi.declaring import Query, TypedDict, read_query

routes = Routes()


class RecoveriesQuery(Query):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class RecoveryShown(TypedDict):
    recovery_id: str
    alert_name: Annotated[str, Field(examples=["ECPTenantDown"])]
    severity: Annotated[str, Field(examples=["critical"])]
    fingerprint: str
    alert_starts_at: datetime
    state: RecoveryState
    reason: RecoveryReason
    detail: str
    tries: Annotated[int, Field(description="Calls of the deployer.")]
    restarted_deployments: int | None
    created_at: datetime
    updated_at: datetime
    restarted_at: datetime | None
    next_check_at: Annotated[datetime | None, Field(description="null: it is over.")]
    escalated_at: datetime | None
    ended_at: datetime | None
    joined_to: Annotated[str | None, Field(description="The recovery under way that its alert belongs to.")]


class Recoveries(TypedDict):
    tenant_id: str
    recoveries: list[RecoveryShown]


@routes.get(
    "/api/v1/tenants/{tenant_id}/recoveries",
    Permission.READ,
    query=RecoveriesQuery,
    answers={200: Recoveries},
)
async def recoveries(request: web.Request) -> web.Response:
    """Automatic recoveries of a tenant, newest first."""
    tenant = await tenant_of(request, with_deleted=True)
    limit = read_query(request, RecoveriesQuery).limit
    found = await backend_of(request).recoveries.of_tenant(tenant, limit)
    told: Recoveries = {"tenant_id": tenant.tenant_id, "recoveries": [_shown(r) for r in found]}
    return reply(told)


def _shown(recovery: Recovery) -> RecoveryShown:
    return {
        "recovery_id": recovery.recovery_id,
        "alert_name": recovery.alert_name,
        "severity": recovery.severity,
        "fingerprint": recovery.fingerprint,
        "alert_starts_at": recovery.alert_starts_at,
        "state": recovery.state,
        "reason": recovery.reason,
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
