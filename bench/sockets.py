"""From a change of state to every socket of its tenant, beside a broadcast in plain aiohttp.

    python -m bench.sockets                          1,000 and 5,000 sockets
    python -m bench.sockets --sockets 1000 --pushes 40
    python -m bench.sockets --json figures.json

A process of subscribers that does next to nothing (bench.socket_load) opens the sockets; this one pushes `up: 0` and
`up: 1` in turn over HTTP. A time is from the push, or from its answer, to the last byte of the message at a socket: all
sockets of all pushes together. Every socket has to be told every push, in order, however late. Plain aiohttp answers at
once and commits nothing; ours has committed when it answers.
Both are measured in turns within a run, so that a busy machine is busy for both. See bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench import servers
from bench.http_load import cpu_seconds
from ecpmon.serving import raise_file_limit
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate

TENANT = "bench"
PATIENCE = 120.0
METRICS = {
    "cpu": 51.2, "memory": 61.2, "gpu": 11.2, "network_in": 1234567.5, "network_out": 2345678.5,
    "storage": 7.5e11, "request": 1520.0, "response": 125.75, "error_rate": 0.0,
}  # fmt: skip
Result = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    raise_file_limit()
    report: Result = {"at": datetime.now(UTC).isoformat(), "cores": os.cpu_count(), "runs": []}
    binaries, _ = servers.fetch()
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        url = cluster.ensure_database("bench")
        asyncio.run(migrate(Database(url)))
        for count in arguments.sockets:
            for turn in range(arguments.turns):
                for system, started in (("aiohttp", _bare(folder)), ("ecpmon", _ours(url, folder))):
                    with started as (port, pid):
                        found = _measure(system, port, pid, count, arguments.pushes)
                    report["runs"].append({"sockets": count, "turn": turn, "system": system, **found})
                    print(json.dumps(report["runs"][-1]), flush=True)
            report[f"ratio of {count}"] = _ratio(report["runs"], count)
            print(count, report[f"ratio of {count}"], flush=True)
    report["load_average"] = os.getloadavg()[0]
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    return parser.parse_args()


@contextmanager
def _bare(folder: Path) -> Iterator[tuple[int, int]]:
    with servers.module("bench.bare_sockets", folder) as (port, pid):
        yield port, pid


@contextmanager
def _ours(url: str, folder: Path) -> Iterator[tuple[int, int]]:
    room = {f"max_sockets_per_{whose}": "10000" for whose in ("token", "tenant")}
    with servers.ecpmon(url, folder, **room) as (port, pid):
        body = {"tenant_id": TENANT, "name": TENANT, "service_requirements": {"chatbot": 10}}
        status = _ask(port, "/api/v1/tenants/", body)
        if status not in (201, 409):
            raise RuntimeError(f"the tenant could not be made: {status}")
        yield port, pid


def _measure(system: str, port: int, pid: int, count: int, pushes: int) -> Result:
    ours = system == "ecpmon"
    path, push = (
        (f"/ws/monitoring/{TENANT}", f"/api/v1/tenants/{TENANT}/monitoring") if ours else ("/ws", "/push")
    )
    idle, alone = _core(pid, 3.0), _memory_mb(pid, "VmRSS")
    began = time.monotonic()
    load = subprocess.Popen(
        [sys.executable, "-m", "bench.socket_load", str(port), path, str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert load.stdin is not None and load.stdout is not None  # noqa: PT018 - for the type checker
    try:
        _, _, _, refused = load.stdout.readline().split()
        opening, opened = time.monotonic() - began, _memory_mb(pid, "VmRSS")
        # Whatever it was before: two changes, of which every socket has been told before the measuring begins.
        for state in (0, 1):
            _ask(port, push, {"metrics": {**METRICS, "up": state}})
        _wait_until_told(load, count, "up")
        before, marks = cpu_seconds(pid), []
        for number in range(pushes):
            sent, state = time.monotonic(), number % 2
            status = _ask(port, push, {"metrics": {**METRICS, "up": state}})
            marks.append((sent, time.monotonic(), "up" if state else "down", status))
            time.sleep(0.5 + count / 2500)
        spent = cpu_seconds(pid) - before - idle * (time.monotonic() - marks[0][0])
        _wait_until_told(load, count, marks[-1][2])
        lag = _longest_lag_ms(port) if ours else None
        load.stdin.write("end\n")
        load.stdin.flush()
        told = json.loads(load.stdout.readline())
        before = cpu_seconds(pid)
    finally:
        load.kill()
        load.wait()
    time.sleep(3)
    hanging_up = cpu_seconds(pid) - before - 3 * idle
    if any(status != 202 for *_, status in marks) or int(refused):
        raise RuntimeError(f"{refused} sockets were refused; pushes: {marks}")
    return {
        **_figures(marks, told),
        "opening_s": round(opening, 2),
        "cpu_us_per_message": round(spent / (pushes * count) * 1e6, 1),
        "idle_core": round(idle, 3),
        "longest_lag_ms": lag,
        "kb_per_socket": round((opened - alone) * 1024 / count, 1),
        "hang_up_cpu_ms": round(hanging_up * 1000),
        "memory_mb": _memory_mb(pid, "VmHWM"),
    }


def _wait_until_told(load: subprocess.Popen[str], count: int, state: str) -> None:
    """On a busy machine messages are late, which is measured; that one never comes is an error: RuntimeError."""
    assert load.stdin is not None and load.stdout is not None  # noqa: PT018 - for the type checker
    deadline = time.monotonic() + PATIENCE
    while True:
        load.stdin.write("last\n")
        load.stdin.flush()
        last = json.loads(load.stdout.readline())
        if last == {state: count}:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"after {PATIENCE:g} s not every socket was told {state}: {last}")
        time.sleep(0.5)


def _figures(marks: list[tuple[float, float, str, int]], told: list[list[tuple[float, str]]]) -> Result:
    """Every socket is told every push, in order. Raises RuntimeError."""
    from_push, from_answer, states = [], [], [state for _, _, state, _ in marks]
    for events in told:
        mine = [event for event in events if event[0] >= marks[0][0]]
        if [state for _, state in mine] != states:
            raise RuntimeError(f"a socket was told {mine}, and not {states}")
        from_push += [(at - sent) * 1000 for (at, _), (sent, *_) in zip(mine, marks, strict=True)]
        from_answer += [(at - done) * 1000 for (at, _), (_, done, *_) in zip(mine, marks, strict=True)]
    return {
        f"{name}_p{share}": round(_percentile(values, share), 2)
        for name, values in (("push", from_push), ("answer", from_answer))
        for share in (50, 99)
    }


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


def _ratio(runs: list[Result], count: int) -> Result:
    """Ours by plain aiohttp's, the better turn of each."""
    best = {
        (system, key): min(r[key] for r in runs if r["system"] == system and r["sockets"] == count)
        for system in ("aiohttp", "ecpmon")
        for key in ("push_p50", "push_p99", "answer_p99", "cpu_us_per_message")
    }
    return {
        key: round(best["ecpmon", key] / best["aiohttp", key], 2)
        for key in ("push_p50", "push_p99", "answer_p99", "cpu_us_per_message")
    }


def _core(pid: int, seconds: float) -> float:
    """Its share of a processor while nobody asks it anything."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds


def _longest_lag_ms(port: int) -> float:
    """The longest that the event loop was held, or had no processor, in the last minute."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    [line] = [x for x in text.splitlines() if x.startswith("ecpmon_loop_longest_lag_seconds ")]
    return round(float(line.split()[1]) * 1000, 1)


def _memory_mb(pid: int, what: str) -> float:
    """`VmRSS`: resident now; `VmHWM`: the most it ever was."""
    [line] = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith(what)]
    return round(int(line.split()[1]) / 1024, 1)


def _ask(port: int, path: str, body: Any) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


if __name__ == "__main__":
    main()
