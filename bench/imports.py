"""How fast history is imported: a file as VictoriaMetrics exports it, into an empty database.

    python -m bench.imports                           10 M samples
    python -m bench.imports --samples 1000000

Ten tenants with 20 series each, a sample every 15 s; values are random and round. CPU is ours and the database's.
Prints JSON. `per_second` by the clock, from the first byte read to the last rollup made.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from bench import servers
from bench.push import _cpu, _prepare
from bench.remote_write import NAMES
from ecpmon.app.importing import Wanted, import_file
from ecpmon.collectors.history.runs import Left, Naming

TENANTS: Final = 10
EVERY: Final = 15_000
# Samples in a line, as VictoriaMetrics exports a series of some hours.
_RUN: Final = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    binaries, _ = servers.fetch()
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        dsn, path = cluster.ensure_database("bench"), folder / "export.jsonl"
        asyncio.run(_prepare(dsn, TENANTS))
        with path.open("wb") as file:
            file.writelines(_lines(arguments.samples))
        report = _measured(dsn, path, servers.postmaster(cluster))
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report))


def _measured(dsn: str, path: Path, postmaster: int) -> dict[str, Any]:
    wanted = Wanted(Naming(tenant_label="tenant_id"))
    before, own, began = _cpu(postmaster, tree=True), time.process_time(), time.perf_counter()
    samples = asyncio.run(import_file(dsn, path, "victoria", wanted, _quietly))
    seconds, ours = time.perf_counter() - began, time.process_time() - own
    theirs = _cpu(postmaster, tree=True) - before
    return {
        "samples": samples,
        "bytes": path.stat().st_size,
        "per_second": round(samples / seconds),
        "cpu_us": {"ours": round(ours / samples * 1e6, 2), "database": round(theirs / samples * 1e6, 2)},
        "memory_mb_at_most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _quietly(stored: int, share: float, left: Left) -> None:
    """Nobody looks on."""
    if left.total:
        raise SystemExit(f"left out: {left}")


def _lines(samples: int) -> Iterator[bytes]:
    """By tenant and hours, as an export is; the newest sample lies in the hour before this one."""
    chance, series = random.Random(15), TENANTS * len(NAMES)
    each = -(-samples // series)
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    begin = round(last.timestamp() * 1000) - each * EVERY
    for first in range(0, each, _RUN):
        at = [begin + number * EVERY for number in range(first, min(first + _RUN, each))]
        for number in range(series):
            labels = {
                "__name__": NAMES[number % len(NAMES)],
                "tenant_id": f"tenant-{number // len(NAMES):04d}",
            }
            values = [round(chance.uniform(0, 1000), 2) for _ in at]
            yield orjson.dumps({"metric": labels, "values": values, "timestamps": at}) + b"\n"


if __name__ == "__main__":
    main()
