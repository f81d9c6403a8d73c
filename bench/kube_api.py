"""What clients of the simulator's Kubernetes API wait for: lists and watches of many pods.

    python -m bench.kube_api                 3,000 pods
    python -m bench.kube_api --pods 10000

A simulator process is filled over its REST calls and then asked over HTTP, from this process. Before a figure is
printed, the answer is read and its objects are counted. See bench/README.md for the figures.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPLICAS = 100
SERVICES = 3
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
LIMIT = 120.0


class Server:
    """A simulator on a loopback port."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, document: Any = None, accept: str = "application/json") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        headers = {"Accept": accept, "Content-Type": "application/json"}
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        raw = response.read()
        connection.close()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {raw[:300]!r}")
        return raw


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pods", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    with simulator(nodes=arguments.pods // 60 + 1) as server:
        pods = _fill(server, arguments.pods)
        _print(pods, _measure(server, pods, arguments.runs), server)


@contextmanager
def simulator(nodes: int) -> Iterator[Server]:
    """A new simulator process on a manual clock; it is killed in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ecpmon.simulator", "--port", str(port), "--nodes", str(nodes)]
        command += ["--state-dir", str(Path(folder) / "state"), "--manual-clock"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield _ready(Server(port), process)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


def _ready(server: Server, process: subprocess.Popen[bytes]) -> Server:
    limit = time.monotonic() + 60
    while time.monotonic() < limit and process.poll() is None:
        try:
            server.ask("GET", "/health")
            return server
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the simulator did not start")


def _fill(server: Server, pods: int) -> int:
    """Deploy tenants until there are `pods`; all of them are ready afterwards."""
    service = {"replicas": REPLICAS, "cpu_millicores": 500, "memory_mib": 256}
    services = [{"name": f"service-{number}", **service} for number in range(SERVICES)]
    tenants = max(1, pods // (REPLICAS * SERVICES))
    for number in range(tenants):
        server.ask("PUT", f"/api/v1/tenants/tenant-{number}", {"services": services})
    server.ask("POST", "/api/v1/clock/advance", {"seconds": 120})
    return tenants * REPLICAS * SERVICES


def _measure(server: Server, pods: int, runs: int) -> dict[str, list[float]]:
    """Milliseconds per run by question, after one run that does not count."""
    questions: dict[str, Callable[[], None]] = {
        "list, JSON": lambda: _list(server, pods),
        "list, table (`kubectl get`)": lambda: _table(server, pods),
        "list of one namespace of many": lambda: _list(
            server, REPLICAS * SERVICES, "/api/v1/namespaces/ecp-ai-tenant-0/pods"
        ),
        "list in pages of 500": lambda: _pages(server, pods),
        "list by label": lambda: _list(server, REPLICAS, "/api/v1/pods?labelSelector="
                                       "ecp.ai/tenant%3Dtenant-0,ecp.ai/service%3Dservice-0"),
        "watch, everything there is": lambda: _watch(server, pods),
    }  # fmt: skip
    return {name: [_timed(ask) for _ in range(runs + 1)][1:] for name, ask in questions.items()}


def _timed(ask: Callable[[], None]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000


def _list(server: Server, expected: int, path: str = "/api/v1/pods") -> None:
    _expect(server.ask("GET", path).count(b'"kind":"Pod",'), expected)


def _table(server: Server, expected: int) -> None:
    _expect(server.ask("GET", "/api/v1/pods", accept=TABLE).count(b'{"cells":'), expected)


def _pages(server: Server, expected: int) -> None:
    found, token = 0, ""
    while True:
        page = json.loads(server.ask("GET", f"/api/v1/pods?limit=500&continue={token}"))
        found += len(page["items"])
        token = page["metadata"].get("continue", "")
        if not token:
            return _expect(found, expected)


def _watch(server: Server, expected: int) -> None:
    """All that exist, and the bookmark that says so."""
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
    connection.request("GET", f"/api/v1/pods?{query}")
    response = connection.getresponse()
    raw = b""
    while b"k8s.io/initial-events-end" not in raw[-2000:]:
        raw += response.read1(1 << 20)
    connection.close()
    _expect(raw.count(b'{"type":"ADDED"'), expected)


def _expect(found: int, expected: int) -> None:
    if found != expected:
        raise SystemExit(f"expected {expected} objects and got {found}")


def _print(pods: int, figures: dict[str, list[float]], server: Server) -> None:
    size = len(server.ask("GET", "/api/v1/pods")) / 1e6
    sys.stdout.write(
        f"{pods} pods, {size:.1f} MB as JSON; milliseconds, {len(next(iter(figures.values())))} runs\n\n"
    )
    sys.stdout.write("| | median | worst |\n|---|---|---|\n")
    for name, values in figures.items():
        sys.stdout.write(f"| {name} | {statistics.median(values):.0f} | {max(values):.0f} |\n")


if __name__ == "__main__":
    main()
