"""A thousand tenants at a supervised `ecpmon serve`: start, memory, idle, breach → receiver, the lag of its loops.

    python -m bench.crowd                                4 min: 1,000 tenants; Prometheus and Alertmanager beside us
    python -m bench.crowd --tenants 100 --seconds 20 --no-peers
    python -m bench.crowd --seconds 3600                 a soak; memory is noted every minute

Fronts and a worker, as `ecpmon serve` runs them, over a durable TimescaleDB. Every tenant has 30 days of minutes, three
metrics and the built-in rules. In the crowd every tenant pushes 9 metrics every 15 s, 200 sockets follow one of them,
and lists, the summary, figures, measurements and `/metrics` are read, 5 questions a second. A breach is a push over the
bound of a rule; its time is from the push to the first byte at a receiver of webhooks. The lag is that of
`ecpmon_loop_lag_seconds` of each front, which wakes 20 times a second, and waiting for a processor counts in it.
See bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import pickle
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson

from bench import fronts, http_load, reads, servers
from bench.observations import tenant_name
from bench.past import Measured
from bench.push import Canary, values_of
from bench.receiver import Receiver, receiving
from ecpmon.local.packages import Binaries

Result = dict[str, Any]
PUSH_EVERY, READS_PER_SECOND, SOCKETS = 15, 5, 200
MINE, WAIT = "breach", 30.0
# Everybody's silence ends with the first push: many rules change their state at once, which is not what is measured.
WARM_UP = PUSH_EVERY + 10
RULE = {"alert_name": "hot", "condition": "cpu_usage > 80"}
ROOM = {
    "role": "supervised",
    "log_level": "warning",
    "webhook_allow_loopback": "true",
    "notifications_per_receiver_minute": "100000",
    "flap_firings": "0",
    "notifications_per_tenant_minute": "100000",
    "max_sockets_per_token": "1000",
    "max_sockets_per_tenant": "1000",
}


def main() -> None:
    arguments = _arguments()
    binaries, _ = servers.fetch()
    measured = Measured(arguments.tenants, reads.now_of_steps())
    report: Result = {"tenants": arguments.tenants, "at": datetime.now(UTC).isoformat()}
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        url, postmaster = cluster.ensure_database("bench"), servers.postmaster(cluster)
        asyncio.run(reads.prepare(url, measured))
        report["start"] = _say("start", _starts(url, folder))
        with receiving() as receiver, servers.ecpmon(url, folder, **ROOM) as (port, pid):
            crowd = Crowd(port, pid, postmaster, folder, receiver, arguments)
            report |= crowd.run()
        if arguments.peers:
            report["peer"] = _say("Prometheus + Alertmanager", _peer(binaries, folder))
    report["load_average"] = os.getloadavg()[0]
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


# What a leader does for everybody in its first turn, which may take minutes.
LONG_JOBS = ("statements", "response_times", "objectives")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60, help="how long the crowd pushes")
    parser.add_argument("--idle", type=float, default=40, help="how long nobody asks")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="measure ecpmon only")
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    return parser.parse_args()


def _starts(url: str, folder: Path) -> Result:
    """Milliseconds from the start of the command until `/ready` is 200, and CPU of all its processes, three times."""
    found: Result = {}
    for role in ("supervised", "all"):
        for _ in range(3):
            began = time.perf_counter()
            with servers.ecpmon(url, folder, role=role, log_level="warning") as (_, pid):
                found.setdefault(f"{role}_ms", []).append(round((time.perf_counter() - began) * 1000))
                found.setdefault(f"{role}_cpu_ms", []).append(round(http_load.cpu_seconds(pid) * 1000))
    return found


class Crowd:
    """What happens to one service, in order."""

    def __init__(
        self,
        port: int,
        pid: int,
        postmaster: int,
        folder: Path,
        receiver: Receiver,
        asked: argparse.Namespace,
    ) -> None:
        self._port, self._pid, self._postmaster = port, pid, postmaster
        self._folder, self._receiver, self._asked = folder, receiver, asked
        self._processes = fronts.processes(pid)
        self._fronts = {n: p for n, p in self._processes.items() if n != "worker"}
        self._dice = random.Random(8)

    def run(self) -> Result:
        self._introduce()
        time.sleep(20)
        _say("the leader's first turns ended after, s", {"seconds": self._wait_for_first_turns()})
        idle = _say("idle, cores", self._idle())
        memory: Result = {"idle": {n: fronts.memory_mb(p) for n, p in self._processes.items()}}
        breach = {"idle": _say("breach, idle", self._breaches(20, 100))}
        crowd = self._crowd()
        breach["crowd"] = crowd.pop("breach")
        memory["peak"] = {n: fronts.memory_mb(p, "VmHWM") for n, p in self._processes.items()}
        _say("memory, MB", memory)
        log = _say("warnings and errors in the log", _logged(self._folder / "ecpmon.log"))
        return {"idle": idle, "memory": memory, "breach": breach, "crowd": crowd, "log": log}

    def _introduce(self) -> None:
        self._post(
            "/api/v1/tenants/", {"tenant_id": MINE, "name": MINE, "service_requirements": {"chatbot": 10}}
        )
        hook = {"type": "webhook", "url": self._receiver.url}
        self._post(f"/api/v1/tenants/{MINE}/alerts", {**RULE, "actions": [hook]})
        self._push(10)

    def _wait_for_first_turns(self, most: float = 600.0) -> float:
        """Seconds. A new leader closes months and finds means for everybody once: that is not what idle costs."""
        began = time.monotonic()
        while time.monotonic() < began + most:
            page = (
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=60).read().decode()
            )
            if all(f'ecpmon_job_last_success{{job="{job}"}}' in page for job in LONG_JOBS):
                break
            time.sleep(2)
        return round(time.monotonic() - began, 1)

    def _idle(self) -> Result:
        meter = self._meter()
        time.sleep(self._asked.idle)
        return meter.cores()

    def _meter(self) -> fronts.Meter:
        return fronts.Meter(all=self._pid, database=self._postmaster, **self._processes)

    def _breaches(self, seconds: float, most: int) -> Result:
        """Milliseconds until the receiver hears that it fires, and that it is over, in turns. What does not come
        within 30 s counts as if it came then, and is told as lost."""
        lost: list[str] = []
        took: dict[str, list[float]] = {"firing": [], "resolved": []}
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and len(took["firing"]) < most:
            for status, value in (("firing", 95), ("resolved", 10)):
                began = time.monotonic()
                self._push(value)
                at = self._receiver.wait(status, "tenant_id", MINE, WAIT)
                if at is None:
                    lost.append(f"{status}, pushed {datetime.now(UTC) - timedelta(seconds=WAIT):%H:%M:%S}")
                took[status].append(WAIT * 1000 if at is None else (at - began) * 1000)
                time.sleep(self._dice.uniform(0.05, 0.3))
        return {**{status: _quantiles(values) for status, values in took.items()}, "lost": lost}

    def _crowd(self) -> Result:
        seconds = self._asked.seconds
        with ExitStack() as stack:
            stack.enter_context(self._sockets())
            lasting = WARM_UP + seconds + 5
            pushing = self._steadily(self._pushes(), self._asked.tenants / PUSH_EVERY, lasting, 32)
            reading = self._steadily(self._questions(), READS_PER_SECOND, lasting, 8)
            time.sleep(WARM_UP)
            canary, meter, before = Canary(self._port), self._meter(), self._told()
            canary.start()
            with _noted(self._processes, seconds) as memory:
                breach = _say("breach, crowd", self._breaches(seconds, 10**6))
            longest, cores, after = canary.stop(), meter.cores(), self._told()
            pushes, questions = (json.loads(p.communicate()[0]) for p in (pushing, reading))
        if set(pushes["statuses"]) != {"202"} or set(questions["statuses"]) != {"200"}:
            raise SystemExit(f"not all was answered: {pushes} {questions}")
        found = {
            "pushes": pushes, "questions": questions, "cores": cores, **_changes(before, after),
            "health_ms": {**_quantiles(canary.taken), "longest": round(longest, 1)},
            "memory_every_minute": memory,
        }  # fmt: skip
        _say("crowd", {k: v for k, v in found.items() if k != "memory_every_minute"})
        return {"breach": breach, **found}

    def _told(self) -> Result:
        return {
            "lag": {name: fronts.lag(pid) for name, pid in self._processes.items()},
            "late": {name: fronts.failures(pid) for name, pid in self._processes.items()},
        }

    def _pushes(self) -> list[bytes]:
        made = []
        for number in range(self._asked.tenants):
            body = json.dumps({"metrics": values_of(self._dice)}).encode()
            path = f"/api/v1/tenants/{tenant_name(number)}/monitoring"
            made.append(
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
        return made

    def _questions(self) -> list[bytes]:
        names = [tenant_name(self._dice.randrange(self._asked.tenants)) for _ in range(12)]
        paths = [f"/api/v1/tenants/{n}/sla?windows={reads.WINDOWS}" for n in names[:6]]
        paths += [f"/api/v1/tenants/{n}/monitoring?hours=24&interval=5m" for n in names[6:]]
        paths += ["/api/v1/tenants/?limit=1000", "/api/v1/sla/summary"]
        return [*map(http_load.get, paths), http_load.get("/metrics", "Accept-Encoding: gzip")]

    def _steadily(
        self, requests: list[bytes], rate: float, seconds: float, connections: int
    ) -> subprocess.Popen[bytes]:
        file = self._folder / f"requests-{len(requests)}.pickle"
        file.write_bytes(pickle.dumps(requests))
        argv = [sys.executable, "-m", "bench.steady", self._port, file, rate, seconds, connections, WARM_UP]
        return subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE)

    @contextmanager
    def _sockets(self) -> Iterator[None]:
        argv = [sys.executable, "-m", "bench.socket_load", self._port, f"/ws/monitoring/{MINE}", SOCKETS]
        load = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert load.stdout is not None
            if not (said := load.stdout.readline()).endswith("refused 0\n"):
                raise SystemExit(f"sockets: {said}")
            yield
        finally:
            load.kill()
            load.wait()

    def _push(self, cpu: float) -> None:
        metrics = {**values_of(self._dice), "cpu_usage": cpu}
        self._post(f"/api/v1/tenants/{MINE}/monitoring", {"metrics": metrics})

    def _post(self, path: str, document: Any) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request("POST", path, json.dumps(document), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status not in (201, 202):
            raise SystemExit(f"{path}: {answer.status} {said[:300]!r}")


def _logged(path: Path) -> Result:
    """How often what was said at `log_level` or above."""
    lines = path.read_text(errors="replace").splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return dict(Counter(f"{e.get('level')} {e.get('event')}" for e in events))


@contextmanager
def _noted(processes: dict[str, int], seconds: float) -> Iterator[list[dict[str, float]]]:
    """Memory of each process every minute."""
    noted, over = [{n: fronts.memory_mb(p) for n, p in processes.items()}], threading.Event()

    def note() -> None:
        while not over.wait(60):
            noted.append({n: fronts.memory_mb(p) for n, p in processes.items()})

    thread = threading.Thread(target=note, daemon=True)
    thread.start()
    try:
        yield noted
    finally:
        over.set()
        thread.join()


def _changes(before: Result, after: Result) -> Result:
    """What was told in between: milliseconds of lag by process, jobs that failed or were late."""
    lag = {
        name: {
            f"p{share * 100:g}": fronts.bound(before["lag"][name], told, share) * 1000
            for share in (0.99, 0.999)
        }
        for name, told in after["lag"].items()
    }
    late = {
        f"{name}: {what}": count - before["late"][name].get(what, 0)
        for name, told in after["late"].items()
        for what, count in told.items()
        if count > before["late"][name].get(what, 0)
    }
    return {"lag_ms_at_most": lag, "late": late}


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    found = {
        f"p{share * 100:g}": round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)
        for share in (0.5, 0.99, 0.999)
    }
    return {"count": len(ordered), **found}


PEER_SERIES = 20


def _peer(binaries: Binaries, folder: Path) -> Result:
    """The same from a value that is scraped, with the shortest intervals that people use: 5 s each."""
    values = dict.fromkeys(range(PEER_SERIES), 10.0)
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        exporter = stack.enter_context(_exporting(values))
        alertmanager, _ = stack.enter_context(servers.alertmanager(binaries, folder, receiver.url))
        rules = folder / "hot.yml"
        rules.write_text('groups: [{name: g, rules: [{alert: hot, expr: "cpu_usage > 80"}]}]\n')
        config = (
            f"global: {{scrape_interval: 5s, evaluation_interval: 5s}}\nrule_files: [{rules}]\n"
            f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}\n'
            f'scrape_configs: [{{job_name: e, static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]}}]\n'
        )
        stack.enter_context(servers.prometheus(binaries, folder, config))
        time.sleep(8)
        dice, began = random.Random(3), {}
        for number in values:
            values[number], began[number] = 95.0, time.monotonic()
            time.sleep(dice.uniform(0, 1))
        # A message may hold several, and they come in any order.
        arrived: dict[int, float] = {}
        while len(arrived) < PEER_SERIES:
            at, alert = receiver.came.get(timeout=30)
            arrived.setdefault(int(alert["labels"]["id"]), at)
    return {"firing": _quantiles([(arrived[n] - began[n]) * 1000 for n in values])}


@contextmanager
def _exporting(values: dict[int, float]) -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = "".join(f'cpu_usage{{id="{n}"}} {v}\n' for n, v in values.items()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _say(what: str, figures: Result) -> Result:
    sys.stdout.write(f"{what}: {figures}\n")
    sys.stdout.flush()
    return figures


if __name__ == "__main__":
    main()
