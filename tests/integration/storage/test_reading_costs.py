"""What reading costs is bounded by what is read, whatever the planner believes of a tenant, whatever it has said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage import monitoring
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.queries import load
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
SQL = load("monitoring")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


async def rows_worked(database: Database, sql: str, *args: Any) -> float:
    """Rows that any step of the plan made or threw away."""
    [explained] = await database.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", *args)
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + sum(v for k, v in node.items() if k.startswith("Rows Removed")))
        for node in nodes(explained["Plan"])
    )  # fmt: skip


def frame(tenant: Tenant, seconds: float, names: list[str]) -> Frame:
    samples = tuple(Sample(SeriesKey("custom", name), 1.0) for name in names)
    return Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=seconds), samples)


async def test_a_plot_of_very_many_new_metrics_makes_each_once(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, names = await make_tenant(), [f"m{n}" for n in range(90)]
    await ingest.commit([Batch(tuple(frame(tenant, second, names) for second in range(5)))])
    hour, step = timedelta(hours=1), timedelta(seconds=15)
    asked = (tenant.key, T0 - hour, T0 + hour, step, None)
    assert await rows_worked(database, SQL["raw_plots"], *asked) < 100 * len(names)
    assert len(await PgMonitoringStore(database).plots(tenant, T0 - hour, T0 + hour, step)) == len(names)
    asked = (tenant.key, T0 - hour, T0 + hour, step, None, "push", None)
    assert await rows_worked(database, SQL["raw_points"], *asked) < 100 * len(names)


@pytest.mark.parametrize(("query", "step"), [("rollup_5m_plots", 300), ("rollup_1h_plots", 3600)])
async def test_plots_of_rollups_read_the_samples_of_open_buckets_alone(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, query: str, step: int
) -> None:
    found = []
    for every in (60, 5):
        tenant = await make_tenant()
        # Of the open bucket both have as many.
        seconds = [*range(0, 7200, every), *range(7200, 7260, 10)]
        await ingest.commit([Batch(tuple(frame(tenant, second, ["a", "b"]) for second in seconds))])
        upkeep = Upkeep(database)
        while await upkeep.roll_up(T0 + timedelta(seconds=7260)):
            pass
        asked = (tenant.key, T0, T0 + timedelta(seconds=7260), timedelta(seconds=step), None)
        found.append(await rows_worked(database, SQL[query], *asked))
    # Plans may differ by a step that those of the open bucket go through.
    assert abs(found[1] - found[0]) < 20
    assert found[1] < 800


@pytest.mark.parametrize("view", ["metrics_5m", "metrics_1h"])
async def test_what_a_view_says_of_one_tenant_costs_nothing_for_others(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, view: str
) -> None:
    tenant = await make_tenant()
    sql = f"SELECT * FROM {view} WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3"
    asked = (tenant.tenant_id, T0 - timedelta(hours=2), T0 + timedelta(hours=2))
    found = []
    for tenants in ([tenant], [await make_tenant() for _ in range(30)]):
        # Each with hours that are put together.
        for each in tenants:
            frames = [frame(each, second, ["a", "b", "c"]) for second in range(0, 7200, 60)]
            await ingest.commit([Batch(tuple(frames))])
        await database.execute("ANALYZE rollup_dirty, series, tenants, frames, rollup_5m, rollup_1h")
        found.append(await rows_worked(database, sql, *asked))
    # The tenants themselves, and their marks, may be looked through, but not what they said.
    assert found[1] - found[0] < 30 * found[0] / 5


async def test_metrics_that_come_seldom_are_looked_for_once_in_what_came_since(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, names = await make_tenant(), [f"seldom{n}" for n in range(50)]
    much = [frame(tenant, 1 + n / 1000, ["often"]) for n in range(3_000)]
    await ingest.commit([Batch((frame(tenant, 0, names), *much))])
    since = T0 - timedelta(minutes=1)
    asked = ([tenant.key], [since], ["push"], T0 + timedelta(minutes=1), names, since)
    found = await rows_worked(
        database, SQL["latest_of"], *asked, monitoring._LATEST_FRAMES, monitoring._LATEST_VALUES
    )
    assert found < 12 * len(much)
    latest = await PgMonitoringStore(database).latest_of([(tenant, since)], names, T0)
    assert set(latest[tenant.key]) == set(names)


async def test_no_more_is_looked_at_than_is_bounded(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    wide = [frame(tenant, second, [f"m{n}" for n in range(90)]) for second in range(20)]
    await ingest.commit([Batch((frame(tenant, -1, ["seldom"]), *wide))])
    since, now = T0 - timedelta(minutes=1), T0 + timedelta(minutes=1)
    for frames, values, found in ((5_000, 50_000, ["seldom"]), (20, 50_000, []), (5_000, 1_000, [])):
        asked = ([tenant.key], [since], ["push"], now, ["seldom"], since, frames, values)
        rows = await database.fetch(SQL["latest_of"], *asked)
        assert [row["metric_name"] for row in rows] == found, (frames, values)


async def days_of(database: Database, tenant: Tenant, series: int) -> None:
    """A day of 5 minutes and 30 days of hours, rolled up, of so many series and a response time."""
    names = ["response_time", *(f"m{n}" for n in range(series))]
    await database.execute(
        "INSERT INTO series (tenant, data_source, metric_type, metric_name)"
        " SELECT $1, 'push', CASE name WHEN 'response_time' THEN 'response' ELSE 'custom' END, name"
        " FROM unnest($2::text[]) AS name",
        tenant.key, names,
    )  # fmt: skip
    for table, each, number in (
        ("rollup_5m", timedelta(minutes=5), 288),
        ("rollup_1h", timedelta(hours=1), 720),
    ):
        await database.execute(
            f"INSERT INTO {table} (bucket, tenant, place, series, total, low, high, points)"
            " SELECT $2::timestamptz + n * $3::interval, $1, 0, s.ids, s.values, s.values, s.values, ARRAY[2]"
            " FROM generate_series(0, $4 - 1) AS n,"
            " (SELECT array_agg(id ORDER BY id) AS ids, array_agg(id::float8 ORDER BY id) AS values FROM series"
            "  WHERE tenant = $1) AS s",
            tenant.key, T0, each, number,
        )  # fmt: skip


async def test_a_plot_of_5_minutes_costs_rows_of_rollups_and_nothing_for_each_value_in_them(
    database: Database, make_tenant: MakeTenant
) -> None:
    found = []
    for series in (1, 40):
        tenant = await make_tenant()
        await days_of(database, tenant, series)
        asked = (tenant.key, T0, T0 + timedelta(days=1), timedelta(minutes=5), None)
        found.append(await rows_worked(database, SQL["rollup_5m_plots"], *asked))
        plots = await PgMonitoringStore(database).plots(tenant, *asked[1:4])
        assert [len(plot.values) for plot in plots] == [288] * (series + 1)
    assert found[0] < 7 * 288
    # Some look-ups for each series, of 288 values.
    assert found[1] - found[0] < 39 * 15


async def test_mean_response_times_cost_rows_of_rollups_however_many_series_are_in_them(
    database: Database, make_tenant: MakeTenant
) -> None:
    found = []
    for series in (1, 40):
        tenant = await make_tenant()
        await days_of(database, tenant, series)
        asked = ([tenant.key], T0, T0 + timedelta(days=30), ["push"])
        found.append(await rows_worked(database, SQL["mean_response_times"], *asked))
        [(key, mean)] = await database.fetch(SQL["mean_response_times"], *asked)
        assert (key, mean) == (tenant.key, await _half_of_its_number(database, tenant))
    assert found[1] - found[0] < 50
    assert found[1] < 720 * 5


async def _half_of_its_number(database: Database, tenant: Tenant) -> float:
    sql = "SELECT id / 2.0::float8 FROM series WHERE tenant = $1 AND metric_name = 'response_time'"
    return float(await database.fetchval(sql, tenant.key))
