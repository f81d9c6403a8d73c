"""What a sample takes on disk and in the write-ahead log, before and after hours are packed, and how packed hours read.

    python -m bench.storage                           24 h × 10 s × 20 metrics × 20 tenants
    python -m bench.storage --hours 4 --tenants 5
    python -m bench.storage --hours 1 --checkpoints 4    with the whole pages that are written after each of them

The database's clock is the samples': what a service does only for samples that come late is not done here.

Everything that `ecpmon` stores of it counts: frames, packed hours, rollups, indexes, timelines. The samples are what a
service says of itself: gauges with one or two decimals, whole numbers, counters, and things that hardly change.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from bench import servers
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.local.packages import Binaries
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Columns, Frame, SeriesKey, Shape, Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.ports.tenants import NewTenant
from ecpmon.sla.evidence import DEFAULT_RULES, Intervals
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.migrations import migrate
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.packing import Packing
from ecpmon.storage.slots import SlotKeeper
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.upkeep import Upkeep

EVERY: Final = timedelta(seconds=10)
RELATIONS: Final = ("frames", "packed_hours", "rollup_5m", "rollup_1h")
OBJECTIVES: Final = load_objectives()
_SIZE: Final = """
SELECT coalesce(sum(pg_total_relation_size(show_chunks)), 0)::bigint FROM show_chunks($1::regclass)
"""
# The clock of the samples, in place of the server's own; told without a trace in the log.
_CLOCK: Final = """
CREATE SCHEMA clock;
CREATE UNLOGGED TABLE clock.present (at timestamptz);
INSERT INTO clock.present VALUES (pg_catalog.clock_timestamp());
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT at FROM clock.present';
ALTER DATABASE bench SET search_path = clock, public, pg_catalog;
"""
_LATER: Final = timedelta(seconds=0.3)
_WAL: Final = """
WITH said AS (
  SELECT b.start_lsn, b.resource_manager || ' ' || b.record_type AS kind, b.record_length, b.block_fpi_length,
         pg_filenode_relation(b.reltablespace, b.relfilenode) AS relation, b.block_id
  FROM pg_get_wal_block_info('0/0'::pg_lsn + $1::bigint, pg_current_wal_insert_lsn(), false) AS b
), placed AS (
  SELECT said.*, coalesce(i.indrelid, said.relation) AS its
  FROM said LEFT JOIN pg_index i ON i.indexrelid = said.relation
), told AS (
  SELECT coalesce(h.table_name::text, placed.its::regclass::text, 'gone') || ' ' || kind AS what,
         record_length - coalesce(block_fpi_length, 0) AS bytes
  FROM placed
  LEFT JOIN _timescaledb_catalog.chunk k ON format('%I.%I', k.schema_name, k.table_name)::regclass = placed.its
  LEFT JOIN _timescaledb_catalog.hypertable h ON h.id = k.hypertable_id WHERE block_id = 0
  UNION ALL
  SELECT 'whole pages', block_fpi_length FROM said WHERE block_fpi_length > 0
  UNION ALL
  SELECT r.resource_manager || ' ' || r.record_type, r.record_length
  FROM pg_get_wal_records_info('0/0'::pg_lsn + $1::bigint, pg_current_wal_insert_lsn()) AS r
  WHERE r.block_ref IS NULL OR r.block_ref = ''
)
SELECT what, sum(bytes)::bigint AS bytes FROM told GROUP BY what ORDER BY 2 DESC
"""
_OTHERS: Final = """
SELECT pg_total_relation_size('availability_spans') + pg_total_relation_size('series'),
       pg_total_relation_size('objective_hours')
"""
METRICS: Final = (
    "up", "error_rate", "cpu_usage", "memory_usage", "gpu_usage", "storage_used", "response_time", "network_in",
    "network_out", "requests_total", "errors_total", "tokens_total", "sessions", "queue", "replicas", "limit",
    "p95_ms", "temperature", "wait_seconds", "share",
)  # fmt: skip


class Service:
    """What one tenant's service says of itself, one instant after the other."""

    def __init__(self, number: int) -> None:
        self._chance = random.Random(number)
        self._cpu, self._memory, self._gpu, self._disk = 40.0, 60.0, 30.0, 100.0
        self._requests, self._errors, self._tokens, self._sessions = 0, 0, 0, 20

    def says(self) -> list[float]:
        chance = self._chance
        self._cpu = min(99.0, max(1.0, self._cpu + chance.gauss(0, 1.5)))
        self._memory = min(95.0, max(20.0, self._memory + chance.gauss(0, 0.2)))
        self._gpu = min(100.0, max(0.0, self._gpu + chance.gauss(0, 2)))
        self._disk += chance.random() / 100
        coming = chance.randint(80, 120)
        failed = 1 if chance.random() < 0.1 else 0
        self._requests += coming
        self._errors += failed
        self._tokens += coming * chance.randint(300, 400)
        self._sessions = max(0, self._sessions + chance.randint(-2, 2))
        waiting = chance.lognormvariate(4, 0.3)
        return [
            1.0, round(failed / coming, 4), round(self._cpu, 2), round(self._memory, 1), round(self._gpu, 1),
            round(self._disk, 2), round(waiting, 1), float(chance.randint(20_000, 60_000)),
            float(chance.randint(40_000, 90_000)), float(self._requests), float(self._errors), float(self._tokens),
            float(self._sessions), float(chance.randint(0, 5)), 3.0, 8000.0, round(waiting * 1.7, 1),
            float(chance.randint(60, 64)), round(chance.random() / 10, 3), round(self._cpu / 100, 4),
        ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument(
        "--checkpoints", type=int, default=0, help="an hour; 4: as a server makes them by itself"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    binaries, _ = servers.fetch()
    with servers.scratch() as folder:
        report = asyncio.run(_run(binaries, folder, arguments))
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


async def _run(binaries: Binaries, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    with servers.postgres(binaries, folder) as cluster:
        url = cluster.ensure_database("bench")
        for work in (_prepare, partial(_measure, arguments=arguments)):
            database = Database(url)
            try:
                report = await work(database)
            finally:
                await database.close()
        return report


async def _prepare(database: Database) -> dict[str, Any]:
    await migrate(database)
    await database.execute("CREATE EXTENSION pg_walinspect")
    async with database.connection() as connection:
        await connection.execute(_CLOCK)
    return {}


async def _measure(database: Database, arguments: argparse.Namespace) -> dict[str, Any]:
    count, hours = arguments.tenants, arguments.hours
    # Hours of whole days, so that all of them are over.
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours + 4)
    tenants = await _tenants(database, count, start)
    samples = hours * 3600 // 10 * count * len(METRICS)
    report: dict[str, Any] = {"samples": samples}
    began, wal = time.perf_counter(), await _wal(database)
    at_once = await _ingest(database, tenants, start, hours, arguments.checkpoints)
    report["ingested"] = {"seconds": _since(began), "commits of one statement": at_once}
    report["ingested"]["wal"] = await _wal_by_relation(database, wal, samples)
    report["open"] = await _sizes(database, samples)
    report["read, open"] = await _read(database, tenants, start, hours)
    began, wal, now = time.perf_counter(), await _wal(database), datetime.now(UTC)
    packing = Packing(database)
    while await packing.pack(now, now):
        pass
    report["packed in"] = {"seconds": _since(began), "wal": await _wal_by_relation(database, wal, samples)}
    # Who reads a chunk is not waited for: as the job, which comes again.
    for _ in range(5):
        await Upkeep(database).give_back(now + timedelta(days=2))
        await asyncio.sleep(1)
    report["packed"] = await _sizes(database, samples)
    report["read, packed"] = await _read(database, tenants, start, hours)
    return report


async def _tenants(database: Database, count: int, at: datetime) -> list[Tenant]:
    store, found = PgTenantStore(database), []
    for number in range(count):
        new = NewTenant(
            tenant_id=f"t{number:04}", name="a tenant", preset="small", is_demo=False,
            service_requirements={"chatbot": 10},
            resources=Resources(cpu="4000m", memory="8Gi", gpu=0, storage="0.1TB"),
            sla_target=SlaTarget(availability="99.5%"), sli_source=Source.PUSH.value,
        )  # fmt: skip
        tenant = await store.create(new, f"dep-{number}", at)
        await store.add_regime(tenant, at, Source.PUSH, EVERY * 2.5, None)
        found.append(tenant)
    await PgObjectiveStore(database, OBJECTIVES).install_defaults(at)
    return found


async def _ingest(
    database: Database, tenants: list[Tenant], start: datetime, hours: int, checkpoints: int
) -> int:
    """A commit for each instant, as if they came; rollups and counts every minute, as the jobs make them. How many
    commits were one statement."""
    ingest, upkeep = IngestStore(database, DEFAULT_RULES, 1_000), Upkeep(database)
    keeper = SlotKeeper(database, Intervals(EVERY, EVERY))
    shape = Shape(tuple(SeriesKey("sla" if name == "up" else "custom", name) for name in METRICS))
    services = [Service(number) for number in range(len(tenants))]
    for number in range(hours * 360):
        at = start + number * EVERY
        await database.execute("UPDATE clock.present SET at = $1", at + _LATER)
        await ingest.commit([Batch(tuple(_frames(tenants, services, shape, at)))])
        if number % 6 == 5:
            await _jobs(upkeep, keeper, at + _LATER)
        if checkpoints and number % (360 // checkpoints) == 0:
            await database.execute("CHECKPOINT")
    await _jobs(upkeep, keeper, datetime.now(UTC))
    return ingest.at_once


async def _jobs(upkeep: Upkeep, keeper: SlotKeeper, now: datetime) -> None:
    while await upkeep.roll_up(now):
        pass
    while await keeper.refresh(now - timedelta(days=7), now):
        pass


def _frames(tenants: list[Tenant], services: list[Service], shape: Shape, at: datetime) -> Iterator[Frame]:
    for tenant, service in zip(tenants, services, strict=True):
        yield Frame(tenant.tenant_id, Source.PUSH, at, Columns(shape, service.says()), tenant.key)


async def _wal(database: Database) -> float:
    return float(await database.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def _wal_by_relation(database: Database, since: float, samples: int) -> dict[str, float]:
    """Bytes a sample that were written to the log, by what they are about; whole pages by themselves."""
    rows = await database.fetch(_WAL, int(since))
    found = {r["what"]: round(float(r["bytes"]) / samples, 2) for r in rows if r["bytes"] * 100 > samples}
    return {"all": round((await _wal(database) - since) / samples, 2), **found}


async def _sizes(database: Database, samples: int) -> dict[str, float]:
    """Bytes a sample, after the vacuum that the server does by itself sooner or later."""
    for relation in (*RELATIONS, "objective_hours"):
        await database.execute(f"VACUUM ANALYZE {relation}")
    found = {relation: float(await database.fetchval(_SIZE, relation)) / samples for relation in RELATIONS}
    others = await database.fetchrow(_OTHERS)
    found.update(zip(("others", "objectives"), [float(size) / samples for size in others], strict=True))
    return {name: round(size, 2) for name, size in {**found, "all": sum(found.values())}.items()}


async def _read(database: Database, tenants: list[Tenant], start: datetime, hours: int) -> dict[str, float]:
    """Milliseconds, the median of all tenants."""
    store, end = PgMonitoringStore(database), start + timedelta(hours=hours)
    found: dict[str, float] = {}
    for what, step, begin in (
        ("24 h / 5 min", timedelta(minutes=5), start),
        ("6 h / 15 s", timedelta(seconds=15), end - timedelta(hours=6)),
        ("1 h / 15 s", timedelta(seconds=15), end - timedelta(hours=1)),
    ):
        taken = []
        for tenant in tenants:
            began = time.perf_counter()
            await store.plots(tenant, begin, end, step)
            taken.append(time.perf_counter() - began)
        found[what] = round(sorted(taken)[len(taken) // 2] * 1000, 2)
    view = (
        "SELECT count(*), sum(metric_value) FROM monitoring_data"
        " WHERE tenant_id = $1 AND metric_name = 'cpu_usage' AND timestamp >= $2 AND timestamp < $3"
    )
    began = time.perf_counter()
    await database.fetchrow(view, tenants[0].tenant_id, end - timedelta(hours=1), end)
    found["an hour of a metric by SQL"] = round((time.perf_counter() - began) * 1000, 2)
    return found


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 1)


if __name__ == "__main__":
    main()
