"""What one accepted command costs, by how much the simulator already holds.

    python -m bench.commands                      with 0, 50 and 200 tenants there
    python -m bench.commands --tenants 0 1000

A simulator process is filled over its REST calls and then changed over HTTP, from this process: a server-side
apply of a small ConfigMap, and a PUT of a tenant that is not there yet. The last column holds besides ten
ConfigMaps of half a megabyte. Every answer is on disk before it is given. See bench/README.md for the figures.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.kube_api import LIMIT, Server, simulator

SERVICES, REPLICAS, NODES = 5, 3, 40
LARGE, LARGE_BYTES = 10, 500_000
QUERY = "fieldManager=bench&force=true"
Figures = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, nargs="+", default=[0, 50, 200])
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    found = {}
    for count in arguments.tenants:
        with simulator(NODES) as server:
            for number in range(count):
                _deploy(server, f"tenant-{number}")
            server.ask("POST", "/api/v1/clock/advance", {"seconds": 120})
            found[f"{count} tenants"] = _measure(server, arguments.runs)
            if count == arguments.tenants[-1]:
                for number in range(LARGE):
                    _apply(server, f"large-{number}", "x" * LARGE_BYTES)
                found[f"{count} and {LARGE * LARGE_BYTES / 1e6:.0f} MB"] = _measure(server, arguments.runs)
    _print(found, arguments.runs)


def _deploy(server: Server, tenant: str) -> None:
    service = {"replicas": REPLICAS, "cpu_millicores": 100, "memory_mib": 128}
    services = [{"name": f"service-{number}", **service} for number in range(SERVICES)]
    server.ask("PUT", f"/api/v1/tenants/{tenant}", {"services": services})


def _apply(server: Server, name: str, content: str) -> None:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/default/configmaps/{name}?{QUERY}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
    headers = {"Content-Type": "application/apply-patch+yaml"}
    connection.request("PATCH", path, json.dumps({**body, "data": {"content": content}}), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    if response.status >= 300 or answer["data"]["content"] != content:
        raise SystemExit(f"PATCH {path}: {response.status} {str(answer)[:300]}")


def _measure(server: Server, runs: int) -> Figures:
    """Milliseconds per command, after one of each that does not count."""
    applied, deployed = [], []
    for number in range(runs + 1):
        applied.append(_timed(lambda number=number: _apply(server, "small", f"version {number}")))
        deployed.append(_timed(lambda: _deploy(server, "extra")))
        server.ask("DELETE", "/api/v1/tenants/extra")
        server.ask("POST", "/api/v1/clock/advance", {"seconds": 60})
    return {"PATCH, server-side apply of a ConfigMap": applied[1:], "PUT of a new tenant": deployed[1:]}


def _timed(ask: Callable[[], None]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000


def _print(found: dict[str, Figures], runs: int) -> None:
    sys.stdout.write(f"median (worst) of {runs}, ms\n\n| | {' | '.join(found)} |\n")
    sys.stdout.write(f"|---|{'---|' * len(found)}\n")
    for name in next(iter(found.values())):
        cells = [f"{statistics.median(f[name]):.1f} ({max(f[name]):.0f})" for f in found.values()]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
