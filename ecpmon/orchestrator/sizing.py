"""Sizing: what a tenant's sessions and SLA target need, which preset holds it, what it costs. Pure.

Decisions:
- The sum of the pods' limits is compared with the preset, since that is what its ResourceQuota counts.
- A preset that was asked for and is too small is refused, with the smallest that fits and, if there is one,
  the weaker SLA target under which the asked one would be granted. A larger one than needed is granted.
- Beyond the largest preset: InsufficientResources with what is missing, never fewer replicas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from ecpmon.errors import InsufficientResources, InvalidPreset, ValidationFailed, told
from ecpmon.model.tenants import MAX_SERVICES, SlaTarget, parse_milliseconds
from ecpmon.orchestrator.alternatives import Case, alternative, other_presets
from ecpmon.orchestrator.catalogue import Catalogue, default_catalogue
from ecpmon.orchestrator.costs import cost_breakdown, cost_text, monthly_cost
from ecpmon.orchestrator.plans import CostLine, Needs, ServicePlan, TenantPlan
from ecpmon.orchestrator.replicas import Promise, capacity, fastest, size_services, total
from ecpmon.orchestrator.room import room_reasons, share_room

__all__ = ["MAX_SESSIONS", "TenantPlan", "plan_tenant", "read_case"]

# Beyond this a number of sessions is a slip of the keyboard rather than a need.
MAX_SESSIONS: Final = 1_000_000


def plan_tenant(
    service_requirements: Mapping[str, int],
    sla_target: SlaTarget,
    preset: str | None = None,
    catalogue: Catalogue | None = None,
) -> TenantPlan:
    """The plan for `service_requirements` (sessions by service) under `sla_target`.

    Without `preset` the smallest that fits is chosen; without `catalogue` the shipped one.
    Raises ValidationFailed (one entry per bad field), InvalidPreset, and InsufficientResources when the
    preset asked for, or any, is too small.
    """
    catalogue = catalogue or default_catalogue()
    case = read_case(service_requirements, sla_target, catalogue)
    if preset is not None and preset not in catalogue.presets:
        known = list(catalogue.presets)
        raise InvalidPreset(
            f"there is no preset {preset!r}; known are {', '.join(known)}",
            details={"preset": preset, "known": known},
        )
    services = size_services(case.sessions(), case.promise, catalogue)
    needs = total(services)
    recommended = _smallest(needs, catalogue)
    chosen = recommended if preset is None else str(preset)
    if needs.beyond(catalogue.presets[chosen]):
        raise _too_small(case, needs, chosen, recommended)
    return _plan(case, services, needs, chosen, recommended)


def read_case(requirements: Mapping[str, int], target: SlaTarget, catalogue: Catalogue) -> Case:
    """The checked question. Raises ValidationFailed with one entry per bad field."""
    fields = list(_bad_requirements(requirements, catalogue))
    promise, bad_target = _read_target(target)
    fields += bad_target
    if promise is not None and not fields:
        fields += _unreachable(Case(requirements, target, promise, catalogue))
    if fields or promise is None:
        raise ValidationFailed(f"the tenant cannot be sized: {told(fields)}", fields=fields)
    return Case(dict(requirements), target, promise, catalogue)


def _bad_requirements(requirements: Mapping[str, int], catalogue: Catalogue) -> Iterator[dict[str, str]]:
    if not requirements:
        yield _field("service_requirements", "names no service")
    if len(requirements) > MAX_SERVICES:
        yield _field("service_requirements", f"names more than {MAX_SERVICES} services")
        return
    for name, sessions in requirements.items():
        path = f"service_requirements.{str(name)[:64]}"
        if name not in catalogue.services:
            yield _field(path, f"unknown service; known are {', '.join(catalogue.services)}")
        elif isinstance(sessions, bool) or not isinstance(sessions, int):
            yield _field(path, "expected a whole number of sessions")
        elif not 1 <= sessions <= MAX_SESSIONS:
            yield _field(path, f"expected 1 to {MAX_SESSIONS} sessions")


def _read_target(target: SlaTarget) -> tuple[Promise | None, list[dict[str, str]]]:
    """The target in numbers, or what is wrong with it."""
    fields, percent, response, users = [], None, None, target.concurrent_users or 0
    try:
        percent = target.percent
    except ValueError as error:
        fields.append(_field("sla_target.availability", str(error)))
    try:
        if target.response_time is not None:
            # parse_milliseconds admits six decimals; the float's last bits are noise
            response = Fraction(parse_milliseconds(target.response_time)).limit_denominator(1_000_000)
    except ValueError as error:
        fields.append(_field("sla_target.response_time", str(error)))
    if not 0 <= users <= MAX_SESSIONS:
        fields.append(_field("sla_target.concurrent_users", f"expected 1 to {MAX_SESSIONS} users"))
    return (None if percent is None or fields else Promise(percent, response, users)), fields


def _unreachable(case: Case) -> Iterator[dict[str, str]]:
    """A response time that no number of replicas reaches, with the shortest that can be promised."""
    policy, limits = case.catalogue.sla, {}
    for name in case.sessions():
        spec = case.catalogue.services[name]
        if capacity(spec, policy, case.promise.response_ms) < 1:
            limits[name] = fastest(spec, policy)
    if limits:
        slow = ", ".join(f"{name} {shortest} ms" for name, shortest in limits.items())
        yield _field(
            "sla_target.response_time", f"no number of replicas answers so fast; the shortest are {slow}"
        )


def _field(field: str, message: str) -> dict[str, str]:
    return {"field": field, "message": message}


def _smallest(needs: Needs, catalogue: Catalogue) -> str:
    for name, preset in catalogue.presets.items():
        if not needs.beyond(preset):
            return name
    largest = list(catalogue.presets)[-1]
    missing = needs.beyond(catalogue.presets[largest])
    raise InsufficientResources(
        f"the largest preset, {largest!r}, lacks {_listed(missing)}; split the load over several tenants",
        details={"preset": largest, "needs": needs.resources.model_dump(), "missing": missing},
    )


def _too_small(case: Case, needs: Needs, asked: str, smallest: str) -> InsufficientResources:
    missing = needs.beyond(case.catalogue.presets[asked])
    details: dict[str, Any] = {
        "preset": asked,
        "smallest_preset": smallest,
        "needs": needs.resources.model_dump(),
        "missing": missing,
    }
    message = f"preset {asked!r} lacks {_listed(missing)}; the smallest that fits is {smallest!r}"
    weaker = alternative(case, asked)
    if weaker is not None:
        details["fits_with"] = weaker.sla_target.model_dump(exclude_none=True)
        message += f". {asked!r} would do with: {weaker.performance_impact}"
    return InsufficientResources(message, details=details)


def _listed(missing: Mapping[str, str | int]) -> str:
    return ", ".join(f"{amount} {name}" for name, amount in missing.items())


def _plan(
    case: Case, services: tuple[ServicePlan, ...], needs: Needs, chosen: str, recommended: str
) -> TenantPlan:
    preset, prices = case.catalogue.presets[chosen], case.catalogue.prices
    services = share_room(services, preset)
    lines = cost_breakdown(preset, prices)
    cost = monthly_cost(lines)
    low, high = preset.deployment_minutes
    return TenantPlan(
        preset=chosen,
        recommended_preset=recommended,
        resources=preset.resources,
        needs=needs,
        gpu_type=case.catalogue.gpu_type,
        estimated_cost=cost_text(cost, prices),
        monthly_cost=cost,
        cost_breakdown=lines,
        deployment_time=f"{low}-{high} minutes",
        services=services,
        alternatives=other_presets(case, chosen),
        reasons=(
            *_reasons(case.catalogue, needs, chosen, recommended, lines),
            *room_reasons(services, chosen),
        ),
    )


def _reasons(
    catalogue: Catalogue, needs: Needs, chosen: str, recommended: str, lines: tuple[CostLine, ...]
) -> Iterator[str]:
    shown = needs.resources
    yield (
        f"the pods' limits add up to {shown.cpu} CPU, {shown.memory} memory, {shown.gpu} GPU and "
        f"{shown.storage} storage: {recommended} is the smallest preset that holds them"
    )
    names = list(catalogue.presets)
    if recommended != names[0]:
        smaller = names[names.index(recommended) - 1]
        yield f"{smaller} lacks {_listed(needs.beyond(catalogue.presets[smaller]))}"
    if chosen != recommended:
        yield f"{chosen} was asked for and is granted"
    yield "cost per month: " + " + ".join(f"{line.item} {line.amount.normalize():f}" for line in lines)
