"""Changing a tenant: partial, re-sized, and told what it means for the deployment (api.md §2)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr

from ecpmon.api.common import backend_of, bad_field, now_of, read_model, reply, tenant_of
from ecpmon.api.etags import check_unchanged, etag_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_bodies import (
    MOST_LABELS,
    LabelName,
    LabelValue,
    RulesBody,
    TargetBody,
    check_preset,
    checked_hours,
)
from ecpmon.api.tenant_shapes import (
    CreditsShown,
    DeploymentChange,
    ExclusionRules,
    HoursGiven,
    ServiceHours,
    ServiceResources,
    TenantUpdated,
)
from ecpmon.api.tenant_shown import newest_contract, resources_shown, target_shown
from ecpmon.errors import Conflict, InsufficientResources, InvalidPreset, Overloaded, ValidationFailed
from ecpmon.model.maintenance import Accounting
from ecpmon.model.tenants import Language, PushMode, SlaTarget, Tenant
from ecpmon.openapi.declaring import Json
from ecpmon.ports.tenants import TenantChange
from ecpmon.shapes import Model
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import zone
from ecpmon.statements.terms import CreditTable

if TYPE_CHECKING:
    from ecpmon.orchestrator.changes import Change
    from ecpmon.orchestrator.sizing import TenantPlan

routes = Routes()
V = TypeVar("V")
# What a new size follows from. A change of anything else leaves the plan as it is.
_PLAIN = ("name", "description", "push_mode", "language", "maintenance_accounting", "sli_source")
_SIZING = frozenset({"service_requirements", "sla_target", "preset", "service_resources"})


def _without_defaults(schema: dict[str, Any]) -> None:
    """What is absent stays as it is: nothing takes its place."""
    for field in schema["properties"].values():
        field.pop("default", None)


class TargetPatch(TargetBody):
    """Fields that are absent stay; `response_time` and `concurrent_users` null take the promise back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_defaults)

    availability: StrictStr = ""


class QuantitiesBody(Model):
    """Requests and limits of one replica, such as `250m` and `512Mi`; absent ones stay, null ones are the
    catalogue's."""

    model_config = ConfigDict(extra="forbid")

    cpu_request: StrictStr | None = None
    cpu_limit: StrictStr | None = None
    memory_request: StrictStr | None = None
    memory_limit: StrictStr | None = None


class UpdateBody(Model):
    """Only what is given is changed, in nested fields too, and null takes something away. An unknown field is refused:
    it would look as if it had been changed.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_defaults)

    name: Annotated[StrictStr, Field(min_length=1, max_length=200)] = ""
    description: Annotated[StrictStr, Field(max_length=2000)] | None = None
    preset: StrictStr | None = None
    # By service; null: the tenant has it no more.
    service_requirements: dict[StrictStr, StrictInt | None] = Field(default_factory=dict)
    sla_target: TargetPatch = Field(default_factory=TargetPatch)
    # By service; null, of one service or of all of them: as in the catalogue.
    service_resources: dict[StrictStr, QuantitiesBody | None] | None = None
    # Whose word counts from now on; what was judged before stays.
    sli_source: Literal["auto", "prometheus", "simulator", "push"] = "auto"
    # From now on; what was pushed before keeps the meaning that it had.
    push_mode: PushMode = PushMode.CHANGES
    # Of its statements, from the next one that is printed on.
    language: Language = Language.EN
    # With `sla_target` what the contract says: from the next month on (docs/sla.md).
    time_zone: Annotated[StrictStr, Field(max_length=60)] = "UTC"
    maintenance_accounting: Accounting = Accounting.EXCLUDE
    # null goes back to the shipped table.
    credits: CreditTable | None = None
    # All of them anew; null counts every hour again.
    service_hours: HoursGiven | None = None
    # null: as the settings say.
    exclusion_rules: RulesBody | None = None
    # By name; null, of one or of all: the tenant has it no more.
    labels: Annotated[dict[LabelName, LabelValue | None], Field(max_length=2 * MOST_LABELS)] | None = None
    # Needed when the CPU of a service under a HorizontalPodAutoscaler goes down.
    acknowledge_autoscaling: StrictBool = False


@routes.put(
    "/api/v1/tenants/{tenant_id}",
    Permission.MANAGE_TENANTS,
    body=UpdateBody,
    answers={200: Json(TenantUpdated, headers=("ETag",))},
    refuses=(Conflict, InvalidPreset, InsufficientResources, Overloaded),
    takes=("If-Match",),
)
async def update_tenant(request: web.Request) -> web.Response:
    """Change a tenant; what is absent stays. Says what a deployment of the change would do."""
    from ecpmon.orchestrator.changes import deployment_changes

    backend, tenant = backend_of(request), await tenant_of(request)
    body = await read_model(request, UpdateBody)
    check_unchanged(request, tenant)
    hours = await checked_hours(request, body.service_hours)
    before, wanted = _plan_before(tenant), wanted_of(tenant, body, hours)
    resized = is_resized(body)
    plan = plan_after(wanted, body) if resized else before
    if resized and plan:
        _refuse_unsaid_autoscaling(deployment_changes(before, plan), plan, body)
    # Compared with what runs, where that is known: earlier changes may not have been deployed.
    changes = deployment_changes(_plan_before(tenant.as_deployed()), plan) if plan else ()
    change = _change(wanted, plan if resized else None, backend.intervals)
    stored = await backend.tenants.update(tenant, change, now_of(request))
    shown = _shown(stored, plan, changes)
    return reply(shown, headers={"ETag": etag_of(stored)})


def is_resized(body: UpdateBody) -> bool:
    """Whether the plan does not stay as it is."""
    return bool(_SIZING & body.model_fields_set)


def wanted_of(tenant: Tenant, body: UpdateBody, hours: dict[str, Any] | None) -> Tenant:
    """The tenant with the fields that were given, `hours` as they are stored; the preset is still to be decided."""
    given = body.model_fields_set
    changed: dict[str, Any] = {name: getattr(body, name) for name in _PLAIN if name in given}
    if "service_requirements" in given:
        changed["service_requirements"] = _merged(tenant.service_requirements, body.service_requirements)
        _keep_weighted(tenant, changed["service_requirements"])
    if "sla_target" in given:
        changed["sla_target"] = SlaTarget.model_validate(
            {**tenant.sla_target.model_dump(), **body.sla_target.model_dump(exclude_unset=True)}
        )
    if "time_zone" in given:
        changed["time_zone"] = zone(body.time_zone).key
    if "credits" in given:
        changed["credits"] = None if body.credits is None else body.credits.model_dump()
    if "service_hours" in given:
        changed["hours"] = hours
    if "exclusion_rules" in given:
        rules = body.exclusion_rules
        changed["exclusion_rules"] = None if rules is None else rules.model_dump()
    if "labels" in given:
        changed["labels"] = _labels(tenant.labels, body.labels)
    if "service_resources" in given:
        changed["service_resources"] = _merged_resources(tenant.service_resources, body.service_resources)
    return tenant.model_copy(update=changed)


def _merged(known: Mapping[str, V], given: Mapping[str, V | None]) -> dict[str, V]:
    """As RFC 7396 says: what is absent stays, and null goes, whether it is there or not."""
    found = {name: value for name, value in known.items() if name not in given or given[name] is not None}
    return found | {name: value for name, value in given.items() if value is not None}


def _labels(known: Mapping[str, str], given: Mapping[str, str | None] | None) -> dict[str, str]:
    """Raises ValidationFailed for too many in the end."""
    found = {} if given is None else _merged(known, given)
    if len(found) > MOST_LABELS:
        raise bad_field("labels", f"are {len(found)} with those that are there; at most {MOST_LABELS}")
    return found


def _merged_resources(
    known: Mapping[str, Mapping[str, str]], given: Mapping[str, QuantitiesBody | None] | None
) -> dict[str, dict[str, str]]:
    """The same, of each service too; one of which nothing is left is as in the catalogue."""
    if given is None:
        return {}
    merged: dict[str, dict[str, str] | None] = {}
    for name, of in given.items():
        own = None if of is None else _merged(known.get(name, {}), of.model_dump(exclude_unset=True))
        merged[name] = None if name in known and not own else own
    return _merged({name: dict(of) for name, of in known.items()}, merged)


def _keep_weighted(tenant: Tenant, requirements: Mapping[str, int]) -> None:
    """A service that a component weight names cannot go: its weight would count for ever."""
    gone = sorted(set(tenant.component_weights or ()) - set(requirements))
    if gone:
        raise bad_field("service_requirements", f"{', '.join(gone)} carries a component weight and must stay")


def _plan_before(tenant: Tenant) -> TenantPlan | None:
    """None for a tenant that somebody inserted by hand in a way that cannot be planned."""
    from ecpmon.orchestrator.tuning import needs_of, plan_of

    for planned in (plan_of, needs_of):  # its preset may be too small for it
        with contextlib.suppress(ValidationFailed, InsufficientResources):
            return planned(tenant)
    return None


def plan_after(wanted: Tenant, body: UpdateBody) -> TenantPlan:
    """A preset that is given is granted or refused; else the present one is kept while it is large enough."""
    from ecpmon.orchestrator.catalogue import default_catalogue
    from ecpmon.orchestrator.sizing import plan_tenant
    from ecpmon.orchestrator.tuning import tuned

    catalogue = tuned(default_catalogue(), wanted.service_resources)
    requirements, target = wanted.service_requirements, wanted.sla_target
    if "preset" in body.model_fields_set:
        return plan_tenant(requirements, target, check_preset(body.preset), catalogue)
    try:
        return plan_tenant(requirements, target, wanted.preset, catalogue)
    except InsufficientResources:
        return plan_tenant(requirements, target, None, catalogue)


def _refuse_unsaid_autoscaling(changes: tuple[Change, ...], plan: TenantPlan, body: UpdateBody) -> None:
    """An autoscaler's target is a part of the CPU limit, and a request keeps room for what it adds: that either goes
    down must be meant."""
    scaled = {s.service_name for s in plan.services if not s.spec.stateful}
    lowered = [
        c.service
        for c in changes
        if c.field in ("cpu_request", "cpu_limit")
        and c.service in scaled
        and _millicores(c.after) < _millicores(c.before)
    ]
    if lowered and not body.acknowledge_autoscaling:
        raise bad_field(
            "acknowledge_autoscaling",
            f"the CPU of {', '.join(dict.fromkeys(lowered))} goes down under a HorizontalPodAutoscaler: its target "
            "is a part of the limit, so that with a lower one it may add replicas, and with lower requests less room "
            "is kept for these; send true when that is meant",
        )


def _millicores(quantity: str) -> int:
    return int(quantity.removesuffix("m"))


def _change(wanted: Tenant, plan: TenantPlan | None, intervals: Intervals) -> TenantChange:
    holds, age = intervals.evidence(wanted)
    return TenantChange(
        name=wanted.name,
        description=wanted.description,
        preset=plan.preset if plan else wanted.preset,
        service_requirements=wanted.service_requirements,
        resources=plan.resources if plan else wanted.resources,
        sla_target=wanted.sla_target,
        gpu_type=plan.gpu_type if plan else wanted.gpu_type,
        service_resources=wanted.service_resources,
        push_mode=wanted.push_mode,
        language=wanted.language,
        time_zone=wanted.time_zone,
        maintenance_accounting=wanted.maintenance_accounting,
        credits=wanted.credits,
        hours=wanted.hours,
        labels=wanted.labels,
        exclusion_rules=wanted.exclusion_rules,
        sli_source=wanted.sli_source,
        holds=holds,
        age=age,
    )


def _shown(tenant: Tenant, plan: TenantPlan | None, changes: tuple[Change, ...]) -> TenantUpdated:
    from ecpmon.orchestrator.changes import Effect

    granted = plan if plan and plan.preset == tenant.preset else None
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "description": tenant.description,
        "status": tenant.status,
        "preset": tenant.preset,
        "recommended_preset": plan.recommended_preset if plan else None,
        "service_requirements": tenant.service_requirements,
        "sla_target": target_shown(tenant.sla_target),
        "service_resources": cast(ServiceResources, tenant.service_resources),
        "labels": tenant.labels,
        "sli_source": cast(Any, tenant.sli_source),
        "push_mode": tenant.push_mode,
        "language": tenant.language,
        "time_zone": tenant.time_zone,
        "maintenance_accounting": tenant.maintenance_accounting,
        "credits": cast(CreditsShown | None, tenant.credits),
        "service_hours": cast(ServiceHours | None, tenant.hours),
        "exclusion_rules": cast(ExclusionRules | None, tenant.exclusion_rules),
        "contract": newest_contract(tenant),
        "estimated_resources": resources_shown(tenant.resources),
        "estimated_cost": granted.estimated_cost if granted else None,
        "deployment_time": granted.deployment_time if granted else None,
        "updated_at": tenant.updated_at,
        "changes": [_change_shown(c) for c in changes],
        "compared_with": "deployment" if tenant.deployed_spec else "tenant",
        "redeploy_needed": bool(changes) and tenant.deployed_to is not None,
        "restarts_pods": sorted({c.service for c in changes if c.effect is Effect.ROLLOUT}),
    }


def _change_shown(change: Change) -> DeploymentChange:
    return {
        "service": change.service,
        "field": change.field,
        "from": change.before,
        "to": change.after,
        "effect": change.effect.value,
    }
