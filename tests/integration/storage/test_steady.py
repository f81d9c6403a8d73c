"""What only goes on is committed by one statement, which says and stores the same as a long commit.

Whatever is not as it was remembered takes a long one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.model.availability import SpanState
from ecpmon.model.ingest import Batch, IngestResult, Rejection
from ecpmon.model.samples import Columns, Frame, SeriesKey, Shape, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage import steady
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.bus import BusWriter
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.marks import BUCKET, MARGIN, OpenMarks
from ecpmon.storage.tenants import PgTenantStore
from tests.integration.conftest import MakeTenant
from tests.waiting import until

HOLDS = timedelta(seconds=150)
SHAPE = Shape((SeriesKey("sla", "up"), SeriesKey("cpu", "cpu_usage")))
QUIET = Shape((SeriesKey("cpu", "cpu_usage"),))
HEAD = "SELECT state, since, last_observed_at, standing FROM availability_heads WHERE tenant = $1"
STORED = """
SELECT metric_name, metric_value, timestamp FROM monitoring_data WHERE tenant_id = $1 ORDER BY timestamp, metric_name
"""


def start() -> datetime:
    """In a bucket and an hour that stay open while a test runs."""
    at = datetime.now(UTC) + timedelta(minutes=4)
    return at - timedelta(seconds=at.timestamp() % 300)


@pytest.fixture
def t0() -> datetime:
    return start()


def frame(tenant: Tenant, at: datetime, up: float | None = 1.0, cpu: float = 40.0) -> Frame:
    columns = Columns(QUIET, [cpu]) if up is None else Columns(SHAPE, [up, cpu])
    return Frame(tenant.tenant_id, Source.PUSH, at, columns, tenant.key)


Push = Callable[..., Awaitable[IngestResult]]


def pushing(store: IngestStore, tenant: Tenant, t0: datetime) -> Push:
    async def push(seconds: float, up: float | None = 1.0, cpu: float = 40.0) -> IngestResult:
        at = t0 + timedelta(seconds=seconds)
        [result] = await store.commit([Batch((frame(tenant, at, up, cpu),))])
        return result

    return push


@pytest.fixture
async def tenant(make_tenant: MakeTenant) -> Tenant:
    return await make_tenant(source=Source.PUSH, holds=HOLDS)


async def known(store: IngestStore, tenant: Tenant, t0: datetime) -> Push:
    """Until what the tenant says goes on in one statement."""
    push = pushing(store, tenant, t0)
    for second in range(3):
        await push(second)
    assert store.at_once == 1
    return push


async def test_what_goes_on_is_stored_in_one_statement_as_in_many(
    database: Database, ingest: IngestStore, tenant: Tenant, make_tenant: MakeTenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    results = [await push(second, 1.0, second) for second in (3, 4.5, 4.25)]
    assert ingest.at_once == 4
    assert [(r.accepted, r.changes, r.rejected, len(r.frames)) for r in results] == [(2, (), (), 1)] * 3
    other = await make_tenant(source=Source.PUSH, holds=HOLDS)
    for second, cpu in ((0, 40.0), (1, 40.0), (2, 40.0), (3, 3.0), (4.5, 4.5), (4.25, 4.25)):
        # A store of its own each time remembers nothing.
        await pushing(IngestStore(database, DEFAULT_RULES, 100), other, t0)(second, 1.0, cpu)
    assert await database.fetch(STORED, tenant.tenant_id) == await database.fetch(STORED, other.tenant_id)
    heads = [await database.fetchrow(HEAD, t.key) for t in (tenant, other)]
    assert tuple(heads[0])[:3] == tuple(heads[1])[:3] == ("up", t0, t0 + timedelta(seconds=4.5))
    spans = [
        await PgAvailabilityStore(database).timeline(t, t0, t0 + HOLDS, reasons=True) for t in (tenant, other)
    ]
    assert spans[0] == spans[1]


async def test_of_two_values_of_one_instant_the_later_one_is_told(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    await known(ingest, tenant, t0)
    at = t0 + timedelta(seconds=9)
    await ingest.commit(
        [Batch((frame(tenant, at, 1, cpu), frame(tenant, at, 1, cpu + 1))) for cpu in (1.0, 5.0)]
    )
    assert ingest.at_once == 2
    told = await database.fetch(STORED, tenant.tenant_id)
    assert [r["metric_value"] for r in told if (r["metric_name"], r["timestamp"]) == ("cpu_usage", at)] == [
        6.0
    ]


async def test_who_says_nothing_of_availability_needs_no_head(
    ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    push = pushing(ingest, tenant, t0)
    await push(0, None)
    await push(1, None)
    assert ingest.at_once == 1


async def test_a_change_takes_a_long_commit_and_is_told(
    ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    [down] = (await push(3, 0.0)).changes
    assert (down.state, down.previous, ingest.at_once) == (SpanState.DOWN, SpanState.UP, 1)
    for second in (4, 5, 6):
        assert (await push(second, 0.0)).changes == ()
    assert ingest.at_once == 3


async def test_after_a_silence_there_is_a_gap(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    t0 -= timedelta(hours=2)
    push = await known(ingest, tenant, t0)
    await push(2 + HOLDS.total_seconds() + 1)
    assert ingest.at_once == 1
    spans = await PgAvailabilityStore(database).timeline(tenant, t0, t0 + 2 * HOLDS, reasons=False)
    assert SpanState.GAP in [span.state for span in spans[:-1]]


async def test_what_another_process_changed_is_seen(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    await pushing(IngestStore(database, DEFAULT_RULES, 100), tenant, t0)(3, 0.0)
    [up] = (await push(4)).changes
    assert (up.state, up.previous, ingest.at_once) == (SpanState.UP, SpanState.DOWN, 1)


async def test_what_another_process_said_of_the_same_is_gone_on_with(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    other = IngestStore(database, DEFAULT_RULES, 100)
    for second in (5, 7):
        await pushing(other, tenant, t0)(second)
    await push(6)
    await push(8)
    assert ingest.at_once == 3
    head = await database.fetchrow(HEAD, tenant.key)
    assert (head["since"], head["last_observed_at"]) == (t0, t0 + timedelta(seconds=8))


async def test_a_new_regime_is_seen_by_the_next_commit(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    before = await database.fetchval("SELECT standing FROM availability_heads WHERE tenant = $1", tenant.key)
    store = PgTenantStore(database)
    await store.add_regime(tenant, t0 + timedelta(seconds=2.5), Source.SIMULATOR, HOLDS, timedelta())
    assert (await database.fetchrow(HEAD, tenant.key))["standing"] != before
    await push(3, 0.0)
    await push(4)
    # Pushes are no evidence any more.
    assert ingest.at_once == 1
    assert (await database.fetchrow(HEAD, tenant.key))["last_observed_at"] == t0 + timedelta(seconds=2)


async def test_a_tenant_that_is_gone_is_refused(
    database: Database, ingest: IngestStore, tenant: Tenant, make_tenant: MakeTenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    await database.execute("UPDATE tenants SET deleted_at = now() WHERE id = $1", tenant.key)
    again = await make_tenant(tenant_id=tenant.tenant_id, source=Source.PUSH, holds=HOLDS)
    refused = await push(3)
    assert (refused.accepted, refused.refused) == (0, {Rejection.UNKNOWN_TENANT: 2})
    assert await database.fetch(STORED, again.tenant_id) == []


async def test_a_timeline_that_a_job_has_to_itself_is_left_to_it(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    sql = (
        "UPDATE availability_heads SET held_until = clock_timestamp() + INTERVAL '1 minute' WHERE tenant = $1"
    )
    await database.execute(sql, tenant.key)
    await push(3, 0.0)
    marks = await database.fetch("SELECT ts FROM evidence_dirty WHERE tenant = $1", tenant.key)
    assert [row["ts"] for row in marks] == [t0 + timedelta(seconds=3)]
    await database.execute("UPDATE availability_heads SET held_until = NULL WHERE tenant = $1", tenant.key)


async def test_one_that_is_not_as_it_was_leaves_nothing_of_its_statement_behind(
    database: Database, ingest: IngestStore, tenant: Tenant, make_tenant: MakeTenant, t0: datetime
) -> None:
    """It takes a long commit; its neighbours are stored once, by a statement without it."""
    other = await make_tenant(source=Source.PUSH, holds=HOLDS)
    for second in range(3):
        at = t0 + timedelta(seconds=second)
        await ingest.commit([Batch((frame(t, at),)) for t in (tenant, other)])
    assert ingest.at_once == 1
    await database.execute("UPDATE availability_heads SET regimes = regimes + 1 WHERE tenant = $1", other.key)
    at = t0 + timedelta(seconds=3)
    await ingest.commit([Batch((frame(t, at),)) for t in (tenant, other)])
    assert ingest.at_once == 2
    counts = "SELECT count(*) FROM frames WHERE tenant = $1 AND ts = $2"
    assert [await database.fetchval(counts, t.key, at) for t in (tenant, other)] == [1, 1]


async def test_heads_are_locked_in_the_order_of_their_tenants(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, t0: datetime
) -> None:
    """As by everybody else, wherever the rows lie: who waits for one holds those before it, and none after it."""
    tenants = [await make_tenant(source=Source.PUSH, holds=HOLDS) for _ in range(6)]
    for tenant in reversed(tenants):  # the later a row was written, the further back it lies
        await pushing(ingest, tenant, t0)(0)
        await database.execute("UPDATE availability_heads SET says = says WHERE tenant = $1", tenant.key)
    for second in (1, 2):
        at = t0 + timedelta(seconds=second)
        await ingest.commit([Batch(tuple(frame(t, at) for t in tenants))])
    assert ingest.at_once == 1
    numbers = [tenant.key for tenant in tenants]
    async with database.transaction() as connection:
        lock = "SELECT FROM availability_heads WHERE tenant = $1 FOR UPDATE"
        await connection.execute(lock, numbers[3])
        at = t0 + timedelta(seconds=3)
        commit = asyncio.create_task(ingest.commit([Batch(tuple(frame(t, at) for t in reversed(tenants)))]))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%go_on_steadily%'"

        async def waiting() -> bool:
            return bool(await database.fetchval(waits))

        await until(waiting, "the commit waits for the lock of one head")
        free = await database.fetch(
            "SELECT tenant FROM availability_heads WHERE tenant = ANY($1::bigint[]) ORDER BY 1 FOR UPDATE SKIP LOCKED",
            numbers,
        )
    await commit
    assert [row["tenant"] for row in free] == numbers[4:]
    assert ingest.at_once == 2


async def test_a_mark_is_left_out_only_while_the_database_says_that_the_bucket_is_open(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = await known(ingest, tenant, t0)
    generation = "SELECT generation FROM rollup_dirty WHERE tenant = $1"
    before = await database.fetchval(generation, tenant.key)
    await push(3)
    assert (await database.fetchval(generation, tenant.key), ingest.at_once) == (before, 2)
    guessed = OpenMarks.guessed

    def too_late(marks: OpenMarks, touched: Any) -> Any:
        fresh, until = guessed(marks, touched)
        told.append(until)
        return fresh, until and datetime.now(UTC) - timedelta(minutes=1)

    told: list[datetime | None] = []
    with monkeypatch.context() as patched:
        patched.setattr(OpenMarks, "guessed", too_late)
        await push(4)
    # Tried again with all marks.
    assert (told, ingest.at_once) == ([t0 + BUCKET - MARGIN, None], 3)
    assert await database.fetchval(generation, tenant.key) == before + 1
    assert [r["timestamp"] for r in await database.fetch(STORED, tenant.tenant_id)][-2:] == [
        t0 + timedelta(seconds=4)
    ] * 2


async def test_what_jobs_change_while_a_commit_waits_for_them_is_seen(
    database: Database, ingest: IngestStore, tenant: Tenant, t0: datetime
) -> None:
    push = await known(ingest, tenant, t0)
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE availability_heads SET regimes = regimes + 1 WHERE tenant = $1", tenant.key
        )
        pushed = asyncio.create_task(push(3))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%go_on_steadily%'"

        async def waiting() -> bool:
            return bool(await database.fetchval(waits))

        await until(waiting, "the commit waits for the head")
    assert (await pushed).accepted == 2
    assert ingest.at_once == 1
    assert (await database.fetchrow(HEAD, tenant.key))["last_observed_at"] == t0 + timedelta(seconds=3)


async def test_other_processes_hear_of_it(database: Database, tenant: Tenant, t0: datetime) -> None:
    store = IngestStore(database, DEFAULT_RULES, 100, bus=BusWriter("front", judge=True))
    await known(store, tenant, t0)
    rows = await database.fetch(
        "SELECT origin, kind, tenants, body FROM bus WHERE $1 = ANY(tenants) ORDER BY seq", tenant.key
    )
    assert [(r["origin"], r["kind"], r["tenants"]) for r in rows if r["kind"] == "samples"] == [
        ("front", "samples", [tenant.key])
    ] * 3
    assert rows[-1]["body"] == {"judge": True}


async def test_many_frames_are_copied(ingest: IngestStore, tenant: Tenant, t0: datetime) -> None:
    await known(ingest, tenant, t0)
    at = [t0 + timedelta(seconds=3 + n / 100) for n in range(steady.MOST_FRAMES + 1)]
    [result] = await ingest.commit([Batch(tuple(frame(tenant, ts) for ts in at))])
    assert (result.accepted, ingest.at_once) == (2 * len(at), 1)
