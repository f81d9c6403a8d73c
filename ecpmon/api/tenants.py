"""Tenants: list, create, read (api.md §2); changing and deleting them have modules of their own."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, now_of, read_model, reply, stored_tenant
from ecpmon.api.context import CALLER
from ecpmon.api.etags import etag_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_bodies import (
    CalculateBody,
    TenantBody,
    check_preset,
    checked_hours,
    checked_profile,
    checked_weights,
    push_mode_of,
    target_of,
)
from ecpmon.api.tenant_shapes import (
    Calculation,
    CreditsShown,
    ExclusionRules,
    ServiceHours,
    ServiceResources,
    TenantCreated,
    TenantDetail,
    TenantPage,
)
from ecpmon.api.tenant_shown import newest_contract, resources_shown, row, services_shown, target_shown
from ecpmon.errors import (
    InsufficientResources,
    InvalidPreset,
    LimitReached,
    Overloaded,
    TenantAlreadyExists,
    ValidationFailed,
)
from ecpmon.korean.messages import said_to
from ecpmon.model.tenants import Tenant, TenantStatus
from ecpmon.openapi.declaring import Json, Query, read_query
from ecpmon.ports.tenants import NewTenant
from ecpmon.sla.maintenance import zone

if TYPE_CHECKING:
    from ecpmon.orchestrator.sizing import TenantPlan

routes = Routes()


class Listing(Query):
    skip: Annotated[int, Field(ge=0, le=10**9)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    preset: Annotated[str | None, Field(description="Only those of this preset.", examples=["small"])] = None
    status: Annotated[TenantStatus | None, Field(description="Only those that are this.")] = None


@routes.get(
    "/api/v1/tenants",
    Permission.READ,
    query=Listing,
    answers={200: TenantPage},
    refuses=(InvalidPreset,),
)
async def list_tenants_plain(request: web.Request) -> web.Response:
    """The tenants the caller may see."""
    return await list_tenants(request)


@routes.get(
    "/api/v1/tenants/",
    Permission.READ,
    query=Listing,
    answers={200: TenantPage},
    refuses=(InvalidPreset,),
)
async def list_tenants(request: web.Request) -> web.Response:
    """The tenants the caller may see."""
    backend, caller, query = backend_of(request), request[CALLER], read_query(request, Listing)
    preset, allowed = check_preset(query.preset), caller.tenants
    seen = [
        t
        for s in (await backend.directory.standings()).values()
        if (t := s.tenant) is not None
        and (allowed is None or t.key in allowed)
        and preset in (None, t.preset)
        and query.status in (None, t.status)
    ]
    shown = seen[query.skip : query.skip + query.limit]
    keys = [t.key for t in shown]
    now = now_of(request)
    measured = await backend.availability.current_30d(keys, now)
    evidence = {t.key: t.evidence_source for t in shown}
    times = await backend.monitoring.mean_response_times_30d(evidence, now)
    page: TenantPage = {
        "tenants": [row(t, measured.get(t.key), times.get(t.key)) for t in shown],
        "total_count": len(seen),
        "demo_count": sum(t.is_demo for t in seen),
        "active_count": sum(t.status in (TenantStatus.RUNNING, TenantStatus.DEGRADED) for t in seen),
        "pagination": {
            "skip": query.skip,
            "limit": query.limit,
            "has_more": query.skip + len(shown) < len(seen),
        },
    }
    return reply(page)


_CREATING: Final = (TenantAlreadyExists, InvalidPreset, InsufficientResources, LimitReached, Overloaded)


@routes.post(
    "/api/v1/tenants",
    Permission.MANAGE_TENANTS,
    body=TenantBody,
    answers={201: TenantCreated},
    refuses=_CREATING,
)
async def create_tenant_plain(request: web.Request) -> web.Response:
    """Create a tenant; nothing is deployed yet."""
    return await create_tenant(request)


@routes.post(
    "/api/v1/tenants/",
    Permission.MANAGE_TENANTS,
    body=TenantBody,
    answers={201: TenantCreated},
    refuses=_CREATING,
)
async def create_tenant(request: web.Request) -> web.Response:
    """Create a tenant; nothing is deployed yet."""
    from ecpmon.orchestrator.sizing import plan_tenant

    backend, now = backend_of(request), now_of(request)
    body = await read_model(request, TenantBody)
    target = target_of(request, body.sla_target)
    plan = plan_tenant(body.service_requirements, target, check_preset(body.preset))
    new = NewTenant(
        tenant_id=body.tenant_id,
        name=body.name,
        preset=plan.preset,
        is_demo=backend.demo,
        service_requirements=body.service_requirements,
        resources=plan.resources,
        sla_target=target,
        gpu_type=plan.gpu_type,
        description=body.description,
        sli_source=body.sli_source,
        push_interval=timedelta(seconds=body.push_interval),
        push_mode=push_mode_of(body),
        time_zone=zone(body.time_zone).key,
        maintenance_accounting=body.maintenance_accounting,
        component_weights=checked_weights(body),
        language=body.language,
        credits=None if body.credits is None else body.credits.model_dump(),
        hours=await checked_hours(request, body.service_hours),
        evidence_profile=checked_profile(body.evidence_profile),
        labels=body.labels,
        exclusion_rules=None if body.exclusion_rules is None else body.exclusion_rules.model_dump(),
    )
    caller = request[CALLER]
    if not caller.creates(body.tenant_id):
        raise ValidationFailed(
            "your token may not create a tenant of that name",
            fields=[{"field": "tenant_id", "message": "not in the token's may_create"}],
        )
    deployment_id = f"dep-{uuid.uuid4().hex[:12]}"
    # Who creates a tenant may see it; who sees them all needs no grant.
    grant_to = caller.token.token_id if caller.token and caller.tenants is not None else None
    try:
        tenant = await backend.tenants.create(new, deployment_id, now, grant_to=grant_to)
    except TenantAlreadyExists as error:
        if not any(map(caller.may_see, await backend.tenants.live_of([body.tenant_id]))):
            del error.details["existing_status"]
        raise
    backend.hub.tenant_created(tenant)
    await backend.on_tenant_created(tenant)
    return reply(_created(tenant, plan, deployment_id), 201)


def _created(tenant: Tenant, plan: TenantPlan, deployment_id: str) -> TenantCreated:
    return {
        "tenant_id": tenant.tenant_id,
        "status": tenant.status,
        "deployment_id": deployment_id,
        "estimated_resources": resources_shown(plan.resources),
        "estimated_cost": plan.estimated_cost,
        "deployment_time": plan.deployment_time,
        "created_at": tenant.created_at,
    }


@routes.post(
    "/api/v1/tenants/calculate-resources",
    Permission.READ,
    body=CalculateBody,
    answers={200: Calculation},
    refuses=(InsufficientResources,),
)
async def calculate_resources(request: web.Request) -> web.Response:
    """What a set of services would need, and what it would cost."""
    from ecpmon.orchestrator.sizing import plan_tenant

    body = await read_model(request, CalculateBody)
    plan = plan_tenant(body.service_requirements, target_of(request, body.sla_target), None)
    found: Calculation = {
        "recommended_preset": plan.recommended_preset,
        "resources": resources_shown(plan.resources),
        "gpu_type": plan.gpu_type,
        "estimated_cost": plan.estimated_cost,
        "alternatives": [
            {
                "preset": a.preset,
                "resources": resources_shown(a.resources),
                "cost": a.cost,
                "performance_impact": said_to(request.headers, a.performance_impact),
            }
            for a in plan.alternatives
        ],
    }
    return reply(found)


@routes.get(
    "/api/v1/tenants/{tenant_id}",
    Permission.READ,
    answers={200: Json(TenantDetail, headers=("ETag",))},
)
async def get_tenant(request: web.Request) -> web.Response:
    """One tenant in detail; its `ETag` is for a change."""
    tenant, backend = await stored_tenant(request), backend_of(request)
    detail: TenantDetail = {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "preset": tenant.preset,
        "is_demo": tenant.is_demo,
        "status": tenant.status,
        "status_reason": tenant.status_reason or None,
        "service_requirements": tenant.service_requirements,
        "resources": resources_shown(tenant.resources),
        "gpu_type": tenant.gpu_type,
        "sla_target": target_shown(tenant.sla_target),
        "sli_source": cast(Any, tenant.sli_source),
        "push_interval": int(tenant.push_interval.total_seconds()),
        "push_mode": tenant.push_mode,
        "time_zone": tenant.time_zone,
        "maintenance_accounting": tenant.maintenance_accounting,
        "language": tenant.language,
        "credits": cast(CreditsShown | None, tenant.credits),
        "service_hours": cast(ServiceHours | None, tenant.hours),
        "exclusion_rules": cast(ExclusionRules | None, tenant.exclusion_rules),
        "contract": newest_contract(tenant),
        "service_resources": cast(ServiceResources, tenant.service_resources),
        "labels": tenant.labels,
        "component_policy": "weighted" if tenant.component_weights else "any",
        "component_weights": tenant.component_weights,
        "services": services_shown(tenant),
        "description": tenant.description,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
        # What keeps the tenant from having what it is monitored for.
        "hints": [
            {"code": hint.code, "message": said_to(request.headers, hint.message)}
            for hint in await backend.hints.about(tenant)
        ],
        # Jobs that go on without this tenant, because of its own rows.
        "quarantine": [cast(Any, asdict(trouble)) for trouble in await backend.quarantine.of_tenant(tenant)],
    }
    return reply(detail, headers={"ETag": etag_of(tenant)})
