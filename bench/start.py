"""From the command to the first 200 of `/ready`, and what that costs: fronts and worker, and one process.

    python -m bench.start                      10 starts of each
    python -m bench.start --times 3 --json FILE

Beside it what cannot be had without: the interpreter alone, with libraries, and with our modules as well. CPU is of
all processes of a start until it is ready; memory when it has been so for some seconds. RSS counts what processes share
in each of them, PSS divides it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from bench import fronts, http_load, servers
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate

Result = dict[str, Any]
SETTLED = 5.0
# As the command does it: nothing is looked for that could be thrown away.
_IMPORTING = "from ecpmon.cli import importing\nwith importing(): "
_SETTINGS = "class Settings(pydantic_settings.BaseSettings): port: int = 0\nSettings()"
BARE = {
    "python": "pass",
    "certificates of authorities, read twice": "import ssl\nfor _ in '12': ssl.create_default_context()",
    "aiohttp, asyncpg, orjson": "import aiohttp.web, asyncpg, orjson",
    "all libraries": f"{_IMPORTING}import aiohttp.web, asyncpg, orjson, click, prometheus_client, pydantic_settings,"
    f" structlog, uvloop, yaml\n{_SETTINGS}",
    "all libraries and our modules": f"{_IMPORTING}import ecpmon.settings, ecpmon.app, ecpmon.local.machine, uvloop",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    arguments = parser.parse_args()
    binaries, _ = servers.fetch()
    report: Result = {"at": datetime.now(UTC).isoformat()}
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        url = cluster.ensure_database("bench")
        asyncio.run(migrate(Database(url)))
        report["start"] = starts(url, folder, arguments.times)
    report["bare"] = {name: bare(code, arguments.times) for name, code in BARE.items()}
    report["load_average"] = os.getloadavg()[0]
    sys.stdout.buffer.write(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def starts(url: str, folder: Path, times: int) -> Result:
    """By role: milliseconds until it is ready, of CPU as well, and the memory of the last one's processes in MB."""
    found: Result = {}
    for _ in range(times):
        for role in ("supervised", "all"):
            own = found.setdefault(role, {"ms": [], "cpu_ms": []})
            began = time.perf_counter()
            with servers.ecpmon(url, folder, role=role, log_level="warning") as (_, pid):
                own["ms"].append(round((time.perf_counter() - began) * 1000))
                own["cpu_ms"].append(round(http_load.cpu_seconds(pid) * 1000))
                if len(own["ms"]) == times:
                    time.sleep(SETTLED)
                    own["memory_mb"] = memory(pid, role)
    for own in found.values():
        own |= {"median_ms": statistics.median(own["ms"]), "median_cpu_ms": statistics.median(own["cpu_ms"])}
    return found


def memory(pid: int, role: str) -> Result:
    pids = {role: pid, **(fronts.processes(pid) if role == "supervised" else {})}
    return {name: {"rss": fronts.memory_mb(p), "pss": fronts.pss_mb(p)} for name, p in pids.items()}


def bare(code: str, times: int) -> Result:
    """Medians of an interpreter that does `code` and ends."""
    took, used = [], []
    for _ in range(times):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append((time.perf_counter() - began) * 1000)
        used.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    return {"ms": round(statistics.median(took)), "cpu_ms": round(statistics.median(used))}


if __name__ == "__main__":
    main()
