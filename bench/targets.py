"""The targets of speed (issues 9 and 15), and what a run of all benches says about them. Pure.

A report is what a bench writes with `--json`; `reports` holds them by the name of their step (see bench.run). Of a step
that was not run, or failed, nothing is known.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Reports = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """`most` or `least` bounds what `of` finds in the report of `step`; `peer` says what others took.

    `power` says how the figure follows the time that the machine takes for the same work: 1 for times and cores, -1 for
    rates, 0 for ratios, sizes and what clocks decide.
    """

    job: str
    what: str
    step: str
    of: Callable[[Any], float]
    most: float | None = None
    least: float | None = None
    peer: Callable[[Any], str] | None = None
    power: int = 0

    @property
    def bound(self) -> str:
        return f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"

    def met(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`measured` None: not known. `slower`: than the machine of the targets, how many times, if known."""

    target: Target
    measured: float | None
    peer: str = ""
    slower: float | None = None

    @property
    def there(self) -> float | None:
        """What it would be on the machine of the targets: as measured where the machine makes no difference."""
        if self.measured is None or not self.target.power:
            return self.measured
        return None if self.slower is None else self.measured / self.slower**self.target.power

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.target.met(self.measured)

    @property
    def met_there(self) -> bool | None:
        return None if self.there is None else self.target.met(self.there)


# The empty handler of the machine on which the targets were set answered 244,000 samples a second with one process: CPU
# of a sample, µs (issue 9).
_EMPTY_THERE = 4.1


def slower(reports: Reports, step: str) -> float | None:
    """How many times the CPU of the targets' machine the same work took here while `step` ran; None: not known.

    The empty handler says it of the step `push`; how the pace changed from that step to the other, the rest.
    """
    push, other = reports.get("push"), reports.get(step)
    if push is None or other is None or "failed" in push or "failed" in other:
        return None
    of_push = float(push["pushes"]["128 connections"]["empty"]["process_us"]) / _EMPTY_THERE
    return of_push if step == "push" else of_push * float(other["pace_ms"]) / float(push["pace_ms"])


def judged(reports: Reports) -> list[Verdict]:
    """In the order of TARGETS. Raises KeyError when a report lacks what its bench should have found."""
    found = []
    for target in TARGETS:
        report = reports.get(target.step)
        if report is None or "failed" in report:
            found.append(Verdict(target, None))
        else:
            peer = "" if target.peer is None else target.peer(report)
            factor = slower(reports, target.step) if target.power else None
            found.append(Verdict(target, target.of(report), peer, factor))
    return found


_WORDS = {True: "yes", False: "**no**", None: "–"}


def table(verdicts: Sequence[Verdict]) -> str:
    """Times and rates also as they would be on the machine of the targets."""
    rows = [
        "| job | what | target | measured | met | at the targets' machine's speed | met | beside |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for v in verdicts:
        met = "not measured" if v.measured is None else _WORDS[v.met]
        there = ("", "") if not v.target.power else (_number(v.there), _WORDS[v.met_there])
        cells = [v.target.job, v.target.what, v.target.bound, _number(v.measured), met, *there, v.peer]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _push(key: str) -> Callable[[Any], float]:
    return lambda r: float(r["pushes"]["128 connections"][key])


def _empty(key: str, unit: str) -> Callable[[Any], str]:
    return lambda r: f"empty handler {r['pushes']['128 connections']['empty'][key]:g} {unit}"


def _fronts(figures: Mapping[str, Any]) -> Iterator[Any]:
    return (value for name, value in figures.items() if name.startswith("front"))


def _sweep(report: Any) -> float:
    """Seconds of CPU, ours and the database's."""
    alerts = report["jobs"]["alerts"]
    return float(alerts["api"] + alerts["database"]) / 1000


def _late(report: Any) -> float:
    late = report["crowd"]["late"]
    return float(sum(count for what, count in late.items() if not what.endswith(" error")))


def _gap(report: Any) -> float:
    return float(max(report["gaps"]["longest"], report["gaps"]["open_at_end"]))


def _sockets(count: int) -> Target:
    return Target(
        f"state change → {count:,} sockets", "p99 by bare aiohttp's", "sockets",
        lambda r: float(r[f"ratio of {count}"]["push_p99"]), most=2,
    )  # fmt: skip


def _reading(part: str, what: str, most: float) -> list[Target]:
    """The p99 may be three times what the median may be."""
    return [
        Target(what, "p50, ms", "reads", lambda r: float(r[part]["p50"]), most=most, power=1),
        Target(what, "p99, ms", "reads", lambda r: float(r[part]["p99"]), most=3 * most, power=1),
    ]


def _idle(name: str, what: str, most: float) -> Target:
    return Target("idle, 1,000 tenants", what, "crowd", lambda r: float(r["idle"][name]), most=most, power=1)


def _memory(when: str, what: str, most: float) -> Target:
    def of(report: Any) -> float:
        return float(max(_fronts(report["memory"][when])))

    return Target("memory of a front", what, "crowd", of, most=most)


def _lag(report: Any) -> float:
    """The bound of a bucket of the metric."""
    return float(max(lag["p99.9"] for lag in _fronts(report["crowd"]["lag_ms_at_most"])))


def _prometheus(connections: int, key: str) -> Callable[[Any], str]:
    return lambda r: f"Prometheus {r['query'][f'Prometheus, {connections}'][key]:g}"


def _remote_write(per: int) -> list[Target]:
    """Remote write in requests of so many samples; CPU with what the servers do afterwards. Ratios."""
    job, of = f"remote write, {per:,} samples a request", f"{per} per request"

    def ratio(key: str, over: str, name: str = "ecpmon") -> Callable[[Any], float]:
        return lambda r: float(r[of][name][key] / r[of][over][key])

    def peer(name: str, key: str, unit: str) -> Callable[[Any], str]:
        return lambda r: f"{name} {r[of][name][key]:,.3g} {unit}"

    rate, cpu = "per_second", "cpu_us_with_what_follows"
    return [
        Target(job, "samples/s by VictoriaMetrics'", "remote write", ratio(rate, "VictoriaMetrics"), least=1,
               peer=peer("VictoriaMetrics", rate, "/s")),
        Target(job, "CPU per sample by VictoriaMetrics'", "remote write", ratio(cpu, "VictoriaMetrics"), most=1,
               peer=peer("VictoriaMetrics", cpu, "µs")),
        Target(job, "samples/s by Prometheus'", "remote write", ratio(rate, "Prometheus"), least=3,
               peer=peer("Prometheus", rate, "/s")),
        Target(job, "samples/s of 2.0 by those of 1.0", "remote write", ratio(rate, "ecpmon", "ecpmon, 2.0"),
               least=0.8),
    ]  # fmt: skip


def _growth(report: Any) -> float:
    by_minute = report["memory_mb"]
    return float(statistics.median(by_minute[-5:]) / statistics.median(by_minute[5:10]))


def _wal(report: Any) -> float:
    """Bytes, of storing and of packing."""
    return float(report["ingested"]["wal"]["all"] + report["packed in"]["wal"]["all"])


def _both_told(report: Any) -> str:
    firing = report.get("peer", {}).get("firing")
    return "" if firing is None else f"Prometheus + Alertmanager {firing['p99']:g}"


# Of 10 and of 1,000 tenants: `flat` is the report of both.
_FLAT = 1.3
TARGETS: Sequence[Target] = (
    Target("JSON push, 128 connections", "requests/s by the empty handler's", "push", _push("rate_of_empty"),
           least=0.35, peer=_empty("per_second", "/s")),
    Target("JSON push, 128 connections", "CPU per sample, api and database, µs", "push", _push("us_per_sample"),
           most=12, power=1, peer=_empty("process_us", "µs")),
    Target("JSON push, 128 connections", "p99 by the empty handler's", "push", _push("p99_of_empty"),
           most=5, peer=_empty("p99_ms", "ms")),
    Target("batch 10,000 × 9", "time by a raw COPY's", "push", lambda r: float(r["batch"]["ms_of_copy"]),
           most=2.5, peer=lambda r: f"COPY {r['batch']['copy_ms']:g} ms"),
    Target("batch 10,000 × 9", "loop held, ms", "push", lambda r: float(r["batch"]["held_ms"]), most=10, power=1),
    Target("query 24 h / 5 min", "p50 by Prometheus'", "reads", lambda r: float(r["query"]["ratio of p50, 1"]),
           most=1.3, peer=_prometheus(1, "p50")),
    Target("query 24 h / 5 min", "per second, 8 connections", "reads",
           lambda r: float(r["query"]["ecpmon, 8"]["per_second"]), least=1000, power=-1,
           peer=_prometheus(8, "per_second")),
    Target("query 24 h / 5 min", "p50 of 1,000 tenants by that of 10", "flat",
           lambda r: float(r["many"] / r["few"]), most=_FLAT),
    *_reading("sla", "SLA of one tenant", 2),
    *_reading("summary", "summary of 1,000 tenants", 50),
    *_reading("list", "list of 1,000 tenants", 50),
    *_reading("metrics", "`/metrics` of 1,000 tenants", 50),
    Target("alert sweep, 1,000 tenants", "CPU, s", "reads", _sweep, most=0.5, power=1),
    Target("alert sweep, 10,000 tenants", "CPU, s", "reads, 10,000", _sweep, most=4, power=1),
    Target("alert sweep, 1,000 tenants", "jobs that were late", "crowd", _late, most=0),
    Target("alert sweep, 10,000 tenants", "jobs that were late", "crowd, 10,000", _late, most=0),
    Target("breach → receiver, 1,000 tenants pushing", "p99, ms", "crowd",
           lambda r: float(r["breach"]["crowd"]["firing"]["p99"]), most=100, power=1, peer=_both_told),
    Target("collecting 1,000 tenants every 5 s", "longest gap, s", "collect", _gap, most=6),
    Target("collecting 1,000 tenants every 5 s", "cores of ecpmon", "collect",
           lambda r: float(r["cores"]["ecpmon"]), most=0.2, power=1,
           peer=lambda r: f"Prometheus {r['cores']['prometheus']:g}"),
    Target("a callback on a front, 1,000 tenants, everything on", "p99.9 of the lag, ms, at most", "crowd", _lag,
           most=20, power=1),
    _sockets(1000),
    _sockets(5000),
    _idle("all", "cores of all processes", 0.08),
    _idle("database", "cores of the database", 0.03),
    Target("ready after start", "ms, median of fronts and worker", "crowd",
           lambda r: float(statistics.median(r["start"]["supervised_ms"])), most=350, power=1),
    _memory("idle", "idle, MB", 90),
    _memory("peak", "at full load, MB", 160),
    *_remote_write(500),
    *_remote_write(5_000),
    Target("memory of a front", "remote write at full load, MB", "remote write",
           lambda r: float(r["memory_mb_at_most"]), most=160),
    Target("memory of a front", "30 minutes of it, MB", "remote write, 30 minutes",
           lambda r: float(r["memory_mb_at_most"]), most=160),
    Target("memory of a front", "the last five minutes of 30 by the second five", "remote write, 30 minutes", _growth,
           most=1.05),
    Target("memory of an import", "MB", "imports", lambda r: float(r["memory_mb_at_most"]), most=250),
    Target("disk, every 10 s, 20 metrics", "bytes a sample, packed", "storage",
           lambda r: float(r["packed"]["all"]), most=4),
    Target("disk, every 10 s, 20 metrics", "bytes of WAL a sample", "storage", _wal, most=12),
    Target("history imported", "samples/s", "imports", lambda r: float(r["per_second"]), least=500_000, power=-1),
)  # fmt: skip
