"""Sizing with the shipped catalogue: golden table, refusals, what the target changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ecpmon.errors import InsufficientResources, InvalidPreset, ValidationFailed
from ecpmon.model.tenants import SlaTarget
from ecpmon.orchestrator.sizing import MAX_SESSIONS, TenantPlan, plan_tenant

Demand = dict[str, int]
A = {"callbot": 100, "chatbot": 200, "advisor": 50}
B = {"callbot": 50, "chatbot": 100, "advisor": 25, "stt": 30, "tts": 30}
C = {"callbot": 25, "chatbot": 50, "advisor": 10}
F = {"callbot": 50, "chatbot": 100, "advisor": 25}

# demand, availability, response time -> recommended preset, needs (cpu, memory, gpu, storage), replicas
GOLDEN: list[tuple[Demand, str, str | None, str, tuple[str, str, int, str], Demand]] = [
    (
        A,
        "99.9%",
        "150ms",
        "large",
        ("34500m", "53Gi", 4, "0.285TB"),
        {"callbot": 7, "chatbot": 7, "advisor": 9},
    ),
    (A, "99.9%", None, "large", ("24000m", "37Gi", 3, "0.195TB"), {"callbot": 5, "chatbot": 5, "advisor": 6}),
    (
        B,
        "99.9%",
        "200ms",
        "medium",
        ("21000m", "31232Mi", 3, "0.245TB"),
        {"callbot": 3, "chatbot": 3, "advisor": 4, "stt": 3, "tts": 3},
    ),
    (
        F,
        "99.9%",
        "200ms",
        "medium",
        ("15000m", "23Gi", 2, "0.125TB"),
        {"callbot": 3, "chatbot": 3, "advisor": 4},
    ),
    (
        C,
        "99.5%",
        "300ms",
        "small",
        ("9000m", "14Gi", 1, "0.07TB"),
        {"callbot": 2, "chatbot": 2, "advisor": 2},
    ),
    ({"chatbot": 30}, "99.5%", "400ms", "micro", ("2000m", "2Gi", 0, "0.01TB"), {"chatbot": 2}),
    ({"chatbot": 10}, "99.5%", None, "micro", ("2000m", "2Gi", 0, "0.01TB"), {"chatbot": 2}),
    ({"nlp": 41}, "99%", None, "small", ("3000m", "6Gi", 1, "0.04TB"), {"nlp": 2}),
]


def plan(
    demand: Demand, availability: str = "99.5%", time: str | None = None, preset: str | None = None
) -> TenantPlan:
    return plan_tenant(demand, SlaTarget(availability=availability, response_time=time), preset)


@pytest.mark.parametrize(("demand", "availability", "time", "preset", "needs", "replicas"), GOLDEN)
def test_golden(
    demand: Demand, availability: str, time: str | None, preset: str, needs: tuple[Any, ...], replicas: Demand
) -> None:
    found = plan(demand, availability, time)
    assert (found.preset, found.recommended_preset) == (preset, preset)
    assert tuple(found.needs.model_dump().values()) == needs
    assert {s.service_name: s.replicas for s in found.services} == replicas


@pytest.mark.parametrize(
    ("demand", "availability", "time", "preset"),
    [
        (B, "99.9%", "200ms", "medium"),
        (F, "99.9%", "200ms", "medium"),
        (C, "99.5%", "300ms", "medium"),
        ({"chatbot": 30}, "99.5%", "400ms", "small"),
    ],
)
def test_a_preset_as_large_as_the_need_is_granted(
    demand: Demand, availability: str, time: str, preset: str
) -> None:
    found = plan(demand, availability, time, preset)
    assert found.preset == preset
    assert found.recommended_preset in ("micro", "small", preset)
    assert min(s.replicas for s in found.services) >= 2


def test_what_the_documents_show_of_medium_and_large() -> None:
    medium, large = plan(B, "99.9%", "200ms"), plan(A, "99.9%", "150ms")
    assert medium.resources.model_dump() == {"cpu": "24000m", "memory": "32Gi", "gpu": 3, "storage": "1.0TB"}
    assert large.resources.model_dump() == {"cpu": "45000m", "memory": "64Gi", "gpu": 6, "storage": "2.0TB"}
    assert (medium.gpu_type, medium.estimated_cost, medium.deployment_time) == (
        "v100",
        "$350/month",
        "15-20 minutes",
    )
    assert (large.gpu_type, large.estimated_cost, large.monthly_cost) == (
        "v100",
        "$450/month",
        Decimal("450.00"),
    )


def test_the_sum_of_the_cost_is_shown() -> None:
    assert plan(B, "99.9%").reasons[-1] == (
        "cost per month: base $247 + 24 vCPU $24 + 32 GiB $16 + 3 GPU $60 + 1 TB $3 = $350"
    )
    assert plan(C).estimated_cost == "$288.50/month"


def test_the_smaller_preset_is_an_alternative_that_says_what_it_costs_in_time() -> None:
    (medium,) = plan(A, "99.9%", "150ms").alternatives
    assert (medium.preset, medium.cost, medium.resources.gpu) == ("medium", "$350/month", 3)
    assert "memory 53Gi needed of 32Gi" in medium.performance_impact
    assert "about 66% longer" in medium.performance_impact


def test_alternatives_are_the_neighbours_and_the_recommended_one() -> None:
    found = plan({"chatbot": 10}, preset="large")
    assert [a.preset for a in found.alternatives] == ["micro", "medium"]
    assert {a.performance_impact for a in found.alternatives} == {"none expected: everything fits"}
    assert "large was asked for; micro would do" in found.reasons


def test_a_preset_without_gpus_is_no_alternative_for_services_that_need_one() -> None:
    assert [a.preset for a in plan(C).alternatives] == ["medium"]


def test_without_gpus_there_is_no_gpu_type() -> None:
    assert plan({"chatbot": 10}).gpu_type is None


@pytest.mark.parametrize(
    ("availability", "replicas", "spread"),
    [("99.4%", 1, False), ("99.5%", 2, False), ("99.89%", 2, False), ("99.9%", 2, True), ("99.99%", 2, True)],
)
def test_the_availability_target_decides_redundancy(availability: str, replicas: int, spread: bool) -> None:
    (service,) = plan({"chatbot": 10}, availability).services
    assert (service.replicas, service.spread_over_nodes, service.disruption_budget) == (
        replicas,
        spread,
        spread,
    )
    assert any("N+1" in why for why in service.why) == (replicas == 2)
    assert any("PodDisruptionBudget" in why for why in service.why) == spread


@pytest.mark.parametrize(
    ("time", "replicas"), [(None, 2), ("1s", 2), ("200ms", 2), ("199ms", 3), ("100ms", 4), ("0.001ms", 100)]
)
def test_a_faster_target_means_fewer_sessions_per_replica(time: str | None, replicas: int) -> None:
    demand = {"chatbot": 100}
    if replicas == 100:  # one session per replica is the least
        with pytest.raises(InsufficientResources) as refused:
            plan(demand, "99%", time)
        assert refused.value.details["needs"]["cpu"] == "100000m"
        return
    (service,) = plan(demand, "99%", time).services
    assert service.replicas == replicas
    assert any("below the baseline of 200ms" in why for why in service.why) == (replicas > 2)


def test_quantities_and_order_of_the_services() -> None:
    advisor, callbot, chatbot = plan({"chatbot": 1, "callbot": 1, "advisor": 1}).services
    assert [s.service_name for s in (advisor, callbot, chatbot)] == ["advisor", "callbot", "chatbot"]
    assert (callbot.cpu_request, callbot.memory_request) == ("200m", "512Mi")
    assert (callbot.cpu_limit, callbot.memory_limit, callbot.gpu) == ("2000m", "4096Mi", 0.2)
    assert (chatbot.gpu, chatbot.sessions, chatbot.image, chatbot.port) == (
        0,
        1,
        "ecp-ai/chatbot:1.0.0",
        8080,
    )


def test_more_concurrent_users_than_sessions_is_said() -> None:
    target = SlaTarget(concurrent_users=500)
    said = plan_tenant({"chatbot": 100}, target, None).reasons
    assert "sized for 100 sessions, fewer than the 500 concurrent users" in said


def test_beyond_the_largest_preset_is_refused_with_what_is_missing() -> None:
    with pytest.raises(InsufficientResources) as refused:
        plan({"callbot": 1000}, "99.9%", preset="large")
    assert refused.value.details == {
        "preset": "large",
        "smallest_fitting_preset": None,
        "needs": {"cpu": "82000m", "memory": "164Gi", "gpu": 9, "storage": "0.41TB"},
        "missing": {"cpu": "37000m", "memory": "100Gi", "gpu": "3"},
    }


def test_a_preset_that_is_too_small_is_refused_with_the_smallest_that_fits() -> None:
    with pytest.raises(
        InsufficientResources, match=r"preset small is too small.*smallest that fits is medium"
    ) as no:
        plan(F, "99.9%", "200ms", "small")
    assert no.value.details["smallest_fitting_preset"] == "medium"
    assert no.value.details["missing"] == {"cpu": "3000m", "memory": "7Gi", "gpu": "1"}


@pytest.mark.parametrize("sessions", [0, -1, True, False, MAX_SESSIONS + 1, 10**30, 1.5, "10", None])
def test_sessions_that_are_no_number_of_sessions(sessions: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        plan_tenant({"callbot": sessions, "chatbot": 10}, SlaTarget(), None)
    (field,) = refused.value.details["fields"]
    assert field["field"] == "service_requirements.callbot"
    assert "known services are advisor, callbot, chatbot, nlp, stt, tts" in field["message"]


def test_every_bad_field_is_named_once() -> None:
    target = SlaTarget(availability="100%", response_time="fast")
    with pytest.raises(ValidationFailed) as refused:
        plan_tenant({"fax": 1, "telex": 0, "chatbot": 0, "nlp": 1}, target, None)
    fields = refused.value.details["fields"]
    assert [f["field"] for f in fields] == [
        "service_requirements.fax",
        "service_requirements.telex",
        "service_requirements.chatbot",
        "sla_target.availability",
        "sla_target.response_time",
    ]
    assert all("known services are" in f["message"] for f in fields[:3])


def test_no_service_at_all() -> None:
    with pytest.raises(ValidationFailed) as refused:
        plan({})
    assert [f["field"] for f in refused.value.details["fields"]] == ["service_requirements"]
    assert "callbot" in refused.value.details["fields"][0]["message"]


@pytest.mark.parametrize("preset", ["huge", "", "Medium", "x" * 1000])
def test_unknown_presets(preset: str) -> None:
    with pytest.raises(InvalidPreset, match="known are micro, small, medium, large") as refused:
        plan(C, preset=preset)
    assert len(refused.value.details["preset"]) <= 40
