"""Timelines of incidents: one restart each, whatever Alertmanager says when, and none of who is measured up.

Real database, simulator and receiver on one clock; Alertmanager's messages are posted as it sends them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.test_recovery import (
    FIVE_MINUTES,
    crash,
    next_recovery,
    outage,
    pods,
    recoveries,
    tell,
    told,
    turn,
)
from tests.acceptance.world import World

MINUTE = timedelta(minutes=1)
# Two and a half intervals of the simulator, and the turn after them.
HOLDS = 15


@pytest.fixture
async def lost(world: World) -> World:
    """A world with a tenant that no restart helps."""
    await world.add_tenant("broken")
    await world.advance(60)
    await outage(world, "broken", 3600)
    await world.advance(15)
    return world


@pytest.fixture
async def healthy(world: World) -> World:
    await world.add_tenant("fine")
    await world.advance(60)
    return world


async def reasons(world: World, number: int) -> list[str]:
    """What people were told."""
    return [d.document["alerts"][0]["annotations"]["reason"] for d in await told(world, number)]


async def rows(world: World, tenant_id: str, *fields: str) -> list[tuple[Any, ...]]:
    """Oldest first."""
    found = sorted(
        await recoveries(world, tenant_id), key=lambda r: (r["created_at"], r["state"] == "joined")
    )
    return [tuple(r[f] for f in fields) for r in found]


async def over(world: World, tenant_id: str, starts_at: datetime, **change: Any) -> None:
    ends_at = world.clock.now().isoformat()
    assert await tell(world, tenant_id, starts_at=starts_at, status="resolved", endsAt=ends_at, **change) == 0


async def test_a_new_start_of_the_same_firing_restarts_nothing_before_or_after_people_are_called(
    lost: World,
) -> None:
    world = lost
    await tell(world, "broken")
    await turn(world)
    restarted = await pods(world, "broken")
    await world.advance(60)
    assert await tell(world, "broken") == 1  # Prometheus was started anew
    await turn(world)
    await turn(world, FIVE_MINUTES - 60)
    assert await rows(world, "broken", "state", "reason") == [
        ("escalated", "still_down"), ("joined", "recovery_under_way"),
    ]  # fmt: skip
    for _ in range(3):
        await world.advance(60)
        assert await tell(world, "broken") == 1
        await turn(world)
    await turn(world, FIVE_MINUTES)
    found = await rows(world, "broken", "state", "tries", "joined_to")
    [incident] = [r["recovery_id"] for r in await recoveries(world, "broken") if r["state"] == "escalated"]
    assert found == [("escalated", 1, None), *[("joined", 0, incident)] * 4]
    assert await pods(world, "broken") == restarted
    assert await reasons(world, 2) == ["measured_down", "still_down"]


async def test_a_new_start_after_the_tenant_was_up_is_a_new_incident(world: World) -> None:
    await world.add_tenant("broken")
    await world.advance(60)
    await outage(world, "broken", 400)
    await world.advance(15)
    await tell(world, "broken")
    await turn(world)
    await turn(world, FIVE_MINUTES)
    assert await rows(world, "broken", "state") == [("escalated",)]
    # Up for a minute and a half between two looks, and down again when the next message comes.
    await world.advance(190)
    await outage(world, "broken", 3600)
    await world.advance(15)
    await tell(world, "broken")
    await turn(world)
    assert await rows(world, "broken", "state", "reason", "tries") == [
        ("recovered", "up_after_escalation", 1), ("waiting", "restarted", 1),
    ]  # fmt: skip
    said = await reasons(world, 4)
    assert said[:2] == ["measured_down", "still_down"]
    # Of one incident things are told in order; what is told of two may cross.
    assert sorted(said[2:]) == ["measured_down", "up_after_escalation"]


async def test_an_alert_that_never_resolved_begins_the_next_incident_at_the_next_look(world: World) -> None:
    """Alertmanager repeats after hours only."""
    await world.add_tenant("broken")
    await world.advance(60)
    await outage(world, "broken", 400)
    await world.advance(15)
    await tell(world, "broken")
    await turn(world)
    await turn(world, FIVE_MINUTES)
    await world.advance(190)
    await outage(world, "broken", 3600)
    await turn(world, FIVE_MINUTES - 190)
    await turn(world)
    assert await rows(world, "broken", "state", "reason", "tries") == [
        ("recovered", "up_after_escalation", 1), ("waiting", "restarted", 1),
    ]  # fmt: skip
    first, second = sorted(await recoveries(world, "broken"), key=lambda r: r["created_at"])
    assert first["alert_starts_at"] == second["alert_starts_at"]


async def test_up_for_a_moment_is_no_end_of_an_incident(world: World) -> None:
    await world.add_tenant("broken")
    await world.advance(60)
    await outage(world, "broken", 350)
    await world.advance(15)
    await tell(world, "broken")
    await turn(world)
    await turn(world, FIVE_MINUTES)
    # Up for 40 s.
    await turn(world, 55)
    await world.advance(20)
    await outage(world, "broken", 3600)
    await world.advance(15)
    await tell(world, "broken")
    await turn(world)
    await turn(world, 60)
    assert await rows(world, "broken", "state", "tries") == [("escalated", 1), ("joined", 0)]


async def test_the_same_alert_begins_a_new_incident_when_the_tenant_is_down_again_under_it(
    world: World,
) -> None:
    """Alertmanager repeats what never resolved; in between our evidence said up."""
    await world.add_tenant("broken")
    await world.advance(60)
    began = world.clock.now()
    await outage(world, "broken", 100)
    await world.advance(15)
    assert await tell(world, "broken", starts_at=began) == 1
    await turn(world)
    await turn(world, FIVE_MINUTES)
    assert await tell(world, "broken", starts_at=began) == 0  # up
    await outage(world, "broken", 100)
    await world.advance(15)
    assert await tell(world, "broken", starts_at=began) == 1
    assert await tell(world, "broken", starts_at=began) == 0
    await turn(world)
    assert await rows(world, "broken", "state", "reason", "tries") == [
        ("recovered", "up_again", 1), ("waiting", "restarted", 1),
    ]  # fmt: skip
    # After `resolved` a repeated message is an old one.
    await turn(world, FIVE_MINUTES)
    await over(world, "broken", began)
    await outage(world, "broken", 100)
    await world.advance(15)
    assert await tell(world, "broken", starts_at=began) == 0
    assert await tell(world, "broken") == 1


async def test_resolved_without_firing_does_nothing_and_a_firing_that_comes_after_it_neither(
    lost: World,
) -> None:
    world, began, before = lost, lost.clock.now(), await pods(lost, "broken")
    await over(world, "broken", began)
    await turn(world)
    assert await rows(world, "broken", "state") == []
    assert await tell(world, "broken", starts_at=began) == 1
    await turn(world)
    assert await rows(world, "broken", "state", "reason") == [("recovered", "resolved_before_restart")]
    await world.advance(30)
    assert await pods(world, "broken") == before
    await told(world, 0)
    # The next firing is one of its own.
    await tell(world, "broken")
    await turn(world)
    assert (await rows(world, "broken", "state", "tries"))[1:] == [("waiting", 1)]


async def test_a_start_that_lies_ahead_counts_from_when_it_was_told(lost: World) -> None:
    world, ahead = lost, lost.clock.now() + 4 * MINUTE
    # Over before its time.
    await tell(world, "broken", starts_at=ahead, fingerprint="one")
    await world.advance(5)
    await over(world, "broken", ahead - MINUTE, fingerprint="one")
    await turn(world)
    assert await rows(world, "broken", "state", "reason") == [("recovered", "resolved_before_restart")]
    await tell(world, "broken", starts_at=ahead, fingerprint="two")
    await turn(world)
    assert (await rows(world, "broken", "state", "tries"))[1:] == [("waiting", 1)]


async def test_a_second_fingerprint_is_the_same_outage_also_after_people_were_called(lost: World) -> None:
    world, began = lost, lost.clock.now()
    await tell(world, "broken", starts_at=began, fingerprint="one")
    await tell(world, "broken", starts_at=began, fingerprint="two")
    await over(world, "broken", began, fingerprint="one")
    await turn(world)  # the other one still fires
    await turn(world, FIVE_MINUTES)
    await tell(world, "broken", fingerprint="three")
    await turn(world)
    assert await rows(world, "broken", "fingerprint", "state", "tries") == [
        ("one", "escalated", 1), ("two", "joined", 0), ("three", "joined", 0),
    ]  # fmt: skip


async def test_an_alert_about_a_tenant_that_is_up_is_told_and_not_acted_upon(healthy: World) -> None:
    world, before = healthy, await pods(healthy, "fine")
    socket = await world.session.ws_connect(f"{world.api}/ws/alerts/fine")
    began = world.clock.now()
    await tell(world, "fine")
    await turn(world)
    assert await rows(world, "fine", "state", "reason") == [("checking", "awaiting_evidence")]
    await turn(world, HOLDS)
    assert await rows(world, "fine", "state", "reason", "tries") == [("doubted", "measured_up", 0)]
    heard = await next_recovery(socket)
    assert (heard["status"], "measured up" in heard["message"]) == ("firing", True)
    [notice] = await told(world, 1)
    assert (notice.document["status"], notice.path) == ("firing", "/hook/sla")
    # However long it fires, and with whatever start.
    await turn(world, FIVE_MINUTES)
    await tell(world, "fine")
    await turn(world, 60)
    assert await pods(world, "fine") == before
    assert (await world.call("GET", "/api/v1/tenants/fine/incidents"))["incidents"] == []
    await over(world, "fine", began)
    await turn(world, 60)
    assert await rows(world, "fine", "state", "reason") == [
        ("recovered", "resolved_before_restart"), ("joined", "recovery_under_way"),
    ]  # fmt: skip
    assert [d.document["status"] for d in await told(world, 2)] == ["firing", "resolved"]


async def test_a_doubted_alert_whose_tenant_goes_down_later_is_a_real_one(healthy: World) -> None:
    """The alert was right, and minutes ahead; or its `resolved` never came, and this is another outage."""
    world = healthy
    await tell(world, "fine")
    await turn(world, HOLDS)
    await crash(world, "fine")
    await turn(world, 60)
    assert await rows(world, "fine", "state", "reason", "tries") == [("waiting", "restarted", 1)]
    await turn(world, FIVE_MINUTES)
    assert await reasons(world, 3) == ["measured_up", "measured_down", "up_again"]


async def test_evidence_that_comes_a_moment_after_the_alert_is_waited_for(healthy: World) -> None:
    world = healthy
    await crash(world, "fine")
    await tell(world, "fine")
    await turn(world)
    assert await rows(world, "fine", "state", "reason") == [("checking", "awaiting_evidence")]
    await turn(world, 5)
    assert await rows(world, "fine", "state", "tries") == [("waiting", 1)]
    assert await reasons(world, 1) == ["measured_down"]


async def test_who_does_not_spare_the_healthy_restarts_at_once(world_of: Callable[..., World]) -> None:
    async with world_of(recovery_spares_healthy=False) as world:
        await world.add_tenant("fine")
        await world.advance(60)
        await tell(world, "fine")
        await turn(world)
        assert await rows(world, "fine", "state", "tries") == [("waiting", 1)]


async def test_a_gap_prevents_no_restart(healthy: World) -> None:
    world = healthy
    await world.advance_clocks(60)  # nobody pulls
    await tell(world, "fine")
    await turn(world)
    assert await rows(world, "fine", "state", "reason") == [("checking", "awaiting_evidence")]
    await world.advance_clocks(HOLDS)
    await turn(world)
    assert await rows(world, "fine", "state", "tries") == [("waiting", 1)]
    assert await reasons(world, 1) == ["alert_believed"]


async def test_an_alert_that_comes_while_ecpmon_starts_is_judged_by_what_it_then_measures(
    healthy: World,
) -> None:
    world, before = healthy, await pods(healthy, "fine")
    await tell(world, "fine")
    await world.stop_service()
    await world.advance_clocks(600)
    await world.start_service()
    await turn(world, 5)
    # Its time was up long ago, and since then it was seen to be up.
    assert await rows(world, "fine", "state", "reason") == [("doubted", "measured_up")]
    await world.advance(30)
    assert await pods(world, "fine") == before


async def test_an_incident_survives_a_restart_of_ecpmon_and_a_new_start_after_it_restarts_nothing(
    lost: World,
) -> None:
    world = lost
    await tell(world, "broken")
    await turn(world)
    await turn(world, FIVE_MINUTES)
    await world.stop_service()
    await world.advance_clocks(600)
    await world.start_service()
    assert await tell(world, "broken") == 1
    await turn(world)
    await turn(world, 30)
    assert await rows(world, "broken", "state", "tries") == [("escalated", 1), ("joined", 0)]
    assert await reasons(world, 2) == ["measured_down", "still_down"]


async def test_maintenance_that_ends_with_the_tenant_up_restarts_nothing(lost: World) -> None:
    world, now = lost, lost.clock.now()
    planned = {"start": now.isoformat(), "end": (now + 5 * MINUTE).isoformat(), "reason": "new disks"}
    await world.call("POST", "/api/v1/tenants/broken/maintenance", planned, 201)
    await tell(world, "broken")
    await turn(world)
    await world.call("DELETE", "/api/v1/simulator/failures/broken")
    await turn(world, FIVE_MINUTES)
    assert await rows(world, "broken", "state", "reason", "tries") == [("doubted", "measured_up", 0)]


async def test_an_outage_says_which_recovery_belongs_to_it(world: World) -> None:
    await world.add_tenant("broken")
    await world.advance(60)
    await outage(world, "broken", 60)
    await world.advance(120)
    await outage(world, "broken", 100)
    await world.advance(15)
    await tell(world, "broken", fingerprint="one")
    await tell(world, "broken", fingerprint="two")
    await turn(world)
    await turn(world, FIVE_MINUTES)
    await tell(world, "broken", fingerprint="three")
    await turn(world, HOLDS)
    found = await world.call("GET", "/api/v1/tenants/broken/incidents")
    first, second = found["incidents"]
    assert first["recoveries"] == []
    [belongs] = second["recoveries"]
    assert (belongs["fingerprint"], belongs["joined_alerts"], belongs["state"]) == ("one", 1, "recovered")
    assert belongs["recovery_id"] in {r["recovery_id"] for r in await recoveries(world, "broken")}
    [doubted] = found["other_recoveries"]
    assert (doubted["fingerprint"], doubted["state"]) == ("three", "doubted")
