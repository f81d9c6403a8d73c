"""Samples out: plots, rollups, hand-made SQL, and what people's own queries see."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from ecpmon.alerts.past import History, Series
from ecpmon.alerts.syntax import AggFunction, Aggregate, References
from ecpmon.errors import EcpError, ValidationFailed
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.names import CANONICAL_METRICS
from ecpmon.ports.samples import Point
from ecpmon.sla.evidence import DEFAULT_RULES, Intervals, series_key
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.monitoring import PgMonitoringStore, tier_for
from ecpmon.storage.queries import load
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0
from tests.integration.hand_made import insert_by_hand

CPU = SeriesKey("cpu", "cpu_usage")
SQL = load("monitoring")
MakeTenant = Callable[..., Awaitable[Tenant]]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def cpu(tenant: Tenant, seconds: float, value: float) -> Frame:
    return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), (Sample(CPU, value),))


async def roll_everything(database: Database) -> None:
    upkeep = Upkeep(database)
    while await upkeep.roll_up(at(0), everything=True):
        pass


@pytest.mark.parametrize("step", [timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)])
async def test_every_tier_gives_the_same_averages(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, step: timedelta
) -> None:
    tenant = await make_tenant()
    frames = tuple(cpu(tenant, s, float(s % 7)) for s in range(0, 7200, 30))
    await ingest.commit([Batch(frames)])
    await roll_everything(database)
    found = (await PgMonitoringStore(database).packed(tenant, at(0), at(7200), step)).open()
    points = found["cpu", "cpu_usage"]
    width = step.total_seconds()
    for point in points:
        start = (point.ts - at(0)).total_seconds()
        values = [float(s % 7) for s in range(0, 7200, 30) if start <= s < start + width]
        assert point.value == pytest.approx(sum(values) / len(values))
        assert (point.low, point.high) == (min(values), max(values))
    assert len(points) == 7200 / width


async def test_late_data_and_corrections_reach_the_rollups(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store = PgMonitoringStore(database)
    await ingest.commit([Batch((cpu(tenant, 0, 10), cpu(tenant, 60, 20)))])
    await roll_everything(database)
    await ingest.commit([Batch((cpu(tenant, 30, 30), cpu(tenant, 0, 40)))])
    await roll_everything(database)
    for step in (timedelta(minutes=5), timedelta(hours=1)):
        points = (await store.packed(tenant, at(0), at(300), step)).open()["cpu", "cpu_usage"]
        assert [p.value for p in points] == [30.0]
    rows = await database.fetch("SELECT * FROM metrics_5m WHERE tenant_id = $1", tenant.tenant_id)
    assert [(r["avg"], r["min"], r["max"], r["count"]) for r in rows] == [(30, 20, 40, 3)]


async def test_a_step_chooses_the_coarsest_tier_that_fits() -> None:
    assert tier_for(timedelta(seconds=15)) == "raw_points"
    assert tier_for(timedelta(minutes=5)) == "rollup_5m_points"
    assert tier_for(timedelta(minutes=90)) == "rollup_5m_points"
    assert tier_for(timedelta(days=1)) == "rollup_1h_points"


async def test_inserts_of_the_integration_guide_work(database: Database) -> None:
    number = await database.fetchval(
        "INSERT INTO tenants (tenant_id, name, preset, is_demo, service_requirements, resources, sla_target,"
        " cpu_limit, memory_limit, gpu_limit) VALUES ('by-hand', 'By hand', 'medium', false, '{\"chatbot\": 50}',"
        " '{\"cpu\": \"8000m\"}', '{\"availability\": \"99.9%\"}', '8000m', '16Gi', 2) RETURNING id"
    )
    insert = "INSERT INTO monitoring_data (tenant_id, metric_type, metric_name, metric_value) VALUES "
    for metric, value in (("cpu", 65.5), ("memory", 78.2), ("gpu", 85.0)):
        await database.execute(f"{insert} ({number}, '{metric}', '{metric}', {value})")
    await insert_by_hand(database, "by-hand", "up", 0, at(0))
    rows = await database.fetch(
        "SELECT metric_name, metric_value, data_source FROM monitoring_data"
        " WHERE tenant_id = 'by-hand' AND metric_type <> 'sla' ORDER BY metric_name"
    )
    assert [tuple(r) for r in rows] == [
        ("cpu_usage", 65.5, "push"),
        ("gpu_usage", 85.0, "push"),
        ("memory_usage", 78.2, "push"),
    ]
    keeper = HandMade(database, DEFAULT_RULES)
    assert await keeper.take_in(at(-60), at(0)) == 1
    # Older than what raw samples can explain: the timeline stays.
    await insert_by_hand(database, "by-hand", "up", 1, at(-86_400 * 40), now=at(-86_400 * 40))
    await keeper.take_in(at(-60), at(0))
    from ecpmon.storage.tenants import PgTenantStore

    tenant = await PgTenantStore(database).get("by-hand")
    spans = await PgAvailabilityStore(database).timeline(tenant, at(-10), at(10))
    assert spans == [Span(at(0), at(10), SpanState.DOWN)]


@pytest.mark.parametrize("target", ["100%", "0%", "NaN", "banana", "100.0"])
async def test_targets_without_an_error_budget_are_refused_by_the_database(
    database: Database, target: str
) -> None:
    with pytest.raises(EcpError):
        await database.execute(
            "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
            " VALUES ('bad-target', 'small', '{}', '{}', jsonb_build_object('availability', $1::text))",
            target,
        )


async def test_sql_and_python_agree_on_canonical_names(database: Database) -> None:
    for pushed, expected in CANONICAL_METRICS.items():
        row = await database.fetchrow("SELECT * FROM canonical_metric($1)", pushed)
        assert (row["metric_type"], row["metric_name"]) == expected


async def test_filters_on_tenant_and_time_reach_the_chunks(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await ingest.commit([Batch(tuple(cpu(tenant, 86_400 * d, 1) for d in range(5)))])
    plan = await database.fetch(
        "EXPLAIN SELECT metric_value FROM monitoring_data WHERE tenant_id = 'x' AND timestamp >= "
        f"'{at(86_400 * 3).isoformat()}' AND timestamp < '{at(86_400 * 4).isoformat()}'"
    )
    text = "\n".join(r[0] for r in plan)
    assert text.count("_hyper_") >= 1
    chunks = {word for word in text.replace("(", " ").split() if word.endswith("_chunk")}
    assert len(chunks) == 1, text


async def test_aggregates_of_a_metric(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    counter = (10, 20, 5, 15)  # a reset after the second value
    await ingest.commit([Batch(tuple(cpu(tenant, 10 * i, v) for i, v in enumerate(counter)))])
    store = PgMonitoringStore(database)
    window, now = timedelta(seconds=31), at(30)
    terms = [(f, "cpu_usage", window) for f in ("avg", "min", "max", "last", "rate")]
    found = await store.trailing(tenant, terms, now)
    assert [found[term] for term in terms] == [12.5, 5, 20, 15, pytest.approx(25 / 30)]
    nothing = [("avg", "cpu_usage", timedelta(seconds=100)), ("avg", "unheard_of", window)]
    assert await store.trailing(tenant, nothing, at(200)) == dict.fromkeys(nothing)
    assert await store.trailing(tenant, [], now) == {}
    with pytest.raises(ValidationFailed):
        await store.trailing(tenant, [("median", "cpu_usage", window)], now)


async def test_a_window_is_the_evidences_where_that_spoke_else_whose_spoke_last_whatever_its_source(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, store = await make_tenant(source=Source.SIMULATOR), PgMonitoringStore(database)
    said: dict[str, list[tuple[float, float]]] = {
        "simulator": [(0, 10), (5, 20)],
        "my-script": [(40, 30), (80, 32)],
        "push": [(60, 40)],
    }
    for source, values in said.items():
        for seconds, value in values:
            await insert_by_hand(database, tenant.tenant_id, "cpu_usage", value, at(seconds), source=source)
    terms = [("avg", "cpu_usage", timedelta(seconds=s)) for s in (100, 80, 25, 15)]
    found = await store.trailing(tenant, terms, at(90))
    # Of 100 s the evidence has said something, of less only others; the one that spoke last is a script.
    assert [found[term] for term in terms] == [15, 31, 32, 32]
    past = History(
        tenant,
        Intervals(timedelta(seconds=5), timedelta(seconds=15)),
        (),
        (),
        {"cpu_usage": [Series(s, [Point(at(t), v, v, v) for t, v in own]) for s, own in said.items()]},
    )
    wanted = References(aggregates=frozenset(Aggregate(AggFunction.AVG, n, w) for _, n, w in terms))
    replayed = past.at(at(90), wanted)
    assert [replayed.aggregate(AggFunction.AVG, "cpu_usage", w) for _, _, w in terms] == [15, 31, 32, 32]
    newest = (await store.latest_of([(tenant, at(-60))], ["cpu_usage"], at(90)))[tenant.key]["cpu_usage"]
    assert (newest.source, newest.value, newest.ts) == ("my-script", 32, at(80))
    every = {
        (s, value) for _, _, s, _, value in await store.newest([(tenant, at(-60))], ["cpu_usage"], at(90))
    }
    assert every == {("simulator", 20), ("my-script", 32), ("push", 40)}
    latest = {(v.source, v.value) for _, v in await store.latest(tenant, at(-60), at(90))}
    assert latest == every


async def test_many_windows_say_together_what_each_says_of_its_own_samples(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, chance = await make_tenant(), random.Random(8)
    values = {second: float(chance.randrange(1_000)) for second in chance.sample(range(3_600), 300)}
    store = PgMonitoringStore(database)
    await ingest.commit([Batch(tuple(cpu(tenant, s, 1) for s in chance.sample(sorted(values), 40)))])
    await ingest.commit([Batch(tuple(cpu(tenant, s, v) for s, v in values.items()))])
    now = max(values)
    windows = [*chance.sample(range(1, 3_700), 60), now - min(values), now - min(values) + 1]
    terms = [(f, "cpu_usage", timedelta(seconds=w)) for f in AggFunction for w in windows]
    found = await store.trailing(tenant, terms, at(now))
    points = [Point(at(s), v, v, v) for s, v in sorted(values.items())]
    alone = Series(Source.PUSH, points)
    for function, name, window in terms:
        expected = alone.aggregate(AggFunction(function), window, at(now))
        assert found[function, name, window] == (expected if expected is None else pytest.approx(expected))


async def test_retention_drops_whole_chunks_and_leaves_what_is_younger(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    # Far from the other tests' data, which must stay.
    long_ago = -86_400.0 * 400
    await ingest.commit([Batch((cpu(tenant, long_ago, 1), cpu(tenant, 0, 2)))])
    await roll_everything(database)
    await database.execute(
        "INSERT INTO availability_spans VALUES ($1, tstzrange($2, $3), 'down', NULL)",
        tenant.key, at(long_ago), at(long_ago + 60),
    )  # fmt: skip
    limit = at(long_ago + 86_400 * 60)
    relations = ("frames", "pull_attempts", "rollup_5m", "rollup_1h", "availability_spans")
    await Upkeep(database).retain(dict.fromkeys(relations, limit))
    for relation, time in (("frames", "ts"), ("rollup_5m", "bucket"), ("rollup_1h", "bucket")):
        found = await database.fetch(f"SELECT {time} AS at FROM {relation} WHERE tenant = $1", tenant.key)
        assert [(r["at"] - at(0)).total_seconds() for r in found] == [0], relation
    spans = "SELECT count(*) FROM availability_spans WHERE tenant = $1"
    assert await database.fetchval(spans, tenant.key) == 0


@pytest.mark.parametrize("rolled_up", [False, True])
async def test_what_was_wrong_when_an_outage_began(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, rolled_up: bool
) -> None:
    """Neither what failed later nor another source's word is why it began."""
    tenant = await make_tenant()

    def frame(source: Source, seconds: float, **values: float) -> Frame:
        samples = (Sample(series_key(name.replace("_", ".")), value) for name, value in values.items())
        return Frame(tenant.tenant_id, source, at(seconds), tuple(samples))

    fine, broken = {"up": 1, "up_redis": 1, "up_callbot": 1}, {"up": 0, "up_redis": 0, "up_callbot": 1}
    frames = [frame(Source.SIMULATOR, s, **(fine if s < 600 else broken)) for s in range(0, 960, 60)]
    frames += [frame(Source.SIMULATOR, 960, up=0, up_redis=0, up_callbot=0)]
    frames += [frame(Source.PUSH, 600, up_nginx=0)]
    errors = Sample(series_key("error_rate"), 0.7)
    frames += [Frame(tenant.tenant_id, Source.SIMULATOR, at(7200), (errors,))]
    await ingest.commit([Batch(tuple(frames))])
    await roll_everything(database)
    outages = [Interval(at(600), at(1200)), Interval(at(3600), at(3700)), Interval(at(7200), at(7300))]
    raw_since = at(8000) if rolled_up else at(0)
    store = PgMonitoringStore(database)
    found = await store.causes(tenant, outages, raw_since, 0.5)
    assert [c.shown() for c in found] == ["down: redis", None, "too many errors"]
    assert (await store.causes(tenant, outages, raw_since, None))[2].shown() is None
    assert await store.causes(tenant, [], raw_since, 0.5) == []


async def test_mean_response_times_are_found_anew_when_a_part_of_what_they_follow_from_has_passed(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, minute = await make_tenant(), timedelta(minutes=1)
    up = Sample(SeriesKey("sla", "up"), 1.0)
    await ingest.commit([Batch((Frame(tenant.tenant_id, Source.SIMULATOR, T0, (up,)),))])

    async def is_due(known: timedelta, found_before: timedelta | None) -> bool:
        now = T0 + known
        await database.execute("DELETE FROM response_times WHERE tenant = $1", tenant.key)
        if found_before is not None:
            await database.execute(SQL["keep_response_times"], [tenant.key], [5.0], now - found_before)
        return bool(await database.fetch(SQL["response_times_due"], [tenant.key], now))

    month = timedelta(days=30)
    assert await is_due(month, None)
    assert [await is_due(month, n * minute) for n in (1, 29, 61)] == [False, False, True]
    assert [await is_due(96 * minute, n * minute) for n in (1, 3)] == [False, True]
    assert await is_due(month, -minute), "a clock that was ahead"
