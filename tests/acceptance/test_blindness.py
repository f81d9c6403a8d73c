"""What nobody measured is a gap, with who was blind; what was accepted is never lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.storage.availability import PgAvailabilityStore
from tests.acceptance.world import INTERVAL, World
from tests.conftest import PostgresServer

HOLDS = timedelta(seconds=2.5 * INTERVAL)


async def spans(world: World, tenant_id: str) -> list[Span]:
    tenant = await world.runtime.tenants.get(tenant_id)
    store = PgAvailabilityStore(world.runtime.database)
    since, now = world.clock.now() - timedelta(days=40), world.clock.now()
    return await store.timeline(tenant, since, now, reasons=True)


def gaps(found: list[Span]) -> list[tuple[datetime, datetime, GapReason | None]]:
    return [(s.start, s.end, s.reason) for s in found if s.state is SpanState.GAP]


async def test_while_the_service_is_down_we_are_blind(world: World) -> None:
    await world.add_tenant("watched")
    await world.advance(60)
    last_seen = world.clock.now()
    await world.stop_service()
    await world.advance_clocks(120)
    await world.start_service()
    resumed = world.clock.now()
    await world.advance(30)
    assert gaps(await spans(world, "watched")) == [(last_seen + HOLDS, resumed, GapReason.COLLECTOR_DOWN)]
    window = await world.sla("watched")
    assert window["down_minutes"] == 0
    assert window["bounds"]["low"] < window["availability"] == window["bounds"]["high"] == 100


async def test_while_the_simulator_is_down_the_target_failed(world: World) -> None:
    await world.add_tenant("watched")
    await world.advance(60)
    last_seen = world.clock.now()
    await world.kill_simulator()
    for _ in range(12):
        world.clock.advance(INTERVAL)
        await world.tick()
    await world.start_simulator()
    await world.sim("POST", "/api/v1/clock/advance", {"to": world.clock.now().isoformat()})
    await world.tick()
    back = world.clock.now()
    await world.advance(10)
    assert gaps(await spans(world, "watched")) == [(last_seen + HOLDS, back, GapReason.TARGET_FAILED)]


async def test_a_silent_tenant_is_told_from_a_deaf_service(world: World) -> None:
    body = {"name": "p", "push_interval": 4, "service_requirements": {"chatbot": 10}}
    await world.add_tenant("pusher", deploy=False, **body)
    push = {"metrics": {"up": 1}}
    await world.call("POST", "/api/v1/tenants/pusher/monitoring", push, 202)
    pushed = world.clock.now()
    await world.advance(60)
    await world.stop_service()
    deaf_since = world.clock.now() + timedelta(seconds=30)  # the heartbeat counts for 30 s
    await world.advance_clocks(120)
    await world.start_service()
    back = world.clock.now()
    await world.call("POST", "/api/v1/tenants/pusher/monitoring", push, 202)
    assert gaps(await spans(world, "pusher")) == [
        (pushed + timedelta(seconds=10), deaf_since, GapReason.NOT_PUSHED),
        (deaf_since, back, GapReason.COLLECTOR_DOWN),
    ]


async def test_while_the_database_is_down_pulls_wait_and_pushes_are_refused(
    world: World, postgres_server: PostgresServer
) -> None:
    await world.add_tenant("watched")
    await world.advance(60)
    postgres_server.kill()
    try:
        body = {"metrics": {"cpu_usage": 1}}
        async with world.session.post(f"{world.api}/api/v1/tenants/watched/monitoring", json=body) as answer:
            refused: dict[str, Any] = await answer.json()
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
        assert refused["error"]["code"] == "DATABASE_ERROR"
        async with world.session.get(f"{world.api}/ready") as answer:
            assert answer.status == 503
        for _ in range(12):
            await world.advance_clocks(INTERVAL)
            for runner in world.runtime.work.pulling.runners:
                await runner.run_once()
        assert world.runtime.work.pulling.runners[0].waiting_frames == 12
    finally:
        postgres_server.start()
    await world.advance(10)
    assert world.runtime.work.pulling.runners[0].waiting_frames == 0
    assert gaps(await spans(world, "watched")) == []
    rows = await world.runtime.database.fetchval(
        "SELECT count(DISTINCT timestamp) FROM monitoring_data WHERE tenant_id = 'watched' AND metric_name = 'up'"
    )
    # The deployment starts its pods for some seconds before it is ready for the first time.
    assert rows >= 12 + 12 - 4


async def test_pushed_transitions_are_exact(world: World) -> None:
    await world.add_tenant("pusher", deploy=False, push_interval=30)
    start = world.clock.now()
    url = "/api/v1/tenants/pusher/monitoring"

    def at(seconds: float, up: int) -> dict[str, Any]:
        return {"timestamp": (start + timedelta(seconds=seconds)).isoformat(), "metrics": {"up": up}}

    world.clock.advance(300)
    # Out of order, twice, late: the answer is that of the true order.
    await world.call("POST", url, [at(0, 1), at(120, 1), at(180.25, 0)], 202)
    await world.call("POST", url, [at(60, 1), at(200.5, 1), at(180.25, 0)], 202)
    await world.call("POST", url, [at(240, 1), at(290, 1)], 202)
    found = await spans(world, "pusher")
    down = [(s.start - start, s.end - start) for s in found if s.state is SpanState.DOWN]
    assert down == [(timedelta(seconds=180.25), timedelta(seconds=200.5))]
    assert gaps(found) == []
