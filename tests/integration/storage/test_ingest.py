"""Frames in, availability out: the same answer whatever the order, the split or the repetition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.ingest import MAX_NAMED, Attempt, AttemptOutcome, Batch, Rejection
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Block, Frame, Sample, SeriesKey, Shape, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.spans import doubt_between, lay, make_head, timeline
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.tenants import PgTenantStore
from tests.integration.conftest import T0

UP = SeriesKey("sla", "up")
CPU = SeriesKey("cpu", "cpu_usage")
HOLDS = timedelta(seconds=12.5)
MakeTenant = Callable[..., Awaitable[Tenant]]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def frame(tenant: Tenant, seconds: float, up: float, *more: Sample) -> Frame:
    return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), (Sample(UP, up), *more))


def ok(seconds: float, outcome: AttemptOutcome = AttemptOutcome.OK, tenant: Tenant | None = None) -> Attempt:
    return Attempt(at(seconds), Source.SIMULATOR, outcome, 3.0, None, tenant.tenant_id if tenant else None)


async def spans_of(database: Database, tenant: Tenant, now: datetime) -> list[Span]:
    return await PgAvailabilityStore(database).timeline(tenant, at(-86_400 * 40), now, reasons=True)


async def test_frames_become_rows_of_monitoring_data_and_spans(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    first = await ingest.commit([Batch((frame(tenant, 0, 1, Sample(CPU, 40.5)),))])
    second = await ingest.commit([Batch((frame(tenant, 5, 0, Sample(CPU, 41)),))])
    assert [r.accepted for r in (*first, *second)] == [2, 2]
    assert [c.state for r in (*first, *second) for c in r.changes] == [SpanState.UP, SpanState.DOWN]
    assert await spans_of(database, tenant, at(10)) == [
        Span(at(0), at(5), SpanState.UP, doubt_after=5),
        Span(at(5), at(10), SpanState.DOWN, doubt=5),
    ]
    rows = await database.fetch(
        "SELECT metric_type, metric_name, metric_value, timestamp, data_source FROM monitoring_data "
        "WHERE tenant_id = $1 AND metric_type = 'cpu' ORDER BY timestamp",
        tenant.tenant_id,
    )
    assert [tuple(r) for r in rows] == [
        ("cpu", "cpu_usage", 40.5, at(0), "simulator"),
        ("cpu", "cpu_usage", 41.0, at(5), "simulator"),
    ]


async def test_a_change_that_several_batches_of_one_commit_are_about_is_told_once_after_the_newest_values(
    ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, other = await make_tenant(), await make_tenant()
    batches = [Batch((frame(tenant, n, 0, Sample(CPU, n)),)) for n in range(3)]
    results = await ingest.commit([*batches, Batch((frame(other, 9, 1),))])
    told = [[(c.tenant_id, c.state) for c in r.changes] for r in results]
    assert told == [[], [], [(tenant.tenant_id, SpanState.DOWN)], [(other.tenant_id, SpanState.UP)]]


async def test_sending_the_same_again_in_another_split_changes_no_answer(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    whole = frame(tenant, 0, 1, Sample(CPU, 1.0))
    await ingest.commit([Batch((whole, frame(tenant, 5, 0)))])
    before = await spans_of(database, tenant, at(30))
    query = "SELECT * FROM monitoring_data WHERE tenant_id = $1 ORDER BY timestamp, metric_name"
    rows = await database.fetch(query, tenant.tenant_id)
    await ingest.commit([Batch((frame(tenant, 5, 0),))])
    await ingest.commit([Batch((whole,))])
    split = Frame(tenant.tenant_id, Source.SIMULATOR, at(0), (Sample(CPU, 1.0),))
    await ingest.commit([Batch((split,)), Batch((frame(tenant, 0, 1),))])
    assert await spans_of(database, tenant, at(30)) == before
    assert await database.fetch(query, tenant.tenant_id) == rows


async def test_a_correction_of_the_same_instant_wins(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch((frame(tenant, 0, 1), frame(tenant, 5, 0), frame(tenant, 10, 1)))])
    await ingest.commit([Batch((frame(tenant, 5, 1),))])
    assert await spans_of(database, tenant, at(12)) == [Span(at(0), at(12), SpanState.UP)]


async def test_gaps_say_who_was_blind(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    failed = AttemptOutcome.TARGET_FAILED
    # A source of its own time range: attempts for all tenants would explain other tests' gaps too.
    await ingest.commit([Batch((frame(tenant, 0, 1),), (ok(0, tenant=tenant),))])
    for second in (5, 10, 15):
        await ingest.commit([Batch((), (ok(second, failed, tenant),))])
    await ingest.commit([Batch((frame(tenant, 60, 1),), (ok(60, tenant=tenant),))])
    assert await spans_of(database, tenant, at(61)) == [
        Span(at(0), at(12.5), SpanState.UP, doubt_after=12.5),
        Span(at(12.5), at(27.5), SpanState.GAP, GapReason.TARGET_FAILED, doubt=12.5),
        Span(at(27.5), at(60), SpanState.GAP, GapReason.COLLECTOR_DOWN),
        Span(at(60), at(61), SpanState.UP),
    ]
    tail = await spans_of(database, tenant, at(200))
    assert tail[-1] == Span(at(72.5), at(200), SpanState.GAP, GapReason.COLLECTOR_DOWN, doubt=12.5)


async def test_only_the_source_that_is_evidence_votes(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    pushed = Frame(tenant.tenant_id, Source.PUSH, at(1), (Sample(UP, 0),))
    await ingest.commit([Batch((frame(tenant, 0, 1), pushed))])
    assert await spans_of(database, tenant, at(5)) == [Span(at(0), at(5), SpanState.UP)]


async def test_frames_of_a_deleted_tenant_do_not_reach_the_new_one_of_its_name(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    old = await make_tenant()
    await PgTenantStore(database).delete(old, at(1))
    new = await make_tenant(tenant_id=old.tenant_id)
    late, own = (
        Frame(new.tenant_id, Source.SIMULATOR, at(n), (Sample(UP, 0), Sample(CPU, n)), t.key)
        for n, t in enumerate((old, new))
    )
    [result, both] = await ingest.commit([Batch((late,)), Batch((late, own))])
    assert (result.accepted, result.refused, result.frames) == (0, {Rejection.UNKNOWN_TENANT: 2}, ())
    assert (both.accepted, both.refused, both.frames) == (2, {Rejection.UNKNOWN_TENANT: 2}, (own,))
    assert await database.fetchval("SELECT count(*) FROM frames WHERE tenant = $1", old.key) == 0
    assert await database.fetchval("SELECT min(ts) FROM frames WHERE tenant = $1", new.key) == at(1)


async def test_unknown_tenants_and_too_many_series_are_rejected_and_the_rest_is_kept(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    many = tuple(Sample(SeriesKey("custom", f"m{n}"), n) for n in range(120))
    stranger = Frame("nobody-here", Source.PUSH, at(0), (Sample(CPU, 1),))
    mine = Frame(tenant.tenant_id, Source.SIMULATOR, at(0), many)
    result, other = await ingest.commit([Batch((mine, stranger)), Batch((frame(tenant, 0, 1),))])
    assert result.accepted == 100
    assert result.refused == {Rejection.TOO_MANY_SERIES: 20, Rejection.UNKNOWN_TENANT: 1}
    assert len(result.rejected) == MAX_NAMED
    assert [r.reason for r in other.rejected] == [Rejection.TOO_MANY_SERIES]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=3), min_size=1, max_size=8
    )
)
async def test_stored_spans_equal_recomputation_from_raw_frames(
    migrated_dsn: str, batches: list[list[tuple[int, bool]]]
) -> None:
    from ecpmon.sla.evidence import DEFAULT_RULES
    from tests.integration import conftest

    database = Database(migrated_dsn, max_connections=2)
    try:
        store = IngestStore(database, DEFAULT_RULES, 100)
        make = conftest.make_tenant.__wrapped__(database)  # type: ignore[attr-defined]
        tenant = await make()
        raw: dict[int, bool] = {}
        for batch in batches:
            raw.update(batch)
            await store.commit([Batch(tuple(frame(tenant, s * 4, 0 if down else 1) for s, down in batch))])
        seen = [Observation(at(s * 4), raw[s], HOLDS, timedelta()) for s in sorted(raw)]
        doubt = doubt_between(seen[-2], seen[-1]) if len(seen) > 1 else 0.0
        closed, head = make_head(lay(seen, seen[-1].ts), seen[-1], doubt)
        expected = timeline(closed, head, at(300), GapReason.COLLECTOR_DOWN)
        stored = await spans_of(database, tenant, at(300))
        assert [_but_reason(s) for s in stored] == [_but_reason(s) for s in expected]
    finally:
        await database.close()


def _but_reason(span: Span) -> tuple[object, ...]:
    return span.start, span.end, span.state, span.doubt, span.doubt_after


async def test_the_database_refuses_overlapping_spans(database: Database, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    insert = "INSERT INTO availability_spans VALUES ($1, tstzrange($2, $3), 'up', NULL)"
    await database.execute(insert, tenant.key, at(0), at(10))
    with pytest.raises(Exception) as caught:
        await database.execute(insert, tenant.key, at(9), at(12))
    assert isinstance(caught.value.__cause__, asyncpg.ExclusionViolationError)


async def test_a_rejected_sample_has_no_vote_and_stops_nobody(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    full, other = await make_tenant(), await make_tenant()
    many = tuple(Sample(SeriesKey("custom", f"m{n}"), n) for n in range(100))
    await ingest.commit([Batch((Frame(full.tenant_id, Source.SIMULATOR, at(0), many),))])
    for _ in range(2):  # the repeated instant is the one that used to break
        refused, taken = await ingest.commit([Batch((frame(full, 5, 0),)), Batch((frame(other, 5, 1),))])
        assert [r.reason for r in refused.rejected] == [Rejection.TOO_MANY_SERIES]
        assert taken.accepted == 1
    assert await spans_of(database, full, at(10)) == []


async def test_a_commit_between_two_reads_is_seen_by_both_or_none(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await make_tenant(holds=timedelta(days=2))
    await ingest.commit([Batch((frame(tenant, 0, 1),))])
    store = PgAvailabilityStore(database)
    whole = [Span(at(0), at(86_400), SpanState.UP)]

    real = database.snapshot

    @asynccontextmanager
    async def meddled() -> AsyncIterator[object]:
        async with real() as connection:
            await connection.fetchval("SELECT 1")  # the snapshot is taken with the first statement
            await ingest.commit([Batch((frame(tenant, 86_399, 0),))])
            yield connection

    monkeypatch.setattr(database, "snapshot", meddled)
    assert await store.timeline(tenant, at(-10), at(86_400)) == whole


async def test_a_tenant_nobody_can_read_does_not_hide_the_others(
    database: Database, make_tenant: MakeTenant
) -> None:
    from ecpmon.storage.tenants import PgTenantStore

    fine = await make_tenant()
    await database.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('odd-one', 'small', '{\"chatbot\": \"ten\"}', '{}', '{}')"
    )
    names = {t.tenant_id for t in await PgTenantStore(database).live()}
    assert fine.tenant_id in names
    assert "odd-one" not in names


def component(tenant: Tenant, seconds: float, **up: int) -> Frame:
    samples = tuple(Sample(SeriesKey("sla", "up", (("service", name),)), v) for name, v in up.items())
    return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), samples)


async def test_services_count_by_weight_also_when_an_instant_comes_in_pieces(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(component_weights={"callbot": 3, "chatbot": 1})
    await ingest.commit([Batch((component(tenant, 0, callbot=1, chatbot=1),))])
    await ingest.commit([Batch((component(tenant, 5, callbot=1),))])
    assert (await spans_of(database, tenant, at(6)))[-1].state is SpanState.UP
    await ingest.commit([Batch((component(tenant, 5, chatbot=0),))])
    await ingest.commit([Batch((component(tenant, 10, callbot=0, chatbot=0),))])
    await ingest.commit([Batch((component(tenant, 15, callbot=1, chatbot=1),))])
    assert await spans_of(database, tenant, at(16)) == [
        Span(at(0), at(5), SpanState.UP, doubt_after=5),
        Span(at(5), at(10), SpanState.DOWN, share=0.25, doubt=5, doubt_after=5),
        Span(at(10), at(15), SpanState.DOWN, doubt=5, doubt_after=5),
        Span(at(15), at(16), SpanState.UP, doubt=5),
    ]
    # A correction of the past, then the head itself in part down.
    await ingest.commit([Batch((component(tenant, 10, callbot=0, chatbot=1),))])
    await ingest.commit([Batch((component(tenant, 20, callbot=1, chatbot=0),))])
    assert [s.down_share for s in await spans_of(database, tenant, at(22))] == [0, 0.25, 0.75, 0, 0.25]
    asked = Interval(at(0), at(22))
    found = await PgFastWindows(database).tallies({tenant.tenant_id: [asked]}, at(22))
    assert found[tenant.tenant_id][asked].down == 5 * 0.25 + 5 * 0.75 + 2 * 0.25


async def test_a_block_is_taken_in_as_its_frames_would_be(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    shape = Shape((UP, CPU))
    instants = [at(5 * n) for n in range(40)] + [at(500), at(505), at(12)]
    rows = [[float(n % 11 > 2), n] for n in range(len(instants))]

    async def stored(whole: bool) -> tuple[object, ...]:
        tenant = await make_tenant()
        block = Block(tenant.tenant_id, Source.SIMULATOR, shape, tenant.key)
        assert block.extend(instants, rows)
        [result] = await ingest.commit([Batch((block,) if whole else tuple(block.frames()))])
        query = (
            "SELECT ts, samples FROM frames WHERE tenant = $1 ORDER BY seq",
            "SELECT bucket FROM rollup_dirty WHERE tenant = $1 ORDER BY 1",
        )
        found = [[tuple(r) for r in await database.fetch(q, tenant.key)] for q in query]
        changes = [(c.at, c.state, c.previous) for c in result.changes]
        return result.accepted, changes, found, await spans_of(database, tenant, at(600))

    assert await stored(whole=True) == await stored(whole=False)


async def test_a_block_of_a_tenant_that_is_full_or_gone_is_refused_row_by_row(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 1)
    await store.commit([Batch((Frame(tenant.tenant_id, Source.PUSH, at(0), (Sample(CPU, 1),)),))])
    full = Block(tenant.tenant_id, Source.PUSH, Shape((SeriesKey("custom", "queue"), CPU)))
    gone = Block("nobody-there", Source.PUSH, full.shape)
    for block in (full, gone):
        assert block.extend([at(1), at(2), at(3)], [[1, 2]] * 3)
    [result] = await store.commit([Batch((full, gone))])
    assert (result.accepted, result.frames) == (3, (full,))
    assert result.refused == {Rejection.TOO_MANY_SERIES: 3, Rejection.UNKNOWN_TENANT: 6}
