"""All benches one after the other, one JSON file, and a table of the targets at the end.

    make bench                                       15 min on two cores that nobody else uses
    make bench-long                                  hours: 10,000 tenants, a soak of an hour, everything at length
    .venv/bin/python -m bench.run --only crowd collect

The file is kept in `bench/results/`, or in the folder that ECPMON_BENCH_RESULTS names; it holds each bench's report,
the commit, the machine and its load, and the verdicts. A target that is not met is no failure of the run; a bench that
does not end well is (exit code 1).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.pace import pace
from bench.push import commit
from bench.targets import judged, slower, table

ROOT = Path(__file__).resolve().parent.parent
SHORT = {
    "push": "push --rounds 2 --requests 10000 --batches 3 --seconds 15",
    "reads": "reads --only query sla summary list metrics jobs",
    "reads, 10": "reads --tenants 10 --only query --no-peers",
    "crowd": "crowd --seconds 45 --idle 30",
    "collect": "collect --seconds 40",
    "sockets": "sockets --turns 1 --pushes 12",
    "remote write": "remote_write --rounds 1 --scrapes 20",
    "storage": "storage --tenants 4 --hours 3",
    "imports": "imports --samples 1000000",
}
LONG = {
    "push": "push",
    "reads": "reads",
    "reads, 10": "reads --tenants 10 --only query --no-peers",
    "reads, 10,000": "reads --tenants 10000 --only sla summary list metrics jobs idle --no-peers",
    "sockets": "sockets",
    "sla": "sla",
    "sla, 10,000": "sla --tenants 10000 --no-peers",
    "collect": "collect --seconds 600",
    "crowd, 10,000": "crowd --tenants 10000 --seconds 300 --no-peers",
    "crowd": "crowd --seconds 3600",
    "remote write": "remote_write",
    "remote write, 30 minutes": "remote_write --soak 1800",
    "storage": "storage",
    "imports": "imports",
}
Reports = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    steps = LONG if arguments.long else SHORT
    report: Reports = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "long": arguments.long,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(),
                    "uvloop": find_spec("uvloop") is not None},
        "load_average_before": os.getloadavg()[0],
    }  # fmt: skip
    steps = {name: step for name, step in steps.items() if not arguments.only or name in arguments.only}
    report["reports"] = {name: _run(name, step) for name, step in steps.items()}
    _add_flat(report["reports"])
    verdicts = judged(report["reports"])
    report["slower_than_the_targets_machine"] = factor = slower(report["reports"], "push")
    report["verdicts"] = [
        {
            "job": v.target.job,
            "what": v.target.what,
            "target": v.target.bound,
            "measured": v.measured,
            "met": v.met,
            "at_the_targets_machines_speed": v.there,
            "met_there": v.met_there,
        }
        for v in verdicts
    ]
    path = _keep(report)
    if factor is not None:
        sys.stdout.write(
            f"\nAn empty handler takes {factor:.2f} times the CPU it took where the targets were set.\n"
        )
    sys.stdout.write(
        f"\n{table(verdicts)}\n\nCommit {report['commit']}, load average {report['load_average_before']:.1f} before "
        f"and {os.getloadavg()[0]:.1f} after. Kept in {path}\n"
    )
    failed = [name for name, found in report["reports"].items() if "failed" in found]
    sys.exit(f"these did not end well: {', '.join(failed)}" if failed else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help="everything at length, and 10,000 tenants")
    parser.add_argument(
        "--only", nargs="+", choices=[*SHORT, *LONG], metavar="STEP", help="some of the benches"
    )
    return parser.parse_args()


def _run(name: str, step: str) -> Reports:
    """What a bench reports; `failed` when it did not."""
    module, *options = step.split()
    sys.stdout.write(f"==> {name}: python -m bench.{step}\n")
    sys.stdout.flush()
    before, began = pace(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        argv = [sys.executable, "-m", f"bench.{module}", *options, "--json", os.fspath(file)]
        code = subprocess.run(argv, cwd=ROOT, check=False).returncode
        found: Reports = {"failed": f"exit code {code}"} if code else json.loads(file.read_bytes())
    seconds = round(time.monotonic() - began)
    return {**found, "seconds": seconds, "pace_ms": round((before + pace()) / 2, 3)}


def _add_flat(reports: Reports) -> None:
    few, many = reports.get("reads, 10", {}).get("query"), reports.get("reads", {}).get("query")
    if few and many:
        # A ratio: the pace makes no difference.
        reports["flat"] = {"few": few["ecpmon, 1"]["p50"], "many": many["ecpmon, 1"]["p50"]}


def _keep(report: Reports) -> Path:
    folder = Path(os.environ.get("ECPMON_BENCH_RESULTS") or ROOT / "bench" / "results")
    folder.mkdir(parents=True, exist_ok=True)
    at = report["at"].replace(":", "").removesuffix("+0000")
    path = folder / f"{at}-{report['commit']}{'-long' if report['long'] else ''}.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    main()
