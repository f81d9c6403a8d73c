"""Counted objectives against the simulator, which knows every request: restarts, blindness, an outage."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.world import INTERVAL, World


async def counters(world: World, tenant_id: str) -> dict[str, int]:
    document = await world.sim("GET", f"/api/v1/metrics/{tenant_id}")
    sums: dict[str, int] = {}
    for c in document["counters"]:
        sums[c["metric"]] = sums.get(c["metric"], 0) + c["value"]
    return sums


async def status(world: World, tenant_id: str, name: str) -> dict[str, Any]:
    await world.runtime.work.objectives.roll()
    found = await world.call("GET", f"/api/v1/tenants/{tenant_id}/objectives/{name}/status?windows=1h")
    window: dict[str, Any] = found["windows"][0]
    return window


async def test_every_request_of_an_outage_is_counted(world: World) -> None:
    await world.add_tenant("counted")
    # Windows end at a whole minute, and a reading at that very instant belongs to the next one.
    await world.advance(115)
    start = await counters(world, "counted")
    await world.advance(INTERVAL)
    before = await status(world, "counted", "requests")
    await world.call(
        "POST",
        "/api/v1/simulator/failures/counted/trigger",
        {"failure_type": "full_outage", "duration_seconds": 120.0},
        202,
    )
    await world.advance(240)
    # We go blind for three minutes; what was counted meanwhile is not lost.
    await world.stop_service()
    await world.advance_clocks(180)
    await world.start_service()
    await world.advance(295)
    end = await counters(world, "counted")
    await world.advance(INTERVAL)
    found = await status(world, "counted", "requests")
    assert end["errors_total"] > start["errors_total"]
    assert found["total"] - before["total"] == end["requests_total"] - start["requests_total"]
    assert found["bad"] - before["bad"] == end["errors_total"] - start["errors_total"]
    assert (found["status"], found["verdict"]) == ("violated", "breached")
    # Blind for 180 s, and the counters, which went on meanwhile, measured it.
    assert found["eligible_minutes"] == pytest.approx(found["observed_minutes"])
    assert found["bounds"] == {"low": found["ratio"], "high": found["ratio"]}


async def test_latency_is_the_share_of_time(world: World) -> None:
    await world.add_tenant("slow")
    await world.advance(120)
    await world.call(
        "POST",
        "/api/v1/simulator/failures/slow/trigger",
        {"failure_type": "network_latency", "duration_seconds": 120.0, "severity": 1.0},
        202,
    )
    await world.advance(300)
    found = await status(world, "slow", "latency")
    slow = found["total"] - found["good"]
    # To the observation interval.
    assert abs(slow - 120) <= 5, found
