"""Response times that an older release rolled up with what stood for requests that nobody answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ecpmon.storage.database import Database
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.upkeep import Upkeep

FRAMES = """
INSERT INTO frames (ts, tenant, series, samples)
SELECT $2::timestamptz + make_interval(secs => n), $1, array_agg(s.id ORDER BY s.metric_name),
       array_agg(CASE WHEN s.metric_name = 'up' THEN (n < 50)::int ELSE CASE WHEN n < 50 THEN 100 ELSE 5000 END END
                 ORDER BY s.metric_name)
FROM series s CROSS JOIN generate_series(0, 90, 10) AS n WHERE s.tenant = $1 GROUP BY n
"""


async def test_what_is_kept_of_it_is_rolled_up_once_more(make_database: Callable[[], str]) -> None:
    database, now = Database(make_database()), datetime.now(UTC)
    files = discover()
    await migrate(database, files[: next(i for i, f in enumerate(files) if f.name == "unanswered")])
    tenant = await database.fetchval(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('acme', 'small', '{}', '{}', '{\"availability\": \"99.5%\"}') RETURNING id"
    )
    await database.execute(
        "INSERT INTO series (tenant, data_source, metric_type, metric_name)"
        " VALUES ($1, 'push', 'response', 'response_time'), ($1, 'push', 'sla', 'up')",
        tenant,
    )
    bucket = (now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    await database.execute(FRAMES, tenant, bucket)
    rolled = """INSERT INTO {} (bucket, series, total, low, high, points)
        SELECT $2, v.series, sum(v.value), min(v.value), max(v.value), count(*)
        FROM frames f CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
        WHERE f.tenant = $1 GROUP BY v.series"""
    for tier in ("rollup_5m", "rollup_1h"):
        await database.execute(rolled.format(tier), tenant, bucket)
    await migrate(database)
    store, asked = PgMonitoringStore(database), ({tenant: "push"}, now - timedelta(days=30), now)
    assert await store.mean_response_times(*asked) == {tenant: 2550}
    while await Upkeep(database).roll_up(now):
        pass
    assert await store.mean_response_times(*asked) == {tenant: 100}
    assert await Upkeep(database).backlog() == 0
    await database.close()
