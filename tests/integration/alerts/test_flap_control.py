"""Flap control over the real database: what it remembers is there for whoever evaluates next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.alerts import AlertRule, FlapPolicy, RuleStatus
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import RuleWithState
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from tests.integration.alerts.test_engine import Bench

MakeTenant = Callable[..., Awaitable[Tenant]]
POLICY = FlapPolicy(3, timedelta(minutes=10), timedelta(minutes=5))


class Rig:
    """Each evaluation is one of another process, as if whoever led had been killed since."""

    def __init__(self, database: Database, ingest: IngestStore, tenant: Tenant, *, at_ticks: bool) -> None:
        self.tenant = tenant
        self._make: Callable[[], Bench] = lambda: Bench(database, ingest, at_ticks=at_ticks, flap=POLICY)
        self.bench = self._make()
        self.now = -5.0

    async def play(self, script: str) -> None:
        """`T`: over the threshold, `f`: under it, `?`: nothing is heard; every 5 s."""
        for letter in script:
            self.now += 5
            self.bench = self._make()
            if letter != "?":
                await self.bench.observe(self.tenant, self.now, 1, 95 if letter == "T" else 10)
            await self.bench.evaluate(self.tenant, self.now)

    async def entry(self) -> RuleWithState:
        [found] = await self.bench.alerts.rules(self.tenant)
        return found

    async def bodies(self) -> list[dict[str, Any]]:
        """Of the messages, the one alert that each is about."""
        rows = await self.bench.database.fetch(
            "SELECT e.body FROM notifications n JOIN alert_events e USING (tenant, event_id)"
            " WHERE n.tenant = $1 ORDER BY n.notification_id",
            self.tenant.key,
        )
        return [alert for row in rows for alert in row["body"]["alerts"]]


@pytest.fixture(params=[False, True], ids=["by itself", "at ticks"])
async def rig(
    request: pytest.FixtureRequest, database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> Rig:
    made = Rig(database, ingest, await make_tenant(), at_ticks=request.param)
    await made.bench.rule(made.tenant, "cpu > 80")
    return made


async def test_two_minutes_of_changes_are_six_messages_whoever_evaluates(rig: Rig) -> None:
    await rig.play("Tf" * 12)
    told = await rig.bodies()
    assert [a["status"] for a in told] == ["firing", "resolved"] * 2 + ["firing"]
    assert [a["annotations"].get("flapping") for a in told] == [None] * 4 + ["true"]
    assert "flapping" in told[-1]["annotations"]["summary"]
    entry = await rig.entry()
    assert (entry.state.status, entry.state.flapping, entry.state.flaps.untold) == (
        RuleStatus.INACTIVE, True, 19,
    )  # fmt: skip
    assert entry.alert_id is not None
    events = await rig.bench.alerts.recent_events(rig.tenant, 100)
    assert len(events) == 24, "each change is on record"
    assert {e.alert_id for e in events if e.flapping} == {entry.alert_id}
    assert sum(e.flapping for e in events) == 20

    await rig.play("f" * 59)
    assert len(await rig.bodies()) == 5
    await rig.play("f")
    last = (await rig.bodies())[-1]
    assert (last["status"], last["annotations"]["reason"], last["annotations"]["suppressed"]) == (
        "resolved", "calmed", "19",
    )  # fmt: skip
    assert last["startsAt"] == told[-1]["startsAt"]
    entry = await rig.entry()
    assert (entry.state.flapping, entry.alert_id) == (False, None)
    [newest, *_] = await rig.bench.alerts.recent_events(rig.tenant, 1)
    assert (newest.reason, newest.suppressed, newest.flapping) == ("calmed", 19, False)
    await rig.play("f" * 5)
    assert len(await rig.bodies()) == 6


async def test_an_outage_that_ends_the_flapping_is_told_as_one_and_its_end_at_once(rig: Rig) -> None:
    await rig.play("Tf" * 4 + "T" * 61)
    last = (await rig.bodies())[-1]
    assert (last["status"], last["annotations"]["suppressed"]) == ("firing", "4")
    await rig.play("f")
    last = (await rig.bodies())[-1]
    assert (last["status"], last["annotations"]["reason"]) == ("resolved", "resolved")
    assert len(await rig.bodies()) == 7


async def test_who_falls_silent_while_flapping_calms_as_it_was_seen_last(rig: Rig) -> None:
    await rig.play("Tf" * 4 + "?" * 60)
    last = (await rig.bodies())[-1]
    assert (last["status"], last["annotations"]["reason"]) == ("resolved", "calmed")
    assert (await rig.entry()).state.frozen


async def test_a_flapping_rule_that_is_deleted_or_changed_is_resolved_for_who_was_told(rig: Rig) -> None:
    await rig.play("Tf" * 4)
    rule: AlertRule = (await rig.entry()).rule
    await rig.bench.desk.delete(rig.tenant, rule.rule_id, rig.bench.events[-1].at)
    last = (await rig.bodies())[-1]
    assert (last["status"], last["annotations"]["suppressed"]) == ("resolved", "3")
