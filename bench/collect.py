"""Pulling 1,000 simulated tenants every 5 s: gaps, and what it costs, beside Prometheus scraping the same simulator.

    python -m bench.collect                          2 min
    python -m bench.collect --tenants 100 --seconds 20
    python -m bench.collect --source prometheus      by way of Prometheus instead, asked every 5 s

The simulator runs on the real clock; every tenant has one service. A supervised `ecpmon serve` pulls `/api/v1/metrics`
and commits; Prometheus scrapes `/metrics` with the same interval at the same time. A gap is the time between two
stored observations of a tenant, by the simulator's clock; pulls that were good, and their distance, are told as well.
The cores of the simulator itself belong to nobody's figure. See bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from bench import fronts, ours, servers
from bench.kube_api import Server
from bench.observations import tenant_name
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate

_DEPLOYED = "UPDATE tenants SET deployed_to = 'simulator', status = 'running', sli_source = $1"
_GAPS = """
WITH steps AS (SELECT tenant, extract(epoch FROM ts - lag(ts) OVER (PARTITION BY tenant ORDER BY ts)) AS gap
               FROM frames WHERE ts >= $1)
SELECT count(DISTINCT tenant) AS tenants, count(*) AS frames, max(gap)::float8 AS longest,
       (percentile_cont(0.5) WITHIN GROUP (ORDER BY gap))::float8 AS median FROM steps
"""
_PULLS = """
WITH steps AS (SELECT ts, extract(epoch FROM ts - lag(ts) OVER (ORDER BY ts)) AS gap, duration_ms FROM pull_attempts
               WHERE source = $2 AND outcome = 'ok' AND tenant IS NULL AND ts >= $1)
SELECT count(*) AS pulls, max(gap)::float8 AS longest, max(duration_ms)::float8 AS slowest_ms FROM steps
"""
_LAST = "SELECT min(ts) AS at FROM (SELECT max(ts) AS ts FROM frames GROUP BY tenant) x"
Result = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    binaries, _ = servers.fetch()
    report: Result = {"tenants": arguments.tenants, "at": datetime.now(UTC).isoformat()}
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        url = cluster.ensure_database("bench")
        asyncio.run(_prepare(url, arguments.tenants, arguments.source))
        with servers.simulator(folder, max(4, arguments.tenants // 4)) as (simulated, simulator):
            _fill(simulated, arguments.tenants)
            config = (
                "scrape_configs: [{job_name: s, scrape_interval: 5s, honor_labels: true, "
                f'static_configs: [{{targets: ["127.0.0.1:{simulated}"]}}]}}]\n'
            )
            with (
                servers.prometheus(binaries, folder, config) as (scraping, prometheus),
                servers.ecpmon(
                    url, folder, role="supervised", **_pulled_from(arguments.source, simulated, scraping)
                ) as (_, pid),
            ):
                time.sleep(20)
                own = fronts.processes(pid)
                meter = fronts.Meter(
                    ecpmon=pid, worker=own["worker"], database=servers.postmaster(cluster),
                    prometheus=prometheus, simulator=simulator,
                )  # fmt: skip
                began = datetime.now(UTC)
                time.sleep(arguments.seconds)
                report["cores"] = meter.cores()
                # What was observed last may be on its way.
                time.sleep(2)
                end = began + timedelta(seconds=arguments.seconds)
                report |= asyncio.run(_found(url, began, end, arguments.source))
    report["load_average"] = os.getloadavg()[0]
    sys.stdout.write(f"collect: {report}\n")
    if report["gaps"]["tenants"] != arguments.tenants:
        raise SystemExit("not every tenant was observed")
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--source", choices=("simulator", "prometheus"), default="simulator")
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    return parser.parse_args()


def _pulled_from(source: str, simulated: int, scraping: int) -> dict[str, str]:
    """Settings of ecpmon; the simulator listens on one port and Prometheus on the other."""
    if source == "simulator":
        return {"simulator_url": f"http://127.0.0.1:{simulated}"}
    return {"prometheus_url": f"http://127.0.0.1:{scraping}", "prometheus_interval": "5"}


async def _prepare(url: str, tenants: int, source: str) -> None:
    database = Database(url)
    try:
        await migrate(database)
        await ours.add_tenants(database, [tenant_name(number) for number in range(tenants)])
        await database.execute(_DEPLOYED, source)
    finally:
        await database.close()


def _fill(port: int, tenants: int) -> None:
    server = Server(port)
    services = [{"name": "chatbot", "replicas": 1, "cpu_millicores": 500, "memory_mib": 512}]
    for number in range(tenants):
        server.ask("PUT", f"/api/v1/tenants/{tenant_name(number)}", {"services": services})


async def _found(url: str, began: datetime, end: datetime, source: str) -> Result:
    database = Database(url)
    try:
        gaps, pulls = await database.fetch(_GAPS, began), await database.fetch(_PULLS, began, source)
        last = await database.fetch(_LAST)
    finally:
        await database.close()
    # Who was last seen long before the end has a gap that nothing has closed yet.
    return {
        "gaps": {**dict(gaps[0]), "open_at_end": max(0.0, (end - last[0]["at"]).total_seconds())},
        "pulls": dict(pulls[0]),
    }


if __name__ == "__main__":
    main()
