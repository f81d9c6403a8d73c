"""The main timeline: an outage is seen, told once, measured to the second, and over."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.acceptance.world import INTERVAL, World
from tests.signatures import signed_by
from tests.waiting import PATIENCE


async def next_state(socket: aiohttp.ClientWebSocketResponse, state: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            message: dict[str, Any] = await socket.receive_json()
            if message.get("state") == state:
                return message


async def test_an_outage_from_trigger_to_recovery(world: World) -> None:
    await world.add_tenant("broken")
    await world.add_tenant("fine")
    await world.advance(60)
    rule = {
        "alert_name": "down_now",
        "condition": "up < 1",
        "actions": [{"type": "webhook", "url": f"{world.receiver.url}/threshold"}],
    }
    await world.call("POST", "/api/v1/tenants/broken/alerts", {**rule, "condition": "error_rate >= 0.9"}, 201)
    socket = await world.session.ws_connect(f"{world.api}/ws/monitoring/broken")
    alerts = await world.session.ws_connect(f"{world.api}/ws/alerts/broken")

    await world.call(
        "POST",
        "/api/v1/simulator/failures/broken/trigger",
        {"failure_type": "full_outage", "duration_seconds": 240.0},
        202,
    )
    await world.advance(INTERVAL)
    message = await next_state(socket, "down")
    assert message["metrics"]["up"] == 0
    told = await world.receiver.wait_for(lambda seen: any(d.path == "/hook/threshold" for d in seen))
    alert = await asyncio.wait_for(alerts.receive_json(), PATIENCE)
    assert (alert["tenant_id"], alert["status"]) == ("broken", "firing")

    await world.advance(300)
    await next_state(socket, "up")
    told = await world.receiver.wait_for(lambda seen: sum(d.path == "/hook/threshold" for d in seen) >= 2)
    key = await world.call("POST", "/api/v1/tenants/broken/webhook-key", status=201)
    threshold = [d for d in told if d.path == "/hook/threshold"]
    assert [d.document["status"] for d in threshold] == ["firing", "resolved"]
    for delivery in threshold:
        assert delivery.document["version"] == "4"
        assert signed_by(key["secret"], delivery.headers, delivery.body)

    truth = await world.truth("broken")
    window = await world.sla("broken")
    assert truth["down_seconds"] == 240
    assert abs(window["down_minutes"] * 60 - truth["down_seconds"]) <= INTERVAL
    assert window["failure_count"] == 1
    other = await world.sla("fine")
    assert (other["down_minutes"], other["availability"], other["failure_count"]) == (0, 100, 0)
    assert not [d for d in told if d.document["commonLabels"].get("tenant_id") == "fine"]


async def test_one_crashed_pod_of_several_is_no_outage(world: World) -> None:
    await world.add_tenant("several")
    await world.advance(60)
    body = {
        "failure_type": "pod_crash",
        "severity": 0.5,
        "duration_seconds": 60.0,
        "target_service": "chatbot",
    }
    await world.sim("POST", "/api/v1/failures/several", body)
    await world.advance(20)
    status = await world.sim("GET", "/api/v1/tenants/several")
    [chatbot] = [s for s in status["services"] if s["name"] == "chatbot"]
    assert 0 < chatbot["ready"] < chatbot["desired"]
    await world.advance(100)
    window = await world.sla("several")
    assert (window["down_minutes"], window["gap_minutes"]) == (0, 0)
    assert (await world.truth("several"))["down_seconds"] == 0
