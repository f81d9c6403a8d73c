"""What the three sockets send, and when."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from socket_world import (
    ALERTS,
    MONITORING,
    NEVER,
    NOW,
    REALTIME,
    World,
    event,
    still_open,
    still_open_among_messages,
    told,
)

from ecpmon.api.events import message_of_event
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus, Severity
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Maintenance
from ecpmon.ports.alerts import RuleWithState
from ecpmon.wire import rfc3339
from tests.waiting import PATIENCE

# --- /ws/monitoring ---


async def test_the_first_message_holds_everything_that_is_fresh(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        assert await told(socket) == {
            "timestamp": "2026-03-02T08:59:59Z", "tenant_id": "acme",
            "metrics": {"cpu": 40.0, "up": 1.0, "queue_depth": 3.0},
        }  # fmt: skip
    assert world.asked_since == [NOW - timedelta(minutes=5)]


async def test_without_any_data_there_is_a_first_message_all_the_same(world: World) -> None:
    world.newest = {}
    async with world.connect(MONITORING) as socket:
        assert await told(socket) == {"timestamp": "2026-03-02T09:00:00Z", "tenant_id": "acme", "metrics": {}}


async def test_the_second_socket_needs_no_query_and_sees_what_was_committed(world: World) -> None:
    async with world.connect(MONITORING) as one:
        await told(one)
        world.commit(cpu_usage=77)
        async with world.connect(MONITORING) as two:
            assert (await told(two))["metrics"]["cpu"] == 77.0
    assert len(world.asked_since) == 1


async def test_of_sockets_that_open_together_one_asks_for_the_newest_values(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest, all_there = world.latest, asyncio.Event()

    async def slow(*given: Any) -> Any:
        await all_there.wait()
        return await latest(*given)

    monkeypatch.setattr(world, "latest", slow)

    async def first_message() -> Any:
        async with world.connect(MONITORING) as socket:
            return await told(socket)

    opening = [asyncio.create_task(first_message()) for _ in range(5)]
    async with asyncio.timeout(PATIENCE):
        while world.hub.sockets < len(opening):
            await asyncio.sleep(0)
    all_there.set()
    messages = await asyncio.gather(*opening)
    assert [m["metrics"]["cpu"] for m in messages] == [40.0] * len(opening)
    assert len(world.asked_since) == 1


@pytest.mark.parametrize("asked", ["cpu", "cpu_usage"])
async def test_a_subscription_is_answered_at_once_with_what_it_names(world: World, asked: str) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "metrics": [asked, "gpu"], "interval": NEVER})
        assert (await told(socket))["metrics"] == {"cpu": 40.0}


async def test_many_commits_make_one_message_with_the_newest_value(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        for value in range(5000):
            world.commit(cpu_usage=value)
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": NEVER})
        assert (await told(socket))["metrics"] == {"cpu": 4999.0}
        await still_open(socket)  # nothing else is in between


async def test_messages_come_at_the_interval(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "interval": 100})
        for value in range(3):
            world.commit(cpu_usage=value)
            async with asyncio.timeout(PATIENCE):
                while (await told(socket))["metrics"]["cpu"] != value:
                    pass


@pytest.mark.parametrize(("state", "up"), [(SpanState.DOWN, 0.0), (SpanState.UP, 1.0)])
@pytest.mark.parametrize("request_", [{"action": "subscribe", "metrics": ["cpu"], "interval": NEVER},
                                      {"action": "unsubscribe"}])  # fmt: skip
async def test_a_change_is_told_at_once_whatever_was_asked_for(
    world: World, request_: dict[str, Any], state: SpanState, up: float
) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json(request_)
        if request_["action"] == "subscribe":
            await told(socket)
        await still_open(socket)  # the server has read the request
        world.now = NOW + timedelta(seconds=2)
        world.commit(change=state, cpu_usage=41, up=up)
        message = await told(socket)
        assert (message["state"], message["metrics"]["up"]) == (state.value, up)
        assert message["metrics"]["cpu"] == 41.0
        assert message["timestamp"] == "2026-03-02T09:00:02Z"


async def test_down_and_up_again_are_both_told_in_order(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        world.commit(change=SpanState.DOWN)
        world.commit(change=SpanState.UP)
        first, second = await told(socket), await told(socket)
        assert [(m["state"], m["metrics"]["up"]) for m in (first, second)] == [("down", 0.0), ("up", 1.0)]


async def test_after_unsubscribe_there_is_silence_while_a_neighbour_gets_its_messages(world: World) -> None:
    """The neighbour is the clock: it has had the time of several intervals, on the same loop."""
    every = {"action": "subscribe", "interval": 100}
    async with world.connect(MONITORING) as silent, world.connect(MONITORING) as neighbour:
        await silent.send_json(every)
        await silent.send_json({"action": "unsubscribe"})
        await still_open_among_messages(silent)
        await neighbour.send_json(every)
        for _ in range(5):
            await told(neighbour)
        await still_open(silent)


# --- /api/v1/simulator/realtime ---


async def test_realtime_has_its_own_metrics_and_the_unrounded_sla_of_a_day(world: World) -> None:
    start = NOW - timedelta(hours=3)
    middle = start + timedelta(seconds=7)
    world.spans = [Span(start, middle, SpanState.DOWN), Span(middle, NOW, SpanState.UP)]
    async with world.connect(REALTIME) as socket:
        message = await told(socket)
    availability = 100 * (3 * 3600 - 7) / (3 * 3600)
    assert message["metrics"] == {"cpu": 40.0, "up": 1.0}
    assert message["sla_data"] == {
        "availability": pytest.approx(availability, rel=1e-12), "status": "meeting",
        "uptime_percentage": pytest.approx(availability, rel=1e-12), "downtime_minutes": 7 / 60,
        "bounds": dict.fromkeys(("low", "high"), pytest.approx(availability, rel=1e-12)), "coverage": 100.0,
        "stale": False,
    }  # fmt: skip


async def test_realtime_leaves_maintenance_out(world: World) -> None:
    start = NOW - timedelta(hours=3)
    middle = start + timedelta(hours=1)
    world.spans = [Span(start, middle, SpanState.DOWN), Span(middle, NOW, SpanState.UP)]
    world.planned = [Maintenance("m", start, timedelta(hours=1), "an upgrade", "kim", start)]
    async with world.connect(REALTIME) as socket:
        told_of = (await told(socket))["sla_data"]
    assert (told_of["uptime_percentage"], told_of["downtime_minutes"]) == (100.0, 0.0)


async def test_realtime_before_any_evidence_promises_nothing(world: World) -> None:
    async with world.connect(REALTIME) as socket:
        assert (await told(socket))["sla_data"] == {
            "availability": None, "status": "no_data", "uptime_percentage": None, "downtime_minutes": 0.0,
            "bounds": {"low": None, "high": None}, "coverage": None, "stale": True,
        }  # fmt: skip


async def test_realtime_obeys_a_subscription(world: World) -> None:
    async with world.connect(REALTIME) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "metrics": ["queue_depth"], "interval": NEVER})
        message = await told(socket)
        assert (message["metrics"], message["sla_data"]["status"]) == ({"queue_depth": 3.0}, "no_data")


# --- /ws/alerts ---


def rule(number: int, status: RuleStatus) -> RuleWithState:
    made = AlertRule(
        f"r{number}", "acme", f"rule {number}", RuleKind.THRESHOLD, "cpu > 80", 0, Severity.WARNING
    )
    return RuleWithState(made, RuleState(status, since=NOW, value=91.0), f"alert-{number}", NOW)


async def test_newcomers_are_told_what_is_firing_and_only_that(world: World) -> None:
    world.firing = [rule(n, status) for n, status in enumerate(RuleStatus)]
    async with world.connect(ALERTS) as socket:
        message = await told(socket)
        assert message == json.loads(json.dumps(message_of_event(event(2)), default=rfc3339))
        world.hub.alert(event(7))
        later = await told(socket)
        assert later["alert_id"] == "alert-7"
        assert later.keys() == message.keys() == {
            "alert_id", "tenant_id", "severity", "type", "message", "metric", "current_value", "threshold",
            "status", "timestamp",
        }  # fmt: skip


async def test_every_alert_is_told_in_order(world: World) -> None:
    async with world.connect(ALERTS) as socket:
        await still_open(socket)
        for number in range(200):
            world.hub.alert(event(number))
        assert [(await told(socket))["alert_id"] for _ in range(200)] == [f"alert-{n}" for n in range(200)]
