"""What reading costs: measurements, SLA figures, lists, `/metrics`; and what the jobs cost while nobody pushes.

    python -m bench.reads                                1,000 tenants, Prometheus beside us
    python -m bench.reads --only query --tenants 10      one part, fewer tenants
    python -m bench.reads --only jobs idle --no-peers

Parts: query, sla, summary, list, metrics, jobs, idle. Every tenant has 30 days of minutes (as in bench.sla) and three
metrics. The answers of both systems are compared before anything is printed. See bench/README.md for the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import structlog

from bench import http_load, ours, servers
from bench.observations import DAYS, History, now_floored, tenant_name
from bench.past import METRICS, Measured, load_measured
from bench.peers import Peer
from ecpmon.app import RUNTIMES, create_app
from ecpmon.local.packages import Binaries
from ecpmon.settings import Settings
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate

PARTS = ("query", "sla", "summary", "list", "metrics", "jobs", "idle")
# `/metrics` is rendered once in five seconds at most, by default.
_PAGES, _PAGE_AGE = 6, 5.1
WINDOWS = "1h,24h,7d,30d,month"
Result = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    binaries, _ = servers.fetch()
    measured = Measured(arguments.tenants, now_of_steps())
    report: Result = {
        "tenants": arguments.tenants,
        "cores": os.cpu_count(),
        "at": datetime.now(UTC).isoformat(),
    }
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        url, postmaster = cluster.ensure_database("bench"), servers.postmaster(cluster)
        asyncio.run(prepare(url, measured))
        if "jobs" in arguments.only:
            report["jobs"] = asyncio.run(_jobs(url, postmaster))
        with servers.ecpmon(url, folder, role="supervised") as (port, pid):
            ask = Asker(port, arguments.tenants, {"api": pid, "database": postmaster})
            report["idle"] = ask.background = _idle(ask.servers, 60 if "idle" in arguments.only else 15)
            for part in ("sla", "summary", "list", "metrics"):
                if part in arguments.only:
                    report[part] = getattr(ask, part)().figures()
                    _say(part, report[part])
            if "query" in arguments.only:
                with _peer(binaries, folder, measured, arguments.peers) as peer:
                    report["query"] = _query(ask, peer, measured)
    report["load_average"] = os.getloadavg()[0]
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="measure ecpmon only")
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    return parser.parse_args()


def now_of_steps() -> datetime:
    """The last multiple of 5 minutes."""
    return datetime.fromtimestamp(time.time() // 300 * 300, UTC)


async def prepare(url: str, measured: Measured) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    database, began = Database(url), time.perf_counter()
    try:
        await migrate(database)
        await ours.load_history(database, History(measured.tenants, now_floored() - timedelta(days=DAYS)))
        await load_measured(database, measured)
    finally:
        await database.close()
    print(f"{measured.tenants} tenants written in {time.perf_counter() - began:.0f} s")
    runtime, app = await _runtime(url)
    try:
        for job in ("default_rules", "rolling_sla"):
            await runtime.jobs.run(job)
    finally:
        await app.cleanup()


async def _runtime(url: str) -> tuple[Any, Any]:
    """The service without its server; its jobs are turned by hand."""
    app = await create_app(Settings(database_url=url, auth="none"), run_jobs=False)
    app.freeze()
    await app.startup()
    [runtime] = app[RUNTIMES]
    while not runtime.lease.held:  # noqa: ASYNC110 - it takes a moment, and nobody tells
        await asyncio.sleep(0.05)
    return runtime, app


async def _jobs(url: str, postmaster: int) -> Result:
    """CPU milliseconds of one turn of each job, ours and the database's, when nothing happened since the last."""
    runtime, app = await _runtime(url)
    found: Result = {}
    try:
        for _ in range(2):
            await runtime.jobs.run_all()
        for name, every in runtime.jobs.periods.items():
            await asyncio.sleep(0.2)
            began, ours_before = time.perf_counter(), time.process_time()
            theirs_before, turns = http_load.cpu_seconds(postmaster), 1 if every > 60 else 5
            for _ in range(turns):
                await runtime.jobs.run(name)
            spent = {
                "api": time.process_time() - ours_before,
                "database": http_load.cpu_seconds(postmaster) - theirs_before,
                "seconds": time.perf_counter() - began,
            }
            found[name] = {k: round(v / turns * 1000, 2) for k, v in spent.items()} | {"every": every}
            _say(f"job {name}", found[name])
    finally:
        await app.cleanup()
    return found


def _idle(processes: dict[str, int], seconds: float = 60) -> Result:
    """Share of a core while nobody asks."""
    time.sleep(15)
    before, began = {n: http_load.cpu_seconds(pid) for n, pid in processes.items()}, time.perf_counter()
    time.sleep(seconds)
    lasted = time.perf_counter() - began
    shares = {n: round((http_load.cpu_seconds(p) - before[n]) / lasted, 4) for n, p in processes.items()}
    _say("idle, cores", shares)
    return shares


class Asker:
    """Asks the service; `servers` by name: the processes whose CPU time is counted."""

    def __init__(self, port: int, tenants: int, processes: dict[str, int]) -> None:
        self.port = port
        self.servers = processes
        # Cores that the jobs take meanwhile, which no request is charged with.
        self.background = dict.fromkeys(processes, 0.0)
        dice = random.Random(9)
        self.names = [tenant_name(dice.randrange(tenants)) for _ in range(800)]

    def load(self, paths: list[str], connections: int = 1, *headers: str) -> http_load.Load:
        asked = [http_load.get(path, *headers) for path in paths]
        http_load.run(self.port, asked[:20], 1, **self.servers)
        load = http_load.run(self.port, asked, connections, **self.servers)
        each = load.seconds * 1000 / len(load.taken)
        cpu = {name: spent - self.background[name] * each for name, spent in load.cpu.items()}
        return replace(load, cpu=cpu)

    def sla(self) -> http_load.Load:
        return self.load([f"/api/v1/tenants/{n}/sla?windows={WINDOWS}" for n in self.names])

    def summary(self) -> http_load.Load:
        return self.load(["/api/v1/sla/summary"] * 30)

    def list(self) -> http_load.Load:
        return self.load(["/api/v1/tenants/?limit=1000"] * 30)

    def metrics(self) -> http_load.Load:
        """As Prometheus asks, but never for a page that is there already."""
        taken: list[float] = []
        before, began = {n: http_load.cpu_seconds(p) for n, p in self.servers.items()}, time.perf_counter()
        for _ in range(_PAGES):
            asked = [http_load.get("/metrics", "Accept-Encoding: gzip")]
            taken += http_load.run(self.port, asked, **self.servers).taken
            time.sleep(_PAGE_AGE)
        lasted = time.perf_counter() - began
        spent = {n: http_load.cpu_seconds(p) - before[n] for n, p in self.servers.items()}
        cpu = {n: (spent[n] - self.background[n] * lasted) * 1000 / _PAGES for n in spent}
        return http_load.Load(taken, sum(taken) / 1000, cpu, b"")


@contextmanager
def _peer(
    binaries: Binaries, folder: Path, measured: Measured, wanted: bool
) -> Iterator[tuple[Peer, int, int] | None]:
    if not wanted:
        yield None
        return
    with servers.prometheus(binaries, folder) as (port, pid):
        peer, began = Peer("Prometheus", port), time.perf_counter()
        for body in measured.requests():
            peer.write(body)
        peer.settle()
        print(f"Prometheus: loaded in {time.perf_counter() - began:.0f} s")
        yield peer, port, pid


def _query(ask: Asker, peer: tuple[Peer, int, int] | None, measured: Measured) -> Result:
    """A day in steps of 5 minutes of the three metrics of one tenant, by 1 and by 8 connections."""
    mine = [f"/api/v1/tenants/{n}/monitoring?hours=24&interval=5m" for n in ask.names]
    found: Result = {}
    for connections in (1, 8):
        load = ask.load(mine, connections)
        found[f"ecpmon, {connections}"] = load.figures()
        if peer is not None:
            _, port, pid = peer
            theirs = [http_load.get(_range(n, measured.end)) for n in ask.names]
            http_load.run(port, theirs[:20])
            other = http_load.run(port, theirs, connections, prometheus=pid)
            # Of many at once, the last that is answered may be anybody's.
            _compare(
                http_load.run(ask.port, [http_load.get(mine[-1])]).last, http_load.run(port, theirs[-1:]).last
            )
            found[f"Prometheus, {connections}"] = other.figures()
            found[f"ratio of p50, {connections}"] = round(load.quantile(0.5) / other.quantile(0.5), 2)
    for name, figures in found.items():
        _say(f"query, {name}", figures)
    return found


def _range(tenant: str, end: datetime) -> str:
    """A point of ours is named by the begin of its step, theirs by its end."""
    parts = [
        f'label_replace(avg_over_time({m}{{tenant_id="{tenant}"}}[5m]),"m","{m}","","")' for m in METRICS
    ]
    at = end.timestamp()
    query = {"query": " or ".join(parts), "start": at - 86_400 + 300, "end": at, "step": 300}
    return "/api/v1/query_range?" + urlencode(query)


def _compare(ours_raw: bytes, theirs_raw: bytes) -> None:
    """The steps that both have hold the same means; the last question of both was about the same tenant."""
    mine = orjson.loads(ours_raw[ours_raw.index(b"\r\n\r\n") + 4 :])["metrics"]
    theirs = orjson.loads(_dechunked(theirs_raw))["data"]["result"]
    for series in theirs:
        key = {"cpu_usage": "cpu", "memory_usage": "memory", "response_time": "response"}[
            series["metric"]["m"]
        ]
        own = {datetime.fromisoformat(p["timestamp"]).timestamp(): p["value"] for p in mine[key]}
        shared = [(own[at - 300], float(v)) for at, v in series["values"] if at - 300 in own]
        if len(shared) < 200 or any(abs(a - b) > 1e-6 for a, b in shared):
            raise SystemExit(f"{key}: the answers differ")


def _dechunked(raw: bytes) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return body
    whole = bytearray()
    while True:
        size, _, body = body.partition(b"\r\n")
        if not int(size, 16):
            return bytes(whole)
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]


def _say(what: str, figures: Any) -> None:
    sys.stdout.write(f"{what}: {figures}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
