"""Tenants: list, create, read (api.md §2); changing and deleting them have modules of their own."""

from __future__ import annotations

import math
import uuid
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr, field_validator

from ecpmon.api.auth import caller_key
from ecpmon.api.common import (
    backend_of,
    bad_field,
    is_stale,
    now_of,
    percent,
    read_model,
    reply,
    stored_tenant,
)
from ecpmon.api.context import CALLER
from ecpmon.api.contract import Json, Query, read_query
from ecpmon.api.etags import etag_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_shapes import (
    Calculation,
    CreditsShown,
    ExclusionRules,
    HoursGiven,
    Measured,
    NewestContract,
    ResourcesShown,
    ServiceHours,
    ServiceResources,
    ServiceShown,
    SlaTargetShown,
    TenantCreated,
    TenantDetail,
    TenantPage,
    TenantRow,
)
from ecpmon.errors import (
    InsufficientResources,
    InvalidPreset,
    LimitReached,
    Overloaded,
    TenantAlreadyExists,
    ValidationFailed,
)
from ecpmon.model.maintenance import Accounting
from ecpmon.model.tenants import (
    TENANT_ID_PATTERN,
    Language,
    Preset,
    PushMode,
    Resources,
    SlaTarget,
    Tenant,
    TenantStatus,
    parse_milliseconds,
    parse_percentage,
)
from ecpmon.model.windows import SlaStatus
from ecpmon.ports.profiles import Selection
from ecpmon.ports.sla import Listed
from ecpmon.ports.tenants import NewTenant
from ecpmon.shapes import Model
from ecpmon.sla.hours import document_of, parse
from ecpmon.sla.maintenance import zone
from ecpmon.statements.terms import CreditTable

if TYPE_CHECKING:
    from ecpmon.orchestrator.sizing import TenantPlan

routes = Routes()


class TargetBody(Model):
    model_config = ConfigDict(extra="forbid")

    availability: Annotated[StrictStr, Field(examples=["99.9%"])] = "99.5%"
    response_time: Annotated[StrictStr | None, Field(examples=["200ms"])] = None
    concurrent_users: Annotated[StrictInt, Field(ge=1, le=100_000_000)] | None = None

    @field_validator("availability")
    @classmethod
    def _percentage(cls, value: str) -> str:
        parse_percentage(value)
        return value.strip()

    @field_validator("response_time")
    @classmethod
    def _duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_milliseconds(value)
        return value


def target_of(request: web.Request, body: TargetBody) -> SlaTarget:
    """What is asked for; of availability, unless that is said, what administrators have set for everybody."""
    given = body.model_dump()
    if "availability" not in body.model_fields_set:
        given["availability"] = backend_of(request).operating.current.promised
    return SlaTarget(**given)


# As Kubernetes has them, but for values: they may be any text of one line.
LabelName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[StrictStr, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
MOST_LABELS: Final = 32


class RulesBody(Model):
    """What an exclusion needs to count by itself (docs/exclusions.md)."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    needs_approval: StrictBool = False
    notice_hours: Annotated[float, Field(strict=True, ge=0, le=8_760, allow_inf_nan=False)] = 0


class TenantBody(Model):
    model_config = ConfigDict(extra="ignore")

    tenant_id: Annotated[StrictStr, Field(pattern=TENANT_ID_PATTERN, examples=["my-ai-service"])]
    name: Annotated[StrictStr, Field(min_length=1, max_length=200, examples=["My AI service"])]
    preset: Annotated[
        StrictStr | None, Field(description="Absent: the recommended one.", examples=["small"])
    ] = None
    service_requirements: Annotated[
        dict[StrictStr, StrictInt],
        Field(
            description="Sessions at the same time, by service.", examples=[{"callbot": 10, "chatbot": 20}]
        ),
    ]
    sla_target: TargetBody = Field(default_factory=TargetBody)
    description: Annotated[StrictStr, Field(max_length=2000)] | None = None
    sli_source: Annotated[StrictStr, Field(pattern="^(auto|prometheus|simulator|push)$")] = "auto"
    push_interval: Annotated[StrictInt, Field(ge=1, le=86_400, description="Seconds.")] = 60
    push_mode: Annotated[
        PushMode | None,
        Field(description="Absent: `samples` for who names an interval and so sends at it, else `changes`."),
    ] = None
    time_zone: Annotated[StrictStr, Field(max_length=60)] = "UTC"
    maintenance_accounting: Accounting = Accounting.EXCLUDE
    language: Annotated[Language, Field(description="Of its statements.")] = Language.EN
    credits: Annotated[CreditTable | None, Field(description="Absent: the shipped table.")] = None
    service_hours: Annotated[HoursGiven | None, Field(description="Absent: always.")] = None
    evidence_profile: Annotated[
        Selection | None, Field(description="From its first moment on. Absent: what the rules say for all.")
    ] = None
    exclusion_rules: Annotated[RulesBody | None, Field(description="Absent: as the settings say.")] = None
    labels: Annotated[
        dict[LabelName, LabelValue],
        Field(
            max_length=MOST_LABELS,
            description="What people tell tenants apart by; exclusions can select by them.",
            json_schema_extra={"examples": [{"region": "seoul", "team": "billing"}]},
        ),
    ] = Field(default_factory=dict)
    component_weights: (
        dict[StrictStr, Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]] | None
    ) = None


def _push_mode(body: TenantBody) -> PushMode:
    named = "push_interval" in body.model_fields_set
    return body.push_mode or (PushMode.SAMPLES if named else PushMode.CHANGES)


def _check_weights(body: TenantBody) -> dict[str, float] | None:
    """Weights of services that the tenant has; without any, one service down is the tenant down."""
    weights = body.component_weights
    if weights is None:
        return None
    unknown = sorted(set(weights) - set(body.service_requirements))
    if not weights or unknown:
        known = ", ".join(body.service_requirements)
        raise bad_field("component_weights", f"must name services of this tenant: {known}")
    return weights


def check_preset(preset: str | None) -> str | None:
    """The preset, if there is one of that name. Raises InvalidPreset."""
    if preset is not None and preset not in list(Preset):
        known = ", ".join(Preset)
        raise InvalidPreset(f"unknown preset; known are {known}", details={"preset": preset[:40]})
    return preset


def shown_percentage(fraction: float | None) -> str | None:
    """`"99.86%"`, cut to two decimals and never rounded up: 99.996 % is not shown as 100 %."""
    if fraction is None:
        return None
    return f"{math.floor(fraction * 10_000 + 1e-9) / 100:.2f}%" if fraction < 1 else "100%"


# Of a tenant of whom nothing was evaluated yet.
_NOTHING: Final[Measured] = {
    "sla_availability": None,
    "sla_bounds": {"low": None, "high": None},
    "sla_coverage": None,
    "sla_status": SlaStatus.NO_DATA,
    "sla_stale": True,
    "sla_as_of": None,
}


def _measured(found: Listed | None) -> Measured:
    """The availability of the last 30 days, and how sure that is."""
    if found is None:
        return _NOTHING
    return {
        "sla_availability": shown_percentage(found.availability),
        "sla_bounds": {"low": percent(found.low), "high": percent(found.high)},
        "sla_coverage": percent(found.coverage),
        "sla_status": found.status,
        "sla_stale": is_stale(found.state),
        "sla_as_of": found.as_of,
    }


def _row(tenant: Tenant, measured: Listed | None, response_time: float | None) -> TenantRow:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "preset": tenant.preset,
        "is_demo": tenant.is_demo,
        "status": tenant.status,
        "services_count": len(tenant.service_requirements),
        "cpu_limit": tenant.resources.cpu,
        "memory_limit": tenant.resources.memory,
        "gpu_limit": tenant.resources.gpu,
        "storage_limit": tenant.resources.storage,
        "gpu_type": tenant.gpu_type,
        **_measured(measured),
        "sla_response_time": None if response_time is None else f"{response_time:.0f}ms",
        "created_at": tenant.created_at,
        "description": tenant.description,
    }


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
        "tenants": [_row(t, measured.get(t.key), times.get(t.key)) for t in shown],
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
        push_mode=_push_mode(body),
        time_zone=zone(body.time_zone).key,
        maintenance_accounting=body.maintenance_accounting,
        component_weights=_check_weights(body),
        language=body.language,
        credits=None if body.credits is None else body.credits.model_dump(),
        hours=await checked_hours(request, body.service_hours),
        evidence_profile=_checked_profile(body.evidence_profile),
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


class CalculateBody(Model):
    model_config = ConfigDict(extra="ignore")

    service_requirements: Annotated[dict[StrictStr, StrictInt], Field(examples=[{"callbot": 10}])]
    sla_target: TargetBody = Field(default_factory=TargetBody)


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
                "performance_impact": a.performance_impact,
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
        "services": _services(tenant),
        "description": tenant.description,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
        # What keeps the tenant from having what it is monitored for.
        "hints": [cast(Any, asdict(hint)) for hint in await backend.hints.about(tenant)],
        # Jobs that go on without this tenant, because of its own rows.
        "quarantine": [cast(Any, asdict(trouble)) for trouble in await backend.quarantine.of_tenant(tenant)],
    }
    return reply(detail, headers={"ETag": etag_of(tenant)})


def resources_shown(resources: Resources) -> ResourcesShown:
    return {
        "cpu": resources.cpu,
        "memory": resources.memory,
        "gpu": resources.gpu,
        "storage": resources.storage,
    }


def target_shown(target: SlaTarget) -> SlaTargetShown:
    return cast(SlaTargetShown, target.model_dump(exclude_none=True))


def _checked_profile(selection: Selection | None) -> dict[str, Any] | None:
    """A profile as it is stored. Raises ValidationFailed naming the field."""
    if selection is None:
        return None
    from ecpmon.collectors.profiles import problems

    if found := problems(selection):
        fields = [{**each, "field": f"evidence_profile.{each['field']}"} for each in found]
        raise ValidationFailed("some fields are not as they should be", fields=fields)
    return selection.document()


async def checked_hours(request: web.Request, document: dict[str, Any] | None) -> dict[str, Any] | None:
    """Service hours as they are stored. Raises ValidationFailed naming the field, Overloaded."""
    if document is None:
        return None
    today = now_of(request).date()
    if "calendar" not in document:
        return _hours(document, today)
    # Whatever it says is read elsewhere: events that recur may take seconds.
    return await backend_of(request).workers.run_for(caller_key(request), _hours, document, today)


def _hours(document: dict[str, Any], today: date) -> dict[str, Any]:
    return document_of(parse(document, today))


def newest_contract(tenant: Tenant) -> NewestContract:
    """Which version of the contract says what the tenant's row says, and from when on."""
    newest = tenant.contract_versions[-1]
    return {"version": newest.version, "valid_from": newest.valid_from}


def _services(tenant: Tenant) -> list[ServiceShown]:
    """From the plan; a tenant inserted by hand may ask for services the catalogue does not know: then none."""
    from ecpmon.orchestrator.tuning import needs_of

    try:
        plan = needs_of(tenant)
    except (ValidationFailed, InsufficientResources):
        return []
    return [
        {
            "service_name": s.service_name,
            "service_type": s.service_type,
            "enabled": True,
            "count": s.replicas,
            "image": s.image,
            "resources": {"cpu_request": s.cpu_request, "memory_request": s.memory_request},
        }
        for s in plan.services
    ]
