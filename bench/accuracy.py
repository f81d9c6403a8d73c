"""Prints the SLA engine's error against the simulator's truth, per tenant and window.

    .venv/bin/python -m bench.accuracy --minutes 180   # simulated time
    .venv/bin/python -m bench.accuracy --live 12       # real time, every part of the stack killed in turn

Needs nothing but the checkout: it starts a private TimescaleDB and the simulator on free loopback ports.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ecpmon.local.packages import fetch_binaries
from ecpmon.local.paths import cache_dir, service_user
from ecpmon.local.postgres import PostgresCluster
from tests.acceptance.accuracy import measured
from tests.acceptance.live import live_stack
from tests.acceptance.live_accuracy import SETTINGS as LIVE_SETTINGS
from tests.acceptance.live_accuracy import LiveScenario
from tests.acceptance.rows import Row, table
from tests.conftest import PostgresServer
from tests.ports import free_port

# The clocks of Berlin, the tenants' zone, go forward twenty minutes later.
START = datetime(2026, 3, 29, 0, 40, tzinfo=UTC)
# The API's percentages are floats; a window's seconds come back from them not quite whole.
TOLERANCE = 1e-3


async def measure(dsn: str, folder: Path, minutes: int, seed: int) -> str:
    return (await measured(dsn, folder, free_port, START, minutes, seed)).tables()


def simulated(folder: Path, minutes: int, seeds: int) -> None:
    """Print one table per seed."""
    user = service_user()
    binaries = fetch_binaries(cache_dir(os.environ, user), lambda *_: None)
    cluster = PostgresCluster(binaries.postgres_bin, folder / "postgres", free_port(), user, durable=False)
    cluster.initialise()
    server = PostgresServer(cluster)
    server.start()
    try:
        for seed in itertools.islice(itertools.count(1), seeds):
            own = folder / str(seed)
            own.mkdir()
            dsn = cluster.ensure_database(f"run_{seed}")
            print(f"seed {seed}, {minutes} simulated minutes")
            print(asyncio.run(measure(dsn, own, minutes, seed)))
    finally:
        server.stop()


async def live(folder: Path, minutes: float, seed: int) -> list[Row]:
    async with live_stack(folder, free_port, **LIVE_SETTINGS) as stack:
        return await LiveScenario(stack, minutes, seed, print).run()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=180, help="simulated time per run (default: 180)")
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of runs, each with its own seed (default: 3)"
    )
    parser.add_argument("--live", type=float, metavar="MINUTES", help="one run on real time instead")
    parser.add_argument("--seed", type=int, default=1, help="seed of the run on real time (default: 1)")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="ecpmon-accuracy-"))
    folder.chmod(0o755)
    try:
        if arguments.live is None:
            simulated(folder, arguments.minutes, arguments.seeds)
            return
        rows = asyncio.run(live(folder, arguments.live, arguments.seed))
        print(table(rows))
        if any(row.outside_bounds > TOLERANCE for row in rows):
            sys.exit("the truth lies outside the bounds")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
