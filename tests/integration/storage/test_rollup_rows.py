"""Rollups are rows of a tenant and bucket: what older releases stored by series is taken over, and nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.faults import DatabaseRefused
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
HOUR = timedelta(hours=1)
LATER = T0 + timedelta(days=1)
BY_SERIES = """
INSERT INTO {} (bucket, series, total, low, high, points, unanswered_total, unanswered)
SELECT $1::timestamptz + n * $2::interval, s.id, s.id * 10 + n, s.id, n, 1 + s.id % 2, x, x
FROM series s CROSS JOIN generate_series(0, 30) AS n
CROSS JOIN LATERAL (SELECT CASE WHEN s.id = 3 AND n = 4 THEN 7 END AS x) AS unanswered
"""
SHOWN = """
SELECT bucket, series, total, low, high, points, unanswered_total, unanswered FROM {} ORDER BY bucket, series
"""


async def test_what_was_stored_by_series_is_taken_over(make_database: Callable[[], str]) -> None:
    database, files = Database(make_database()), discover()
    await migrate(database, files[: next(i for i, f in enumerate(files) if f.name == "rollup_rows")])
    await database.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " SELECT 't' || n, 'small', '{}', '{}', '{\"availability\": \"99.5%\"}' FROM generate_series(1, 2) AS n"
    )
    await database.execute(
        "INSERT INTO series (tenant, data_source, metric_type, metric_name)"
        " SELECT t.id, 'push', 'custom', 'm' || n FROM tenants t, generate_series(1, 60) AS n"
    )
    tiers = {"5m": timedelta(minutes=5), "1h": HOUR}
    before = {}
    for tier, step in tiers.items():
        await database.execute(BY_SERIES.format(f"rollup_{tier}"), T0, step)
        before[tier] = await database.fetch(SHOWN.format(f"rollup_{tier}"))
        before[f"view {tier}"] = await database.fetch(f"SELECT * FROM metrics_{tier} ORDER BY 1, 3, 6")
    await migrate(database)
    for tier in tiers:
        of_all = f"tenants t CROSS JOIN LATERAL rollups_{tier}_of(t.id, '-infinity', 'infinity') AS r"
        assert await database.fetch(SHOWN.format(of_all)) == before[tier]
        assert len(before[tier]) == 31 * 120
        assert (
            await database.fetch(f"SELECT * FROM metrics_{tier} ORDER BY 1, 3, 6") == before[f"view {tier}"]
        )
        assert await database.fetchval(f"SELECT count(*) FROM rollup_{tier}") == 31 * 2 * 2
    await database.close()


def frame(tenant: Tenant, seconds: float, values: dict[str, float]) -> Frame:
    samples = tuple(Sample(SeriesKey("custom", name), value) for name, value in values.items())
    return Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=seconds), samples)


async def rolled(database: Database, tenant: Tenant, tier: str = "5m") -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "SELECT s.metric_name, r.bucket, r.total, r.low, r.high, r.points"
        f" FROM rollups_{tier}_of($1, $2, $3) AS r JOIN series s ON s.id = r.series ORDER BY s.id, r.bucket",
        tenant.key, T0 - HOUR, LATER,
    )  # fmt: skip
    return [tuple(r) for r in rows]


async def roll(database: Database) -> None:
    while await Upkeep(database).roll_up(LATER, everything=True):
        pass


async def test_a_bucket_of_many_series_is_several_rows_and_one_more_series_may_come(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    values = {f"m{n:02}": float(n) for n in range(90)}
    await ingest.commit([Batch((frame(tenant, 0, {"late": 0.0}), frame(tenant, 400, values)))])
    await roll(database)
    in_rows = "SELECT cardinality(series) AS n FROM rollup_{} WHERE tenant = $1 ORDER BY bucket, place"
    assert [r["n"] for r in await database.fetch(in_rows.format("5m"), tenant.key)] == [1, 48, 42]
    assert [r["n"] for r in await database.fetch(in_rows.format("1h"), tenant.key)] == [48, 43]
    # It has the lowest number: every other has another place then.
    await ingest.commit([Batch((frame(tenant, 410, {"late": 5.0, "m07": 9.0}),))])
    await roll(database)
    assert [r["n"] for r in await database.fetch(in_rows.format("5m"), tenant.key)] == [1, 48, 43]
    bucket = T0 + timedelta(minutes=5)
    wanted = {name: (name, bucket, v, v, v, 1) for name, v in values.items()}
    wanted |= {"m07": ("m07", bucket, 16.0, 7.0, 9.0, 2), "late": ("late", bucket, 5.0, 5.0, 5.0, 1)}
    assert {r[0]: r for r in await rolled(database, tenant) if r[1] == bucket} == wanted
    assert {r[0]: r[2] for r in await rolled(database, tenant, "1h")} == {n: r[2] for n, r in wanted.items()}


async def test_rollups_outlive_the_samples_when_others_of_their_bucket_come_later(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    """As when history is imported: of a bucket of which something is left in the rollups alone."""
    tenant = await make_tenant(source=Source.PUSH)
    await ingest.commit([Batch((frame(tenant, 0, {"a": 1.0, "b": 2.0}), frame(tenant, 10, {"b": 3.0})))])
    await roll(database)
    async with database.transaction() as connection:
        # As retention takes them.
        await connection.execute("SELECT set_config('ecpmon.packing', 'on', true)")
        await connection.execute("DELETE FROM frames WHERE tenant = $1", tenant.key)
    await ingest.commit([Batch((frame(tenant, 20, {"b": 10.0, "c": 4.0}),))])
    await roll(database)
    found = [("a", T0, 1.0, 1.0, 1.0, 1), ("b", T0, 10.0, 10.0, 10.0, 1), ("c", T0, 4.0, 4.0, 4.0, 1)]
    assert await rolled(database, tenant) == found


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("series", "'{2,1}'"), ("series", "'{1,1}'"), ("series", "'{1,NULL}'"), ("series", "'{}'"),
        ("total", "'{1}'"), ("low", "'{-1e101,1}'"), ("high", "'{1e101,1}'"), ("points", "'{0}'"),
        ("points", "'{1,1,1}'"), ("unanswered", "'{1}'"), ("place", "-1"), ("bucket", "'infinity'"),
    ],
)  # fmt: skip
async def test_the_database_takes_no_row_that_says_two_things(
    database: Database, column: str, value: str
) -> None:
    row = {
        "bucket": "'2026-01-01Z'", "tenant": "1", "place": "0", "series": "'{1,2}'", "total": "'{1,2}'",
        "low": "'{1,2}'", "high": "'{1,2}'", "points": "'{1}'",
    }  # fmt: skip
    insert = "INSERT INTO rollup_5m ({}) VALUES ({})"
    async with database.connection() as connection, connection.transaction():
        await connection.execute(insert.format(", ".join(row), ", ".join(row.values())))
        await connection.execute("DELETE FROM rollup_5m WHERE tenant = 1")
    row[column] = value
    with pytest.raises(DatabaseRefused, match="check constraint"):
        await database.execute(insert.format(", ".join(row), ", ".join(row.values())))


async def test_plots_are_the_same_however_the_rows_of_a_series_differ(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    """Long stretches of the same series, some with a sample more of one, buckets without any, and single ones."""
    tenant, minutes = await make_tenant(source=Source.PUSH), timedelta(minutes=5)
    said: dict[tuple[str, int], list[float]] = {}
    frames = []
    for bucket in [*range(20), *range(23, 60)]:
        names = ["a", "b"] if bucket < 40 else ["a", "b", "c"]
        names += [f"once{bucket}"] * (bucket % 20 == 7)
        for second in (0, 10):
            values = {
                name: float(bucket * len(name) + second)
                for name in names
                if second == 0 or name != "b" or bucket % 3
            }
            for name, value in values.items():
                said.setdefault((name, bucket), []).append(value)
            frames.append(frame(tenant, bucket * 300 + second, values))
    await ingest.commit([Batch(tuple(frames))])
    # The last bucket is not over.
    while await Upkeep(database).roll_up(T0 + 60 * minutes):
        pass
    assert await database.fetchval("SELECT count(*) FROM rollup_dirty WHERE tenant = $1", tenant.key) == 1
    found = {}
    for plot in await PgMonitoringStore(database).plots(tenant, T0, T0 + 60 * minutes, minutes):
        begins = [round(begin - T0.timestamp()) // 300 for begin in plot.begins]
        assert begins == sorted(begins)
        found |= {(plot.metric_name, n): value for n, value in zip(begins, plot.values, strict=True)}
        own = [value for (name, _), values in said.items() if name == plot.metric_name for value in values]
        assert (plot.high, plot.mean) == (max(own), pytest.approx(sum(own) / len(own)))
    assert found == {key: sum(values) / len(values) for key, values in said.items()}
