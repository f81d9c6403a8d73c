"""Golden tables: what the source documents' examples come out as with the shipped catalogue."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ecpmon.errors import InsufficientResources
from ecpmon.model.tenants import SlaTarget
from ecpmon.orchestrator.catalogue import default_catalogue
from ecpmon.orchestrator.sizing import plan_tenant
from tests.unit.orchestrator.plan_strategies import sla

CALLS = {"callbot": 100, "chatbot": 200, "advisor": 50}
MIXED = {"callbot": 50, "chatbot": 100, "advisor": 25, "stt": 30, "tts": 30}
CENTRE = {**CALLS, "stt": 100, "tts": 100}

# sentence: requirements, target, preset asked for → preset, recommended, cost, time, needs
ANCHORS = {
    "the large example without a response time": (
        CALLS, sla("99.9%"), None,
        ("large", "large", "$450/month", "25-35 minutes", ("18000m", "27904Mi", 4, "0.45TB")),
    ),
    "seed 004 §6, calculate resources": (
        CALLS, sla("99.9%", "150ms"), None,
        ("large", "large", "$450/month", "25-35 minutes", ("22000m", "34560Mi", 5, "0.53TB")),
    ),
    "seed 004 §3, create a tenant": (
        MIXED, sla("99.9%", "200ms", concurrent_users=200), None,
        ("medium", "medium", "$350/month", "15-20 minutes", ("22000m", "30976Mi", 3, "0.53TB")),
    ),
    "seed 001, create a tenant": (
        {"callbot": 50, "chatbot": 100, "advisor": 25}, sla("99.9%", "200ms"), "medium",
        ("medium", "medium", "$350/month", "15-20 minutes", ("13000m", "20224Mi", 3, "0.35TB")),
    ),
    "seed 001 scenario 2: a test environment": (
        {"chatbot": 10}, sla(), "small",
        ("small", "micro", "$308/month", "8-12 minutes", ("4000m", "3840Mi", 0, "0.17TB")),
    ),
    "the same without a preset": (
        {"chatbot": 10}, sla(), None,
        ("micro", "micro", "$277/month", "3-5 minutes", ("4000m", "3840Mi", 0, "0.17TB")),
    ),
    "seed 001 scenario 1: planned, not refused": (
        CENTRE, sla("99.95%", "150ms", concurrent_users=500), None,
        ("large", "large", "$450/month", "25-35 minutes", ("40000m", "56064Mi", 5, "0.89TB")),
    ),
    "seed 004 §2, a tenant larger than it needs": (
        {"callbot": 25, "chatbot": 85, "advisor": 32}, sla("99.86%", "265ms"), "large",
        ("large", "medium", "$450/month", "25-35 minutes", ("12000m", "17664Mi", 2, "0.33TB")),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("requirements", "target", "preset", "expected"), ANCHORS.values(), ids=ANCHORS)
def test_example_of_the_documents(
    requirements: dict[str, int],
    target: SlaTarget,
    preset: str | None,
    expected: tuple[str, str, str, str, tuple[str, str, int, str]],
) -> None:
    plan = plan_tenant(requirements, target, preset)
    needs = plan.needs.resources
    assert (
        plan.preset,
        plan.recommended_preset,
        plan.estimated_cost,
        plan.deployment_time,
        (needs.cpu, needs.memory, needs.gpu, needs.storage),
    ) == expected
    assert plan.resources == default_catalogue().presets[plan.preset].resources
    assert plan.gpu_type == "v100"


def test_presets_grant_what_the_documents_say() -> None:
    granted = {name: spec.resources.model_dump() for name, spec in default_catalogue().presets.items()}
    assert list(granted) == ["micro", "small", "medium", "large"]
    assert granted["medium"] == {"cpu": "24000m", "memory": "32Gi", "gpu": 3, "storage": "1.0TB"}
    assert granted["large"] == {"cpu": "45000m", "memory": "64Gi", "gpu": 6, "storage": "2.0TB"}
    assert granted["micro"] == {"cpu": "6000m", "memory": "8Gi", "gpu": 1, "storage": "0.25TB"}


def test_medium_is_the_alternative_to_large_and_says_what_it_takes_away() -> None:
    (offer,) = plan_tenant(CALLS, sla("99.9%", "150ms"), None).alternatives
    assert (offer.preset, offer.cost, offer.monthly_cost) == ("medium", "$350/month", Decimal("350.00"))
    # "20 % longer" is the documents' figure for this very example.
    assert offer.performance_impact.startswith("response time about 20 % longer (180 ms rather than 150 ms)")
    assert "no spare replica" in offer.performance_impact
    assert offer.sla_target == sla("99.0%", "180ms")


def test_without_a_response_time_the_alternative_gives_up_the_spare_only() -> None:
    (offer,) = plan_tenant(CALLS, sla("99.9%"), None).alternatives
    assert (offer.preset, offer.sla_target) == ("medium", sla("99.0%"))
    assert "response time" not in offer.performance_impact


def test_callbot_pods_look_like_the_documents_manifest() -> None:
    callbot, *rest = plan_tenant(MIXED, sla("99.9%", "200ms"), None).services
    assert (callbot.service_name, callbot.service_type, callbot.replicas, callbot.sessions) == (
        "callbot", "ai_service", 3, 50,
    )  # fmt: skip
    assert (callbot.cpu_request, callbot.memory_request) == ("200m", "512Mi")
    assert (callbot.cpu_limit, callbot.memory_limit, callbot.gpu) == ("2000m", "4Gi", 1)
    assert {plan.memory_request for plan in rest} == {"64Mi", "256Mi", "512Mi", "768Mi", "1024Mi"}
    assert [(plan.service_name, plan.replicas) for plan in rest] == [
        ("chatbot", 3), ("advisor", 2), ("stt", 3), ("tts", 3), ("nginx", 2), ("redis", 1), ("vector-db", 1),
    ]  # fmt: skip


def test_the_reasons_of_a_service_are_sentences_with_its_figures() -> None:
    callbot, *_, vector_db = plan_tenant(CALLS, sla("99.9%", "150ms"), None).services
    assert callbot.why == (
        "a response time of 150 ms is below the 200 ms of the design load: "
        "30 sessions per replica rather than 35",
        "100 sessions at 30 per replica: 4 to carry the load",
        "99.9 % is 99.5 % or more: one spare, so that a failed pod costs nothing",
        "99.9 % is 99.9 % or more: replicas on different nodes, and a PodDisruptionBudget",
    )
    assert vector_db.why == (
        "shared part, needed by chatbot, advisor",
        "250 sessions at 500 per replica: one replica. "
        "It is the only writer: a failure means a restart from its volume",
    )


def test_the_plan_says_why_this_preset_and_shows_the_sum() -> None:
    plan = plan_tenant(CALLS, sla("99.9%", "150ms"), "large")
    assert plan.reasons == (
        "the pods' limits add up to 22000m CPU, 34560Mi memory, 5 GPU and 0.53TB storage: "
        "large is the smallest preset that holds them",
        "medium lacks 1792Mi memory, 2 gpu",
        "cost per month: platform fee 247 + CPU (cores) 45 + memory (GiB) 32 + GPU 108 + storage (TB) 18",
        "autoscaling: the quota stays what large grants, so the maxima give: callbot cannot double; all pods at their "
        "maxima fit it together (callbot to 6, chatbot to 12, advisor to 8, nginx to 4)",
    )
    assert sum(line.amount for line in plan.cost_breakdown) == plan.monthly_cost == 450


def test_a_preset_that_is_too_small_is_refused_with_the_smallest_that_fits() -> None:
    with pytest.raises(InsufficientResources) as caught:
        plan_tenant(CALLS, sla("99.9%", "150ms"), "medium")
    assert caught.value.details == {
        "preset": "medium",
        "smallest_preset": "large",
        "needs": {"cpu": "22000m", "memory": "34560Mi", "gpu": 5, "storage": "0.53TB"},
        "missing": {"memory": "1792Mi", "gpu": 2},
        "fits_with": {"availability": "99.0%", "response_time": "180ms"},
    }
    assert "the smallest that fits is 'large'" in caught.value.message


def test_a_preset_that_no_weaker_promise_rescues_offers_none() -> None:
    with pytest.raises(InsufficientResources) as caught:
        plan_tenant(CENTRE, sla("99.95%", "150ms"), "micro")
    assert "fits_with" not in caught.value.details


@pytest.mark.parametrize("preset", [None, "large", "micro"])
def test_beyond_the_largest_preset_is_refused_with_what_is_missing(preset: str | None) -> None:
    with pytest.raises(InsufficientResources) as caught:
        plan_tenant({"callbot": 1000}, sla(), preset)
    assert caught.value.details == {
        "preset": "large",
        "needs": {"cpu": "61000m", "memory": "123648Mi", "gpu": 30, "storage": "1.23TB"},
        "missing": {"cpu": "16000m", "memory": "58112Mi", "gpu": 24},
    }
