"""How sessions and targets shape a plan; what is refused; properties over all inputs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecpmon.errors import InsufficientResources, InvalidPreset, ValidationFailed
from ecpmon.model.tenants import Preset, SlaTarget
from ecpmon.orchestrator.alternatives import Case
from ecpmon.orchestrator.catalogue import default_catalogue
from ecpmon.orchestrator.plans import ServicePlan, TenantPlan
from ecpmon.orchestrator.replicas import capacity, fastest, service_time, size_services
from ecpmon.orchestrator.sizing import MAX_SESSIONS, plan_tenant, read_case
from tests.unit.orchestrator.plan_strategies import (
    PRESETS,
    SERVICES,
    amounts,
    modest,
    percents,
    requirements,
    sla,
    targets,
)

CATALOGUE = default_catalogue()


def case_of(wanted: dict[str, int], target: SlaTarget) -> Case:
    return read_case(wanted, target, CATALOGUE)


def sized(wanted: dict[str, int], target: SlaTarget) -> dict[str, ServicePlan]:
    case = case_of(wanted, target)
    return {s.service_name: s for s in size_services(case.sessions(), case.promise, CATALOGUE)}


def rank(wanted: dict[str, int], target: SlaTarget) -> int:
    """Where the recommended preset stands; one past the last when none fits."""
    try:
        return PRESETS.index(plan_tenant(wanted, target).recommended_preset)
    except InsufficientResources:
        return len(PRESETS)


def attempt(
    wanted: dict[str, int], target: SlaTarget, preset: str | None
) -> tuple[TenantPlan | None, dict[str, Any]]:
    """The plan, or the details of the refusal."""
    try:
        return plan_tenant(wanted, target, preset), {}
    except InsufficientResources as error:
        return None, error.details


@pytest.mark.parametrize(
    ("target", "replicas", "spread"),
    [
        ("99.499%", 2, False),
        ("99.5%", 3, False),
        ("99.899%", 3, False),
        ("99.9%", 3, True),
        ("99.99%", 3, True),
    ],
)
def test_availability_adds_a_spare_then_spreads(target: str, replicas: int, spread: bool) -> None:
    chatbot = sized({"chatbot": 100}, sla(target))["chatbot"]
    assert (chatbot.replicas, chatbot.spread, chatbot.disruption_budget) == (replicas, spread, spread)


def test_a_stateful_part_has_one_replica_and_grows() -> None:
    small = sized({"chatbot": 100}, sla("99.99%"))["vector-db"]
    grown = sized({"chatbot": 1001}, sla("99.99%"))["vector-db"]
    assert (small.replicas, small.cpu_limit, small.memory_limit, small.storage_gb) == (1, "1000m", "1Gi", 100)
    assert (grown.replicas, grown.cpu_limit, grown.memory_limit, grown.storage_gb) == (1, "3000m", "3Gi", 300)
    # A budget on a single replica would block every drain of its node.
    assert not grown.spread
    assert not grown.disruption_budget
    assert "3 times the basic size" in grown.why[-1]


@pytest.mark.parametrize(
    ("response", "replicas"),
    [(None, 2), ("10s", 2), ("200ms", 2), ("199ms", 3), ("150ms", 3), ("100ms", 4), ("75ms", 7)],
)
def test_a_response_time_below_the_design_loads_takes_more_replicas(
    response: str | None, replicas: int
) -> None:
    assert sized({"chatbot": 100}, sla("99%", response))["chatbot"].replicas == replicas


def test_capacity_is_exact_where_floats_are_not() -> None:
    callbot = CATALOGUE.services["callbot"]
    assert service_time(callbot, CATALOGUE.sla) == 60
    assert capacity(callbot, CATALOGUE.sla, Fraction(180)) == Fraction(100, 3)
    assert sized({"callbot": 100}, sla("99%", "180ms"))["callbot"].replicas == 3


@pytest.mark.parametrize("name", SERVICES)
def test_the_fastest_promise_is_reachable_and_one_ms_less_is_not(name: str) -> None:
    spec = CATALOGUE.services[name]
    shortest = fastest(spec, CATALOGUE.sla)
    assert capacity(spec, CATALOGUE.sla, Fraction(shortest)) >= 1
    assert shortest == 1 or capacity(spec, CATALOGUE.sla, Fraction(shortest - 1)) < 1


def test_a_response_time_no_replicas_reach_is_refused_with_the_shortest() -> None:
    with pytest.raises(ValidationFailed) as caught:
        plan_tenant({"callbot": 1, "stt": 1}, sla("99.5%", "50ms"))
    (field,) = caught.value.details["fields"]
    assert field["field"] == "sla_target.response_time"
    assert field["message"].endswith("the shortest are callbot 62 ms")


def test_shared_parts_serve_the_sum_and_only_those_who_need_them() -> None:
    plans = sized({"chatbot": 30, "stt": 12}, sla())
    assert {name: plan.sessions for name, plan in plans.items()} == {
        "chatbot": 30, "stt": 12, "nginx": 42, "redis": 42, "vector-db": 30,
    }  # fmt: skip
    assert "vector-db" not in sized({"stt": 12}, sla())


def test_a_shared_part_asked_for_by_name_may_be_larger_never_smaller() -> None:
    assert sized({"chatbot": 30, "redis": 5}, sla())["redis"].sessions == 30
    assert sized({"chatbot": 30, "redis": 5000}, sla())["redis"].sessions == 5000


def test_concurrent_users_size_the_front_door() -> None:
    plans = sized({"chatbot": 30}, sla("99%", concurrent_users=2500))
    assert (plans["nginx"].sessions, plans["nginx"].replicas) == (2500, 3)
    assert plans["redis"].sessions == 30


def test_fractional_gpu_shares_are_added_before_whole_gpus_are_allotted() -> None:
    halves = {
        name: spec.model_copy(update={"needs_gpu": True, "gpu_share": Decimal("0.3")})
        for name, spec in CATALOGUE.services.items()
        if name in ("stt", "tts")
    }
    shared = CATALOGUE.model_copy(update={"services": {**CATALOGUE.services, **halves}})
    plan = plan_tenant({"stt": 20, "tts": 20}, sla(), None, shared)
    # two replicas of each: 4 x 0.3 = 1.2
    assert plan.needs.gpus == 2
    assert [service.gpu for service in plan.services[:2]] == [1, 1]


BAD = {
    "an unknown service": ({"callbott": 1}, "service_requirements.callbott", "known are callbot, chatbot"),
    "zero": ({"callbot": 0}, "service_requirements.callbot", "expected 1 to"),
    "negative": ({"callbot": -5}, "service_requirements.callbot", "expected 1 to"),
    "a boolean": ({"callbot": True}, "service_requirements.callbot", "whole number"),
    "a float": ({"callbot": 1.0}, "service_requirements.callbot", "whole number"),
    "a string": ({"callbot": "10"}, "service_requirements.callbot", "whole number"),
    "nothing at all": ({"callbot": None}, "service_requirements.callbot", "whole number"),
    "huge": ({"callbot": 10**400}, "service_requirements.callbot", "expected 1 to"),
    "no service": ({}, "service_requirements", "names no service"),
}


@pytest.mark.parametrize(("wanted", "field", "message"), BAD.values(), ids=BAD)
def test_bad_requirements_name_their_field(wanted: Any, field: str, message: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        plan_tenant(wanted, sla())
    (found,) = caught.value.details["fields"]
    assert found["field"] == field
    assert message in found["message"]


def test_every_bad_field_is_reported_at_once() -> None:
    target = sla("100%", "fast", concurrent_users=MAX_SESSIONS + 1)
    with pytest.raises(ValidationFailed) as caught:
        plan_tenant({"x": 1, "callbot": 0, "chatbot": 5}, target)
    assert [found["field"] for found in caught.value.details["fields"]] == [
        "service_requirements.x",
        "service_requirements.callbot",
        "sla_target.availability",
        "sla_target.response_time",
        "sla_target.concurrent_users",
    ]


def test_a_million_sessions_is_too_much_for_any_preset_but_no_mistake() -> None:
    with pytest.raises(InsufficientResources):
        plan_tenant({"callbot": MAX_SESSIONS}, sla())


def test_an_unknown_preset_is_refused_with_those_known() -> None:
    with pytest.raises(InvalidPreset) as caught:
        plan_tenant({"chatbot": 1}, sla(), "huge")
    assert caught.value.details == {"preset": "huge", "known": PRESETS}


def test_the_shipped_presets_are_those_of_the_public_api() -> None:
    assert [str(preset) for preset in Preset] == PRESETS
    assert plan_tenant({"chatbot": 1}, sla(), Preset.LARGE).model_dump()["preset"] == "large"


def test_a_plan_is_frozen_and_survives_json() -> None:
    plan = plan_tenant({"callbot": 10, "chatbot": 10}, sla("99.9%", "150ms"))
    with pytest.raises(ValidationError):
        plan.preset = "large"
    assert TenantPlan.model_validate_json(plan.model_dump_json()) == plan


@given(requirements, targets, st.sampled_from(SERVICES), st.integers(1, 500))
def test_more_sessions_never_take_less(
    wanted: dict[str, int], target: SlaTarget, name: str, more: int
) -> None:
    larger = {**wanted, name: wanted.get(name, 0) + more}
    before, after = sized(wanted, target), sized(larger, target)
    for service, plan in before.items():
        assert after[service].replicas >= plan.replicas
        assert all(a >= b for a, b in zip(amounts(after[service].needs), amounts(plan.needs), strict=True))
    case, grown = case_of(wanted, target), case_of(larger, target)
    pairs = zip(amounts(grown.needs(grown.promise)), amounts(case.needs(case.promise)), strict=True)
    assert all(a >= b for a, b in pairs)
    assert rank(larger, target) >= rank(wanted, target)


@given(requirements, targets, percents)
def test_a_higher_availability_never_takes_fewer_replicas(
    wanted: dict[str, int], target: SlaTarget, other: str
) -> None:
    low, high = sorted((target, target.model_copy(update={"availability": other})), key=lambda t: t.percent)
    before, after = sized(wanted, low), sized(wanted, high)
    assert before.keys() == after.keys()
    for service, plan in before.items():
        assert after[service].replicas >= plan.replicas
        assert after[service].spread >= plan.spread
    assert rank(wanted, high) >= rank(wanted, low)


@given(requirements, targets, st.integers(65, 400), st.integers(0, 400))
def test_a_shorter_response_time_never_takes_less(
    wanted: dict[str, int], target: SlaTarget, short: int, longer: int
) -> None:
    case = case_of(wanted, target)
    tight = replace(case.promise, response_ms=Fraction(short))
    loose = replace(case.promise, response_ms=Fraction(short + longer))
    pairs = zip(amounts(case.needs(tight)), amounts(case.needs(loose)), strict=True)
    assert all(a >= b for a, b in pairs)


@given(requirements, targets)
def test_the_replicas_of_a_service_carry_its_sessions(wanted: dict[str, int], target: SlaTarget) -> None:
    case = case_of(wanted, target)
    spare = case.promise.percent >= CATALOGUE.sla.spare_from
    for plan in size_services(case.sessions(), case.promise, CATALOGUE):
        if not plan.spec.stateful:
            per_replica = capacity(plan.spec, CATALOGUE.sla, case.promise.response_ms)
            assert (plan.replicas - spare) * per_replica >= plan.sessions


@given(modest, targets, st.none() | st.sampled_from(PRESETS))
def test_a_plan_fits_its_preset_and_every_alternative_is_granted_when_asked_for(
    wanted: dict[str, int], target: SlaTarget, preset: str | None
) -> None:
    plan, refused = attempt(wanted, target, preset)
    if plan is None:
        assert refused["missing"]
        return
    assert not plan.needs.beyond(CATALOGUE.presets[plan.preset])
    assert PRESETS.index(plan.recommended_preset) <= PRESETS.index(plan.preset)
    for offer in plan.alternatives:
        granted = plan_tenant(wanted, offer.sla_target, offer.preset)
        assert (granted.preset, granted.monthly_cost) == (offer.preset, offer.monthly_cost)
        assert offer.preset != plan.preset


@given(modest, targets, st.sampled_from(PRESETS))
def test_a_refusal_names_what_would_be_granted(
    wanted: dict[str, int], target: SlaTarget, preset: str
) -> None:
    _, refused = attempt(wanted, target, preset)
    if "smallest_preset" in refused:
        assert plan_tenant(wanted, target, refused["smallest_preset"])
    if "fits_with" in refused:
        assert plan_tenant(wanted, SlaTarget(**refused["fits_with"]), preset)
