"""Deleting a tenant: what was deployed first, then the tenant; its SLA history stays (api.md §2)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, now_of, reply, tenant_of
from ecpmon.api.context import Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_shapes import Deletion
from ecpmon.errors import Conflict, KubernetesUnavailable, SimulatorUnavailable
from ecpmon.korean.messages import said_to
from ecpmon.model.alerts import RuleStatus
from ecpmon.model.tenants import Tenant, TenantStatus
from ecpmon.openapi.declaring import Flag, Query, read_query

routes = Routes()
_RUNNING: Final = (TenantStatus.RUNNING, TenantStatus.DEGRADED, TenantStatus.DEPLOYING)


class DeletionQuery(Query):
    force: Annotated[Flag, Field(description="Although the tenant is running.")] = False


@routes.delete(
    "/api/v1/tenants/{tenant_id}",
    Permission.MANAGE_TENANTS,
    query=DeletionQuery,
    answers={202: Deletion},
    refuses=(Conflict, KubernetesUnavailable, SimulatorUnavailable),
)
async def delete_tenant(request: web.Request) -> web.Response:
    """Remove the deployment, then the tenant; its SLA history stays readable until retention ends."""
    backend, tenant = backend_of(request), await tenant_of(request)
    force = read_query(request, DeletionQuery).force
    if tenant.status in _RUNNING and not force:
        raise Conflict(
            "the tenant is running; add ?force=true to remove it all the same",
            details={"tenant_id": tenant.tenant_id, "status": tenant.status.value},
        )
    await _check_not_deploying(backend, tenant)
    await backend.tenants.set_status(tenant, TenantStatus.DELETING)
    try:
        left = await _remove_deployment(backend, tenant)
    except BaseException:
        # It is not gone, and may be deleted again.
        await backend.tenants.set_status(tenant, tenant.status, tenant.status_reason)
        raise
    await _end_alerts(backend, tenant, now_of(request))
    await backend.tenants.delete(tenant, now_of(request))
    backend.hub.tenant_deleted(tenant)
    message = f"tenant {tenant.tenant_id} is deleted; its SLA history stays readable"
    if left:
        message += f"; what was deployed by {' and '.join(left)} is still there: no such method is configured"
    done: Deletion = {
        "message": said_to(request.headers, message),
        "deletion_id": f"del-{uuid.uuid4().hex[:12]}",
        "estimated_time": "done",
    }
    return reply(done, 202)


async def _check_not_deploying(backend: Backend, tenant: Tenant) -> None:
    record = await backend.deployments.store.running(tenant)
    if record is not None:
        raise Conflict(
            "a deployment of the tenant is running; wait for it, then delete",
            details={"tenant_id": tenant.tenant_id, "deployment_id": record.deployment_id},
        )


async def _end_alerts(backend: Backend, tenant: Tenant, now: datetime) -> None:
    """Whoever was told of an alert is told that it is over; nobody will evaluate it any more."""
    for entry in await backend.alerts.rules(tenant):
        if entry.state.status in (RuleStatus.PENDING, RuleStatus.FIRING):
            await backend.rule_desk.delete(tenant, entry.rule.rule_id, now)


async def _remove_deployment(backend: Backend, tenant: Tenant) -> list[str]:
    """Take the tenant away wherever we brought it; the methods that nothing is configured for any more.

    Raises KubernetesUnavailable, SimulatorUnavailable: then the tenant stays, and one can try again.
    """
    # A deployment that failed half-way has left things too, and so has one by a former method.
    places = {*await backend.deployments.store.places(tenant), tenant.deployed_to or ""}
    left = []
    for method in sorted(filter(None, places)):
        deployer = backend.deployments.deployers.get(method)
        if method == "simulator" and backend.simulator is not None:
            # Its own call: it also takes away what was deployed without a manifest.
            await backend.simulator.remove(tenant.tenant_id)
        elif deployer is not None:
            await deployer.delete(tenant.tenant_id)
        else:
            left.append(method)
    return left
