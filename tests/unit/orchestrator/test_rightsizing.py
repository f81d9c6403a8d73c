"""Right-sizing: what was measured, what follows, and when nothing is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.korean.templates import translated
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.model.usage import Distribution, ServiceUsage
from ecpmon.orchestrator.catalogue import default_catalogue
from ecpmon.orchestrator.rightsizing import Advice, ServiceAdvice, Status, advise
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.orchestrator.tuning import plan_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HANGUL = re.compile("[가-힣]")
CATALOGUE = default_catalogue()


def tenant(requirements: dict[str, int] | None = None, target: str = "99.5%", **more: Any) -> Tenant:
    given_ = {
        "service_requirements": requirements or {"chatbot": 200},
        "sla_target": SlaTarget(availability=target),
    }
    preset = plan_tenant(given_["service_requirements"], given_["sla_target"]).preset
    return Tenant(
        **{
            "key": 1, "tenant_id": "acme", "name": "acme", "preset": preset, "is_demo": False,
            "status": TenantStatus.RUNNING, "resources": Resources(), "created_at": NOW, "updated_at": NOW,
            **given_, **more,
        }
    )  # fmt: skip


def seen(p95: float, high: float | None = None, points: int = 2000) -> Distribution:
    return Distribution(points, p95 * 0.6, p95, high if high is not None else p95)


def usage(
    cpu: float = 100, memory: float = 300, sessions: float = 200, replicas: float = 5, points: int = 2000
) -> ServiceUsage:
    return ServiceUsage(
        "chatbot", timedelta(minutes=5), NOW - timedelta(days=7), NOW,
        cpu=seen(cpu, points=points), memory=seen(memory, points=points),
        sessions=seen(sessions, points=points), replicas=Distribution(points, replicas, replicas, replicas),
    )  # fmt: skip


def chatbot(advice: Advice) -> ServiceAdvice:
    return next(s for s in advice.services if s.service == "chatbot")


def applied(advice: Advice, before: Tenant) -> Tenant:
    """The tenant as the PUT would leave it."""
    assert advice.update is not None
    kept = {k: v for k, v in advice.update.items() if k != "acknowledge_autoscaling"}
    return before.model_copy(update=kept)


def test_requests_follow_from_p95_and_the_maximum() -> None:
    # 200 sessions at 50 per replica and a spare: 5 replicas of 200m/512Mi, limits 1000m/1Gi.
    found = chatbot(advise(tenant(), {"chatbot": usage(cpu=303, memory=700)}, CATALOGUE))
    assert found.current.shown() == {
        "replicas": 5, "cpu_request": "200m", "cpu_limit": "1000m", "memory_request": "512Mi", "memory_limit": "1Gi",
    }  # fmt: skip
    # 303 → 310m; 700 + 15 % = 805 → 816Mi; limits keep five times and twice the request.
    assert found.recommended is not None
    assert found.recommended.shown() == {
        "replicas": 5, "cpu_request": "310m", "cpu_limit": "1550m", "memory_request": "816Mi", "memory_limit": "1632Mi",
    }  # fmt: skip
    # 5 × (0.11 cores × $1 + 304 MiB × $0.5/GiB)
    assert found.cost_difference == Decimal("1.29")
    assert found.caveats == ()


@pytest.mark.parametrize("points", [0, 1, 99])
def test_under_a_hundred_points_nothing_is_recommended(points: int) -> None:
    found = chatbot(advise(tenant(), {"chatbot": usage(cpu=900, points=points)}, CATALOGUE))
    assert (found.status, found.recommended, found.cost_difference) == (Status.NOT_ENOUGH_DATA, None, None)
    assert found.reasons == (f"{points} of 100 points",)


def test_a_hundred_points_are_enough_and_one_of_two_is_not() -> None:
    assert chatbot(advise(tenant(), {"chatbot": usage(points=100)}, CATALOGUE)).status is Status.OK
    half = usage()
    half = ServiceUsage("chatbot", half.resolution, half.start, half.end, cpu=half.cpu, memory=None)
    assert chatbot(advise(tenant(), {"chatbot": half}, CATALOGUE)).status is Status.NOT_ENOUGH_DATA


def test_nothing_measured_changes_nothing() -> None:
    before = tenant()
    advice = advise(before, {}, CATALOGUE)
    assert {s.status for s in advice.services} == {Status.NOT_ENOUGH_DATA}
    assert (advice.update, advice.preset, advice.cost_after) == (None, before.preset, advice.cost_before)


def test_a_lower_cpu_limit_under_an_autoscaler_is_said_and_asks_to_be_meant() -> None:
    advice = advise(tenant(), {"chatbot": usage(cpu=80, memory=440)}, CATALOGUE)
    found = chatbot(advice)
    assert found.recommended is not None
    assert found.recommended.cpu_request == 80
    assert found.autoscaled
    [caveat] = found.caveats
    assert "a limit of 400m instead of 1000m lowers that from 700m to 280m, and the p95 is 80m" in caveat
    assert advice.update is not None
    assert advice.update["acknowledge_autoscaling"] is False


def test_a_part_without_an_autoscaler_has_no_such_caveat() -> None:
    redis = ServiceUsage("redis", timedelta(0), NOW, NOW, cpu=seen(20), memory=seen(100))
    advice = advise(tenant(), {"redis": redis}, CATALOGUE)
    [found] = [s for s in advice.services if s.service == "redis"]
    assert (found.autoscaled, found.caveats) == (False, ())
    assert found.changed
    assert "acknowledge_autoscaling" not in (advice.update or {})


def test_fewer_sessions_need_fewer_replicas_that_carry_more_each() -> None:
    advice = advise(tenant(), {"chatbot": usage(cpu=150, memory=400, sessions=90)}, CATALOGUE)
    found = chatbot(advice)
    # 90 sessions at 50 per replica and a spare.
    assert found.recommended is not None
    assert found.recommended.replicas == 3
    assert found.recommended.cpu_request == 250  # 150m × 5 / 3
    assert found.recommended.memory_request == 768  # 400 × 5/3 × 1.15 = 766.7
    assert advice.update is not None
    assert advice.update["service_requirements"] == {"chatbot": 90}


def test_more_sessions_than_ordered_need_more_replicas() -> None:
    found = chatbot(advise(tenant(), {"chatbot": usage(cpu=190, memory=440, sessions=330)}, CATALOGUE))
    assert found.recommended is not None
    assert (found.recommended.replicas, found.recommended.cpu_request) == (8, 200)


def test_small_differences_are_left_alone() -> None:
    advice = advise(tenant(), {"chatbot": usage(cpu=190, memory=440, sessions=195)}, CATALOGUE)
    assert not chatbot(advice).changed
    assert advice.update is None


def test_what_its_limit_held_back_may_need_more() -> None:
    tight = usage(cpu=210)
    tight = ServiceUsage(
        "chatbot", tight.resolution, tight.start, tight.end, Distribution(500, 100, 210, 990), seen(1010), None, None
    )  # fmt: skip
    caveats = chatbot(advise(tenant(), {"chatbot": tight}, CATALOGUE)).caveats
    assert [c.split(" limit")[0] for c in caveats] == ["the CPU", "the memory"]


def test_the_bill_is_the_presets() -> None:
    before = tenant({"chatbot": 400, "advisor": 100})
    small = {
        name: ServiceUsage(name, timedelta(0), NOW, NOW, seen(60), seen(120), seen(40), seen(5))
        for name in ("chatbot", "advisor")
    }
    advice = advise(before, small, CATALOGUE)
    assert advice.cost_after is not None
    assert advice.cost_after < advice.cost_before
    assert advice.update is not None
    assert advice.update["preset"] == advice.preset != before.preset


USAGES = st.builds(
    usage,
    cpu=st.floats(0, 5000),
    memory=st.floats(0, 8000),
    sessions=st.floats(0, 600),
    replicas=st.integers(1, 12),
)


@given(USAGES, st.sampled_from(["99%", "99.5%", "99.9%"]), st.integers(1, 600))
def test_what_is_recommended_is_what_the_update_gives(
    measured: ServiceUsage, target: str, ordered: int
) -> None:
    before = tenant({"chatbot": ordered}, target)
    advice = advise(before, {"chatbot": measured}, CATALOGUE)
    found = chatbot(advice)
    assert found.recommended is not None
    size = found.recommended
    assert 0 < size.cpu_request <= size.cpu_limit
    assert measured.memory is not None
    assert measured.memory.high <= size.memory_limit
    if advice.update is None or advice.preset is None:
        return
    after = plan_of(applied(advice, before))
    [plan] = [s for s in after.services if s.service_name == "chatbot"]
    assert plan.replicas == size.replicas
    assert (plan.cpu_request, plan.memory_request) == (f"{size.cpu_request}m", f"{size.memory_request}Mi")
    assert after.monthly_cost == advice.cost_after


@given(USAGES, st.integers(1, 600), st.integers(0, 200))
def test_all_that_is_said_of_it_has_a_korean_sentence(
    measured: ServiceUsage, ordered: int, points: int
) -> None:
    before = tenant({"chatbot": ordered})
    few = usage(points=points)
    for of in ({"chatbot": measured}, {"chatbot": few}, {}):
        for service in advise(before, of, CATALOGUE).services:
            for text in (*service.reasons, *service.caveats):
                assert HANGUL.search(translated(text)), text
