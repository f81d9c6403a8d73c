"""What it costs to evaluate the SLA windows of all tenants, beside VictoriaMetrics and Prometheus.

    python -m bench.sla                                  1,000 tenants × 30 days of minutes, all three
    python -m bench.sla --tenants 10000 --no-peers       ours alone

Every system gets the same observations in the same run; the answers are compared before anything is printed.
See bench/README.md for what is measured and for the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from bench import ours, servers
from bench.observations import DAYS, History, now_floored
from bench.peers import Peer
from ecpmon.local.packages import Binaries
from ecpmon.model.windows import Tally
from ecpmon.sla.spans import lay, make_head
from ecpmon.sla.windows import availability
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate

WINDOWS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
Figures = dict[str, dict[str, float]]
"""Milliseconds for all tenants by system and window."""


def main() -> None:
    arguments = _arguments()
    history = History(arguments.tenants, now_floored() - timedelta(days=DAYS))
    _check_shortcut(history)
    binaries, victoria = servers.fetch()
    with servers.scratch() as folder:
        figures, answers = asyncio.run(_measure_ours(binaries, folder, history))
        if arguments.peers:
            for peer in _peers(binaries, victoria, folder, history):
                _measure_peer(peer, history, figures, answers)
    _print_table(figures, history)
    if arguments.json:
        arguments.json.write_text(json.dumps({"ms": figures, "load_average": os.getloadavg()[0]}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="measure ecpmon only")
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    return parser.parse_args()


def _check_shortcut(history: History) -> None:
    """Spans are loaded from runs of equal slots; for one tenant, compare with every single observation."""
    seen = history.observations(0)
    if history.spans(0) != make_head(lay(seen, seen[-1].ts), seen[-1]):
        raise SystemExit("the spans are not those of the observations")


async def _measure_ours(
    binaries: Binaries, folder: Path, history: History
) -> tuple[Figures, dict[str, dict[str, float]]]:
    with servers.postgres(binaries, folder) as cluster:
        database = Database(cluster.ensure_database("bench"))
        try:
            await migrate(database)
            seconds = await ours.load_history(database, history)
            print(f"ecpmon: timelines of {history.tenants} tenants loaded in {seconds:.0f} s")
            figures = await _windows(database, history)
            answers = await _answers(database, history)
            await _corrections(database, history)
        finally:
            await database.close()
    return figures, answers


async def _windows(database: Database, history: History) -> Figures:
    figures = Figures()
    repeats = 9 if history.tenants <= 2000 else 5
    single = {
        name: await ours.median_ms(lambda w={name: length}: ours.fast(database, history, w), repeats)
        for name, length in WINDOWS.items()
    }
    together = await ours.median_ms(lambda: ours.fast(database, history, WINDOWS), repeats)
    spans = await ours.median_ms(lambda: ours.from_spans(database, history, WINDOWS), 1)
    figures["ecpmon, one window at a time"] = single
    figures["ecpmon, all in one query (per window)"] = dict.fromkeys(WINDOWS, together / len(WINDOWS))
    figures["ecpmon, reading all spans (per window)"] = dict.fromkeys(WINDOWS, spans / len(WINDOWS))
    return figures


async def _answers(database: Database, history: History) -> dict[str, dict[str, float]]:
    """Availability by window and tenant, after checking the fast way against the spans."""
    found = await ours.fast(database, history, WINDOWS)
    slow = await ours.from_spans(database, history, WINDOWS)
    for tenant, windows in found.items():
        for name, seconds in windows.items():
            _require_equal(seconds, slow[tenant][name], f"{tenant} {name}")
    return {
        name: {t: a for t, w in found.items() if (a := availability(w[name])) is not None} for name in WINDOWS
    }


def _require_equal(one: Tally, other: Tally, where: str) -> None:
    pairs = ((one.eligible, other.eligible), (one.down, other.down), (one.gap, other.gap))
    if any(abs(a - b) > 1e-5 for a, b in pairs):
        raise SystemExit(f"{where}: {one} is not {other}")


async def _corrections(database: Database, history: History) -> None:
    for later in (50, 1250):
        taken = await ours.correct_sums(database, later, history.now)
        print(f"ecpmon: two hours of the past replaced, {later} later incidents: {taken:.1f} ms")
    taken = await ours.correct_frames(database, history.now)
    print(f"ecpmon: ingesting 120 corrected observations of three days ago, all included: {taken:.1f} ms")


def _peers(binaries: Binaries, victoria: Path, folder: Path, history: History) -> Iterator[Peer]:
    """Each loaded and running while it is measured, one after the other."""
    with (
        servers.victoria_metrics(victoria, folder) as (port, _),
        _loaded(Peer("VictoriaMetrics", port), history) as peer,
    ):
        peer.flush()
        yield Peer("VictoriaMetrics, nocache=1", port, nocache="1")
        yield peer
    with (
        servers.prometheus(binaries, folder) as (port, _),
        _loaded(Peer("Prometheus", port), history) as peer,
    ):
        peer.settle()
        yield peer


@contextmanager
def _loaded(peer: Peer, history: History) -> Iterator[Peer]:
    samples, seconds = peer.load(history)
    print(f"{peer.name}: {samples:,} samples loaded in {seconds:.0f} s")
    yield peer


def _measure_peer(
    peer: Peer, history: History, figures: Figures, answers: dict[str, dict[str, float]]
) -> None:
    figures[peer.name] = {}
    for window in WINDOWS:
        _compare(peer, window, peer.availability(history.now, window), answers[window])
        taken: list[float] = []
        while len(taken) < 9 and sum(taken) < 8000:
            began = time.perf_counter()
            peer.availability(history.now, window)
            taken.append((time.perf_counter() - began) * 1000)
        figures[peer.name][window] = statistics.median(taken)


def _compare(peer: Peer, window: str, theirs: dict[str, float], mine: dict[str, float]) -> None:
    if theirs.keys() != mine.keys():
        raise SystemExit(f"{peer.name} {window}: {len(theirs)} tenants answered, not {len(mine)}")
    worst = max(abs(theirs[t] - mine[t]) for t in mine)
    print(f"{peer.name} {window}: largest difference of an availability from ours {worst:.1e}")
    if worst > 1e-5:
        raise SystemExit("the answers differ")


def _print_table(figures: Figures, history: History) -> None:
    base = next(iter(figures.values()))
    print(f"\n{os.cpu_count()} cores, load average at the end {os.getloadavg()[0]:.1f}")
    print(f"\nMilliseconds for all {history.tenants:,} tenants (times ours), {DAYS} days of minutes:\n")
    print("| | " + " | ".join(WINDOWS) + " |\n|---|" + "---|" * len(WINDOWS))
    for name, row in figures.items():
        cells = (f"{row[w]:,.1f} (×{row[w] / base[w]:.1f})" for w in WINDOWS)
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
