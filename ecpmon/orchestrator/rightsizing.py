"""Right-sizing: what a tenant's services should request, from what they were measured to use. Pure.

- CPU request: the 95th percentile of a replica's use. Memory request: the largest use + 15 %, since memory that is
  short kills. Limits keep their ratio to the request. Under 100 points nothing is recommended.
- Replicas follow from the sessions: the peak instead of the sessions that were ordered, plus the spare that the
  SLA target asks for. Fewer replicas carry more each, so their requests grow accordingly.
- Differences under 10 % are left alone: a rollout costs more than they save.
- The HorizontalPodAutoscaler that comes with a service holds its pods to a part of their CPU limit: a lower limit is
  a lower target, so that replicas may be added. That is said, and the update refuses it until it is meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from ecpmon.errors import InsufficientResources
from ecpmon.model.tenants import Tenant
from ecpmon.model.usage import GpuUsage, ServiceUsage
from ecpmon.orchestrator.catalogue import Catalogue, PriceTable, memory_text
from ecpmon.orchestrator.costs import cost_breakdown, monthly_cost
from ecpmon.orchestrator.gpu_advice import GpuAdvice, advise_gpus
from ecpmon.orchestrator.manifests.scaling import TARGET_PERCENT, target_millicores
from ecpmon.orchestrator.plans import ServicePlan, TenantPlan
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.orchestrator.tuning import tuned

MIN_POINTS: Final = 100
MEMORY_MARGIN: Final = Fraction(15, 100)
WORTH_IT: Final = Fraction(10, 100)
_CPU_STEP: Final = 10
_MEMORY_STEP: Final = 16
# This near to its limit a container was held back by it: it may need more than was seen.
_NEAR_LIMIT: Final = 0.95


class Status(StrEnum):
    OK = "ok"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True)
class Size:
    """Replicas, and millicores and MiB of each."""

    replicas: int
    cpu_request: int
    cpu_limit: int
    memory_request: int
    memory_limit: int

    def shown(self) -> dict[str, Any]:
        """As quantities."""
        return {
            "replicas": self.replicas,
            "cpu_request": f"{self.cpu_request}m",
            "cpu_limit": f"{self.cpu_limit}m",
            "memory_request": f"{self.memory_request}Mi",
            "memory_limit": memory_text(self.memory_limit),
        }

    def monthly_cost(self, prices: PriceTable) -> Decimal:
        """What the requests of all replicas cost, to the cent."""
        cpu = Decimal(self.cpu_request) / 1000 * prices.per_cpu_core
        memory = Decimal(self.memory_request) / 1024 * prices.per_memory_gib
        return (self.replicas * (cpu + memory)).quantize(Decimal("0.01"), ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class ServiceAdvice:
    """One service. `recommended` is None without enough data; `cost_difference` is per month."""

    service: str
    status: Status
    current: Size
    recommended: Size | None
    usage: ServiceUsage | None
    autoscaled: bool
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    cost_difference: Decimal | None

    @property
    def changed(self) -> bool:
        return self.recommended is not None and self.recommended != self.current

    @property
    def lowers_under_autoscaler(self) -> bool:
        wanted, current = self.recommended, self.current
        if wanted is None or not self.autoscaled:
            return False
        return wanted.cpu_request < current.cpu_request or wanted.cpu_limit < current.cpu_limit


@dataclass(frozen=True, slots=True)
class Advice:
    """The tenant. `preset` and `cost_after` (per month) are None when no preset holds what is recommended.

    `gpus` is told beside it, and no part of the update (`gpu_advice`).
    `update` is the body of the PUT that applies it; None when there is nothing to change.
    """

    services: tuple[ServiceAdvice, ...]
    preset: str | None
    cost_before: Decimal
    cost_after: Decimal | None
    update: dict[str, Any] | None
    gpus: GpuAdvice | None = None


def advise(
    tenant: Tenant, usage: Mapping[str, ServiceUsage], catalogue: Catalogue, gpus: GpuUsage | None = None
) -> Advice:
    """What to change for `tenant`, from `usage` by service and that of its GPUs. Raises as `plan_tenant` does."""
    base = tuned(catalogue, tenant.service_resources)
    before = plan_tenant(tenant.service_requirements, tenant.sla_target, None, base)
    requirements = _peaks(tenant.service_requirements, usage, before, base, tenant)
    replicas = _replicas(requirements, base, tenant, before)
    services = tuple(
        _advice(s, usage.get(s.service_name), replicas[s.service_name], catalogue.prices)
        for s in before.services
    )
    paid = _granted(tenant.preset, catalogue)
    used_to = float(catalogue.sla.design_utilisation)
    told = advise_gpus(gpus, before.needs.gpus, used_to, MIN_POINTS)
    if not any(s.changed for s in services):
        return Advice(services, tenant.preset, paid, paid, None, told)
    update = _update(tenant, services, before, requirements)
    after = _plan(tenant, update, catalogue)
    if after is None:
        return Advice(services, None, paid, None, update, told)
    if after.preset != tenant.preset:
        update["preset"] = after.preset
    if any(s.lowers_under_autoscaler for s in services):
        update["acknowledge_autoscaling"] = False  # whoever means it sets it to true
    return Advice(services, after.preset, paid, after.monthly_cost, update, told)


def _granted(preset: str, catalogue: Catalogue) -> Decimal:
    """What is paid for a preset per month."""
    return monthly_cost(cost_breakdown(catalogue.presets[preset], catalogue.prices))


def _peaks(
    ordered: Mapping[str, int],
    usage: Mapping[str, ServiceUsage],
    before: TenantPlan,
    catalogue: Catalogue,
    tenant: Tenant,
) -> dict[str, int]:
    """Sessions per ordered service: the measured peak where that changes the number of its replicas."""
    peaks = dict(ordered)
    now = {s.service_name: s.replicas for s in before.services}
    for name in ordered:
        seen = usage.get(name)
        if seen is None or seen.sessions is None or min(seen.points, seen.sessions.points) < MIN_POINTS:
            continue
        tried = {**ordered, name: max(1, math.ceil(seen.sessions.high))}
        if _replicas(tried, catalogue, tenant, before)[name] != now[name]:
            peaks[name] = tried[name]
    return peaks


def _replicas(
    requirements: Mapping[str, int], catalogue: Catalogue, tenant: Tenant, before: TenantPlan
) -> dict[str, int]:
    """Replicas per service for `requirements`; the present ones when no preset could hold them."""
    try:
        plan = plan_tenant(requirements, tenant.sla_target, None, catalogue)
    except InsufficientResources:
        plan = before
    return {s.service_name: s.replicas for s in plan.services}


def _advice(
    plan: ServicePlan, usage: ServiceUsage | None, replicas: int, prices: PriceTable
) -> ServiceAdvice:
    current, autoscaled = size_of(plan), not plan.spec.stateful
    points = usage.points if usage else 0
    if usage is None or points < MIN_POINTS:
        why = (f"{points} of {MIN_POINTS} points",)
        return ServiceAdvice(
            plan.service_name, Status.NOT_ENOUGH_DATA, current, None, usage, autoscaled, why, (), None
        )
    wanted, reasons = _sized(current, usage, replicas)
    difference = wanted.monthly_cost(prices) - current.monthly_cost(prices)
    caveats = _caveats(current, wanted, usage, autoscaled)
    return ServiceAdvice(
        plan.service_name, Status.OK, current, wanted, usage, autoscaled, reasons, caveats, difference
    )


def size_of(plan: ServicePlan) -> Size:
    """What a plan gives a service."""
    count = max(1, plan.replicas)
    return Size(
        replicas=plan.replicas,
        cpu_request=int(plan.cpu_request.removesuffix("m")),
        cpu_limit=plan.needs.cpu_millicores // count,
        memory_request=int(plan.memory_request.removesuffix("Mi")),
        memory_limit=plan.needs.memory_mib // count,
    )


def _sized(current: Size, usage: ServiceUsage, replicas: int) -> tuple[Size, tuple[str, ...]]:
    """The recommended size and why. Expects enough points of CPU and memory."""
    cpu, memory = usage.cpu, usage.memory
    if cpu is None or memory is None:
        raise ValueError("sizing needs CPU and memory")
    reasons = [f"CPU: p95 of a replica is {cpu.p95:.0f}m", f"memory: at most {memory.high:.0f}Mi, + 15 %"]
    ran = usage.replicas.p50 if usage.replicas else float(current.replicas)
    share = max(Fraction(1), Fraction(ran).limit_denominator(1000) / replicas)
    if replicas != current.replicas and usage.sessions:
        reasons.append(f"replicas: the peak was {usage.sessions.high:.0f} sessions, {replicas} carry it")
    if share > 1:
        reasons.append(f"{replicas} replicas instead of {ran:g} carry {float(share):.2f} times as much each")
    cpu_request = _kept(current.cpu_request, _up(Fraction(cpu.p95) * share, _CPU_STEP))
    memory_request = _kept(
        current.memory_request, _up(Fraction(memory.high) * share * (1 + MEMORY_MARGIN), _MEMORY_STEP)
    )
    wanted = Size(
        replicas=replicas,
        cpu_request=cpu_request,
        cpu_limit=_limit(current.cpu_limit, current.cpu_request, cpu_request, _CPU_STEP),
        memory_request=memory_request,
        memory_limit=_limit(current.memory_limit, current.memory_request, memory_request, _MEMORY_STEP),
    )
    return wanted, tuple(reasons)


def _up(amount: Fraction, step: int) -> int:
    return max(step, math.ceil(amount / step) * step)


def _kept(current: int, wanted: int) -> int:
    """The present amount when the wanted one lies within 10 % of it."""
    return current if abs(wanted - current) < current * WORTH_IT else wanted


def _limit(limit: int, request: int, wanted: int, step: int) -> int:
    return limit if wanted == request else _up(Fraction(limit, request) * wanted, step)


def _caveats(current: Size, wanted: Size, usage: ServiceUsage, autoscaled: bool) -> tuple[str, ...]:
    found = []
    if autoscaled and wanted.cpu_limit < current.cpu_limit and usage.cpu:
        before, after = (target_millicores(size.cpu_limit) for size in (current, wanted))
        found.append(
            f"the HorizontalPodAutoscaler adds replicas when they use more than {TARGET_PERCENT} % of the CPU limit on "
            f"average: a limit of {wanted.cpu_limit}m instead of {current.cpu_limit}m lowers that from {before}m to "
            f"{after}m, and the p95 is {usage.cpu.p95:.0f}m; replicas may be added"
        )
    if usage.cpu and usage.cpu.high >= _NEAR_LIMIT * current.cpu_limit:
        found.append("the CPU limit was reached: it may need more than was measured")
    if usage.memory and usage.memory.high >= _NEAR_LIMIT * current.memory_limit:
        found.append("the memory limit was nearly reached: it may need more than was measured")
    return tuple(found)


def _update(
    tenant: Tenant, services: tuple[ServiceAdvice, ...], before: TenantPlan, requirements: Mapping[str, int]
) -> dict[str, Any]:
    """The body of the PUT. Stateful parts grow by a multiple of their basic size: theirs is divided by it."""
    plans = {s.service_name: s for s in before.services}
    resources: dict[str, dict[str, str]] = {k: dict(v) for k, v in tenant.service_resources.items()}
    for advice in services:
        size = advice.recommended
        if size is None or replace(size, replicas=advice.current.replicas) == advice.current:
            continue
        scale = max(1, size_of(plans[advice.service]).cpu_request // plans[advice.service].spec.cpu_request)
        resources[advice.service] = {
            "cpu_request": f"{-(-size.cpu_request // scale)}m",
            "cpu_limit": f"{-(-size.cpu_limit // scale)}m",
            "memory_request": f"{-(-size.memory_request // scale)}Mi",
            "memory_limit": f"{-(-size.memory_limit // scale)}Mi",
        }
    body: dict[str, Any] = {"service_resources": resources}
    if dict(requirements) != tenant.service_requirements:
        body["service_requirements"] = dict(requirements)
    return body


def _plan(tenant: Tenant, update: Mapping[str, Any], catalogue: Catalogue) -> TenantPlan | None:
    requirements = update.get("service_requirements", tenant.service_requirements)
    applied = tuned(catalogue, update["service_resources"])
    try:
        return plan_tenant(requirements, tenant.sla_target, None, applied)
    except InsufficientResources:
        return None
