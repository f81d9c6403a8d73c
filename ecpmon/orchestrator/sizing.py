"""Sizing: what a tenant asks for in, a plan out. Pure; the figures come from the catalogue.

What must fit a preset is the sum of the limits, never of the requests: no tenant outgrows what it was granted.
GPU shares are summed and rounded up to whole GPUs, which supposes a cluster that time-slices them.
Only the services asked for are planned; nginx, redis and the vector database are the cluster's, shared by all.
All sums are exact integers, so that more sessions can never round to fewer resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from ecpmon.errors import InsufficientResources, InvalidPreset, ValidationFailed
from ecpmon.model.tenants import Resources, SlaTarget, parse_milliseconds
from ecpmon.orchestrator.catalogue import Catalogue, Policy, PresetGrant, Prices, Service, default_catalogue

# Above this a number of sessions is a mistake rather than a demand.
MAX_SESSIONS: Final = 1_000_000
_KINDS: Final = ("cpu", "memory", "gpu", "storage")


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """One service. Quantities are per replica; `gpu` is the share of one GPU."""

    service_name: str
    service_type: str
    replicas: int
    sessions: int
    image: str
    port: int
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    gpu: float
    storage_gb: int
    spread_over_nodes: bool
    disruption_budget: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another preset for the same demand, and what choosing it would mean."""

    preset: str
    resources: Resources
    cost: str
    performance_impact: str


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """`resources` is what the chosen preset grants, `needs` what the services can take at most."""

    preset: str
    recommended_preset: str
    resources: Resources
    needs: Resources
    gpu_type: str | None
    monthly_cost: Decimal
    estimated_cost: str
    deployment_time: str
    services: tuple[ServicePlan, ...]
    alternatives: tuple[Alternative, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Millicores, MiB, thousandths of a GPU, GB."""

    cpu: int = 0
    memory: int = 0
    gpu: int = 0
    storage: int = 0

    def plus(self, other: _Amounts, times: int) -> _Amounts:
        return _Amounts(*(getattr(self, k) + times * getattr(other, k) for k in _KINDS))

    def lacks(self, needs: _Amounts) -> dict[str, tuple[int, int]]:
        """By kind, (needed, granted) where `needs` is more than this."""
        pairs = {k: (getattr(needs, k), getattr(self, k)) for k in _KINDS}
        return {k: (need, grant) for k, (need, grant) in pairs.items() if need > grant}


@dataclass(frozen=True, slots=True)
class _Target:
    """An SLA target, parsed."""

    availability: Decimal
    response_ms: float | None

    def sessions_per_replica(self, service: Service, policy: Policy) -> int:
        """Fewer for a target faster than the baseline, in proportion; at least 1."""
        if self.response_ms is None or self.response_ms >= policy.baseline_response_ms:
            return service.sessions_per_replica
        share = Fraction(self.response_ms) / policy.baseline_response_ms
        return max(1, int(service.sessions_per_replica * share))


def plan_tenant(
    service_requirements: Mapping[str, int],
    sla_target: SlaTarget,
    preset: str | None,
    catalogue: Catalogue | None = None,
) -> TenantPlan:
    """Size a tenant; without `preset`, the smallest that fits is chosen.

    Raises ValidationFailed (one entry per bad field), InvalidPreset, and InsufficientResources when the preset,
    or even the largest one, does not hold what the services need.
    """
    book = catalogue or default_catalogue()
    if preset is not None and preset not in book.presets:
        known = ", ".join(book.presets)
        raise InvalidPreset(
            f"unknown preset; known are {known}", details={"preset": preset[:40], "known": list(book.presets)}
        )
    target = _checked(service_requirements, sla_target, book)
    services = tuple(
        _service_plan(name, sessions, target, book) for name, sessions in sorted(service_requirements.items())
    )
    needs = _total(services, book)
    recommended = _smallest_fitting(needs, book)
    chosen = preset or recommended
    _require_fit(chosen, recommended, needs, book)
    return _plan(chosen, recommended, services, needs, sla_target, book)


def _plan(
    chosen: str,
    recommended: str,
    services: tuple[ServicePlan, ...],
    needs: _Amounts,
    sla_target: SlaTarget,
    book: Catalogue,
) -> TenantPlan:
    grant = book.presets[chosen]
    cost = _monthly_cost(grant, book.prices)
    shortest, longest = grant.deployment_minutes
    return TenantPlan(
        preset=chosen,
        recommended_preset=recommended,
        resources=_granted_resources(grant),
        needs=_as_resources(needs),
        gpu_type=book.gpu_type if grant.gpu else None,
        monthly_cost=cost,
        estimated_cost=_shown_cost(cost, book.prices),
        deployment_time=f"{shortest}-{longest} minutes",
        services=services,
        alternatives=_alternatives(chosen, recommended, needs, book),
        reasons=_reasons(chosen, recommended, services, needs, sla_target, book),
    )


# What was asked


def _checked(requirements: Mapping[str, int], sla_target: SlaTarget, book: Catalogue) -> _Target:
    """The target, parsed. Raises ValidationFailed with every bad field of both."""
    fields = _bad_requirements(requirements, book)
    availability, response_ms = Decimal(0), None
    try:
        availability = sla_target.percent
    except ValueError as error:
        fields.append({"field": "sla_target.availability", "message": str(error)})
    try:
        if sla_target.response_time is not None:
            response_ms = parse_milliseconds(sla_target.response_time)
    except ValueError as error:
        fields.append({"field": "sla_target.response_time", "message": str(error)})
    if fields:
        raise ValidationFailed("the tenant cannot be sized as asked", fields=fields)
    return _Target(availability, response_ms)


def _bad_requirements(requirements: Mapping[str, int], book: Catalogue) -> list[dict[str, str]]:
    known = f"known services are {', '.join(sorted(book.services))}"
    if not requirements:
        return [{"field": "service_requirements", "message": f"name at least one service; {known}"}]
    fields = []
    for name, sessions in requirements.items():
        field = f"service_requirements.{str(name)[:40]}"
        if name not in book.services:
            fields.append({"field": field, "message": f"unknown service; {known}"})
        elif isinstance(sessions, bool) or not isinstance(sessions, int) or not 1 <= sessions <= MAX_SESSIONS:
            message = f"sessions must be a whole number from 1 to {MAX_SESSIONS}; {known}"
            fields.append({"field": field, "message": message})
    return fields


# Services


def _service_plan(name: str, sessions: int, target: _Target, book: Catalogue) -> ServicePlan:
    service, policy = book.services[name], book.policy
    for_load = -(-sessions // target.sessions_per_replica(service, policy))
    redundant = target.availability >= policy.redundancy_from
    spread = target.availability >= policy.spread_from
    return ServicePlan(
        service_name=name,
        service_type=service.service_type,
        replicas=for_load + redundant,
        sessions=sessions,
        image=service.image,
        port=service.port,
        cpu_request=f"{service.cpu.request}m",
        cpu_limit=f"{service.cpu.limit}m",
        memory_request=f"{service.memory.request}Mi",
        memory_limit=f"{service.memory.limit}Mi",
        gpu=service.gpu_milli / 1000,
        storage_gb=service.storage_gb,
        spread_over_nodes=spread,
        disruption_budget=spread,
        why=_why(sessions, for_load, target, service, policy),
    )


def _why(sessions: int, for_load: int, target: _Target, service: Service, policy: Policy) -> tuple[str, ...]:
    each = target.sessions_per_replica(service, policy)
    said = [f"{sessions} sessions at {each} per replica need {for_load} replica{'s' * (for_load > 1)}"]
    if each < service.sessions_per_replica:
        said.append(
            f"{each} sessions per replica instead of {service.sessions_per_replica}: the response time of "
            f"{target.response_ms:g}ms is below the baseline of {policy.baseline_response_ms}ms"
        )
    if target.availability >= policy.redundancy_from:
        said.append(f"one replica more (N+1): {target.availability}% is at least {policy.redundancy_from}%")
    if target.availability >= policy.spread_from:
        said.append(
            f"spread over nodes, with a PodDisruptionBudget: {target.availability}% is at least {policy.spread_from}%"
        )
    if service.needs_gpu:
        said.append(f"each replica takes {service.gpu_milli / 1000:g} of a GPU")
    return tuple(said)


def _total(services: tuple[ServicePlan, ...], book: Catalogue) -> _Amounts:
    total = _Amounts()
    for plan in services:
        kind = book.services[plan.service_name]
        each = _Amounts(kind.cpu.limit, kind.memory.limit, kind.gpu_milli, kind.storage_gb)
        total = total.plus(each, plan.replicas)
    return total


# Presets


def _amounts(grant: PresetGrant) -> _Amounts:
    return _Amounts(grant.cpu, grant.memory_gib * 1024, grant.gpu * 1000, grant.storage_gb)


def _smallest_fitting(needs: _Amounts, book: Catalogue) -> str:
    """Raises InsufficientResources when even the largest preset is too small."""
    for name, grant in book.presets.items():
        if not _amounts(grant).lacks(needs):
            return name
    largest = list(book.presets)[-1]
    missing = _amounts(book.presets[largest]).lacks(needs)
    raise InsufficientResources(
        f"more than the largest preset, {largest}, grants: {_in_words(missing)}; "
        "ask for fewer sessions or split them over several tenants",
        details=_lack_details(largest, None, missing, needs),
    )


def _require_fit(chosen: str, recommended: str, needs: _Amounts, book: Catalogue) -> None:
    missing = _amounts(book.presets[chosen]).lacks(needs)
    if missing:
        raise InsufficientResources(
            f"preset {chosen} is too small: {_in_words(missing)}; the smallest that fits is {recommended}",
            details=_lack_details(chosen, recommended, missing, needs),
        )


def _lack_details(
    preset: str, fits: str | None, missing: Mapping[str, tuple[int, int]], needs: _Amounts
) -> dict[str, object]:
    return {
        "preset": preset,
        "smallest_fitting_preset": fits,
        "needs": _as_resources(needs).model_dump(),
        "missing": {k: _quantity(k, need - grant) for k, (need, grant) in missing.items()},
    }


def _alternatives(chosen: str, recommended: str, needs: _Amounts, book: Catalogue) -> tuple[Alternative, ...]:
    """The recommended preset and the chosen one's neighbours, in ascending order, less the chosen one.

    A preset without a GPU is none for services that need one.
    """
    names = list(book.presets)
    at = names.index(chosen)
    near = {recommended, *names[max(0, at - 1) : at + 2]} - {chosen}
    found = []
    for name in (n for n in names if n in near):
        grant = book.presets[name]
        lacking = _amounts(grant).lacks(needs)
        if all(have for _, have in lacking.values()):
            cost = _shown_cost(_monthly_cost(grant, book.prices), book.prices)
            found.append(Alternative(name, _granted_resources(grant), cost, _impact(lacking)))
    return tuple(found)


def _impact(missing: Mapping[str, tuple[int, int]]) -> str:
    """Fewer replicas carry more sessions each, and response time is taken to grow in proportion."""
    if not missing:
        return "none expected: everything fits"
    longer = max(-(-100 * need // grant) - 100 for need, grant in missing.values())
    return (
        f"does not fit as asked: {_in_words(missing)}; squeezed into it, "
        f"response times would be about {longer}% longer"
    )


# Costs and words


def _cost_parts(grant: PresetGrant, prices: Prices) -> dict[str, Decimal]:
    return {
        "base": prices.base,
        f"{Decimal(grant.cpu) / 1000:f} vCPU": prices.vcpu * grant.cpu / 1000,
        f"{grant.memory_gib} GiB": prices.memory_gib * grant.memory_gib,
        f"{grant.gpu} GPU": prices.gpu * grant.gpu,
        f"{Decimal(grant.storage_gb) / 1000:f} TB": prices.storage_tb * grant.storage_gb / 1000,
    }


def _monthly_cost(grant: PresetGrant, prices: Prices) -> Decimal:
    return sum(_cost_parts(grant, prices).values(), Decimal(0)).quantize(Decimal("0.01"))


def _money(amount: Decimal, prices: Prices) -> str:
    cents = amount.quantize(Decimal("0.01"))
    return (
        f"{prices.currency}{cents:.0f}" if cents == cents.to_integral_value() else f"{prices.currency}{cents}"
    )


def _shown_cost(cost: Decimal, prices: Prices) -> str:
    return f"{_money(cost, prices)}/month"


def _reasons(
    chosen: str,
    recommended: str,
    services: tuple[ServicePlan, ...],
    needs: _Amounts,
    sla_target: SlaTarget,
    book: Catalogue,
) -> tuple[str, ...]:
    grant, prices = book.presets[chosen], book.prices
    wanted = ", ".join(f"{kind} {_quantity(kind, getattr(needs, kind))}" for kind in _KINDS)
    said = [f"{recommended} is the smallest preset that holds the limits of all replicas: {wanted}"]
    below = list(book.presets)[: list(book.presets).index(recommended)]
    if below:
        said.append(f"{below[-1]} is too small: {_in_words(_amounts(book.presets[below[-1]]).lacks(needs))}")
    if chosen != recommended:
        said.append(f"{chosen} was asked for; {recommended} would do")
    sessions = sum(s.sessions for s in services)
    if (sla_target.concurrent_users or 0) > sessions:
        said.append(
            f"sized for {sessions} sessions, fewer than the {sla_target.concurrent_users} concurrent users"
        )
    parts = " + ".join(f"{what} {_money(cost, prices)}" for what, cost in _cost_parts(grant, prices).items())
    said.append(f"cost per month: {parts} = {_money(_monthly_cost(grant, prices), prices)}")
    return tuple(said)


def _in_words(missing: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(
        f"{kind} {_quantity(kind, need)} needed of {_quantity(kind, grant)}"
        for kind, (need, grant) in missing.items()
    )


def _as_resources(amounts: _Amounts) -> Resources:
    return Resources(
        cpu=f"{amounts.cpu}m",
        memory=_quantity("memory", amounts.memory),
        gpu=-(-amounts.gpu // 1000),
        storage=_quantity("storage", amounts.storage),
    )


def _granted_resources(grant: PresetGrant) -> Resources:
    return _as_resources(_amounts(grant))


def _quantity(kind: str, amount: int) -> str:
    """As in the public API: `24000m`, `32Gi` (or `512Mi`), `3`, `1.0TB`. GPUs are rounded up to whole ones."""
    if kind == "cpu":
        return f"{amount}m"
    if kind == "memory":
        return f"{amount // 1024}Gi" if amount % 1024 == 0 else f"{amount}Mi"
    if kind == "gpu":
        return str(-(-amount // 1000))
    return f"{amount // 1000}.{f'{amount % 1000:03}'.rstrip('0') or '0'}TB"
