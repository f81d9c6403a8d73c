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

    Raises RuntimeError when they are not all there.
    """
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            env = _environ(child)
            if role := env.get("ECPMON_ROLE"):
                found[f"front-{env['ECPMON_FRONT']}" if role == "front" else role] = child
    if "worker" not in found or "front-1" not in found:
        raise RuntimeError(f"{pid} watches {found}")
    return dict(sorted(found.items()))


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """`VmRSS`: now; `VmHWM`: the most it ever was."""
    text = Path(f"/proc/{pid}/status").read_text()
    return round(int(text.split(f"{what}:")[1].split()[0]) / 1024, 1)


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
        own.connect(str(Path(_environ(pid)["ECPMON_RUN_DIR"]) / f"{pid}.sock"))
        connection = http.client.HTTPConnection("process")
        connection.sock = own
        connection.request("GET", "/machine/part")
        families = json.loads(connection.getresponse().read())["families"]
    return [tuple(sample) for name, _, _, samples in families if name == wanted for sample in samples]


def _environ(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


class Meter:
    """Shares of a core that processes take, with all that they have started, from now on."""

    def __init__(self, **pids: int) -> None:
        self._pids, self._began = pids, time.perf_counter()
        self._before = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def cores(self) -> dict[str, float]:
        lasted = time.perf_counter() - self._began
        return {n: round((cpu_seconds(p) - self._before[n]) / lasted, 4) for n, p in self._pids.items()}
