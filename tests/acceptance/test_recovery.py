"""Timelines of automatic recovery: people are told, one restart, a look after five minutes, people are called.

Real database, simulator and receiver; Alertmanager's messages are posted as it sends them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.acceptance.world import INTERVAL, Delivery, World
from tests.waiting import PATIENCE

FIVE_MINUTES = 300


def message(tenant_id: str, starts_at: datetime, status: str = "firing", **change: Any) -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": "ECPTenantDown", "severity": "critical", "tenant_id": tenant_id},
        "annotations": {"summary": f"Tenant {tenant_id} is down"},
        "startsAt": starts_at.isoformat().replace("+00:00", "Z"),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "c3b1a7d5e9f00112",
        **change,
    }
    return {"version": "4", "status": status, "receiver": "ecpmon", "alerts": [alert]}


async def tell(world: World, tenant_id: str, **change: Any) -> int:
    """Post the alert; the number of recoveries begun."""
    starts_at = change.pop("starts_at", world.clock.now())
    body = message(tenant_id, starts_at, **change)
    answer = await world.call("POST", "/api/v1/webhooks/tenant-alert", body)
    assert answer["status"] == "processed"
    return int(answer["recoveries"])


async def turn(world: World, seconds: float = 0) -> None:
    """Time passes, then the job has its turn."""
    if seconds:
        await world.advance(seconds)
    await world.runtime.work.recover()


async def recoveries(world: World, tenant_id: str) -> list[dict[str, Any]]:
    document = await world.call("GET", f"/api/v1/tenants/{tenant_id}/recoveries")
    found: list[dict[str, Any]] = document["recoveries"]
    return found


async def pods(world: World, tenant_id: str) -> set[str]:
    status = await world.sim("GET", f"/api/v1/tenants/{tenant_id}")
    return {pod["uid"] for service in status["services"] for pod in service["pods"]}


async def crash(world: World, tenant_id: str) -> None:
    """Redis has one pod; a crash of that very pod lasts until somebody replaces it."""
    body = {
        "failure_type": "pod_crash", "severity": 0.5, "duration_seconds": 3600.0, "target_service": "redis",
    }  # fmt: skip
    await world.sim("POST", f"/api/v1/failures/{tenant_id}", body)


async def outage(world: World, tenant_id: str, seconds: float = 3600) -> None:
    body = {"failure_type": "full_outage", "duration_seconds": float(seconds)}
    await world.call("POST", f"/api/v1/simulator/failures/{tenant_id}/trigger", body, 202)


async def next_recovery(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            message: dict[str, Any] = await socket.receive_json()
            if message["type"] == "recovery":
                return message


async def told(world: World, number: int) -> list[Delivery]:
    """The notices about recoveries, once there are `number` of them."""

    def about(seen: list[Delivery]) -> list[Delivery]:
        return [d for d in seen if d.document["commonLabels"].get("alertname") == "ECPTenantRecovery"]

    found = about(await world.receiver.wait_for(lambda seen: len(about(seen)) >= number))
    assert len(found) == number
    return found


@pytest.fixture
async def down(world: World) -> World:
    """A world with a tenant that a restart would help."""
    await world.add_tenant("broken")
    await world.add_tenant("fine")
    await world.advance(60)
    await crash(world, "broken")
    await world.advance(15)
    return world


async def test_a_restart_that_helps(down: World) -> None:
    world, before, others = down, await pods(down, "broken"), await pods(down, "fine")
    began = world.clock.now()
    assert await tell(world, "broken") == 1
    await turn(world)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"], row["tries"]) == ("waiting", "restarted", 1)
    assert row["next_check_at"] == (began + timedelta(minutes=5)).isoformat().replace("+00:00", "Z")

    # The same alert again, and all the turns until then, do nothing more.
    assert await tell(world, "broken", starts_at=began) == 0
    await turn(world, 60)
    after = await pods(world, "broken")
    assert not after & before
    assert row["restarted_deployments"] == len((await world.sim("GET", "/api/v1/tenants/broken"))["services"])
    await turn(world, FIVE_MINUTES - 60 - INTERVAL)
    assert (await recoveries(world, "broken"))[0]["state"] == "waiting"
    assert await pods(world, "broken") == after
    assert await pods(world, "fine") == others

    await turn(world, INTERVAL)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"], row["next_check_at"]) == ("recovered", "up_again", None)
    begin, end = await told(world, 2)
    assert [d.document["status"] for d in (begin, end)] == ["firing", "resolved"]
    assert begin.document["alerts"][0]["annotations"]["reason"] == "measured_down"
    assert begin.document["commonLabels"]["tenant_id"] == "broken"
    assert begin.document["alerts"][0]["fingerprint"] == end.document["alerts"][0]["fingerprint"]
    assert await recoveries(world, "fine") == []


async def test_still_down_is_escalated_and_its_end_is_told(world: World) -> None:
    await world.add_tenant("broken")
    await world.advance(60)
    await outage(world, "broken", 900)
    await world.advance(15)
    socket = await world.session.ws_connect(f"{world.api}/ws/alerts/broken")
    await tell(world, "broken")
    await turn(world)
    await turn(world, FIVE_MINUTES)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"]) == ("escalated", "still_down")
    heard = [await next_recovery(socket) for _ in range(3)]
    assert [m["status"] for m in heard] == ["firing", "firing", "firing"]
    assert "measured down" in heard[0]["message"]
    assert "waiting" in heard[1]["message"]
    assert "still down" in heard[2]["message"]
    begin, notice = await told(world, 2)
    assert begin.document["alerts"][0]["annotations"]["reason"] == "measured_down"
    assert (notice.document["status"], notice.path) == ("firing", "/hook/sla")
    assert notice.document["alerts"][0]["annotations"]["reason"] == "still_down"

    # It was told once, and is looked at until it is up.
    await turn(world, FIVE_MINUTES)
    assert (await recoveries(world, "broken"))[0]["state"] == "escalated"
    await turn(world, FIVE_MINUTES + 60)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"], row["tries"]) == ("recovered", "up_after_escalation", 1)
    assert [n.document["status"] for n in await told(world, 3)] == ["firing", "firing", "resolved"]


async def test_the_recheck_survives_a_restart_of_the_process(down: World) -> None:
    world = down
    await tell(world, "broken")
    await turn(world)
    after = await pods(world, "broken")
    await world.stop_service()
    await world.advance_clocks(FIVE_MINUTES + 60)
    await world.start_service()
    # What is behind it is a gap, and evidence comes in a moment.
    await turn(world)
    assert (await recoveries(world, "broken"))[0]["state"] == "waiting"
    await turn(world, 30)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"]) == ("waiting", "settling")
    await turn(world, 60)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"], row["tries"]) == ("recovered", "up_again", 1)
    assert after & await pods(world, "broken")
    await told(world, 2)


async def test_a_process_killed_while_restarting_restarts_no_second_time(
    down: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployer was called and its answer was never stored; whoever comes next calls it with the same stamp."""
    world = down
    store = world.runtime.recoverer._recoveries
    advance = store.advance

    async def killed(recovery: Any, step: Any, now: datetime) -> Any:
        if step.state.value == "waiting":
            raise KeyboardInterrupt
        return await advance(recovery, step, now)

    await tell(world, "broken")
    with monkeypatch.context() as patch:
        patch.setattr(store, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            await world.runtime.work.recover()
    await world.advance(60)
    after = await pods(world, "broken")
    await turn(world)
    assert (await recoveries(world, "broken"))[0]["state"] == "restarting"  # the claim still holds
    await turn(world, 65)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["tries"]) == ("waiting", 2)
    await world.advance(30)
    assert await pods(world, "broken") == after


async def test_a_process_killed_between_telling_and_restarting_restarts_once(
    down: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, before = down, await pods(down, "broken")

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    await tell(world, "broken")
    with monkeypatch.context() as patch:
        patch.setattr(world.runtime.recoverer._recoveries, "mark_restart", killed)
        with pytest.raises(KeyboardInterrupt):
            await world.runtime.work.recover()
    await told(world, 1)
    await turn(world, 60)
    assert await pods(world, "broken") == before  # the claim still holds
    await turn(world, 65)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["tries"]) == ("waiting", 1)
    await world.advance(30)
    assert not await pods(world, "broken") & before
    await told(world, 1)


async def test_two_processes_act_once(down: World) -> None:
    """The same row is due for both; only one of them gets it."""
    world, began = down, down.clock.now()
    await tell(world, "broken")
    runtime = world.runtime
    turns = [runtime.recoverer.run_once(began), runtime.recoverer.run_once(began)]
    assert sorted(await asyncio.gather(*turns)) == [0, 1]
    assert [r["tries"] for r in await recoveries(world, "broken")] == [1]


async def test_nothing_to_restart_with_is_said_and_not_faked(world: World) -> None:
    await world.add_tenant("pushed", deploy=False)
    await tell(world, "pushed")
    await turn(world)
    [row] = await recoveries(world, "pushed")
    assert (row["state"], row["reason"]) == ("checking", "awaiting_evidence")
    await turn(world, 150)  # two and a half intervals of a tenant that pushes each minute
    [row] = await recoveries(world, "pushed")
    assert (row["state"], row["reason"], row["restarted_at"]) == ("escalated", "not_deployed", None)
    reasons = [d.document["alerts"][0]["annotations"]["reason"] for d in await told(world, 2)]
    assert reasons == ["alert_believed", "not_deployed"]


async def test_a_tenant_that_nobody_measures_is_not_called_recovered(down: World) -> None:
    world = down
    await tell(world, "broken")
    await turn(world)
    for seconds, expected in (
        (FIVE_MINUTES, ("waiting", "awaiting_evidence")),
        (13, ("escalated", "not_measured")),
    ):
        await world.advance_clocks(seconds)  # nobody pulls
        await turn(world)
        [row] = await recoveries(world, "broken")
        assert (row["state"], row["reason"]) == expected


async def test_a_simulator_that_is_away_is_asked_again_and_then_people_are(down: World) -> None:
    world = down
    await tell(world, "broken")
    await world.kill_simulator()
    for expected in ("restarting", "restarting", "escalated"):
        await world.runtime.work.recover()
        [row] = await recoveries(world, "broken")
        assert row["state"] == expected, row
        world.clock.advance(10)
    assert (row["reason"], row["tries"]) == ("restart_failed", 3)
    assert "does not answer" in row["detail"]
    await world.start_simulator()


async def test_restarts_are_limited_as_the_settings_say(world_of: Callable[..., World]) -> None:
    limits = {"recovery_recheck": 60, "recovery_max_restarts": 2, "recovery_window": 600}
    async with world_of(**limits) as world:
        await world.add_tenant("broken")
        await world.advance(60)
        for number in range(3):
            await short_outage(world, number)
        rows = await recoveries(world, "broken")
        assert [r["reason"] for r in rows] == ["up_after_escalation", "up_again", "up_again"]
        assert [r["tries"] for r in rows] == [0, 1, 1]
        # When the window is over it may be tried again.
        await world.advance(480)
        await short_outage(world, 3)
        assert (await recoveries(world, "broken"))[0]["tries"] == 1


async def short_outage(world: World, number: int) -> None:
    """Half a minute down, of which Alertmanager tells; then up for long enough."""
    await outage(world, "broken", 30)
    await world.advance(15)
    await tell(world, "broken", fingerprint=f"f{number}")
    await turn(world)
    for _ in range(3):
        await turn(world, 60)


async def test_a_second_alert_joins_the_recovery_under_way(down: World) -> None:
    world = down
    await tell(world, "broken")
    assert await tell(world, "broken", fingerprint="from-another-prometheus") == 1
    await turn(world)
    rows = {r["fingerprint"]: r for r in await recoveries(world, "broken")}
    first, second = rows["c3b1a7d5e9f00112"], rows["from-another-prometheus"]
    assert (first["state"], second["state"]) == ("waiting", "joined")
    assert (first["joined_to"], second["joined_to"]) == (None, first["recovery_id"])


async def test_an_alert_that_is_over_before_the_restart_restarts_nothing(down: World) -> None:
    world, before, began = down, await pods(down, "broken"), down.clock.now()
    await tell(world, "broken")
    over = {"status": "resolved", "endsAt": began.isoformat()}
    assert await tell(world, "broken", starts_at=began, **over) == 0
    await turn(world)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"], row["tries"]) == ("recovered", "resolved_before_restart", 0)
    await world.advance(30)
    assert await pods(world, "broken") == before


async def test_planned_maintenance_is_waited_for(down: World) -> None:
    world, now = down, down.clock.now()
    planned = {
        "start": now.isoformat(), "end": (now + timedelta(minutes=10)).isoformat(), "reason": "new disks",
    }  # fmt: skip
    await world.call("POST", "/api/v1/tenants/broken/maintenance", planned, 201)
    await tell(world, "broken")
    await turn(world)
    [row] = await recoveries(world, "broken")
    assert (row["state"], row["reason"], row["tries"]) == ("checking", "in_maintenance", 0)
    for expected in ("checking", "waiting"):
        await turn(world, 300)
        [row] = await recoveries(world, "broken")
        assert row["state"] == expected
    assert row["tries"] == 1
