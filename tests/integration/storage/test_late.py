"""Late evidence that costs much is left to a job: no commit waits for it, and in the end nothing is different."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.late import LateEvidence
from tests.integration.conftest import T0, MakeTenant

UP = SeriesKey("sla", "up")
DAY = timedelta(days=1)
NEVER = LateEvidence(10**9, 10**9, 10**9)
ALWAYS = LateEvidence(-1, 0, 2)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def batch(tenant: Tenant, seen: Sequence[tuple[float, bool]]) -> Batch:
    return Batch(
        tuple(
            Frame(tenant.tenant_id, Source.SIMULATOR, at(m), (Sample(UP, 0.0 if down else 1.0),))
            for m, down in seen
        )
    )


async def take_in(database: Database, most_marks: int = 2_000) -> None:
    keeper = HandMade(database, DEFAULT_RULES, most_marks=most_marks)
    while await keeper.take_in(T0 - 7 * DAY, T0 + 7 * DAY):
        pass


async def marks(database: Database, tenant: Tenant) -> list[datetime]:
    rows = await database.fetch("SELECT ts FROM evidence_dirty WHERE tenant = $1 ORDER BY ts", tenant.key)
    return [r["ts"] for r in rows]


async def everything(database: Database, tenant: Tenant) -> tuple[Any, Any, Any]:
    """Spans, head and running sums, as they are stored."""
    spans = await PgAvailabilityStore(database).timeline(tenant, T0 - DAY, T0 + 7 * DAY)
    head = await database.fetchrow("SELECT * FROM availability_heads WHERE tenant = $1", tenant.key)
    # Sums count from an origin of their own.
    sums = await database.fetch(
        "SELECT starts, ends, is_down, share, was, joins, outage_at,"
        " down_before - first_value(down_before) OVER w, gap_before - first_value(gap_before) OVER w,"
        " hard_before - first_value(hard_before) OVER w, outage_hard - first_value(hard_before) OVER w,"
        " entries_before - first_value(entries_before) OVER w, downs_before - first_value(downs_before) OVER w,"
        " outages_before - first_value(outages_before) OVER w, early_before - first_value(early_before) OVER w,"
        " late_before - first_value(late_before) OVER w"
        " FROM availability_sums WHERE tenant = $1 WINDOW w AS (ORDER BY starts) ORDER BY starts",
        tenant.key,
    )
    # How often a head has changed is not what it says.
    said = [v for k, v in head.items() if k not in ("tenant", "standing")]
    return spans, said, [tuple(r.values()) for r in sums]


HISTORIES = st.lists(
    st.lists(st.tuples(st.integers(0, 240), st.booleans()), min_size=1, max_size=12), min_size=1, max_size=6
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, most_marks=st.integers(1, 5), between=st.booleans())
async def test_what_was_left_to_the_job_ends_as_if_it_had_been_applied_at_once(
    database: Database,
    make_tenant: MakeTenant,
    history: list[list[tuple[int, bool]]],
    most_marks: int,
    between: bool,
) -> None:
    one, other = await make_tenant(), await make_tenant()
    at_once = IngestStore(database, DEFAULT_RULES, 100, late=NEVER)
    later = IngestStore(database, DEFAULT_RULES, 100, late=ALWAYS)
    for seen in history:
        await at_once.commit([batch(one, seen)])
        await later.commit([batch(other, seen)])
        assert await marks(database, one) == []
        if between:
            await take_in(database, most_marks)
    await take_in(database, most_marks)
    assert await marks(database, other) == []
    assert await everything(database, other) == await everything(database, one)


async def test_the_distant_past_of_a_busy_timeline_is_left_to_the_job_and_its_present_is_not(
    database: Database, make_tenant: MakeTenant
) -> None:
    busy = await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 100, late=LateEvidence(most_following=20))
    # 12.5 s of every minute are up, the rest is a gap; 30 of them in all.
    await store.commit([batch(busy, [(m, False) for m in range(31)])])
    [result] = await store.commit([batch(busy, [(2.5, True), (29.5, True), (31, True)])])
    assert (result.accepted, result.rejected) == (3, ())
    assert await marks(database, busy) == [at(2.5)]
    head = await database.fetchrow("SELECT * FROM availability_heads WHERE tenant = $1", busy.key)
    assert (head["state"], head["since"]) == ("down", at(31))
    # Few gaps come after that, and nobody has to wait for it.
    await store.commit([batch(busy, [(20.5, True)])])
    assert await marks(database, busy) == [at(2.5)]
    await take_in(database)
    spans = await PgAvailabilityStore(database).timeline(busy, T0, at(31))
    assert [s.start for s in spans if s.state == "down"] == [at(2.5), at(20.5), at(29.5)]


async def test_the_backlog_of_an_hour_is_applied_at_once_on_a_quiet_timeline(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    quiet = await make_tenant()
    await ingest.commit([batch(quiet, [(0, False), (70, False)])])
    await ingest.commit([batch(quiet, [(5 + n / 6, n == 30) for n in range(360)])])
    assert await marks(database, quiet) == []
    spans = await PgAvailabilityStore(database).timeline(quiet, T0, at(70))
    assert [(s.start, s.end) for s in spans if s.state == "down"] == [(at(10), at(10 + 1 / 6))]


async def test_two_samples_that_lie_far_apart_make_no_commit_read_what_is_between(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 100, late=LateEvidence(most_read=50))
    await store.commit([batch(tenant, [(n / 6, False) for n in range(100)])])
    await store.commit([batch(tenant, [(0.1, True), (11.1, True)])])
    assert await marks(database, tenant) == [at(0.1), at(11.1)]


async def test_no_commit_waits_for_a_timeline_that_the_job_has_to_itself(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    held, free = await make_tenant(), await make_tenant()
    await ingest.commit([batch(held, [(0, False)]), batch(free, [(0, False)])])
    async with database.transaction() as connection:
        await database.execute(
            "UPDATE availability_heads SET held_until = now() + INTERVAL '1 hour' WHERE tenant = $1", held.key
        )
        await connection.fetch("SELECT FROM availability_heads WHERE tenant = $1 FOR UPDATE", held.key)
        # Would it wait, it would wait for us.
        results = await asyncio.wait_for(
            ingest.commit([batch(held, [(0.1, True)]), batch(free, [(0.1, True)])]), 60
        )
        assert [r.accepted for r in results] == [1, 1]
    assert [c.tenant_id for r in results for c in r.changes] == [free.tenant_id]
    assert await marks(database, held) == [at(0.1)]
    # The job tells of what it did, to everybody.
    before = await database.fetchval("SELECT coalesce(max(seq), 0) FROM bus")
    await take_in(database)
    [told] = await database.fetch(
        "SELECT * FROM bus WHERE seq > $1 AND kind = 'samples' AND $2 = ANY(tenants)", before, held.key
    )
    assert told["body"] == {"changes": [[held.key, at(0.1).isoformat(), "down", "up"]], "judge": True}
    assert await everything(database, held) == await everything(database, free)


async def test_a_job_that_died_holds_a_timeline_for_a_while_only(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await database.execute(
        "UPDATE availability_heads SET held_until = now() - INTERVAL '1 s' WHERE tenant = $1", tenant.key
    )
    [result] = await ingest.commit([batch(tenant, [(0, True)])])
    assert [c.state for c in result.changes] == ["down"]
    assert await marks(database, tenant) == []


async def test_of_a_tenant_that_flaps_a_commit_takes_the_newest_changes_and_the_job_the_rest(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 100, late=LateEvidence(most_written=10))
    flaps = [(n / 6, n % 2 == 1) for n in range(30)]
    [result] = await store.commit([batch(tenant, flaps)])
    assert result.accepted == 30
    assert await marks(database, tenant) == [at(n / 6) for n in range(19)]
    head = await database.fetchrow("SELECT * FROM availability_heads WHERE tenant = $1", tenant.key)
    assert (head["state"], head["since"], head["first_observed_at"]) == ("down", at(29 / 6), at(19 / 6))
    await take_in(database)
    spans = await PgAvailabilityStore(database).timeline(tenant, T0, at(5))
    assert [(s.start, s.state == "down") for s in spans] == [(at(m), down) for m, down in flaps]
