"""Prints the SLA engine's error against the simulator's truth, per tenant and window.

    .venv/bin/python -m bench.accuracy --minutes 180

Needs nothing but the checkout: it starts a private TimescaleDB and the simulator on free loopback ports.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ecpmon.local.packages import fetch_binaries
from ecpmon.local.paths import cache_dir, service_user
from ecpmon.local.postgres import PostgresCluster
from tests.acceptance.accuracy import Scenario, table
from tests.acceptance.world import World
from tests.conftest import PostgresServer, _free_port

# The clocks of Berlin, the tenants' zone, go forward twenty minutes later.
START = datetime(2026, 3, 29, 0, 40, tzinfo=UTC)


async def measure(dsn: str, folder: Path, minutes: int, seed: int) -> str:
    async with World(dsn, folder, _free_port, START) as world:
        return table(await Scenario(world, minutes, seed).run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=180, help="simulated time per run (default: 180)")
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of runs, each with its own seed (default: 3)"
    )
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    user = service_user()
    binaries = fetch_binaries(cache_dir(os.environ, user), lambda *_: None)
    folder = Path(tempfile.mkdtemp(prefix="ecpmon-accuracy-"))
    folder.chmod(0o755)
    cluster = PostgresCluster(binaries.postgres_bin, folder / "postgres", _free_port(), user, durable=False)
    cluster.initialise()
    server = PostgresServer(cluster)
    server.start()
    try:
        for seed in itertools.islice(itertools.count(1), arguments.seeds):
            own = folder / str(seed)
            own.mkdir()
            dsn = cluster.ensure_database(f"run_{seed}")
            print(f"seed {seed}, {arguments.minutes} simulated minutes")
            print(asyncio.run(measure(dsn, own, arguments.minutes, seed)))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
