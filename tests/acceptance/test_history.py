"""Fast-forwarded time: a simulated past gives enough history for a burn-rate page, and agrees with the truth."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ecpmon.app.history import import_history
from ecpmon.model.availability import SpanState
from ecpmon.storage.database import Database
from tests.acceptance.world import INTERVAL, World


async def test_an_outage_pages_when_both_windows_exceed(world: World) -> None:
    await world.add_tenant("paged")
    await world.advance(60)
    stored = await import_history(world.dsn, world.simulator_url, timedelta(hours=8), lambda *_: None)
    assert stored == 480
    body = {"failure_type": "full_outage", "duration_seconds": 600.0}
    began = world.clock.now()
    await world.call("POST", "/api/v1/simulator/failures/paged/trigger", body, 202)
    await world.advance(600)
    told = await world.receiver.wait_for(
        lambda seen: any(d.document["commonLabels"]["alertname"] == "sla_burn_rate_page" for d in seen)
    )
    [page] = [d.document for d in told if d.document["commonLabels"]["alertname"] == "sla_burn_rate_page"]
    assert (page["status"], page["commonLabels"]["tenant_id"]) == ("firing", "paged")
    after = datetime.fromisoformat(page["alerts"][0]["startsAt"]) - began
    # 14.4 × 0.5 % of an hour is 4.32 minutes of outage.
    assert timedelta(minutes=4.3) <= after <= timedelta(minutes=4.32, seconds=2 * INTERVAL)


async def test_the_imported_past_agrees_with_the_truth(world: World) -> None:
    await world.add_tenant("old")
    await world.advance(60)
    seen: list[str] = []
    await import_history(world.dsn, world.simulator_url, timedelta(days=9), lambda what, _: seen.append(what))
    again = await import_history(world.dsn, world.simulator_url, timedelta(days=9), lambda *_: None)
    assert again == 9 * 1440
    assert seen
    tenant = await world.runtime.tenants.get("old")
    now = world.clock.now()
    spans = await world.runtime.availability.timeline(tenant, now - timedelta(days=10), now)
    measured = sum(s.seconds for s in spans if s.state is SpanState.DOWN)
    truth = await world.truth("old")
    outages = [i for i in truth["intervals"] if i["state"] == "down"]
    # Each end of an outage is seen at the next observation, a minute away at most.
    assert abs(measured - truth["down_seconds"]) <= 60 * max(1, len(outages))
    assert [s for s in spans if s.state is SpanState.DOWN]
    points = await world.call("GET", "/api/v1/tenants/old/monitoring?metric_type=cpu&hours=200&interval=1h")
    assert len(points["metrics"]["cpu"]) >= 198


async def test_an_import_that_was_ended_is_gone_on_with_and_changes_nothing_that_was_there(
    world: World,
) -> None:
    for name in ("first", "second"):
        await world.add_tenant(name)
    await world.advance(60)
    end, days = world.clock.now(), timedelta(days=2)

    def ends(*_: object) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await import_history(world.dsn, world.simulator_url, days, ends, ("first", "second"), end)
    assert [await observed(world, name, end, days) for name in ("first", "second")] == [2_820, 1_120]
    await world.advance(600)
    told = await import_history(
        world.dsn, world.simulator_url, days, lambda *_: None, ("first", "second"), end
    )
    assert told == 2 * 2_880
    assert [await observed(world, name, end, days) for name in ("first", "second")] == [2_820, 2_820]


async def observed(world: World, name: str, end: datetime, days: timedelta) -> int:
    """Instants of the told past without its last hour, when the tenant was looked at as well."""
    tenant = await world.runtime.tenants.get(name)
    count = "SELECT count(DISTINCT ts) FROM frames WHERE tenant = $1 AND ts >= $2 AND ts < $3"
    database = Database(world.dsn, max_connections=1)
    try:
        return int(await database.fetchval(count, tenant.key, end - days, end - timedelta(hours=1)))
    finally:
        await database.close()
