"""Plots say what the samples say, whatever the step, and whatever is rolled up already: every source, with holes."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import orjson
import pytest

from ecpmon.api.plots import points_of
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.samples import Plot
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.upkeep import Upkeep
from ecpmon.wire import dumps
from tests.integration.conftest import T0
from tests.integration.hand_made import insert_by_hand

MakeTenant = Callable[..., Awaitable[Tenant]]
NAMES = (SeriesKey("cpu", "cpu_usage"), SeriesKey("custom", "queue"), SeriesKey("custom", "gone"))
LABELLED = SeriesKey("cpu", "cpu_usage", (("service", "callbot"),))
# Of the API.
STEPS = [15, 60, 300, 3600, 86_400]
HOUR = 3600.0
# Series (type, name, source) -> second after T0 -> value.
Said = dict[tuple[str, str, str], dict[int, float]]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


async def rolled_up(database: Database, now: datetime, *, everything: bool = False) -> None:
    upkeep = Upkeep(database)
    while await upkeep.roll_up(now, everything=everything):
        pass


async def say(
    ingest: IngestStore, tenant: Tenant, said: Said, source: Source, seconds: Sequence[int], seed: int
) -> None:
    """Values at these seconds, those of a second time replace the first; `said` follows."""
    dice, frames = random.Random(seed), []
    for second in seconds:
        keys = [k for k in (*NAMES, LABELLED) if k is not NAMES[2] or second < 900]
        samples = tuple(Sample(k, dice.uniform(-5, 5) + 100 * len(source)) for k in keys)
        frames.append(Frame(tenant.tenant_id, source, at(second), samples))
        for sample in samples:
            if not sample.key.labels:
                key = (sample.key.metric_type, sample.key.metric_name, source.value)
                said.setdefault(key, {})[second] = sample.value
    await ingest.commit([Batch(tuple(frames))])


def agrees(plots: Sequence[Plot], said: Said, start: float, end: float, step: int) -> None:
    """Nothing is missing, and nothing is counted twice."""
    expected = {
        key: own
        for key, values in said.items()
        if (own := {s: v for s, v in values.items() if start <= s < end})
    }
    assert sorted((p.metric_type, p.metric_name, p.source) for p in plots) == sorted(expected)
    zero = int(T0.timestamp())
    for plot in plots:
        own = expected[plot.metric_type, plot.metric_name, plot.source]
        steps: dict[int, list[float]] = {}
        for second in sorted(own):
            steps.setdefault((zero + second) // step * step, []).append(own[second])
        assert list(plot.begins) == list(steps)
        assert plot.values == pytest.approx([sum(values) / len(values) for values in steps.values()])
        assert plot.high == max(own.values())
        assert plot.mean == pytest.approx(sum(own.values()) / len(own))


def shown(seconds: int, until: int) -> list[int]:
    """Seconds at which something is said, with silences."""
    return [s for s in range(0, until, seconds) if s // 600 % 3 != 1]


@pytest.mark.parametrize("seconds", STEPS)
@pytest.mark.parametrize("begin", [0, 420, 3300, 3600], ids=lambda s: f"from {s}")
@pytest.mark.parametrize("rolled", [None, 600, 7200, 10_000], ids=lambda s: f"rolled up at {s}")
async def test_plots_are_what_the_samples_say_however_much_is_rolled_up(
    database: Database,
    ingest: IngestStore,
    make_tenant: MakeTenant,
    seconds: int,
    begin: int,
    rolled: int | None,
) -> None:
    """Two hours of which the first part is rolled up, and what came after that is not."""
    tenant, said = await make_tenant(), Said()
    begin -= begin % 300
    for number, source in enumerate((Source.PUSH, Source.SIMULATOR)):
        early = [s for s in shown(20, 7190) if s < (rolled or 0)]
        await say(ingest, tenant, said, source, early, number)
    if rolled is not None:
        await rolled_up(database, at(rolled))
    for number, source in enumerate((Source.PUSH, Source.SIMULATOR)):
        late = [s for s in shown(20, 7190) if s >= (rolled or 0)]
        if late:
            await say(ingest, tenant, said, source, late, 10 + number)
    store = PgMonitoringStore(database)
    plots = await store.plots(tenant, at(begin), at(7190), timedelta(seconds=seconds))
    agrees(plots, said, begin, 7190, seconds)
    [*only] = await store.plots(tenant, at(begin), at(7190), timedelta(seconds=seconds), "cpu")
    agrees(only, {k: v for k, v in said.items() if k[0] == "cpu"}, begin, 7190, seconds)


@pytest.mark.parametrize("seed", range(6))
async def test_one_and_the_same_data_have_one_mean_at_every_interval(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, seed: int
) -> None:
    """Bursts and silences, late and corrected, looked at again and again while time passes and jobs run."""
    dice, tenant, said = random.Random(seed), await make_tenant(), Said()
    store, now = PgMonitoringStore(database), 0
    for turn in range(8):
        now += dice.choice([40, 299, 301, 1800])
        source = dice.choice([Source.PUSH, Source.SIMULATOR, Source.PROMETHEUS])
        some = sorted(
            {max(0, now - dice.randrange(dice.choice([10, 5000]))) for _ in range(dice.choice([1, 60]))}
        )
        await say(ingest, tenant, said, source, some, seed * 100 + turn)
        if dice.random() < 0.6 or turn % 3 == 2:
            await rolled_up(database, at(now))
        for start in (-300 * dice.randrange(20), max(0, now - 900) // 300 * 300):
            found = {}
            for seconds in STEPS:
                plots = await store.plots(tenant, at(start), at(now + 1), timedelta(seconds=seconds))
                agrees(plots, said, start, now + 1, seconds)
                found[seconds] = {(p.metric_name, p.source): (pytest.approx(p.mean), p.high) for p in plots}
            assert all(other == found[15] for other in found.values())


async def test_what_is_pushed_is_plotted_at_once_and_what_is_of_a_time_to_come_is_not(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, said = await make_tenant(), Said()
    await say(ingest, tenant, said, Source.PUSH, [7, 100, 101, 290, 310], 1)
    store = PgMonitoringStore(database)
    for seconds in STEPS:
        for now in (8, 101, 102, 300, 400):
            plots = await store.plots(tenant, at(-600), at(now), timedelta(seconds=seconds))
            agrees(plots, said, -600, now, seconds)


async def test_a_series_that_people_have_written_under_a_source_of_their_own_is_a_source(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await insert_by_hand(database, tenant.tenant_id, "cpu", 12, at(0), source="my-script")
    for step in STEPS:
        [plot] = await PgMonitoringStore(database).plots(tenant, at(-600), at(60), timedelta(seconds=step))
        assert (plot.metric_name, plot.source, plot.values, plot.mean) == (
            "cpu_usage",
            "my-script",
            (12.0,),
            12.0,
        )


async def test_another_tenants_samples_are_not_taken(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, other = await make_tenant(), await make_tenant()
    await say(ingest, other, Said(), Source.PUSH, [1, 400], 1)
    await rolled_up(database, at(300))
    for step in STEPS:
        assert (
            await PgMonitoringStore(database).plots(tenant, at(-600), at(600), timedelta(seconds=step)) == []
        )


async def test_steps_that_no_rollup_has_are_refused(database: Database, make_tenant: MakeTenant) -> None:
    with pytest.raises(ValueError, match="0:07:00"):
        await PgMonitoringStore(database).plots(await make_tenant(), at(0), at(600), timedelta(minutes=7))


@pytest.mark.parametrize("seconds", STEPS)
async def test_a_plot_as_json_is_its_points(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, seconds: int
) -> None:
    tenant, said = await make_tenant(source=Source.PUSH), Said()
    await say(ingest, tenant, said, Source.PUSH, shown(20, 7200), 7)
    await rolled_up(database, at(7000))
    plots = await PgMonitoringStore(database).plots(tenant, T0, at(7200), timedelta(seconds=seconds))
    assert {p.metric_name for p in plots} == {"cpu_usage", "queue", "gone"}
    for plot in plots:
        told = orjson.loads(dumps({"points": points_of(plot)}))["points"]
        begins = [datetime.fromtimestamp(second, T0.tzinfo) for second in plot.begins]
        expected = orjson.loads(dumps([{"timestamp": begin} for begin in begins]))
        assert [{"timestamp": p["timestamp"]} for p in told] == expected
        assert [p["value"] for p in told] == pytest.approx(list(plot.values))
