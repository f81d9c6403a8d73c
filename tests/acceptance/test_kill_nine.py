"""The whole stack as processes; each is killed with -9 in turn. Nothing acknowledged is lost, blind time is a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ecpmon.app.demo import TENANTS, ensure_demo_tenants
from tests.acceptance.live import PARTS, LiveStack, Pusher, live_stack, until
from tests.acceptance.rows import table
from tests.waiting import PATIENCE

BROKEN, UNBROKEN = (str(t["tenant_id"]) for t in TENANTS)
SCRAPED, PUSHER = "scraped", "pusher"
PUSHED = {
    "tenant_id": PUSHER,
    "name": "Pushes its own measurements",
    "service_requirements": {"chatbot": 10},
    "push_interval": 2,
    "push_mode": "changes",
}


@pytest.fixture
async def running(shared_tmp: Path, free_port: Callable[[], int]) -> AsyncIterator[LiveStack]:
    settings = {"ECPMON_SIMULATOR_INTERVAL": "1", "ECPMON_PROMETHEUS_INTERVAL": "5"}
    async with live_stack(shared_tmp, free_port, **settings) as live:
        yield live


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_every_part_is_killed_in_turn(running: LiveStack) -> None:
    await ensure_demo_tenants(running.api, lambda _: None)
    await running.post("/api/v1/tenants/", PUSHED, 201)
    by_prometheus = {**PUSHED, "tenant_id": SCRAPED, "sli_source": "prometheus"}
    await running.post("/api/v1/tenants/", by_prometheus, 201)
    await running.post(f"/api/v1/simulator/deploy/{SCRAPED}", {}, 200)
    pusher = Pusher(running.api, PUSHER)
    pusher.start()
    await until(running.all_up, PATIENCE, "every tenant is up")
    began, longest = datetime.now(UTC), timedelta()

    # Prometheus was killed in between as well, so this also shows that it resumed.
    for part in PARTS:
        pusher.turn(down=True)
        killed = datetime.now(UTC)
        await running.kill(part)
        pusher.turn(down=False)
        await until(running.ready, PATIENCE, f"ready after {part} was killed")
        await until(running.all_up, PATIENCE, f"every tenant is up again after {part} was killed")
        longest = max(longest, datetime.now(UTC) - killed)
        acknowledged = len(pusher.acknowledged)

        async def pushed_more(seen: int = acknowledged) -> bool:
            return len(pusher.acknowledged) > seen + 5

        await until(pushed_more, PATIENCE, f"pushes are taken again after {part} was killed")

    await the_circle_through_alertmanager_is_closed(running)
    at = datetime.now(UTC)
    await running.caught_up(at, [BROKEN, UNBROKEN, SCRAPED, PUSHER])
    await pusher.stop()
    await nothing_acknowledged_is_missing(running, pusher)
    await blind_time_is_a_gap_with_its_reason(running, began, longest)
    await the_truth_is_within_the_bounds(running, pusher, at)


async def the_circle_through_alertmanager_is_closed(running: LiveStack) -> None:
    """Simulator → Prometheus → Alertmanager → our webhook → the tenant's socket; outages last until they are told."""
    async with running.session.ws_connect(f"{running.api}/ws/alerts/{BROKEN}") as socket:
        await until(lambda: is_broken_over_our_api(running), PATIENCE, f"an outage of {BROKEN} is taken")
        await running.break_tenant(SCRAPED, 3600.0)
        await asyncio.sleep(3)
        await running.kill("postgres")
        await it_is_told(socket, "firing")
        for name in (BROKEN, SCRAPED):
            await running.mend_tenant(name)
        await it_is_told(socket, "resolved")


async def is_broken_over_our_api(running: LiveStack) -> bool:
    """Whether it was taken; on a busy machine the simulator may not answer within our patience."""
    url = f"{running.api}/api/v1/simulator/failures/{BROKEN}/trigger"
    body = {"failure_type": "full_outage", "duration_seconds": 3600.0}
    async with running.session.post(url, json=body) as answer:
        assert answer.status in (202, 503), await answer.text()
        return answer.status == 202


async def it_is_told(socket: aiohttp.ClientWebSocketResponse, status: str) -> None:
    async with asyncio.timeout(PATIENCE):
        message: dict[str, Any] = {}
        while (message.get("type"), message.get("status")) != ("alertmanager", status):
            message = await socket.receive_json()
    assert "is down" in message["message"]


async def nothing_acknowledged_is_missing(running: LiveStack, pusher: Pusher) -> None:
    rows = await running.psql(
        "SELECT timestamp FROM monitoring_data WHERE tenant_id = 'pusher' AND metric_name = 'cpu_usage'"
    )
    stored = {r["timestamp"] for r in rows}
    missing = [s for s in pusher.acknowledged if datetime.fromisoformat(s) not in stored]
    assert len(pusher.acknowledged) > 100
    assert not missing
    # Deaths were noticed: some pushes were refused, none of them silently.
    assert pusher.refused


async def blind_time_is_a_gap_with_its_reason(
    running: LiveStack, began: datetime, longest: timedelta
) -> None:
    """`longest`: from a kill until everything was up again, which is the machine's speed and not ours."""
    rows = await running.psql(
        "SELECT t.tenant_id, s.state, s.reason, lower(s.period) AS at, upper(s.period) - lower(s.period) AS lasting"
        " FROM availability_spans s JOIN tenants t ON t.id = s.tenant ORDER BY 4"
    )
    gaps = [r for r in rows if r["state"] == "gap"]
    down = [r["tenant_id"] for r in rows if r["state"] == "down" and r["at"] > began]
    assert set(down) == {BROKEN, SCRAPED, PUSHER}, "being blind is not being down"
    assert down.count(PUSHER) == len(PARTS)
    assert all(r["reason"] for r in gaps)
    assert all(r["lasting"] < timedelta(seconds=30) + longest for r in gaps)
    # Whatever gaps the simulated tenants have, they start after a kill and both tenants have the same ones.
    by_tenant = {name: [r["reason"] for r in gaps if r["tenant_id"] == name] for name in (BROKEN, UNBROKEN)}
    assert len({tuple(v) for v in by_tenant.values()}) == 1


async def the_truth_is_within_the_bounds(running: LiveStack, pusher: Pusher, at: datetime) -> None:
    """Per tenant; what was pushed is known to the instant, whoever was dead when it happened."""
    rows = []
    for name in (BROKEN, UNBROKEN, SCRAPED, PUSHER):
        truth = pusher.truth(at) if name == PUSHER else await running.truth(name, at)
        assert bool(truth) is (name != UNBROKEN)
        rows += await running.compare(name, at, truth)
    print(table(rows))
    assert not [r for r in rows if r.outside_bounds > 1e-3]
    assert all(r.error < 1e-3 and not r.gaps for r in rows if r.tenant == PUSHER)
