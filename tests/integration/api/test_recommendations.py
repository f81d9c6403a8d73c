"""Recommendations over a week of 5-minute points, in the real database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from tests.integration.api.conftest import NOW, Service


async def a_week(
    service: Service, name: str, values: dict[str, Any], labels: dict[str, str], points: int
) -> None:
    """`points` observations, five minutes apart, up to now; `values` maps a metric to a function of the point."""
    pairs = tuple(sorted(labels.items()))
    frames = [
        Frame(
            name,
            Source.PUSH,
            NOW - timedelta(minutes=5 * (points - i)),
            tuple(Sample(SeriesKey("custom", metric, pairs), float(of(i))) for metric, of in values.items()),
        )
        for i in range(points)
    ]
    await service.runtime.ingest.commit([Batch(tuple(frames))])
    await service.runtime.work.keeping.roll_up()


async def ask(service: Service, name: str, query: str = "") -> dict[str, Any]:
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/recommendations{query}")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


CHATBOT = {
    "service_cpu_millicores": lambda i: 100 + i % 100,
    "service_memory_mib": lambda i: 900 if i == 700 else 300,
    "service_sessions": lambda _: 90,
    "service_replicas": lambda _: 3,
}


async def test_a_week_of_points(service: Service) -> None:
    name = await service.tenant(service_requirements={"chatbot": 100})
    await a_week(service, name, CHATBOT, {"service": "chatbot"}, 2000)
    document = await ask(service, name)
    services = {s["service"]: s for s in document["services"]}
    assert {s["status"] for n, s in services.items() if n != "chatbot"} == {"not enough data"}
    found = services["chatbot"]
    evidence = found["evidence"]
    assert evidence["resolution_seconds"] == 300
    assert 1995 <= evidence["samples"] <= 2000
    assert evidence["cpu_millicores"]["p95"] == pytest.approx(194, abs=1)
    assert evidence["memory_mib"]["max"] == 900
    # 194m is within 10 % of the 200m requested; 900 + 15 % = 1035 → 1040Mi, the limit keeps twice that.
    assert found["recommended"] == {
        "replicas": 3, "cpu_request": "200m", "cpu_limit": "1000m", "memory_request": "1040Mi",
        "memory_limit": "2080Mi",
    }  # fmt: skip
    assert found["monthly_cost_difference"] == pytest.approx(3 * 528 / 1024 * 0.5, abs=0.01)
    update = document["update"]
    assert set(update["service_resources"]) == {"chatbot"}
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", update)
    assert status == 200, answer
    assert {c["field"] for c in answer["changes"]} == {"memory_request", "memory_limit"}
    assert (await ask(service, name))["update"] is None

    # The peak lies two days and more back: a shorter window does not see it.
    day = await ask(service, name, "?days=1")
    [found] = [s for s in day["services"] if s["service"] == "chatbot"]
    assert found["evidence"]["memory_mib"]["max"] == 300


async def test_gpus_are_sized_by_their_cores_and_memory_and_not_by_their_utilisation(
    service: Service,
) -> None:
    name, other = await service.tenant(service_requirements={"callbot": 105}), await service.tenant()
    document = await ask(service, name)
    [gpus] = {s["current"]["replicas"] for s in document["services"] if s["service"] == "callbot"}
    assert document["gpus"]["current"] == gpus
    assert document["gpus"]["from"] == "none"
    assert document["gpus"]["recommended"] is None
    await a_week(service, name, {"gpu_util_sampled": lambda _: 100}, {}, 200)
    sampled = (await ask(service, name))["gpus"]
    assert (sampled["from"], sampled["recommended"]) == ("sampled_utilization", None)
    assert "half of the time" in sampled["caveats"][0]
    measured = {
        "gpu_sm_active": lambda _: 2,
        "gpu_dram_active": lambda i: 10 + i % 5,
        "gpu_memory_usage": lambda _: 20,
    }
    await a_week(service, name, measured, {}, 200)
    # Another tenant's, and a part's own, are not taken.
    await a_week(service, other, {"gpu_sm_active": lambda _: 100}, {}, 200)
    await a_week(service, name, {"gpu_sm_active": lambda _: 100}, {"gpu": "0"}, 200)
    found = (await ask(service, name))["gpus"]
    assert (found["from"], found["recommended"], found["caveats"]) == ("sm_and_dram_active", 1, [])
    assert found["evidence"]["sm_active_percent"]["max"] == 2
    assert found["evidence"]["dram_active_percent"]["p95"] == pytest.approx(14)
    assert found["evidence"]["resolution_seconds"] == 300


async def test_what_is_pushed_counts_as_well(service: Service) -> None:
    name = await service.tenant(service_requirements={"chatbot": 100})
    batch = [
        {
            "timestamp": (NOW - timedelta(seconds=60 * i)).isoformat(),
            "metrics": {"service_cpu_millicores.chatbot": 400 + i, "service_memory_mib.chatbot": 400.5},
        }
        for i in range(120)
    ]
    status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", batch)
    assert (status, body["rejected"]) == (202, [])
    [found] = [s for s in (await ask(service, name))["services"] if s["service"] == "chatbot"]
    # The point of this very instant is not yet part of the window.
    assert (found["status"], found["evidence"]["samples"]) == ("ok", 119)
    assert (found["recommended"]["cpu_request"], found["recommended"]["replicas"]) == ("520m", 3)


async def test_series_of_parts_of_a_service_do_not_pose_as_it(service: Service) -> None:
    name = await service.tenant(service_requirements={"chatbot": 100})
    await a_week(service, name, CHATBOT, {"service": "chatbot", "pod": "a"}, 200)
    assert {s["status"] for s in (await ask(service, name))["services"]} == {"not enough data"}


async def test_another_tenants_points_are_not_taken(service: Service) -> None:
    name, other = await service.tenant(), await service.tenant()
    await a_week(service, other, CHATBOT, {"service": "chatbot"}, 200)
    assert {s["status"] for s in (await ask(service, name))["services"]} == {"not enough data"}


@pytest.mark.parametrize("query", ["?days=0", "?days=91", "?days=x", "?days=nan", "?days=-1"])
async def test_a_window_must_make_sense(service: Service, query: str) -> None:
    name = await service.tenant()
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/recommendations{query}")
    assert (status, body["error"]["details"]["fields"][0]["field"]) == (422, "days")
