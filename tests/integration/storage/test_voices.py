"""Several voices of one tenant, as stored: the same whatever the order, the split, the repetition and the delay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.names import ENDS
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.spans import clip, doubt_between, lay, make_head, timeline
from ecpmon.sla.voices import Chorus
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.late import LateEvidence
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import Regime, told_by
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0, MakeTenant

HOLDS = timedelta(seconds=12.5)
WEIGHTS = {"a": 3.0, "b": 1.0}
AFTER_ALL = T0 + timedelta(days=4)
NEVER = LateEvidence(10**9, 10**9, 10**9)
ALWAYS = LateEvidence(-1, 0, 2)
KINDS = {"up": "sla", "error_rate": "error"}
# Instant, metric, component, value.
Value = tuple[datetime, str, str, float]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def frame(tenant: Tenant, ts: datetime, *values: tuple[str, str, float]) -> Frame:
    samples = tuple(
        Sample(SeriesKey(KINDS.get(name, "custom"), name, (("service", of),) if of else ()), value)
        for name, of, value in values
    )
    return Frame(tenant.tenant_id, Source.PUSH, ts, samples)


def up(tenant: Tenant, seconds: float, **services: int) -> Batch:
    return Batch((frame(tenant, at(seconds), *(("up", name, value) for name, value in services.items())),))


async def spans_of(database: Database, tenant: Tenant, now: datetime) -> list[Span]:
    found = await PgAvailabilityStore(database).timeline(tenant, T0 - timedelta(days=1), now)
    return [replace(s, reason=None) for s in found]


async def take_in(database: Database, most_marks: int = 500) -> None:
    keeper = HandMade(database, DEFAULT_RULES, most_marks=most_marks)
    while await keeper.take_in(T0 - timedelta(days=7), AFTER_ALL):
        pass


def recomputed(
    values: Sequence[Value], now: datetime, age: timedelta | None, weights: dict[str, float] | None = None
) -> list[Span]:
    """The timeline of all values together; of two of one instant and voice the later one counts."""
    regime = Regime(T0 - timedelta(days=40), Source.PUSH, HOLDS, weights, age)
    told = told_by([(ts, Source.PUSH, *rest) for ts, *rest in values], [regime], DEFAULT_RULES)
    seen = Chorus().follow(told)
    if not seen:
        return []
    doubt = doubt_between(seen[-2], seen[-1]) if len(seen) > 1 else 0.0
    closed, head = make_head(lay(seen, seen[-1].ts), seen[-1], doubt)
    return [replace(s, reason=None) for s in timeline(closed, head, now, None)]


# Three stretches of four minutes; a day and more lies between them.
INSTANTS = st.builds(
    lambda n, day: at(4 * n + day * 90_000), st.integers(0, 60), st.sampled_from([0, 0, 0, 1, 2])
)
VALUES = st.tuples(
    INSTANTS, st.sampled_from(["up", "up", "up", "error_rate", *ENDS]), st.sampled_from(["", "a", "b", "c"]),
    st.sampled_from([0.0, 1.0, 1.0]),
)  # fmt: skip
HISTORIES = st.lists(st.lists(VALUES, min_size=1, max_size=6), min_size=1, max_size=8)
PROPERTY = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@PROPERTY
@given(
    history=HISTORIES,
    weights=st.sampled_from([None, None, WEIGHTS]),
    age=st.sampled_from([None, timedelta()]),
    late=st.sampled_from([NEVER, ALWAYS, None]),
    again=st.integers(0, 7),
    between=st.booleans(),
)
async def test_what_is_stored_is_what_all_voices_say_together(
    database: Database,
    make_tenant: MakeTenant,
    history: list[list[Value]],
    weights: dict[str, float] | None,
    age: timedelta | None,
    late: LateEvidence | None,
    again: int,
    between: bool,
) -> None:
    tenant = await make_tenant(Source.PUSH, HOLDS, age=age, component_weights=weights)
    store = IngestStore(database, DEFAULT_RULES, 100, late=late)
    history = [*history, history[again % len(history)]]
    for batch in history:
        await store.commit([Batch(tuple(frame(tenant, ts, tuple(rest)) for ts, *rest in batch))])
        if between:
            await take_in(database, 3)
    await take_in(database)
    expected = recomputed([value for batch in history for value in batch], AFTER_ALL, age, weights)
    assert await spans_of(database, tenant, AFTER_ALL) == expected
    asked = Interval(T0 - timedelta(days=1), AFTER_ALL)
    tallies = (await PgFastWindows(database).tallies({tenant.tenant_id: [asked]}, AFTER_ALL)).get(
        tenant.tenant_id
    )
    assert (tallies is None) == (not expected)
    if tallies:
        assert tallies[asked].down == pytest.approx(sum(s.down_seconds for s in expected), abs=1e-5)
        assert tallies[asked].gap == pytest.approx(sum(s.gap_seconds for s in expected), abs=1e-5)
        assert tallies[asked].eligible == (AFTER_ALL - expected[0].start).total_seconds()


@PROPERTY
@given(
    history=st.lists(VALUES, min_size=1, max_size=14),
    age=st.sampled_from([None, timedelta()]),
    gone=st.sets(st.integers(0, 13), min_size=1, max_size=6),
    one_by_one=st.booleans(),
)
async def test_what_is_deleted_was_never_said(
    database: Database,
    make_tenant: MakeTenant,
    history: list[Value],
    age: timedelta | None,
    gone: set[int],
    one_by_one: bool,
) -> None:
    tenant = await make_tenant(Source.PUSH, HOLDS, age=age)
    store = IngestStore(database, DEFAULT_RULES, 100)
    await store.commit([Batch(tuple(frame(tenant, ts, tuple(rest)) for ts, *rest in history))])
    left = history
    for index in sorted(gone):
        ts = history[index % len(history)][0]
        left = [value for value in left if value[0] != ts]
        await database.execute("DELETE FROM frames WHERE tenant = $1 AND ts = $2", tenant.key, ts)
        if one_by_one:
            await take_in(database)
    await take_in(database)
    # What follows from silence after the newest value may be known already: from the time when there was a newer one.
    newest = max((ts for ts, *_ in left), default=AFTER_ALL)
    assert await spans_of(database, tenant, newest) == recomputed(left, newest, age)


@pytest.mark.parametrize("count", [2, 4])
async def test_an_outage_of_one_of_several_agents_is_charged_whole(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, count: int
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75))
    for n in range(60):
        for agent in range(count):
            down = agent == 0 and 20 <= n < 40
            await ingest.commit([up(tenant, 30 * n + 5 * agent, **{f"service-{agent}": 0 if down else 1})])
    spans = await spans_of(database, tenant, at(1780))
    assert [(s.start, s.seconds) for s in spans if s.state is SpanState.DOWN] == [(at(600), 600.0)]
    assert not [s for s in spans if s.state is SpanState.GAP]


async def test_a_heartbeat_beside_failing_requests_is_down(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75))
    for n in range(40):
        await ingest.commit([Batch((frame(tenant, at(30 * n), ("up", "", 1)),))])
        rate = 1.0 if 10 <= n < 30 else 0.0
        [result] = await ingest.commit([Batch((frame(tenant, at(30 * n + 7), ("error_rate", "", rate)),))])
        assert [c.state for c in result.changes] == {10: ["down"], 30: ["up"]}.get(n, [])
        states = await PgFastWindows(database).states([tenant.tenant_id], at(30 * n + 8))
        assert states == {tenant.tenant_id: "down" if rate else "up"}
    spans = await spans_of(database, tenant, at(1200))
    assert [(s.start, s.end) for s in spans if s.state is SpanState.DOWN] == [(at(307), at(907))]


async def test_weights_count_when_every_service_is_pushed_by_an_agent_of_its_own(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75), component_weights=WEIGHTS)
    for n in range(40):
        await ingest.commit([up(tenant, 30 * n, a=1)])
        await ingest.commit([up(tenant, 30 * n + 10, b=0 if 10 <= n < 20 else 1)])
    assert await spans_of(database, tenant, at(1200)) == [
        # Of the other one nobody knew yet.
        Span(at(0), at(10), SpanState.GAP, share=0.25),
        Span(at(10), at(310), SpanState.UP),
        Span(at(310), at(610), SpanState.DOWN, share=0.25),
        Span(at(610), at(1200), SpanState.UP),
    ]


async def test_a_service_with_a_weight_that_falls_silent_is_a_gap_for_its_part(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75), component_weights=WEIGHTS)
    told = [
        Span(at(10), at(355), SpanState.UP),
        # `b` was last heard at 280; `a` goes on, and is down for a while.
        Span(at(355), at(450), SpanState.GAP, share=0.25),
        Span(at(450), at(510), SpanState.DOWN, share=0.75, unknown=0.25),
        Span(at(510), at(610), SpanState.GAP, share=0.25),
        Span(at(610), at(1200), SpanState.UP),
    ]
    sums = PgFastWindows(database)
    for n in range(40):
        [result] = await ingest.commit([up(tenant, 30 * n, a=0 if 15 <= n < 17 else 1)])
        # That nobody knows of a part is no change that somebody observed.
        assert [c.state for c in result.changes] == {0: [], 15: ["down"]}.get(n, [])
        if not 10 <= n < 20:
            await ingest.commit([up(tenant, 30 * n + 10, b=1)])
        now, asked = at(30 * n + 11), Interval(at(10), at(30 * n + 11))
        state = {**dict.fromkeys(range(12, 20), "gap"), 15: "down", 16: "down"}.get(n, "up")
        assert await sums.states([tenant.tenant_id], now) == {tenant.tenant_id: state}
        # While it lasts, and when it is over.
        if n:
            tally = (await sums.tallies({tenant.tenant_id: [asked]}, now))[tenant.tenant_id][asked]
            spans = [clip([s], asked.start, asked.end) for s in await spans_of(database, tenant, now)]
            known = [s for piece in spans for s in piece]
            assert (tally.down, tally.gap) == pytest.approx(
                (sum(s.down_seconds for s in known), sum(s.gap_seconds for s in known)), abs=1e-5
            )
    spans = await spans_of(database, tenant, at(1200))
    assert spans[1:] == told
    asked = Interval(at(10), at(1200))
    tally = (await sums.tallies({tenant.tenant_id: [asked]}, at(1200)))[tenant.tenant_id][asked]
    assert (tally.down, tally.gap) == (45.0, 0.25 * 255)
    # What was sent late after all fills it.
    late = [frame(tenant, at(30 * n + 10), ("up", "b", 1)) for n in range(10, 20)]
    await ingest.commit([Batch(tuple(late))])
    assert (await spans_of(database, tenant, at(1200)))[1:] == [
        Span(at(10), at(450), SpanState.UP),
        Span(at(450), at(510), SpanState.DOWN, share=0.75),
        Span(at(510), at(1200), SpanState.UP),
    ]


async def test_a_service_that_falls_silent_is_a_gap_until_it_speaks_again(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75))
    for n in range(40):
        await ingest.commit([up(tenant, 30 * n, a=1)])
        if not 10 <= n < 20:
            await ingest.commit([up(tenant, 30 * n + 10, b=1)])
    assert await spans_of(database, tenant, at(1200)) == [
        Span(at(0), at(280 + 75), SpanState.UP),
        Span(at(280 + 75), at(610), SpanState.GAP),
        Span(at(610), at(1200), SpanState.UP),
    ]
    # What was sent late after all fills it.
    late = [frame(tenant, at(30 * n + 10), ("up", "b", 1)) for n in range(10, 20)]
    await ingest.commit([Batch(tuple(late))])
    assert await spans_of(database, tenant, at(1200)) == [Span(at(0), at(1200), SpanState.UP)]


@pytest.mark.parametrize(("name", "value"), [("up", 0), ("error_rate", 1.0)])
async def test_what_says_that_the_tenant_is_down_and_falls_silent_is_missed_beside_its_services(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, name: str, value: float
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75))
    for n in range(40):
        if n < 20:
            said = value if n >= 10 else 1 - value
            await ingest.commit([Batch((frame(tenant, at(30 * n), (name, "", said)),))])
        await ingest.commit([up(tenant, 30 * n + 7, a=1)])
    # Nobody knows since when it is not so any more.
    told = [
        Span(at(0), at(300), SpanState.UP),
        Span(at(300), at(570 + 75), SpanState.DOWN),
        Span(at(570 + 75), at(1200), SpanState.GAP),
    ]
    assert await spans_of(database, tenant, at(1200)) == told
    assert await PgFastWindows(database).states([tenant.tenant_id], at(1200)) == {tenant.tenant_id: "gap"}
    # It may be forgotten, as a service is: then what is heard is all there is.
    of_all = "SELECT s.id FROM series s WHERE s.tenant = $1 AND s.labels = '{}'"
    await database.execute(f"DELETE FROM frames WHERE tenant = $1 AND series && ARRAY({of_all})", tenant.key)
    await take_in(database)
    assert await spans_of(database, tenant, at(1177)) == [Span(at(7), at(1177), SpanState.UP)]


async def test_what_is_ahead_of_its_time_says_nothing_when_the_past_is_told_anew(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75))
    store = IngestStore(database, DEFAULT_RULES, 100, now=lambda: at(100))
    for seconds, services in (
        (90, {"a": 1}),
        (130, {"b": 0}),
        (85, {"a": 1}),
        (90, {"a": 1}),
        (95, {"c": 1}),
    ):
        await store.commit([up(tenant, seconds, **services)])
    assert await spans_of(database, tenant, at(150)) == [Span(at(85), at(150), SpanState.UP)]
    await take_in(database)
    assert [s.state for s in await spans_of(database, tenant, at(150))] == ["up", "down"]


@pytest.mark.parametrize("voices", ['{"newest": 1}', "[]", '{"source": "push", "newest": "never"}', None])
async def test_what_nobody_can_read_of_the_voices_is_read_from_the_samples(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, voices: str | None
) -> None:
    tenant = await make_tenant(Source.PUSH, timedelta(seconds=75))
    for seconds, services in ((0, {"a": 1}), (10, {"b": 0})):
        await ingest.commit([up(tenant, seconds, **services)])
    damage = "UPDATE availability_heads SET voices = $2::text::jsonb WHERE tenant = $1"
    await database.execute(damage, tenant.key, voices)
    await ingest.commit([up(tenant, 30, a=1)])
    assert await spans_of(database, tenant, at(31)) == [
        Span(at(0), at(10), SpanState.UP),
        Span(at(10), at(31), SpanState.DOWN),
    ]


async def test_who_was_expected_before_retention_is_forgotten_and_whoever_is_since_stays(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, day = await make_tenant(Source.PUSH, HOLDS), 86_400
    for seconds, services in ((0, ("a", "b")), (10 * day, ("b", "c")), (10 * day + 5, ("b",))):
        await ingest.commit([up(tenant, seconds, **dict.fromkeys(services, 1))])
    before = await spans_of(database, tenant, at(10 * day + 10))
    upkeep = Upkeep(database)
    sql = "SELECT component, (SELECT count(*) FROM unnest(heard)) FROM evidence_heard WHERE tenant = $1 ORDER BY 1"

    async def expected() -> dict[str, int]:
        """How many stretches of whom."""
        return {r["component"]: r["count"] for r in await database.fetch(sql, tenant.key)}

    assert await expected() == {"a": 1, "b": 2, "c": 1}
    await upkeep.forget_heard(at(day))  # the last of them is expected for an hour more
    assert await expected() == {"a": 1, "b": 2, "c": 1}
    await upkeep.forget_heard(at(2 * day))
    await upkeep.forget_heard(at(2 * day))
    assert await expected() == {"b": 1, "c": 1}
    # In the middle of a stretch it stays as it is, and what is laid again after it is what it was.
    await upkeep.forget_heard(at(10 * day + 3))
    assert await expected() == {"b": 1, "c": 1}
    await ingest.commit([up(tenant, 10 * day + 2, b=1)])
    assert await spans_of(database, tenant, at(10 * day + 10)) == before


class Statements:
    """Counts what a commit asks the database for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        from asyncpg import Connection

        for name in ("fetch", "execute", "fetchval", "fetchrow", "executemany"):
            real = getattr(Connection, name)

            def counted(connection: Any, query: str, *args: Any, _real: Any = real, **kwargs: Any) -> Any:
                self.seen.append(query)
                return _real(connection, query, *args, **kwargs)

            monkeypatch.setattr(Connection, name, counted)

    async def of(self, ingest: IngestStore, batch: Batch) -> list[str]:
        self.seen.clear()
        await ingest.commit([batch])
        return list(self.seen)


async def test_voices_by_turns_cost_one_statement_more_and_one_voice_none(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await make_tenant(Source.PUSH, HOLDS), await make_tenant(Source.PUSH, HOLDS)
    for n in range(4):
        await ingest.commit([up(one, 5 * n, a=1)])
        await ingest.commit([up(two, 5 * n, a=1)])
        await ingest.commit([up(two, 5 * n + 2, b=1)])
    asked = Statements(monkeypatch)
    usual = await asked.of(ingest, up(one, 20, a=1))
    by_turns = [await asked.of(ingest, up(two, 20, a=1)), await asked.of(ingest, up(two, 22, b=1))]
    assert not [
        sql for sql in usual if "evidence_heard" in sql or "unnest(f.series" in sql or "voices =" in sql
    ]
    for statements in by_turns:
        assert len(statements) == len(usual) + 1
        assert not [sql for sql in statements if "evidence_heard" in sql or "unnest(f.series" in sql]


async def test_what_comes_out_of_turn_where_a_voice_was_over_reads_what_follows_it_and_no_day(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await make_tenant(Source.PUSH, HOLDS)
    for n in range(4):
        await ingest.commit([up(tenant, 5 * n, a=1, b=1)])
    await ingest.commit([Batch((frame(tenant, at(17), ("up_over", "b", 1)),))])
    await ingest.commit([up(tenant, 20, a=1)])
    asked, sql = Statements(monkeypatch), load("voices")
    statements = await asked.of(ingest, up(tenant, 16, b=0))
    assert (statements.count(sql["rehear"]), statements.count(sql["unhear"])) == (1, 0)
    assert await spans_of(database, tenant, at(21)) == [
        Span(at(0), at(16), SpanState.UP),
        Span(at(16), at(17), SpanState.DOWN),
        Span(at(17), at(21), SpanState.UP),
    ]
