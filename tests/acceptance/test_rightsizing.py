"""From what the simulator's pods use to a smaller bill: measured, recommended, applied, deployed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.world import World


async def recommended(world: World) -> tuple[dict[str, Any], Any]:
    """The advice for chatbot, and the update."""
    document = await world.call("GET", "/api/v1/tenants/acme/recommendations")
    [found] = [s for s in document["services"] if s["service"] == "chatbot"]
    return found, document["update"]


async def test_measured_recommended_applied_and_deployed(world: World) -> None:
    await world.add_tenant("acme", service_requirements={"chatbot": 100})
    await world.advance(1200)
    early, nothing = await recommended(world)
    assert (early["status"], nothing) == ("not enough data", None)
    assert 50 < early["evidence"]["samples"] < 100
    await world.advance(330)

    found, update = await recommended(world)
    evidence = found["evidence"]
    assert (found["status"], evidence["resolution_seconds"]) == ("ok", 0)
    assert evidence["samples"] >= 100
    # The simulator's own word about one pod, now.
    metrics = await world.sim("GET", "/api/v1/metrics/acme")
    [now] = [s for s in metrics["services"] if s["service"] == "chatbot"]
    assert evidence["cpu_millicores"]["p95"] == pytest.approx(now["pod_cpu_millicores"], rel=0.15)
    assert evidence["memory_mib"]["max"] == pytest.approx(now["pod_memory_mib"], rel=0.05)
    assert evidence["replicas"]["p50"] == now["ready"]
    wanted = found["recommended"]
    assert int(wanted["memory_request"].removesuffix("Mi")) >= evidence["memory_mib"]["max"]

    assert update is not None
    if "acknowledge_autoscaling" in update:
        await world.call("PUT", "/api/v1/tenants/acme", update, 422)
        update = {**update, "acknowledge_autoscaling": True}
    answer = await world.call("PUT", "/api/v1/tenants/acme", update)
    assert answer["redeploy_needed"]
    assert answer["changes"]
    await world.call("POST", "/api/v1/simulator/deploy/acme", {})
    status = await world.sim("GET", "/api/v1/tenants/acme")
    [deployed] = [s for s in status["services"] if s["name"] == "chatbot"]
    assert f"{deployed['cpu_millicores']}m" == wanted["cpu_request"]
    assert f"{deployed['memory_mib']}Mi" == wanted["memory_request"]
    assert deployed["desired"] == wanted["replicas"]


async def test_a_tenants_own_figures_stay_its_own(world: World) -> None:
    """What single services use is stored beside the tenant's figures and never mixed into them."""
    await world.add_tenant("acme")
    await world.advance(30)
    document = await world.call("GET", "/api/v1/tenants/acme/monitoring?hours=1&interval=15s")
    assert not [name for name in document["metrics"] if name.startswith("service_")]
    socket = await world.session.ws_connect(f"{world.api}/ws/monitoring/acme")
    message = await socket.receive_json()
    assert not [name for name in message["metrics"] if name.startswith("service_")]
    rule = {"alert_name": "x", "condition": "service_replicas < 1", "actions": []}
    refused = await world.call("POST", "/api/v1/tenants/acme/alerts", rule, 422)
    assert "service_replicas" in refused["error"]["message"]
