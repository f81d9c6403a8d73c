"""Routes that deploy tenants, and what others measured of them."""

from __future__ import annotations

import re

from aiohttp import web

from ecpmon.errors import Conflict, TenantNotFound, ValidationFailed
from ecpmon.simulator.documents import tenant_document, tenant_summary
from ecpmon.simulator.model.commands import delete_tenant, put_external, put_tenant, tenant_of
from ecpmon.simulator.model.restarts import restart_tenant
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.tenants import RESERVED_TENANTS
from ecpmon.simulator.model.times import rfc3339
from ecpmon.simulator.routing import Routes
from ecpmon.simulator.schemas import TENANT_PATTERN, ExternalBody, RestartBody, TenantBody
from ecpmon.simulator.shapes import Accepted, Restarted, TenantList, TenantShown
from ecpmon.simulator.web import answer, engine_of, read_body

routes = Routes()
_TENANT_ID = re.compile(TENANT_PATTERN)


@routes.get("/api/v1/tenants", answers={200: TenantList})
async def list_all(request: web.Request) -> web.Response:
    """All tenants."""
    state = await engine_of(request).view()
    shown: TenantList = {"tenants": [tenant_summary(tenant) for tenant in state.tenants.values()]}
    return answer(shown)


@routes.get("/api/v1/tenants/{tenant_id}", answers={200: TenantShown})
async def get_one(request: web.Request) -> web.Response:
    """Services, pods and why they wait."""
    state = await engine_of(request).view()
    return answer(tenant_document(state, tenant_of(state, request.match_info["tenant_id"])))


@routes.put(
    "/api/v1/tenants/{tenant_id}",
    body=TenantBody,
    answers={200: TenantShown, 201: TenantShown},
    refuses=(Conflict,),
)
async def put_one(request: web.Request) -> web.Response:
    """Deploy exactly these services.

    The same call again changes nothing. Changed requests are rolled out pod by pod; removed services end.
    """
    tenant_id = request.match_info["tenant_id"]
    if not _TENANT_ID.fullmatch(tenant_id) or tenant_id in RESERVED_TENANTS:
        message = "must be an RFC 1123 label of at most 56 characters, and neither `system` nor `types`"
        raise ValidationFailed(message, fields=[{"field": "tenant_id", "message": message}])
    body = await read_body(request, TenantBody)
    specs = [service.as_spec() for service in body.services]

    def change(state: ClusterState) -> tuple[ClusterState, tuple[bool, TenantShown]]:
        changed = put_tenant(state, tenant_id, specs)
        return changed, (tenant_id not in state.tenants, tenant_document(changed, changed.tenants[tenant_id]))

    created, document = await engine_of(request).command(change)
    return answer(document, status=201 if created else 200)


@routes.delete("/api/v1/tenants/{tenant_id}", answers={204: None})
async def delete_one(request: web.Request) -> web.Response:
    """Remove the tenant and its truth."""
    tenant_id = request.match_info["tenant_id"]

    def change(state: ClusterState) -> tuple[ClusterState, None]:
        return delete_tenant(state, tenant_id), None

    await engine_of(request).command(change)
    return web.Response(status=204)


@routes.post("/api/v1/tenants/{tenant_id}/restart", body=RestartBody, answers={202: Restarted})
async def post_restart(request: web.Request) -> web.Response:
    """New pods for every service, rolled in; the same time again changes nothing."""
    tenant_id = request.match_info["tenant_id"]
    body = await read_body(request, RestartBody)

    def change(state: ClusterState) -> tuple[ClusterState, Restarted]:
        changed, count = restart_tenant(state, tenant_id, body.restarted_at)
        return changed, {"tenant_id": tenant_id, "restarted": count, "timestamp": rfc3339(state.now)}

    return answer(await engine_of(request).command(change), status=202)


@routes.post(
    "/api/v1/external-metrics", body=ExternalBody, answers={202: Accepted}, refuses=(TenantNotFound,)
)
async def post_external(request: web.Request) -> web.Response:
    """What somebody else measured of a tenant: the newest of each source is shown with its metrics."""
    body = await read_body(request, ExternalBody)

    def change(state: ClusterState) -> tuple[ClusterState, Accepted]:
        changed = put_external(state, body.tenant_id, body.source, body.metrics)
        return changed, {"accepted": len(body.metrics), "timestamp": rfc3339(state.now)}

    return answer(await engine_of(request).command(change), status=202)
