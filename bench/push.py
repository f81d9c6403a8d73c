"""JSON pushes beside an empty handler of the same framework, and one large batch beside a raw COPY of its frames.

    python -m bench.push                                2 min
    python -m bench.push --requests 5000 --connections 128
    python -m bench.push --profile push.txt             stacks of the service during the pushes (needs py-spy)

Pushes of 9 metrics come over keep-alive connections from 100 tenants, each with a token of its own, into a durable
TimescaleDB. Rounds take turns: empty handler, ecpmon. CPU is that of the process, and of PostgreSQL with all its
backends, by the sample, without what both use while nobody pushes: on a shared machine that says more than requests
per second do. The batch is one request with 10,000 instants of 9 metrics; while it is taken in, `/health` is asked
every 5 ms, and the longest answer says how long something held the loop. Before each batch the jobs have time to work
off the one before. The COPY is of the same rows into a table like `frames`, by asyncpg. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import pickle
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench import servers
from bench.load import Connection
from ecpmon.local.postgres import PostgresCluster
from ecpmon.model.tenants import Resources, SlaTarget
from ecpmon.ports.tenants import NewTenant
from ecpmon.ports.tokens import Caller, NewToken
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.tokens import PgTokenStore

TENANTS, METRICS, INSTANTS = 100, 9, 10_000
ROOT = Path(__file__).resolve().parent.parent
# Of the service and the database together, while nobody asks them anything.
QUIET_CORES = 0.06
TICKS = os.sysconf("SC_CLK_TCK")
EVERYBODY = Caller("bench", frozenset({"admin"}), None)
Tokens = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60, help="a round takes no longer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    arguments = parser.parse_args()
    binaries, _ = servers.fetch()
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        dsn = cluster.ensure_database("bench")
        tokens = asyncio.run(_prepare(dsn, TENANTS + arguments.batches + 1))
        with _empty(folder) as empty, _service(dsn, folder) as service:
            found = {
                "commit": commit(),
                "pushes": _pushes(arguments, folder, cluster, empty, service, tokens),
                "batch": _batches(arguments.batches, dsn, cluster, service, tokens),
            }
    found["load_average"] = os.getloadavg()[0]
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


def commit() -> str:
    """The one that is checked out, and whether files differ from it."""
    asked = ["git", "-C", os.fspath(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


# --- what is under test -------------------------------------------------------------------------------------


async def _prepare(dsn: str, count: int) -> Tokens:
    """A token per tenant."""
    database = Database(dsn)
    try:
        await migrate(database)
        now = datetime.now(UTC)
        tenants, desk = PgTenantStore(database), PgTokenStore(database)
        tokens = {}
        for number in range(count):
            name = f"tenant-{number:04d}"
            new = NewTenant(
                tenant_id=name,
                name=name,
                preset="small",
                is_demo=False,
                service_requirements={"chatbot": 30},
                resources=Resources(cpu="1", memory="1Gi", gpu=0, storage="1TB"),
                sla_target=SlaTarget(availability="99.5%"),
            )
            await tenants.create(new, f"deployment-{number}", now)
            made = await desk.issue(NewToken(name, frozenset({"ingest"}), [name]), EVERYBODY, now)
            tokens[name] = made.secret
        return tokens
    finally:
        await database.close()


class Process:
    """A server, and where it listens."""

    def __init__(self, popen: subprocess.Popen[bytes], port: int) -> None:
        self.pid, self.port = popen.pid, port


@contextmanager
def _running(argv: list[str], folder: Path, port: int, env: dict[str, str]) -> Iterator[Process]:
    with (folder / f"{port}.log").open("wb") as log:
        popen = subprocess.Popen(argv, env={**os.environ, **env}, cwd=ROOT, stdout=log, stderr=log)
    try:
        servers._wait(popen, lambda: servers.answers(port, "/health"), folder / f"{port}.log")
        yield Process(popen, port)
    finally:
        popen.terminate()
        popen.wait(30)


def _empty(folder: Path) -> contextlib.AbstractContextManager[Process]:
    port = servers.free_port()
    return _running([sys.executable, "-m", "bench.empty", str(port)], folder, port, {})


def _service(dsn: str, folder: Path) -> contextlib.AbstractContextManager[Process]:
    port = servers.free_port()
    env = {
        "ECPMON_ROLE": "all",
        "ECPMON_DATABASE_URL": dsn,
        "ECPMON_PORT": str(port),
        "ECPMON_LOG_LEVEL": "warning",
        # One tenant sends the whole batch at once, several times.
        "ECPMON_MAX_SAMPLES_PER_SECOND": "10000000",
        "ECPMON_MAX_BODY_BYTES_PER_SECOND": "1000000000",
    }
    return _running([sys.executable, "-m", "ecpmon", "serve"], folder, port, env)


# --- CPU ----------------------------------------------------------------------------------------------------


def _cpu(pid: int, *, tree: bool = False) -> float:
    """Seconds; `tree`: with the children, those that ended and those there are."""
    stat = [int(x) for x in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]]
    total = sum(stat if tree else stat[:2])
    if tree:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with contextlib.suppress(OSError):
                    total += round(_cpu(int(child)) * TICKS)
    return total / TICKS


def _postmaster(cluster: PostgresCluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


# --- pushes -------------------------------------------------------------------------------------------------


def values_of(random_: random.Random) -> dict[str, float]:
    return {
        "cpu_usage": round(random_.uniform(10, 70), 2),
        "memory_usage": round(random_.uniform(20, 80), 2),
        "gpu_usage": round(random_.uniform(0, 90), 2),
        "network_in": round(random_.uniform(1e5, 2e6), 1),
        "network_out": round(random_.uniform(1e5, 4e6), 1),
        "storage_used": round(random_.uniform(1, 900), 3),
        "request_count": random_.randint(0, 100_000),
        "response_time": round(random_.uniform(20, 400), 1),
        "error_rate": round(random_.uniform(0, 0.02), 4),
    }


def _request(name: str, token: str, body: bytes) -> bytes:
    head = (
        f"POST /api/v1/tenants/{name}/monitoring HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _pushes(
    arguments: argparse.Namespace,
    folder: Path,
    cluster: PostgresCluster,
    empty: Process,
    service: Process,
    tokens: Tokens,
) -> dict[str, Any]:
    random_ = random.Random(1)
    names = sorted(tokens)[:TENANTS]
    streams = [
        [
            _request(name, tokens[name], json.dumps({"metrics": values_of(random_)}).encode())
            for name in names[s % TENANTS :: 16][:8]
        ]
        for s in range(max(arguments.connections))
    ]
    file = folder / "requests.pickle"
    file.write_bytes(pickle.dumps(streams))
    _introduce(service.port, streams)
    postgres, found = _postmaster(cluster), {}
    idle = _idle(service.pid, postgres)
    for connections in arguments.connections:
        rounds: dict[str, list[dict[str, Any]]] = {"empty": [], "ecpmon": []}
        for _ in range(arguments.rounds):
            for system, server in (("empty", empty), ("ecpmon", service)):
                profile = arguments.profile if system == "ecpmon" else None
                _load(server, file, connections, arguments.requests // 10, arguments.seconds)
                measured = _round(server, postgres, file, connections, arguments, profile)
                if system == "ecpmon":
                    _subtract(measured, idle)
                rounds[system].append(measured)
        found[f"{connections} connections"] = _compared(rounds)
    return {"idle_cores": idle, **found}


def _idle(service: int, postgres: int) -> dict[str, float]:
    """Cores that both use while nobody pushes: on a busy machine pushes are few, and would pay for all of it."""
    own, database, began = _cpu(service), _cpu(postgres, tree=True), time.perf_counter()
    time.sleep(10)
    seconds = time.perf_counter() - began
    return {
        "process": round((_cpu(service) - own) / seconds, 4),
        "database": round((_cpu(postgres, tree=True) - database) / seconds, 4),
    }


def _subtract(measured: dict[str, Any], idle: dict[str, float]) -> None:
    samples = measured["requests"] * METRICS
    for name, cores in idle.items():
        measured[f"{name}_us"] -= cores * measured["seconds"] / samples * 1e6


def _introduce(port: int, streams: list[list[bytes]]) -> None:
    """Show every token once, one after the other: many unknown ones at a time from one address look like guesses."""
    for request in {
        request.split(b"\r\n\r\n")[0]: request for stream in streams for request in stream
    }.values():
        connection = Connection(port, [request])
        connection.send()
        while not (status := connection.receive()):
            continue
        connection.socket.close()
        if status != 202:
            raise SystemExit(f"a push was answered {status}")


def _load(server: Process, file: Path, connections: int, requests: int, seconds: float) -> dict[str, Any]:
    argv = [sys.executable, "-m", "bench.load", server.port, file, connections, requests, seconds]
    ran = subprocess.run([str(a) for a in argv], cwd=ROOT, check=True, capture_output=True)
    load: dict[str, Any] = json.loads(ran.stdout)
    if set(load["statuses"]) != {"202"}:
        raise SystemExit(f"not every push was taken: {load}")
    return load


def _round(
    server: Process,
    postgres: int,
    file: Path,
    connections: int,
    arguments: argparse.Namespace,
    profile: Path | None,
) -> dict[str, Any]:
    """One run of the load, after a short one that does not count."""
    own, database = _cpu(server.pid), _cpu(postgres, tree=True)
    with _profiled(server.pid, arguments.seconds, profile):
        load = _load(server, file, connections, arguments.requests, arguments.seconds)
    samples = load["requests"] * METRICS
    load["process_us"] = (_cpu(server.pid) - own) / samples * 1e6
    load["database_us"] = (_cpu(postgres, tree=True) - database) / samples * 1e6
    return load


@contextmanager
def _profiled(pid: int, seconds: float, profile: Path | None) -> Iterator[None]:
    if profile is None:
        yield
        return
    spy = os.fspath(Path(sys.executable).with_name("py-spy"))
    argv = [
        spy,
        "record",
        "-p",
        str(pid),
        "-d",
        str(int(seconds)),
        "-r",
        "200",
        "-f",
        "raw",
        "-o",
        os.fspath(profile),
    ]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        yield
        running.send_signal(signal.SIGINT)
        running.wait(60)


def _compared(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    keys = ("per_second", "p50_ms", "p99_ms", "process_us", "database_us")
    found: dict[str, Any] = {
        system: {key: round(statistics.median(r[key] for r in runs), 2) for key in keys}
        for system, runs in rounds.items()
    }
    ours, empty = found["ecpmon"], found["empty"]
    del empty["database_us"]
    found["rate_of_empty"] = round(ours["per_second"] / empty["per_second"], 3)
    found["us_per_sample"] = round(ours["process_us"] + ours["database_us"], 2)
    found["cpu_of_empty"] = round(found["us_per_sample"] / empty["process_us"], 2)
    found["p99_of_empty"] = round(ours["p99_ms"] / empty["p99_ms"], 2)
    return found


# --- the batch ----------------------------------------------------------------------------------------------


class Canary(threading.Thread):
    """Asks `/health` every 5 ms; `taken`: milliseconds of each answer."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port, self._over = port, threading.Event()
        self.taken: list[float] = []

    def run(self) -> None:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._over.wait(0.005):
            began = time.perf_counter()
            connection.request("GET", "/health")
            connection.getresponse().read()
            self.taken.append((time.perf_counter() - began) * 1e3)
        connection.close()

    def stop(self) -> float:
        """The longest answer."""
        self._over.set()
        self.join()
        return max(self.taken, default=0.0)


def _batches(
    count: int, dsn: str, cluster: PostgresCluster, service: Process, tokens: Tokens
) -> dict[str, Any]:
    random_, postgres = random.Random(2), _postmaster(cluster)
    runs: list[dict[str, float]] = []
    for number in range(count + 1):
        name = f"tenant-{TENANTS + number:04d}"
        start = datetime.now(UTC) - timedelta(seconds=10 * INSTANTS + 60)
        rows = [(start + timedelta(seconds=10 * i), values_of(random_)) for i in range(INSTANTS)]
        _settle(service.pid, postgres)
        copied = asyncio.run(_copy(dsn, rows))
        body = json.dumps([{"timestamp": ts.isoformat(), "metrics": values} for ts, values in rows]).encode()
        took = _batch(service, postgres, _request(name, tokens[name], body))
        runs.append({"copy_ms": copied, **took})
    found = {key: round(statistics.median(r[key] for r in runs[1:]), 2) for key in runs[0]}
    found["ms_of_copy"] = round(statistics.median(r["ms"] / r["copy_ms"] for r in runs[1:]), 2)
    return found


def _settle(service: int, postgres: int) -> None:
    """Wait until the jobs have worked off what the batch before has left, half a minute at most."""
    give_up = time.perf_counter() + 30
    while time.perf_counter() < give_up:
        before = _cpu(service) + _cpu(postgres, tree=True)
        time.sleep(1)
        if _cpu(service) + _cpu(postgres, tree=True) - before < QUIET_CORES:
            return


def _batch(service: Process, postgres: int, request: bytes) -> dict[str, float]:
    canary = Canary(service.port)
    canary.start()
    connection = Connection(service.port, [request])
    own, database = _cpu(service.pid), _cpu(postgres, tree=True)
    connection.send()
    while not (status := connection.receive()):
        continue
    took = (time.perf_counter() - connection.began) * 1e3
    if status != 202:
        raise SystemExit(f"the batch was answered {status}")
    samples = INSTANTS * METRICS
    return {
        "ms": took,
        "held_ms": canary.stop(),
        "process_us": (_cpu(service.pid) - own) / samples * 1e6,
        "database_us": (_cpu(postgres, tree=True) - database) / samples * 1e6,
    }


_LIMIT = """
DROP TABLE IF EXISTS copied;
CREATE TABLE copied (ts timestamptz NOT NULL, tenant bigint NOT NULL, seq bigint NOT NULL, series int[] NOT NULL,
                     samples float8[] NOT NULL);
SELECT create_hypertable('copied', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX ON copied (tenant, ts DESC);
"""


async def _copy(dsn: str, rows: list[tuple[datetime, dict[str, float]]]) -> float:
    """Milliseconds of the second COPY: the first one makes the chunks."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_LIMIT)
        numbers = list(range(METRICS))
        records = [(ts, 1, n, numbers, list(v.values())) for n, (ts, v) in enumerate(rows)]
        took = 0.0
        for part in (records[::100], records):
            began = time.perf_counter()
            await connection.copy_records_to_table("copied", records=part)
            took = (time.perf_counter() - began) * 1e3
        return took
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
