"""Plots in columns say what the points say: every tier, with holes, from the same source."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import orjson
import pytest

from ecpmon.api.plots import points_of
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.upkeep import Upkeep
from ecpmon.wire import dumps
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
NAMES = (SeriesKey("cpu", "cpu_usage"), SeriesKey("custom", "queue"), SeriesKey("custom", "gone"))
LABELLED = SeriesKey("cpu", "cpu_usage", (("service", "callbot"),))


async def history(database: Database, ingest: IngestStore, tenant: Tenant, *sources: Source) -> None:
    """Two hours with silences, each source with values of its own."""
    dice = random.Random(7)
    frames = []
    for number, source in enumerate(sources):
        for second in range(0, 7200, 20):
            if second // 600 % 3 == 1:
                continue
            keys = [k for k in (*NAMES, LABELLED) if k is not NAMES[2] or second < 900]
            at = T0 + timedelta(seconds=second)
            samples = tuple(Sample(k, dice.uniform(-5, 5) + 100 * number) for k in keys)
            frames.append(Frame(tenant.tenant_id, source, at, samples))
    await ingest.commit([Batch(tuple(frames))])
    upkeep = Upkeep(database)
    while await upkeep.roll_up(T0, everything=True):
        pass


STEPS = [15, 60, 300, 900, 3600, 86_400]


@pytest.mark.parametrize("seconds", STEPS)
@pytest.mark.parametrize("metric_type", [None, "cpu", "gpu"])
async def test_plots_are_the_points_in_columns(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, seconds: int, metric_type: str | None
) -> None:
    tenant = await make_tenant()
    await history(database, ingest, tenant, Source.PUSH, Source.SIMULATOR)
    store, step = PgMonitoringStore(database), timedelta(seconds=seconds)
    start, end = T0 + timedelta(minutes=7), T0 + timedelta(minutes=115)
    asked = (tenant, start, end, step, metric_type)
    points, plots = (await store.packed(*asked)).open(), await store.plots(*asked)
    assert [(p.metric_type, p.metric_name) for p in plots] == sorted(points)
    for plot in plots:
        found = points[plot.metric_type, plot.metric_name]
        assert list(plot.begins) == [p.ts.timestamp() for p in found]
        assert plot.values == pytest.approx([p.value for p in found])
        assert plot.high == max(p.high for p in found)


async def test_a_source_that_is_evidence_but_silent_leaves_the_plot_to_another(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.SIMULATOR)
    await history(database, ingest, tenant, Source.PROMETHEUS)
    asked = (tenant, T0, T0 + timedelta(hours=2), timedelta(minutes=5))
    plots = await PgMonitoringStore(database).plots(*asked)
    assert [p.metric_name for p in plots] == ["cpu_usage", "gone", "queue"]


@pytest.mark.parametrize("seconds", STEPS)
async def test_a_plot_as_json_is_its_points_as_json(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, seconds: int
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    await history(database, ingest, tenant, Source.PUSH)
    asked = (tenant, T0, T0 + timedelta(hours=2), timedelta(seconds=seconds))
    store = PgMonitoringStore(database)
    points = (await store.packed(*asked)).open()
    plots = await store.plots(*asked)
    assert {p.metric_name for p in plots} == {"cpu_usage", "queue", "gone"}
    for plot in plots:
        found = points[plot.metric_type, plot.metric_name]
        shown = orjson.loads(dumps({"points": points_of(plot)}))["points"]
        expected = orjson.loads(dumps([{"timestamp": p.ts} for p in found]))
        assert [{"timestamp": p["timestamp"]} for p in shown] == expected
        assert [p["value"] for p in shown] == pytest.approx([p.value for p in found])
