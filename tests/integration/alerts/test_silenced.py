"""Silences over the real database: what is silenced changes its state, is on record, and is in nobody's outbox."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from ecpmon.alerts.after_silence import AfterSilence
from ecpmon.model.silences import Matcher, Silence
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.hushed import PgHushed
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.quarantine import PgQuarantine
from ecpmon.storage.silences import PgSilenceStore
from tests.integration.alerts.test_engine import Bench, at
from tests.integration.conftest import T0, MakeTenant


class World(Bench):
    """One tenant with a rule, `cpu > 80`; seconds since T0."""

    def __init__(self, database: Database, ingest: IngestStore, tenant: Tenant, *, at_ticks: bool) -> None:
        super().__init__(database, ingest, at_ticks=at_ticks)
        self.tenant = tenant
        self.silences = PgSilenceStore(database)
        hushed, quarantine = PgHushed(database, Notifying()), PgQuarantine(database)
        self.after = AfterSilence(hushed, "http://ecpmon.example", self.events.append, quarantine)

    async def silence(self, start: float, end: float, **more: object) -> Silence:
        tenant = more.pop("tenant", self.tenant)
        assert isinstance(tenant, Tenant)
        made = Silence(
            str(uuid.uuid4()), Matcher(), at(start), timedelta(seconds=end - start), "upgrade", "ann", T0,
            ends_at=at(end),
        )  # fmt: skip
        made = replace(made, **more)  # type: ignore[arg-type]
        assert await self.silences.add([tenant.key], made) == [tenant.tenant_id]
        return made

    async def cpu(self, seconds: float, value: float) -> list[str]:
        await self.observe(self.tenant, seconds, 1, value)
        return await self.evaluate(self.tenant, seconds)

    async def look(self, seconds: float) -> int:
        """Whether a silence is over; how many alerts of the tenant are told for it."""
        before = len(self.events)
        await self.after.run_once(at(seconds))
        return sum(e.tenant_id == self.tenant.tenant_id for e in self.events[before:])

    async def told(self) -> list[str]:
        return await self.notifications(self.tenant)

    async def recorded(self) -> list[tuple[str, str | None]]:
        """What happened, oldest first, and for which silence nobody was told."""
        found = await self.alerts.recent_events(self.tenant, 100)
        return [(e.to_state, e.silenced_by) for e in reversed(found)]


@pytest.fixture(params=[False, True], ids=["by itself", "at ticks"])
async def world(
    request: pytest.FixtureRequest, database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> World:
    made = World(database, ingest, await make_tenant(), at_ticks=request.param)
    await made.rule(made.tenant, "cpu > 80")
    return made


async def test_what_begins_and_ends_in_a_silence_is_on_record_and_told_nobody(world: World) -> None:
    silence = await world.silence(0, 60)
    assert await world.cpu(5, 90) == ["r:inactive>firing"]
    assert await world.cpu(10, 10) == ["r:firing>inactive"]
    assert await world.told() == []
    assert await world.recorded() == [("firing", silence.silence_id), ("inactive", silence.silence_id)]
    own = [e for e in world.events if e.tenant_id == world.tenant.tenant_id]
    assert {e.silenced_by for e in own} == {silence.silence_id}
    assert await world.look(61) == 0


async def test_who_was_told_before_is_told_the_end_also_in_a_silence(world: World) -> None:
    await world.cpu(5, 90)
    await world.silence(6, 60)
    await world.cpu(10, 10)
    assert await world.told() == ["firing", "resolved"]
    await world.cpu(15, 90)
    assert await world.told() == ["firing", "resolved"]


async def test_what_fires_when_its_silence_is_over_is_told_then_and_so_is_its_end(world: World) -> None:
    silence = await world.silence(0, 60)
    await world.cpu(5, 90)
    assert await world.look(59) == 0
    assert await world.look(60) == 1
    assert await world.look(65) == 0
    assert await world.told() == ["firing"]
    assert "silence_over" in {e.reason for e in world.events}
    rows = await world.database.fetch(
        "SELECT body FROM alert_events WHERE tenant = $1 ORDER BY event_id DESC LIMIT 1", world.tenant.key
    )
    [alert] = rows[0]["body"]["alerts"]
    assert (alert["startsAt"], alert["status"]) == ("2026-03-01T00:00:05Z", "firing")
    await world.cpu(70, 10)
    assert await world.told() == ["firing", "resolved"]
    assert [by for _, by in await world.recorded()] == [silence.silence_id, None, None]


async def test_what_is_over_before_anybody_could_be_told_is_told_nobody(world: World) -> None:
    await world.silence(0, 60)
    await world.cpu(5, 90)
    await world.cpu(61, 10)
    assert await world.told() == []
    assert await world.look(62) == 0


async def test_a_silence_that_somebody_ends_is_over_at_once(world: World) -> None:
    silence = await world.silence(0, 600)
    await world.cpu(5, 90)
    assert await world.silences.end([world.tenant.key], silence.silence_id, "bob", at(10)) == [
        world.tenant.tenant_id
    ]
    assert await world.silences.end([world.tenant.key], silence.silence_id, "bob", at(11)) == []
    assert await world.look(10) == 1
    assert await world.told() == ["firing"]


async def test_a_second_silence_takes_over_from_the_first(world: World) -> None:
    await world.silence(0, 60)
    await world.cpu(5, 90)
    await world.silence(30, 120)
    assert await world.look(90) == 0
    assert await world.look(120) == 1


async def test_a_rule_that_is_deleted_tells_its_end_to_whom_it_told_its_begin(world: World) -> None:
    await world.silence(0, 60)
    await world.cpu(5, 90)
    [entry] = await world.alerts.rules(world.tenant)
    await world.desk.delete(world.tenant, entry.rule.rule_id, at(10))
    assert await world.told() == []
    left = "SELECT count(*) FROM alert_hushed WHERE tenant = $1"
    assert await world.database.fetchval(left, world.tenant.key) == 0


async def test_a_silence_is_nothing_to_other_tenants_rules_and_times(
    world: World, make_tenant: MakeTenant
) -> None:
    await world.silence(0, 60, tenant=await make_tenant())
    await world.silence(0, 60, matcher=Matcher(rule_id=str(uuid.uuid4())))
    await world.silence(0, 60, matcher=Matcher(alerts=("other*",)))
    await world.silence(-3600, 1, rrule="FREQ=WEEKLY", ends_at=None)
    await world.cpu(5, 90)
    assert await world.told() == ["firing"]


async def test_one_that_recurs_silences_each_of_its_times(world: World) -> None:
    day = 86_400
    await world.silence(-day, -day + 60, rrule="FREQ=DAILY", ends_at=None)
    await world.cpu(5, 90)
    assert await world.told() == []
    assert await world.look(60) == 1
    await world.cpu(70, 10)
    assert await world.told() == ["firing", "resolved"]
