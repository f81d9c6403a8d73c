"""Where the time goes: sampled stacks of pushes, of a query, and of a service that nobody asks.

    python -m bench.flames                          3 min: a summary of each
    python -m bench.flames --before COMMIT          6 min: beside what that commit does, in a checkout of its own
    python -m bench.flames --only push --keep DIR   the stacks too, in lines that any flame-graph viewer reads

py-spy looks 200 times a second which Python code holds the interpreter; who waits is not seen. Pushes and questions
are sampled at the front, idle at the worker, of `ecpmon serve` with a front and a worker over a durable TimescaleDB,
whose tenants have 30 days of minutes (as in bench.reads). Shares say where the time goes and not how much there is of
it; that is what the other benches tell.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import fronts, http_load, reads, servers
from bench.observations import tenant_name
from bench.past import Measured
from bench.push import ROOT, commit, values_of
from bench.stacks import summary, table

PARTS = ("push", "query", "idle")
RATE = 200
ROWS = {"parts": 8, "under": 20}
CONNECTIONS = {"push": 128, "query": 1}
Result = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    before = _of(arguments.before, arguments) if arguments.before else None
    report: Result = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(),
                      "tenants": arguments.tenants, "flames": _flames(arguments)}  # fmt: skip
    if before is not None:
        report["before"] = before
    report["load_average"] = os.getloadavg()[0]
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write("\n".join(_told(report)) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--tenants", type=int, default=300)
    parser.add_argument(
        "--seconds", type=float, default=20, help="of pushing and of asking; idle is twice as long"
    )
    parser.add_argument("--before", help="a commit to be compared with")
    parser.add_argument("--keep", type=Path, help="a folder for the stacks")
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    return parser.parse_args()


def _flames(arguments: argparse.Namespace) -> Result:
    binaries, _ = servers.fetch()
    found: Result = {}
    with servers.scratch() as folder, servers.postgres(binaries, folder) as cluster:
        url = cluster.ensure_database("bench")
        asyncio.run(reads.prepare(url, Measured(arguments.tenants, reads.now_of_steps())))
        room = {"role": "supervised", "fronts": "1", "log_level": "warning"}
        with servers.ecpmon(url, folder, **room) as (port, pid):
            watched = fronts.processes(pid)
            works: dict[str, tuple[int, Callable[[], None]]] = {
                "push": (watched["front-1"], lambda: _push(port, folder, arguments)),
                "query": (watched["front-1"], lambda: _query(port, arguments)),
                "idle": (watched["worker"], lambda: time.sleep(2 * arguments.seconds)),
            }
            # What a start leaves to be done is done, and everybody is silent.
            time.sleep(arguments.seconds)
            for part in [p for p in ("idle", "query", "push") if p in arguments.only]:
                process, work = works[part]
                found[part] = _sampled(process, work, folder / f"{part}.txt", arguments.keep)
    return found


def _sampled(pid: int, work: Callable[[], None], file: Path, keep: Path | None) -> Result:
    before, began = http_load.cpu_seconds(pid), time.perf_counter()
    with _sampling(pid, file):
        work()
    cores = (http_load.cpu_seconds(pid) - before) / (time.perf_counter() - began)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, keep)
    with file.open() as lines:
        found = summary(lines)
    return {"cores": round(cores, 4), "samples": found.samples, "parts": found.parts, "under": found.under}


@contextmanager
def _sampling(pid: int, file: Path) -> Iterator[None]:
    spy = Path(sys.executable).with_name("py-spy")
    argv = [spy, "record", "--pid", pid, "--rate", RATE, "--gil", "--full-filenames"]
    argv += ["--duration", 3600, "--format", "raw", "--output", file]
    running = subprocess.Popen(
        [str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        time.sleep(1)
        yield
    finally:
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    if not file.exists():
        raise SystemExit(f"py-spy: {said}")


def _push(port: int, folder: Path, arguments: argparse.Namespace) -> None:
    dice, file = random.Random(1), folder / "pushes.pickle"
    names = [tenant_name(n) for n in range(min(arguments.tenants, 100))]
    streams = [
        [_post(name, dice) for name in names[s % len(names) :: 16][:8]] for s in range(CONNECTIONS["push"])
    ]
    file.write_bytes(pickle.dumps(streams))
    argv = [sys.executable, "-m", "bench.load", port, file, CONNECTIONS["push"], 10**9, arguments.seconds]
    said = subprocess.run([str(a) for a in argv], cwd=ROOT, check=True, capture_output=True).stdout
    if set(json.loads(said)["statuses"]) != {"202"}:
        raise SystemExit(f"not every push was taken: {said!r}")


def _post(name: str, dice: random.Random) -> bytes:
    body = json.dumps({"metrics": values_of(dice)}).encode()
    head = (
        f"POST /api/v1/tenants/{name}/monitoring HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _query(port: int, arguments: argparse.Namespace) -> None:
    """A day in steps of 5 minutes, as bench.reads asks."""
    dice, until = random.Random(9), time.monotonic() + arguments.seconds
    names = [tenant_name(dice.randrange(arguments.tenants)) for _ in range(200)]
    asked = [http_load.get(f"/api/v1/tenants/{n}/monitoring?hours=24&interval=5m") for n in names]
    while time.monotonic() < until:
        http_load.run(port, asked, CONNECTIONS["query"])


def _of(name: str, arguments: argparse.Namespace) -> Result:
    """The same of a commit: its service and its benches, asked by this file."""
    with tempfile.TemporaryDirectory(prefix="before-") as parent:
        folder, file = Path(parent) / "checkout", Path(parent) / "report.json"
        subprocess.run(
            ["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", folder, name], check=True
        )
        try:
            for own in ("flames.py", "stacks.py"):
                shutil.copy(ROOT / "bench" / own, folder / "bench")
            if (ROOT / "ui" / "dist").exists():
                shutil.copytree(ROOT / "ui" / "dist", folder / "ui" / "dist")
            argv = ["-m", "bench.flames", "--only", *arguments.only, "--tenants", arguments.tenants]
            argv += ["--seconds", arguments.seconds, "--json", file]
            if arguments.keep is not None:
                argv += ["--keep", arguments.keep.resolve() / "before"]
            env = {**os.environ, "PYTHONPATH": os.fspath(folder)}
            # As an installation has it: else the first start compiles everything, in each of its processes.
            subprocess.run([sys.executable, "-m", "compileall", "-q", "ecpmon"], cwd=folder, check=True)
            subprocess.run([sys.executable, *map(str, argv)], cwd=folder, env=env, check=True)
            report: Result = json.loads(file.read_text())
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", folder], check=True)
    return {"commit": name, "flames": report["flames"]}


def _told(report: Result) -> Iterator[str]:
    """Tables in Markdown."""
    before = report.get("before", {}).get("flames", {})
    for part, found in report["flames"].items():
        earlier = before.get(part)
        yield f"\n{part}: {found['samples']} samples, {found['cores']:.3f} cores at {report['commit']}"
        if earlier is not None:
            yield f"before: {earlier['samples']} samples, {earlier['cores']:.3f} cores at {report['before']['commit']}"
        for what, rows in ROWS.items():
            yield ""
            yield from table(f"{part}: {what}", found[what], earlier and earlier[what], rows)


if __name__ == "__main__":
    main()
