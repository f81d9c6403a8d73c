"""Running sums give what the spans give: any window, any history, any way it came about."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.sums import Entry, Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import ROLLING_WINDOWS, Tally
from ecpmon.sla.entries import Book
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.incidents import counted, incidents
from ecpmon.sla.ledger import question
from ecpmon.sla.maintenance import exclude
from ecpmon.sla.parts import Terms
from ecpmon.sla.spans import clip, coalesce
from ecpmon.sla.windows import tally, unseen
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import MANY, PgFastWindows, packed_marks
from ecpmon.storage.ingest import IngestStore
from tests.integration.conftest import T0

UP = SeriesKey("sla", "up")
MakeTenant = Callable[..., Awaitable[Tenant]]
LONG_AGO = T0 - timedelta(days=39)
STEP = 4
"""Seconds between the instants of a generated history; three of them are silence enough for a gap."""

# What is sent at once: (tenant 0 or 1, instant, down?); a later word about the same instant wins.
HISTORIES = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60), st.booleans()), min_size=1, max_size=5),
    min_size=1,
    max_size=8,
)
SECONDS = st.integers(-30, 330)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def frame(tenant: Tenant, seconds: float, down: bool) -> Frame:
    if tenant.component_weights:
        # One of the two is down at most: how much that counts differs.
        low = "chatbot" if seconds % 8 else "callbot"
        # One of them falls silent now and then.
        silent = "chatbot" if seconds % 80 >= 40 else None
        samples = tuple(
            Sample(SeriesKey("sla", "up", (("service", name),)), 0 if down and name == low else 1)
            for name in tenant.component_weights
            if name != silent
        )
        return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), samples)
    return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), (Sample(UP, 0 if down else 1),))


async def between(
    database: Database, tenant: Tenant, now: datetime, periods: Mapping[str, tuple[datetime, datetime]]
) -> dict[str, Tally]:
    asked = {name: Interval(*bounds) for name, bounds in periods.items()}
    found = await PgFastWindows(database).tallies({tenant.tenant_id: asked.values()}, now)
    return {name: found[tenant.tenant_id][interval] for name, interval in asked.items()}


def rolling(now: datetime, windows: Mapping[str, timedelta]) -> dict[str, tuple[datetime, datetime]]:
    return {name: (now - length, now) for name, length in windows.items()}


async def same_as_spans(
    database: Database, tenant: Tenant, now: datetime, periods: dict[str, tuple[datetime, datetime]]
) -> dict[str, Tally]:
    """The tallies of `tenant`, after checking them and every other figure against its spans."""
    spans = await PgAvailabilityStore(database).timeline(tenant, LONG_AGO, now)
    for start, end in periods.values():
        troubles = await PgAvailabilityStore(database).troubles(tenant, start, min(end, now), 1000)
        expected = [
            replace(s, reason=None) for s in clip(spans, start, min(end, now)) if s.state is not SpanState.UP
        ]
        if start < end:
            found = clip(troubles.troubles(start, 1000), start, min(end, now))
            assert coalesce(replace(s, reason=None) for s in found) == coalesce(expected)
        await same_ledger(database, tenant, now, spans, start, min(end, now))
    fast = await between(database, tenant, now, periods)
    for name, (start, end) in periods.items():
        slow = tally(spans, start, end)
        expected = pytest.approx((slow.eligible, slow.down, slow.gap), abs=1e-6)
        assert (fast[name].eligible, fast[name].down, fast[name].gap) == expected, (name, spans)
        # What is asked of everybody at once, by number; windows of one question end together.
        until = min(end, now)
        found = await PgFastWindows(database).totals([tenant.key], [LONG_AGO, min(start, until)], until)
        totals = found[tenant.key].tally(1)
        slow = tally(spans, min(start, until), until)
        expected = pytest.approx((slow.eligible, slow.down, slow.gap), abs=1e-6)
        assert (totals.eligible, totals.down, totals.gap) == expected, (name, spans)
    return fast


async def same_ledger(
    database: Database, tenant: Tenant, now: datetime, spans: list[Span], start: datetime, end: datetime
) -> None:
    """Everything that the marks of two instants and of some maintenance say, against the spans."""
    if start >= end:
        return
    store = PgAvailabilityStore(database)
    whole = await store.reach(tenant, start, end, now)
    read = await store.timeline(tenant, whole.start, whole.end)
    assert incidents(read, start, end, (), whole.end) == incidents(spans, start, end, (), now), spans
    third = (end - start) / 3
    planned = [Interval(start - third, start + third / 2), Interval(start + third, start + 2 * third)]
    before = [
        Interval(start - seconds(18), start - seconds(13)),
        Interval(start - seconds(6), start - seconds(3)),
    ]
    for maintenance in ((), planned, [*before, *planned[1:]]):
        asked = question(end, Terms(maintenance), (), (start,))
        marks = await PgFastWindows(database).marks(tenant, asked.instants, now, asked.earlier)
        # Of thousands they come as bytes.
        as_bytes = await packed_marks(database, tenant.key, list(marks), now, None)
        assert dict(pickle.loads(pickle.dumps(as_bytes))) == dict(marks)
        known = asked.known(marks)
        slow = tally(spans, start, end, maintenance)
        fast = known.tally(start, end)
        assert (fast.eligible, fast.down, fast.gap) == pytest.approx(
            (slow.eligible, slow.down, slow.gap), abs=1e-5
        ), spans
        left = exclude(clip(spans, start, end), maintenance)
        expected = counted(incidents(spans, start, end, maintenance))
        found = known.outages(start, end)
        assert (found.count, found.over) == (expected.count, expected.over), spans
        assert found.seconds == pytest.approx(expected.seconds, abs=1e-5), spans
        doubts, told = unseen(spans, start, end, maintenance), known.unseen(start, end)
        if tenant.component_weights:
            # Where two services change in opposite directions, two doubts overlap: sums know them less exactly.
            assert all(wide >= exact - 1e-9 for wide, exact in zip(told, doubts, strict=True)), spans
        else:
            assert told == pytest.approx(doubts, abs=1e-9), spans
        downs = [x.seconds for x in left if x.state is SpanState.DOWN]
        assert known.failures(start, end, timedelta(seconds=2)) == max(len(downs), round(sum(downs) / 2))


def windows_around(start: datetime, end: datetime) -> dict[str, tuple[datetime, datetime]]:
    return {
        "some": (min(start, end), max(start, end)),
        "empty": (start, start),
        "to the end": (start, at(10_000)),
        "all": (LONG_AGO, at(10_000)),
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, now=SECONDS, start=SECONDS, end=SECONDS, kept=SECONDS)
async def test_equals_the_tally_of_the_spans_after_every_batch(
    migrated_dsn: str, history: list[list[tuple[int, int, bool]]], now: int, start: int, end: int, kept: int
) -> None:
    from tests.integration import conftest

    database = Database(migrated_dsn, max_connections=2)
    try:
        store = IngestStore(database, DEFAULT_RULES, 100)
        make = conftest.make_tenant.__wrapped__(database)  # type: ignore[attr-defined]
        tenants = [await make(), await make(component_weights={"callbot": 3, "chatbot": 1})]
        seen: set[int] = set()
        for batch in history:
            frames = tuple(frame(tenants[who], s * STEP, down) for who, s, down in batch)
            await store.commit([Batch(frames)])
            seen |= {who for who, _, _ in batch}
            for who in sorted(seen):
                await same_as_spans(database, tenants[who], at(now), windows_around(at(start), at(end)))
                await same_as_spans(database, tenants[who], at(500), windows_around(at(start), at(end)))
        await _after_retention(database, [tenants[w] for w in sorted(seen)], at(kept), store)
    finally:
        await database.close()


async def _after_retention(
    database: Database, tenants: list[Tenant], kept: datetime, store: IngestStore
) -> None:
    """What retention drops changes no window that begins later, also when data keeps coming."""
    drop = "DELETE FROM availability_spans WHERE upper(period) < $1 AND tenant = ANY($2)"
    await database.execute(drop, kept, [t.key for t in tenants])
    for tenant in tenants:
        later = {"later": (kept, at(10_000)), "a piece": (kept, kept + timedelta(seconds=50))}
        if await database.fetchval(
            "SELECT first_observed_at <= $1 FROM availability_heads WHERE tenant = $2", kept, tenant.key
        ):
            await same_as_spans(database, tenant, at(500), later)
            await store.commit([Batch((frame(tenant, 450, True), frame(tenant, 480, False)))])
            await same_as_spans(database, tenant, at(500), later)


async def test_rolling_windows_include_the_head_and_the_open_tail(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch((frame(tenant, 0, False), frame(tenant, 5, True)))])
    found = await between(database, tenant, at(20), rolling(at(20), ROLLING_WINDOWS))
    # Up for 5 s, down until the observation expires 12.5 s later, then nobody knows.
    assert found == dict.fromkeys(ROLLING_WINDOWS, Tally(eligible=20.0, down=12.5, gap=2.5))
    short = await between(database, tenant, at(20), rolling(at(20), {"3s": timedelta(seconds=3)}))
    assert short == {"3s": Tally(eligible=3.0, down=0.5, gap=2.5)}


async def test_tenants_without_an_observation_and_deleted_tenants_are_left_out(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    silent, deleted = await make_tenant(), await make_tenant()
    await ingest.commit([Batch((frame(deleted, 0, True), frame(deleted, 5, False)))])
    await database.execute("UPDATE tenants SET deleted_at = now() WHERE id = $1", deleted.key)
    asked = dict.fromkeys((silent.tenant_id, deleted.tenant_id), (Interval(at(0), at(20)),))
    assert await PgFastWindows(database).tallies(asked, at(20)) == {}
    assert await PgFastWindows(database).states(asked, at(20)) == {}


async def test_before_the_first_observation_nothing_is_eligible(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch((frame(tenant, 0, True),))])
    found = await same_as_spans(database, tenant, at(-10), {"before": (at(-60), at(-10))})
    assert found["before"] == Tally(0.0, 0.0, 0.0)


async def test_of_a_tenant_without_an_observation_many_marks_are_what_few_are(
    database: Database, make_tenant: MakeTenant
) -> None:
    """More than are read row by row: as a plot of a month by the hour asks for them."""
    silent = await make_tenant()
    instants = [at(-5 * n) for n in range(MANY + 1)]
    few = await PgFastWindows(database).marks(silent, instants[:MANY], at(20))
    many = await PgFastWindows(database).marks(silent, instants, at(20))
    assert {instant: many[instant] for instant in instants[:MANY]} == dict(few)


@pytest.mark.parametrize("count", [3, MANY + 1])
async def test_what_was_planned_before_all_that_is_asked_is_found_as_far_as_an_outage_reaches_back(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, count: int
) -> None:
    tenant = await make_tenant()
    down = tuple(frame(tenant, s, 20 <= s < 60) for s in range(0, 101, 5))
    await ingest.commit([Batch(down)])
    earlier = [Interval(at(a), at(b)) for a, b in ((2, 5), (15, 22), (30, 35))]
    for first, reached in ((40, earlier[1:]), (70, [])):
        instants = [at(first + n / count) for n in range(count)]
        marks = await PgFastWindows(database).marks(tenant, instants, at(100), earlier)
        assert sorted(set(marks) - set(instants)) == [edge for i in reached for edge in (i.start, i.end)]
        assert len(marks) == len(instants) + 2 * len(reached)


async def test_no_windows_are_no_tallies(database: Database) -> None:
    assert await PgFastWindows(database).tallies({}, at(0)) == {}


async def test_rows_changed_by_hand_are_followed(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch(tuple(frame(tenant, s * 5, s % 4 == 1) for s in range(12)))])
    periods = windows_around(at(3), at(43))
    before = await same_as_spans(database, tenant, at(60), periods)
    assert before["all"].down == 15
    mine = "WHERE tenant = $1 AND lower(period) = $2"
    await database.execute(f"UPDATE availability_spans SET state = 'up' {mine}", tenant.key, at(5))
    assert (await same_as_spans(database, tenant, at(60), periods))["all"].down == 10
    await database.execute(f"UPDATE availability_spans SET state = 'down' {mine}", tenant.key, at(10))
    assert (await same_as_spans(database, tenant, at(60), periods))["all"].down == 25


async def test_a_migration_of_existing_spans_equals_the_triggers(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch(tuple(frame(tenant, s, s % 20 < 10) for s in (0, 5, 10, 15, 20, 60, 65, 70)))])
    # Doubts came later, and what was there then got those of its tenant's source (test_edge_doubts.py).
    kept = """SELECT starts, ends, is_down, share, was, joins, outage_at, down_before, gap_before, hard_before,
                outage_hard, entries_before, downs_before, outages_before
              FROM availability_sums WHERE tenant = $1 ORDER BY starts"""
    by_triggers = await database.fetch(kept, tenant.key)
    await database.execute("DELETE FROM availability_sums WHERE tenant = $1", tenant.key)
    sums = _statement_of("0006_fast_windows", "INSERT INTO availability_sums")
    await database.execute(_for_one(sums, "WHERE state <> 'up'", tenant))
    since = _statement_of("0019_sla_cost", "UPDATE availability_sums SET outage_at")
    began, _, order = since.partition("DO $$")
    order = order[: order.index("$$;") + len("$$;")]
    await database.execute(_for_one(began, "WHERE is_down", tenant))
    await database.execute("DO $$" + _for_one(order, "FROM availability_sums GROUP", tenant))
    whole, _, _ = _statement_of(
        "0044_whole_incidents", "UPDATE availability_sums s SET outage_hard"
    ).partition(";")
    await database.execute(_for_one(whole, "WHERE s.ctid = o.place AND s.is_down", tenant))
    assert await database.fetch(kept, tenant.key) == by_triggers
    assert len(by_triggers) == 4


def _statement_of(migration: str, start: str) -> str:
    from ecpmon.resources import data_dir

    text = (data_dir("sql") / f"migrations/{migration}.sql").read_text()
    return text[text.rindex(start) :]


def _for_one(statement: str, where: str, tenant: Tenant) -> str:
    """Of one tenant only: the others in this database are another test's."""
    assert statement.count(where) == 1
    if where.startswith("WHERE"):
        return statement.replace(where, f"{where} AND tenant = {tenant.key}")
    return statement.replace(where, where.replace(" GROUP", f" WHERE tenant = {tenant.key} GROUP"))


async def test_the_rows_are_the_entries_that_the_spans_make(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    """Down, gaps and flaps by turns, corrected in the middle; microseconds are the unit of both."""
    tenant = await make_tenant()
    pattern = (0, 5, 10, 15, 20, 80, 85, 90, 160, 165, 300, 305, 310)
    await ingest.commit([Batch(tuple(frame(tenant, s, s % 20 < 10) for s in pattern))])
    await ingest.commit([Batch((frame(tenant, 7, True), frame(tenant, 162, False), frame(tenant, 4, False)))])
    spans = await PgAvailabilityStore(database).timeline(tenant, LONG_AGO, at(311))
    book = Book(spans, spans[0].start, at(311))
    marks = await PgFastWindows(database).marks(tenant, [at(s) for s in range(-5, 311)], at(311))
    assert {i: _cut(mark, at(311)) for i, mark in marks.items()} == {i: book.mark(i) for i in marks}


def _cut(mark: Mark, until: datetime) -> Mark:
    """Without what the head promises for the time to come."""

    def cut(entry: Entry | None) -> Entry | None:
        if entry is None or entry.starts >= until:
            return None
        return replace(entry, ends=min(entry.ends, until))

    return Mark(mark.at, cut(mark.last), cut(mark.next))
