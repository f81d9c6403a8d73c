"""What a commit of pushes costs, as one statement and as a long commit of nine round trips.

    python -m bench.commits                      1 min
    python -m bench.commits --frames 1 60 --commits 300

Commits of so many frames of 9 metrics of 100 tenants, in turns, into a durable TimescaleDB, without HTTP. CPU is that
of this process, and of the backends that commit (`/proc/…/schedstat`), which says more than milliseconds on a shared
machine. Prints a line of JSON per turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import servers
from bench.push import TENANTS, _prepare, values_of
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Columns, Frame, Shape, Source
from ecpmon.sla.evidence import DEFAULT_RULES, series_key
from ecpmon.storage import steady
from ecpmon.storage.bus import BusWriter
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.lanes import Lane

_SHAPE = Shape(tuple(series_key(name) for name in values_of(random.Random(1))))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    binaries, _ = servers.fetch()
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        asyncio.run(_measure(cluster.ensure_database("bench"), arguments))


async def _measure(dsn: str, arguments: argparse.Namespace) -> None:
    await _prepare(dsn, TENANTS)
    database, ways = Database(dsn), {}
    try:
        tenants = await database.fetch("SELECT id, tenant_id FROM tenants ORDER BY id")
        for way, most in (("nine round trips", 0), ("one statement", steady.MOST_FRAMES)):
            own = Database(dsn)
            store = IngestStore(
                own, DEFAULT_RULES, 10_000, bus=BusWriter("bench"), now=lambda: datetime.now(UTC)
            )
            ways[way] = own, store, most
        for frames in arguments.frames:
            for _ in range(arguments.turns):
                for way, (own, store, most) in ways.items():
                    steady.MOST_FRAMES = most  # type: ignore[misc]
                    await _turn(store, tenants, frames, 3 * TENANTS // frames)
                    found = await _measured(own, store, tenants, frames, arguments.commits)
                    print(json.dumps({"way": way, "frames": frames, **found}), flush=True)
    finally:
        for own, _, _ in ways.values():
            await own.close()
        await database.close()


async def _measured(
    own: Database, store: IngestStore, tenants: list[Any], frames: int, commits: int
) -> dict[str, Any]:
    backends = []
    for lane in (Lane.STEADY, Lane.LIGHT):
        async with own.writing(lane=lane) as connection:
            backends.append(await connection.fetchval("SELECT pg_backend_pid()"))
    once, process, database = store.at_once, time.process_time(), sum(map(_cpu, backends))
    took = sorted(await _turn(store, tenants, frames, commits))
    return {
        "process_us": round((time.process_time() - process) / commits * 1e6),
        "database_us": round((sum(map(_cpu, backends)) - database) / commits * 1e6),
        "p50_ms": round(took[commits // 2] * 1e3, 2),
        "p99_ms": round(took[int(commits * 0.99)] * 1e3, 2),
        "at_once": (store.at_once - once) / commits,
    }


async def _turn(store: IngestStore, tenants: list[Any], frames: int, commits: int) -> list[float]:
    """The seconds that each commit took."""
    random_, took = random.Random(1), []
    for n in range(commits):
        whose = [tenants[(n * frames + i) % len(tenants)] for i in range(frames)]
        batches = [Batch((_frame(tenant, random_),)) for tenant in whose]
        began = time.perf_counter()
        await store.commit(batches)
        took.append(time.perf_counter() - began)
    return took


def _frame(tenant: Any, random_: random.Random) -> Frame:
    columns = Columns(_SHAPE, [float(value) for value in values_of(random_).values()])
    return Frame(tenant["tenant_id"], Source.PUSH, datetime.now(UTC), columns, tenant["id"])


def _cpu(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
