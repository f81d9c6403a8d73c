"""Rows that people insert and delete: the timeline and the rollups say what the rows that are left say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.spans import attribute, doubt_between, lay, make_head, timeline
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.migrations import migrate
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0, MakeTenant
from tests.integration.hand_made import insert_by_hand

UP = SeriesKey("sla", "up")
CPU = SeriesKey("cpu", "cpu_usage")
HOLDS = timedelta(seconds=12.5)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def frame(tenant: Tenant, seconds: float, up: float) -> Frame:
    samples = (Sample(UP, up), Sample(CPU, 10.0 * seconds))
    return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), samples)


async def spans_of(database: Database, tenant: Tenant, now: datetime) -> list[Span]:
    return await PgAvailabilityStore(database).timeline(tenant, at(-86_400), now)


async def take_in(database: Database) -> None:
    while await HandMade(database, DEFAULT_RULES).take_in(at(-3600), at(3600)):
        pass


def expected(left: dict[int, bool], now: datetime) -> list[Span]:
    seen = [Observation(at(5 * n), float(down), HOLDS, timedelta()) for n, down in sorted(left.items())]
    if not seen:
        return []
    doubt = doubt_between(seen[-2], seen[-1]) if len(seen) > 1 else 0.0
    closed, head = make_head(lay(seen, seen[-1].ts), seen[-1], doubt)
    return timeline(closed, head, now, None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    downs=st.dictionaries(st.integers(0, 30), st.booleans(), min_size=1, max_size=12),
    removed=st.lists(st.integers(0, 11), max_size=6),
    one_by_one=st.booleans(),
)
async def test_a_timeline_without_deleted_rows_is_that_of_the_rows_left(
    database: Database,
    ingest: IngestStore,
    make_tenant: MakeTenant,
    downs: dict[int, bool],
    removed: list[int],
    one_by_one: bool,
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch(tuple(frame(tenant, 5 * n, not down) for n, down in downs.items()))])
    left, instants = dict(downs), sorted(downs)
    for index in removed:
        left.pop(instants[index % len(instants)], None)
        gone = at(5 * instants[index % len(instants)])
        await database.execute("DELETE FROM frames WHERE tenant = $1 AND ts = $2", tenant.key, gone)
        if one_by_one:
            await take_in(database)
    await take_in(database)
    now = at(200)
    found = [replace(s, reason=None) for s in await spans_of(database, tenant, now)]
    assert found == expected(left, now)
    asked = Interval(at(-60), now)
    tallies = (await PgFastWindows(database).tallies({tenant.tenant_id: [asked]}, now)).get(tenant.tenant_id)
    down = sum(s.seconds for s in found if s.state is SpanState.DOWN)
    gap = sum(s.seconds for s in found if s.state is SpanState.GAP)
    if found:
        assert tallies is not None
        assert (tallies[asked].down, tallies[asked].gap) == (down, gap)
        assert tallies[asked].eligible == (now - found[0].start).total_seconds()
    else:
        assert tallies is None


async def test_the_gap_that_a_deleted_row_leaves_has_its_reason(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch(tuple(frame(tenant, s, 1) for s in (0, 20, 40)))])
    await database.execute("DELETE FROM frames WHERE tenant = $1 AND ts = $2", tenant.key, at(20))
    await take_in(database)
    found = await PgAvailabilityStore(database).timeline(tenant, at(-60), at(41), reasons=True)
    awake: list[Interval] = []
    seen = [Observation(at(s), 0.0, HOLDS, timedelta()) for s in (0, 40)]
    assert found == [
        *attribute(lay(seen, at(40)), awake, GapReason.TARGET_FAILED),
        Span(at(40), at(41), SpanState.UP),
    ]


async def test_a_tenant_that_was_down_by_mistake_is_up_when_the_row_is_deleted(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch((frame(tenant, 0, 1), frame(tenant, 5, 0)))])
    assert await PgFastWindows(database).states([tenant.tenant_id], at(6)) == {tenant.tenant_id: "down"}
    await database.execute("DELETE FROM frames WHERE tenant = $1 AND ts = $2", tenant.key, at(5))
    await take_in(database)
    assert await PgFastWindows(database).states([tenant.tenant_id], at(6)) == {tenant.tenant_id: "up"}


@pytest.mark.parametrize("everything", [True, False])
async def test_rollups_follow_deleted_rows(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, everything: bool
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch((frame(tenant, 1, 1), frame(tenant, 2, 1)))])
    store, upkeep = PgMonitoringStore(database), Upkeep(database)

    async def cpu_of(step: timedelta) -> list[float]:
        while await upkeep.roll_up(at(7200)):
            pass
        packed = await store.packed(tenant, at(0), at(3600), step, "cpu", Source.SIMULATOR)
        return [p.value for series in packed.open().values() for p in series]

    assert await cpu_of(timedelta(minutes=5)) == await cpu_of(timedelta(hours=1)) == [15.0]
    until = at(10) if everything else at(1)
    await database.execute("DELETE FROM frames WHERE tenant = $1 AND ts <= $2", tenant.key, until)
    left = [] if everything else [20.0]
    assert await cpu_of(timedelta(minutes=5)) == await cpu_of(timedelta(hours=1)) == left


async def test_a_tenant_whose_timeline_is_damaged_stops_no_other_and_loses_nothing(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    sick, well = await make_tenant(), await make_tenant()
    await ingest.commit([Batch((frame(sick, 0, 1), frame(well, 0, 1)))])
    damage = f"ADD CONSTRAINT damaged CHECK (tenant <> {sick.key}) NOT VALID"
    await database.execute(f"ALTER TABLE availability_spans {damage}")
    result, other = await ingest.commit([Batch((frame(sick, 5, 0),)), Batch((frame(well, 5, 0),))])
    assert (result.accepted, other.accepted) == (2, 2)
    assert [(c.tenant_id, c.state) for c in other.changes] == [(well.tenant_id, SpanState.DOWN)]
    [both] = await ingest.commit([Batch((frame(sick, 10, 1), frame(well, 10, 1)))])
    assert both.accepted == 4
    assert [s.state for s in await spans_of(database, well, at(11))] == ["up", "down", "up"]
    keeper = HandMade(database, DEFAULT_RULES)
    while await keeper.take_in(at(-3600), at(11)):
        pass
    held = await database.fetchrow("SELECT * FROM quarantine WHERE tenant = $1", sick.key)
    assert (held["job"], held["tries"], held["next_at"]) == ("hand_made", 1, at(26))
    assert "damaged" in held["reason"]
    assert await keeper.take_in(at(-3600), at(12)) == 0
    # It is mended, and its turn comes again.
    await database.execute("ALTER TABLE availability_spans DROP CONSTRAINT damaged")
    assert await keeper.take_in(at(-3600), at(27)) > 0
    assert await database.fetchval("SELECT count(*) FROM quarantine WHERE tenant = $1", sick.key) == 0
    assert await spans_of(database, sick, at(11)) == await spans_of(database, well, at(11))


async def test_the_correction_that_the_docs_give_works(make_database: Callable[[], str]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "poison.md").read_text(encoding="utf-8")
    [correction] = [block for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL) if "frames" in block]
    wrong = datetime(2026, 11, 27, 9, tzinfo=UTC)
    database = Database(make_database())
    await migrate(database)
    await database.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('acme', 'small', '{}', '{}', '{\"availability\": \"99.5%\"}')"
    )
    keeper, sums = HandMade(database, DEFAULT_RULES), PgFastWindows(database)
    for seconds, up in ((-60, 1), (0, 0)):
        await insert_by_hand(database, "acme", "up", up, wrong + timedelta(seconds=seconds))
    await keeper.take_in(wrong - timedelta(days=7), wrong)
    assert await sums.states(["acme"], wrong) == {"acme": "down"}
    await database.execute(correction)
    await keeper.take_in(wrong - timedelta(days=7), wrong)
    assert await sums.states(["acme"], wrong) == {"acme": "up"}
    await database.close()
