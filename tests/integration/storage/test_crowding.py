"""A tenant that flaps all day: its timeline stays small, its totals stay exact, whatever order the samples came in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import Observation, Span
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.coarse import by_minute
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.minutes import day_of
from ecpmon.sla.spans import lay, make_head
from ecpmon.sla.windows import tally
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
UP = SeriesKey("sla", "up")
HOLDS = timedelta(seconds=12.5)
MOST = 6
# Four minutes before a midnight.
START = T0 + timedelta(days=1) - timedelta(minutes=4)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def frame(tenant: Tenant, seconds: float, down: bool) -> Frame:
    return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), (Sample(UP, 0 if down else 1),))


async def coarse_days(database: Database, tenant: Tenant) -> set[object]:
    rows = await database.fetch("SELECT day FROM coarse_days WHERE tenant = $1", tenant.key)
    return {r["day"] for r in rows}


async def stored(database: Database, tenant: Tenant) -> list[Span]:
    """Closed spans and the head, as far as the last observation."""
    last = await database.fetchval(
        "SELECT last_observed_at FROM availability_heads WHERE tenant = $1", tenant.key
    )
    return await PgAvailabilityStore(database).timeline(tenant, START - timedelta(days=1), last)


# Instants (in steps of 3 s over eight minutes, the middle of them midnight) and what was seen; late and corrected.
HISTORIES = st.lists(
    st.lists(st.tuples(st.integers(0, 160), st.booleans()), min_size=1, max_size=30), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES)
async def test_what_is_stored_is_what_all_samples_say_by_the_minute(
    migrated_dsn: str, history: list[list[tuple[int, bool]]]
) -> None:
    from tests.integration import conftest

    database = Database(migrated_dsn, max_connections=2)
    try:
        store = IngestStore(database, DEFAULT_RULES, 100, MOST)
        tenant = await conftest.make_tenant.__wrapped__(database)()  # type: ignore[attr-defined]
        known: dict[int, bool] = {}
        for batch in history:
            await store.commit([Batch(tuple(frame(tenant, s * 3, down) for s, down in batch))])
            known.update(batch)
            seen = [
                Observation(at(s * 3), float(down), HOLDS, timedelta()) for s, down in sorted(known.items())
            ]
            exact = lay(seen, seen[-1].ts)
            coarse = await coarse_days(database, tenant)
            closed, head = make_head(exact, seen[-1])
            expected = by_minute(closed, coarse.__contains__)
            if head.since < head.last:
                expected.append(Span(head.since, head.last, head.state, doubt=head.doubt))
            found = await stored(database, tenant)
            shape = [(s.start, s.end, s.state) for s in found]
            assert shape == [(s.start, s.end, s.state) for s in expected], (coarse, exact)
            assert [s.share for s in found] == pytest.approx([s.share for s in expected], abs=1e-6)
            assert [s.doubt for s in found] == pytest.approx([s.doubt for s in expected], abs=1e-4)
            # A day that is not kept by the minute has no more changes than it may have.
            for day in {day_of(s.start) for s in found} - coarse:
                assert sum(s.state.value != "up" and day_of(s.start) == day for s in closed) <= MOST
    finally:
        await database.close()


async def test_ten_thousand_flaps_are_some_thousand_rows_and_every_second_of_them(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 100)
    start = T0 + timedelta(days=3)
    for part in range(0, 10_000, 2_000):
        frames = tuple(
            Frame(tenant.tenant_id, Source.SIMULATOR, start + timedelta(seconds=4 * n), (Sample(UP, n % 2),))
            for n in range(part, part + 2_000)
        )
        await store.commit([Batch(frames)])
    keeper, end = HandMade(database, DEFAULT_RULES), start + timedelta(seconds=4 * 9_999)
    while await keeper.take_in(start, end):
        pass
    spans = await PgAvailabilityStore(database).timeline(tenant, start, end)
    assert tally(spans, start, end).down == pytest.approx(4 * 5_000, abs=0.001)
    # 11.1 hours by the minute: down, up, and twice a moment of either, which say what is in doubt.
    assert len(spans) <= 4 * 668
    rows = await database.fetchval("SELECT count(*) FROM availability_spans WHERE tenant = $1", tenant.key)
    assert rows <= 4 * 668
    assert await coarse_days(database, tenant) == {day_of(start)}


async def test_lists_count_all_of_a_minute_within_which_a_window_begins_as_in_doubt(
    database: Database, make_tenant: MakeTenant
) -> None:
    flapping, calm = await make_tenant(), await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 100, MOST)
    frames = [frame(flapping, n * 3, n % 2 == 1) for n in range(40)] + [
        frame(calm, n * 3, False) for n in range(40)
    ]
    await store.commit([Batch(tuple(frames))])
    starts = [at(60), at(79.5)]
    found = await PgFastWindows(database).totals([flapping.key, calm.key], starts, at(117))
    whole, part = (found[flapping.key].tally(n) for n in (0, 1))
    assert (part.early - whole.early, part.late - whole.late) == (pytest.approx(40.5), pytest.approx(40.5))
    assert [found[calm.key].tally(n).early for n in (0, 1)] == [0, 0]


async def test_a_neighbour_in_the_same_commit_stays_exact(
    database: Database, make_tenant: MakeTenant
) -> None:
    flapping, calm = await make_tenant(), await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 100, MOST)
    frames = [frame(flapping, n * 3, n % 2 == 1) for n in range(40)]
    frames += [frame(calm, s, s == 30) for s in (0, 10, 20, 30, 40, 50)]
    await store.commit([Batch(tuple(frames))])
    assert await coarse_days(database, flapping)
    assert not await coarse_days(database, calm)
    assert [(s.start, s.end) for s in await stored(database, calm) if s.state.value == "down"] == [
        (at(30), at(40))
    ]
