"""What the processes of a supervised `ecpmon serve` tell and take: which they are, memory, the lag of their loops."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from bench.http_load import cpu_seconds

Buckets = dict[float, float]
"""Observations up to a bound in seconds, by that bound."""


def processes(pid: int) -> dict[str, int]:
    """Process ids of the fronts and the worker that `pid` watches: `front-1`, …, `worker`.

    A front may be ready before the worker begins. Raises RuntimeError when they are not all there within 5 s.
    """
    deadline = time.monotonic() + 5
    while not {"worker", "front-1"} <= (found := _watched(pid)).keys():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{pid} watches {found}")
        time.sleep(0.05)
    return found


def _watched(pid: int) -> dict[str, int]:
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            name = Path(f"/proc/{child}/comm").read_text().strip()
            if name.startswith("ecp-"):
                found[name.removeprefix("ecp-")] = child
    return dict(sorted(found.items()))


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """`VmRSS`: now; `VmHWM`: the most it ever was."""
    text = Path(f"/proc/{pid}/status").read_text()
    return round(int(text.split(f"{what}:")[1].split()[0]) / 1024, 1)


def pss_mb(pid: int) -> float:
    """What processes share counts for each of them by its part."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return round(int(text.split("\nPss:")[1].split()[0]) / 1024, 1)


def lag(pid: int) -> Buckets:
    """Of one process: `ecpmon_loop_lag_seconds` since it started."""
    samples = _family(pid, "ecpmon_loop_lag_seconds")
    return {float(labels["le"]): value for name, labels, value in samples if name.endswith("_bucket")}


def failures(pid: int) -> dict[str, float]:
    """Of one process: how often a job failed or was late since it started, by job and reason."""
    samples = _family(pid, "ecpmon_job_failures")
    return {f"{x['job']} {x['reason']}": value for name, x, value in samples if name.endswith("_total")}


def bound(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float:
    """The bucket's bound in seconds under which `share` of the observations in between lie."""
    fresh = {le: after[le] - before[le] for le in sorted(after)}
    return next(le for le, count in fresh.items() if count >= share * max(fresh.values()))


def _family(pid: int, wanted: str) -> list[tuple[str, dict[str, str], float]]:
    with socket.socket(socket.AF_UNIX) as own:
        own.settimeout(30)
        own.connect(_socket(pid))
        connection = http.client.HTTPConnection("process")
        connection.sock = own
        # Of no tenant.
        connection.request("POST", "/machine/told", b"[]")
        told = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    families = [family for part in told for family in part.get("families", ())]
    return [tuple(sample) for name, _, _, samples in families if name == wanted for sample in samples]


def _socket(pid: int) -> str:
    """Where the process answers the others of its machine."""
    paths = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()]
    return next(path for path in paths if path.endswith(f"/{pid}.sock"))


class Meter:
    """Shares of a core that processes take, with all that they have started, from now on."""

    def __init__(self, **pids: int) -> None:
        self._pids, self._began = pids, time.perf_counter()
        self._before = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def cores(self) -> dict[str, float]:
        lasted = time.perf_counter() - self._began
        return {n: round((cpu_seconds(p) - self._before[n]) / lasted, 4) for n, p in self._pids.items()}
