"""Sizing is monotone: more sessions or a higher target never means less of anything."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.errors import InsufficientResources
from ecpmon.model.tenants import SlaTarget
from ecpmon.orchestrator.catalogue import Catalogue, default_catalogue
from ecpmon.orchestrator.sizing import MAX_SESSIONS, TenantPlan, plan_tenant


def boundless() -> Catalogue:
    """The shipped catalogue with one more preset that holds everything, so that every plan exists."""
    book = default_catalogue()
    grant = book.presets["large"].model_copy(
        update={"cpu": 10**15, "memory_gib": 10**15, "gpu": 10**15, "storage_gb": 10**15}
    )
    return book.model_copy(update={"presets": {**book.presets, "boundless": grant}})


BOOK = boundless()
PRESETS = list(BOOK.presets)
demands = st.dictionaries(
    st.sampled_from(sorted(BOOK.services)),
    st.integers(1, 300) | st.integers(1, MAX_SESSIONS // 2),
    min_size=1,
)
availabilities = st.decimals("90", "99.999", places=3)
times = st.none() | st.integers(1, 1000)


def plan(demand: dict[str, int], availability: Decimal, time: int | None) -> TenantPlan:
    target = SlaTarget(availability=f"{availability}%", response_time=None if time is None else f"{time}ms")
    return plan_tenant(demand, target, None, BOOK)


def amounts(found: TenantPlan) -> tuple[Decimal, ...]:
    """CPU, memory, GPU, storage, replicas, cost, place of the preset: all comparable."""
    needs = found.needs
    unit, scale = ("Gi", 1024) if needs.memory.endswith("Gi") else ("Mi", 1)
    return (
        Decimal(needs.cpu.removesuffix("m")),
        Decimal(needs.memory.removesuffix(unit)) * scale,
        Decimal(needs.gpu),
        Decimal(needs.storage.removesuffix("TB")),
        Decimal(sum(s.replicas for s in found.services)),
        found.monthly_cost,
        Decimal(PRESETS.index(found.recommended_preset)),
    )


def never_less(more: TenantPlan, less: TenantPlan) -> bool:
    return all(a >= b for a, b in zip(amounts(more), amounts(less), strict=True))


@given(demands, demands, availabilities, times)
def test_more_sessions_never_fewer_resources(
    demand: dict[str, int], extra: dict[str, int], availability: Decimal, time: int | None
) -> None:
    more = {name: demand.get(name, 0) + extra.get(name, 0) for name in demand | extra}
    assert never_less(plan(more, availability, time), plan(demand, availability, time))


@given(demands, availabilities, availabilities, times)
def test_a_higher_availability_never_fewer_replicas(
    demand: dict[str, int], one: Decimal, two: Decimal, time: int | None
) -> None:
    higher, lower = plan(demand, max(one, two), time), plan(demand, min(one, two), time)
    assert never_less(higher, lower)
    assert all(h.replicas >= x.replicas for h, x in zip(higher.services, lower.services, strict=True))


@given(demands, availabilities, st.integers(1, 1000), st.integers(1, 1000))
def test_a_faster_response_never_fewer_replicas(
    demand: dict[str, int], availability: Decimal, one: int, two: int
) -> None:
    faster, slower = plan(demand, availability, min(one, two)), plan(demand, availability, max(one, two))
    assert never_less(faster, slower)
    assert all(f.replicas >= s.replicas for f, s in zip(faster.services, slower.services, strict=True))


@given(demands, availabilities, times)
def test_a_plan_fits_its_preset_or_is_refused_with_what_is_missing(
    demand: dict[str, int], availability: Decimal, time: int | None
) -> None:
    target = SlaTarget(availability=f"{availability}%", response_time=None if time is None else f"{time}ms")
    if plan(demand, availability, time).recommended_preset == "boundless":
        with pytest.raises(InsufficientResources) as refused:
            plan_tenant(demand, target, None)
        assert refused.value.details["missing"]
        return
    found = plan_tenant(demand, target, None)
    assert found.needs.gpu <= found.resources.gpu
    assert int(found.needs.cpu[:-1]) <= int(found.resources.cpu[:-1])


@given(demands, availabilities, times)
def test_replicas_carry_the_sessions(demand: dict[str, int], availability: Decimal, time: int | None) -> None:
    for service in plan(demand, availability, time).services:
        spare = availability >= BOOK.policy.redundancy_from
        most = BOOK.services[service.service_name].sessions_per_replica
        assert (service.replicas - spare) * most >= service.sessions
