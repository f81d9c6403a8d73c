"""What counted objectives cost: windows of all tenants, alerts, the live job, and a rewrite of 2 hours of the past.

    python -m bench.objectives                   1,000 tenants × 30 days of minutes
    python -m bench.objectives --tenants 100
    python -m bench.objectives --days 4 --only alerts

A window is the difference of two look-ups, so 30d should cost what 1h costs; the answers are compared with adding
up the minutes. See bench/README.md for the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from bench import http_load, servers
from ecpmon.alerts.desk import RuleDesk
from ecpmon.alerts.objective_rules import ObjectiveRules
from ecpmon.alerts.objectives import ObjectiveAlerts
from ecpmon.alerts.policy import default_policies
from ecpmon.compute.threads import Threads
from ecpmon.local.packages import Binaries
from ecpmon.model.ingest import Batch
from ecpmon.model.objectives import Objective
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.ports.tenants import NewTenant
from ecpmon.sla.evidence import DEFAULT_RULES, Intervals
from ecpmon.sla.parts import Terms
from ecpmon.sla.ratios import Stretch, edges, measure, stretch
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.maintenance import PgMaintenanceStore
from ecpmon.storage.migrations import migrate
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.quarantine import PgQuarantine
from ecpmon.storage.queries import load
from ecpmon.storage.roster import PgRoster
from ecpmon.storage.slots import SlotKeeper
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.upkeep import Upkeep
from ecpmon.workers import TenantWorkers, Workers

WINDOWS = ("1h", "24h", "7d", "30d")
DAYS = 30
INTERVAL = timedelta(seconds=60)
OBJECTIVE = Objective.model_validate(
    {
        "name": "requests",
        "kind": "requests",
        "target": 0.995,
        "total": {"metric": "requests_total"},
        "bad": {"metric": "errors_total"},
    }
)
TOTAL, BAD = SeriesKey("custom", "requests_total"), SeriesKey("custom", "errors_total")
# Thirty days of minutes, made in the database: 100 to 199 requests a minute, of which up to 3 fail.
LOAD = """
INSERT INTO objective_hours (objective, hour, minutes, total_step, total_off, bad_step, bad_off, observed_step)
SELECT m.objective, m.hour, 60, t.step, t.off, b.step, b.off, 60000000
FROM (
  SELECT o.id AS objective, h AS hour, array_agg(sum_total ORDER BY k) AS total, array_agg(sum_bad ORDER BY k) AS bad
  FROM objectives o
  CROSS JOIN generate_series($1::timestamptz, $2::timestamptz - INTERVAL '1 hour', INTERVAL '1 hour') AS h
  CROSS JOIN LATERAL (
    SELECT k, sum(100 + (k * 7919 + o.id * 31 + extract(epoch FROM h)::bigint / 3600) % 100) OVER upto AS sum_total,
           sum((k * 104729 + o.id + extract(epoch FROM h)::bigint / 3600) % 4) OVER upto AS sum_bad
    FROM generate_series(1, 60) AS k WINDOW upto AS (ORDER BY k)
  ) AS s
  WHERE o.name = 'requests' GROUP BY o.id, h
) AS m
CROSS JOIN LATERAL as_line(m.total::bigint[], 60) AS t CROSS JOIN LATERAL as_line(m.bad::bigint[], 60) AS b
"""
BRUTE = """
SELECT coalesce(sum(good), 0)::bigint AS good, coalesce(sum(total), 0)::bigint AS total FROM objective_minutes
WHERE tenant_id = $1 AND minute >= $2 AND minute < $3
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--only", choices=("windows", "alerts", "counting"), nargs="+")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    binaries, _ = servers.fetch()
    with servers.scratch() as folder:
        asyncio.run(_run(binaries, folder, arguments))


async def _run(binaries: Binaries, folder: Path, arguments: argparse.Namespace) -> None:
    with servers.postgres(binaries, folder) as cluster:
        database = Database(cluster.ensure_database("bench"))
        try:
            await migrate(database)
            await _measure(database, servers.postmaster(cluster), arguments)
        finally:
            await database.close()


async def _measure(database: Database, postmaster: int, arguments: argparse.Namespace) -> None:
    count, days, only = arguments.tenants, arguments.days, arguments.only or ("windows", "alerts", "counting")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    store = PgObjectiveStore(database, [OBJECTIVE])
    tenants = await _tenants(database, count, now)
    await store.install_defaults(now)
    began = time.perf_counter()
    for day in range(days):
        await database.execute(LOAD, now - timedelta(days=day + 1), now - timedelta(days=day))
    keys = {name: found[0].key for name, found in (await store.of_all()).items()}
    first = [now - timedelta(days=days)] * len(keys)
    for i in range(0, len(keys), 100):
        await database.execute(load("slots")["carry"], list(keys.values())[i : i + 100], first[i : i + 100])
    # As it would be had it grown hour by hour.
    await database.execute("VACUUM (FULL, ANALYZE) objective_hours")
    print(f"{count} tenants, {days} days of minutes loaded in {time.perf_counter() - began:.0f} s")
    size = await database.fetchval("SELECT pg_total_relation_size('objective_hours')")
    print(f"bytes per minute slot: {size / (count * days * 1440):.1f}")
    at = now - timedelta(minutes=17)
    if "windows" in only:
        await _windows(database, store, keys, at)
    if "alerts" in only:
        await _alerts(database, store, now - timedelta(days=days), now, postmaster)
    if "counting" in only:
        await _live(database, tenants, now)
        await _past(database, tenants[0], now)


async def _tenants(database: Database, count: int, now: datetime) -> list[Tenant]:
    store = PgTenantStore(database)
    found = []
    for number in range(count):
        new = NewTenant(
            tenant_id=f"bench-{number}",
            name=None,
            preset="small",
            is_demo=False,
            service_requirements={"chatbot": 10},
            resources=Resources(),
            sla_target=SlaTarget(),
            sli_source="push",
        )
        found.append(await store.create(new, f"deployment-{number}", now))
    return found


async def _windows(database: Database, store: PgObjectiveStore, keys: dict[str, int], at: datetime) -> None:
    for name in WINDOWS:
        span = stretch(name, at, Terms())
        wanted = {e for key in keys.values() for e in edges(key, [span])}
        together = await _median(lambda w=wanted: store.sums(w))  # type: ignore[misc]
        alone = await _median(lambda s=span: store.sums(edges(next(iter(keys.values())), [s])))  # type: ignore[misc]
        await _compare(database, store, keys, span)
        print(f"{name:>4}: {together:7.1f} ms for all tenants, {alone:5.2f} ms for one alone")


async def _compare(database: Database, store: PgObjectiveStore, keys: dict[str, int], span: Stretch) -> None:
    for tenant_id in list(keys)[:3]:
        key = keys[tenant_id]
        fast = measure(key, span, await store.sums(edges(key, [span]))).whole
        row = await database.fetchrow(BRUTE, tenant_id, span.start, span.end)
        if (fast.good, fast.total) != (row["good"], row["total"]):
            raise SystemExit(f"{tenant_id} {span.window}: {fast} is not {dict(row)}")


def _keeper(database: Database) -> SlotKeeper:
    return SlotKeeper(database, Intervals(timedelta(seconds=5), timedelta(seconds=15)))


def _frame(tenant: Tenant, ts: datetime, total: int, bad: int) -> Frame:
    return Frame(tenant.tenant_id, Source.PUSH, ts, (Sample(TOTAL, total), Sample(BAD, bad)))


async def _settle(database: Database, keeper: SlotKeeper, now: datetime) -> None:
    while await keeper.refresh(now - timedelta(days=7), now):
        pass


async def _live(database: Database, tenants: list[Tenant], now: datetime) -> None:
    """One reading of every tenant a minute; what the job costs each time."""
    ingest, keeper = IngestStore(database, DEFAULT_RULES, 100), _keeper(database)
    taken = []
    for minute in range(8):
        ts = now + minute * INTERVAL
        frames = tuple(_frame(t, ts, 100 * minute, minute) for t in tenants)
        await ingest.commit([Batch(frames=frames)])
        began = time.perf_counter()
        await _settle(database, keeper, now)
        taken.append((time.perf_counter() - began) * 1000)
    print(
        f"live: counting a new reading of each of {len(tenants)} tenants: {statistics.median(taken[2:]):.0f} ms"
    )


async def _past(database: Database, tenant: Tenant, now: datetime) -> None:
    """Three days ago, 120 late readings between those that were there."""
    ingest, keeper = IngestStore(database, DEFAULT_RULES, 100), _keeper(database)
    start = now - timedelta(days=5)
    frames = [_frame(tenant, start + i * INTERVAL, 100 * i, i // 10) for i in range(5 * 1440)]
    for i in range(0, len(frames), 2000):
        await ingest.commit([Batch(frames=tuple(frames[i : i + 2000]))])
    while await Upkeep(database).roll_up(now + timedelta(days=1), everything=True):
        pass
    await _settle(database, keeper, now)
    commits, counts = [], []
    for turn in range(9):
        at = now - timedelta(days=3) + timedelta(seconds=5 + turn)
        late = tuple(
            _frame(tenant, at + i * INTERVAL, 100 * (2880 + i) + 50, 288 + i // 10) for i in range(120)
        )
        began = time.perf_counter()
        await ingest.commit([Batch(frames=late)])
        commits.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        await _settle(database, keeper, now)
        counts.append((time.perf_counter() - began) * 1000)
    print(
        f"2 hours of the past, 120 late readings: {statistics.median(counts):.1f} ms to count again "
        f"(and {statistics.median(commits):.1f} ms to store them)"
    )


async def _alerts(
    database: Database, store: PgObjectiveStore, first: datetime, now: datetime, postmaster: int
) -> None:
    """A turn of the rules about all objectives, when nothing fires and when a ticket of each does."""
    alerts, quarantine, maintenance = (
        PgAlertStore(database),
        PgQuarantine(database),
        PgMaintenanceStore(database),
    )
    desk = RuleDesk(alerts, "http://ecpmon.example", lambda _: None)
    rules = ObjectiveRules(alerts, store, PgTenantStore(database), desk, quarantine)
    engine = ObjectiveAlerts(
        alerts=alerts,
        objectives=store,
        maintenance=maintenance,
        roster=PgRoster(database),
        intervals=Intervals(timedelta(seconds=5), timedelta(seconds=15)),
        policies=default_policies(),
        workers=TenantWorkers(Workers(Threads()), "live"),
        external_url="http://ecpmon.example",
        on_event=lambda _: None,
        quarantine=quarantine,
    )
    await database.execute("UPDATE objectives SET first_at = $1", first)
    await _cost("giving every objective its rules", 1, postmaster, lambda: rules.settle_all(now))
    await _cost("finding that all have them", 5, postmaster, lambda: rules.settle_all(now))
    for state, target in (("calm", 0.9), ("a ticket and the budget of each firing", 0.995)):
        await database.execute(
            "UPDATE objectives SET definition = jsonb_set(definition, '{target}', to_jsonb($1::float8))",
            target,
        )
        await engine.evaluate(now)
        await engine.evaluate(now)
        await _cost(f"a minute's turn, {state}", 5, postmaster, lambda: engine.evaluate(now))


async def _cost(what: str, turns: int, postmaster: int, run: Callable[[], Awaitable[object]]) -> None:
    """CPU of this process and of the database, and how long it took."""
    ours, theirs, began = time.process_time(), http_load.cpu_seconds(postmaster), time.perf_counter()
    for _ in range(turns):
        await run()
    spent = (
        time.process_time() - ours,
        http_load.cpu_seconds(postmaster) - theirs,
        time.perf_counter() - began,
    )
    own, database, whole = (s / turns * 1000 for s in spent)
    print(f"{what}: {own:.0f} ms of CPU here, {database:.0f} ms of the database's; {whole:.0f} ms in all")


async def _median(run: Callable[[], Awaitable[object]], repeats: int = 9) -> float:
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        await run()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
