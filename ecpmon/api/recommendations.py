"""Right-sizing from observed usage (api.md §2). Applied by a PUT of `update`, like any other change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, now_of, percent, reply, tenant_of
from ecpmon.api.context import Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_shapes import Percent
from ecpmon.errors import InsufficientResources
from ecpmon.korean.messages import said_to
from ecpmon.model.tenants import Tenant
from ecpmon.model.usage import Distribution, GpuUsage, ServiceUsage
from ecpmon.openapi.declaring import Query, TypedDict, read_query

if TYPE_CHECKING:
    from ecpmon.orchestrator.gpu_advice import GpuAdvice
    from ecpmon.orchestrator.rightsizing import Advice, ServiceAdvice

routes = Routes()
DEFAULT_DAYS: Final = 7.0
# A sentence in the caller's language.
Said = Callable[[str], str]
# A young tenant has few 5-minute points; its last hours are read sample by sample.
_RAW: Final = timedelta(hours=6)


class RecommendationsQuery(Query):
    days: Annotated[
        float,
        Field(gt=0, le=90, allow_inf_nan=False, description="How far back usage is looked at.", examples=[7]),
    ] = DEFAULT_DAYS


class EvidenceWindow(TypedDict):
    start: datetime
    end: datetime


class SizeShown(TypedDict):
    replicas: int
    cpu_request: Annotated[str, Field(examples=["250m"])]
    cpu_limit: Annotated[str, Field(examples=["500m"])]
    memory_request: Annotated[str, Field(examples=["512Mi"])]
    memory_limit: Annotated[str, Field(examples=["1Gi"])]


class DistributionShown(TypedDict):
    points: int
    p50: float
    p95: float
    max: float


class UsageEvidence(TypedDict):
    """What one replica was measured to use; `sessions` and `replicas` are the whole service's."""

    window: EvidenceWindow
    resolution_seconds: float
    samples: int
    cpu_millicores: DistributionShown | None
    memory_mib: DistributionShown | None
    sessions: DistributionShown | None
    replicas: DistributionShown | None


class ServiceAdviceShown(TypedDict):
    service: Annotated[str, Field(examples=["callbot"])]
    status: Literal["ok", "not enough data"]
    current: SizeShown
    recommended: SizeShown | None
    changed: bool
    autoscaled: bool
    coverage: Annotated[Percent | None, Field(description="How much of the window was measured at all.")]
    evidence: UsageEvidence | None
    reasons: Sequence[str]
    caveats: Sequence[str]
    monthly_cost_difference: float | None


class GpuEvidence(TypedDict):
    window: EvidenceWindow
    resolution_seconds: float
    sm_active_percent: DistributionShown | None
    dram_active_percent: DistributionShown | None
    engine_active_percent: DistributionShown | None
    sampled_utilization_percent: DistributionShown | None
    gpu_usage_percent: DistributionShown | None
    memory_percent: DistributionShown | None


GpuAdviceShown = TypedDict(
    "GpuAdviceShown",
    {
        "current": int,
        "recommended": Annotated[int | None, Field(description="null: nothing follows from what is known.")],
        "from": Literal["sm_and_dram_active", "engine_active", "sampled_utilization", "none"],
        "coverage": Percent | None,
        "evidence": GpuEvidence | None,
        "reasons": Sequence[str],
        "caveats": Sequence[str],
    },
)


class PresetAdvice(TypedDict):
    current: Annotated[str, Field(examples=["medium"])]
    recommended: Annotated[str | None, Field(description="null: no preset holds it.", examples=["small"])]


class CostAdvice(TypedDict):
    currency: Annotated[str, Field(examples=["$"])]
    current: float | None
    recommended: float | None
    difference: float | None


class Recommendations(TypedDict):
    tenant_id: str
    window: EvidenceWindow
    minimum_points: int
    services: list[ServiceAdviceShown]
    gpus: Annotated[GpuAdviceShown | None, Field(description="null: the tenant has none.")]
    preset: PresetAdvice
    monthly_cost: CostAdvice
    update: Annotated[
        Mapping[str, Any] | None,
        Field(
            description="The body of the PUT that applies it; null: nothing to change.",
            examples=[{"preset": "small"}],
        ),
    ]


@routes.get(
    "/api/v1/tenants/{tenant_id}/recommendations",
    Permission.READ,
    query=RecommendationsQuery,
    answers={200: Recommendations},
    refuses=(InsufficientResources,),
)
async def recommendations(request: web.Request) -> web.Response:
    """What every service should request, with the evidence, the cost and the PUT that applies it."""
    from ecpmon.orchestrator.catalogue import default_catalogue
    from ecpmon.orchestrator.rightsizing import advise

    backend, tenant, now = backend_of(request), await tenant_of(request), now_of(request)
    window = timedelta(days=read_query(request, RecommendationsQuery).days)
    usage = await _measured(backend, tenant, window, now)
    gpus = await _gpus_measured(backend, tenant, window, now)
    advice = advise(tenant, usage, default_catalogue(), gpus)
    said = partial(said_to, request.headers)
    return reply(_document(tenant, advice, now - window, now, said))


async def _measured(
    backend: Backend, tenant: Tenant, window: timedelta, now: datetime
) -> dict[str, ServiceUsage]:
    """5-minute points of the window; where those are too few, the samples of its last six hours."""
    from ecpmon.orchestrator.rightsizing import MIN_POINTS
    from ecpmon.orchestrator.tuning import needs_of

    found = await backend.monitoring.service_usage(tenant, now - window, now, raw=False)
    enough = {name for name, usage in found.items() if usage.points >= MIN_POINTS}
    if enough.issuperset(s.service_name for s in needs_of(tenant).services):
        return found
    fine = await backend.monitoring.service_usage(tenant, now - min(window, _RAW), now, raw=True)
    return {**found, **{name: usage for name, usage in fine.items() if name not in enough}}


async def _gpus_measured(
    backend: Backend, tenant: Tenant, window: timedelta, now: datetime
) -> GpuUsage | None:
    """The same of the tenant's GPUs."""
    from ecpmon.orchestrator.gpu_advice import best_points
    from ecpmon.orchestrator.rightsizing import MIN_POINTS

    found = await backend.monitoring.gpu_usage(tenant, now - window, now, raw=False)
    if best_points(found) >= MIN_POINTS:
        return found
    return await backend.monitoring.gpu_usage(tenant, now - min(window, _RAW), now, raw=True) or found


def _document(tenant: Tenant, advice: Advice, start: datetime, end: datetime, said: Said) -> Recommendations:
    from ecpmon.orchestrator.catalogue import default_catalogue
    from ecpmon.orchestrator.rightsizing import MIN_POINTS

    before, after = advice.cost_before, advice.cost_after
    return {
        "tenant_id": tenant.tenant_id,
        "window": {"start": start, "end": end},
        "minimum_points": MIN_POINTS,
        "services": [_service(s, end - start, said) for s in advice.services],
        "gpus": _gpus(advice.gpus, end - start, said),
        "preset": {"current": tenant.preset, "recommended": advice.preset},
        "monthly_cost": {
            "currency": default_catalogue().prices.symbol,
            "current": _money(before),
            "recommended": _money(after),
            "difference": None if after is None else _money(after - before),
        },
        "update": advice.update,
    }


def _service(advice: ServiceAdvice, window: timedelta, said: Said) -> ServiceAdviceShown:
    return {
        "service": advice.service,
        "status": advice.status.value,
        "current": cast(SizeShown, advice.current.shown()),
        "recommended": cast(SizeShown, advice.recommended.shown()) if advice.recommended else None,
        "changed": advice.changed,
        "autoscaled": advice.autoscaled,
        # How much of the window was measured at all: what is recommended is about that part.
        "coverage": _coverage(advice.usage, window),
        "evidence": _evidence(advice.usage),
        "reasons": [said(reason) for reason in advice.reasons],
        "caveats": [said(caveat) for caveat in advice.caveats],
        "monthly_cost_difference": _money(advice.cost_difference),
    }


def _gpus(advice: GpuAdvice | None, window: timedelta, said: Said) -> GpuAdviceShown | None:
    """None for who has none."""
    if advice is None:
        return None
    usage = advice.usage
    return {
        "current": advice.current,
        "recommended": advice.recommended,
        "from": advice.evidence.value,
        "coverage": _coverage(usage, window),
        "evidence": None
        if usage is None
        else {
            "window": {"start": usage.start, "end": usage.end},
            "resolution_seconds": usage.resolution.total_seconds(),
            "sm_active_percent": _distribution(usage.sm),
            "dram_active_percent": _distribution(usage.dram),
            "engine_active_percent": _distribution(usage.engine),
            "sampled_utilization_percent": _distribution(usage.sampled),
            "gpu_usage_percent": _distribution(usage.other),
            "memory_percent": _distribution(usage.memory),
        },
        "reasons": [said(reason) for reason in advice.reasons],
        "caveats": [said(caveat) for caveat in advice.caveats],
    }


def _coverage(usage: ServiceUsage | GpuUsage | None, window: timedelta) -> float | None:
    return None if usage is None else percent(min(usage.known / window, 1.0))


def _evidence(usage: ServiceUsage | None) -> UsageEvidence | None:
    if usage is None:
        return None
    return {
        "window": {"start": usage.start, "end": usage.end},
        "resolution_seconds": usage.resolution.total_seconds(),
        "samples": usage.points,
        "cpu_millicores": _distribution(usage.cpu),
        "memory_mib": _distribution(usage.memory),
        "sessions": _distribution(usage.sessions),
        "replicas": _distribution(usage.replicas),
    }


def _distribution(found: Distribution | None) -> DistributionShown | None:
    if found is None:
        return None
    return {"points": found.points, "p50": found.p50, "p95": found.p95, "max": found.high}


def _money(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
