"""What the SLA engine says about a tenant's window beside the truth, as rows and as a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla.maintenance import merged

WINDOWS = ("1h", "24h", "month")


@dataclass(frozen=True, slots=True)
class Row:
    """One tenant and window. Seconds; `edges` are the state changes the engine had to find.

    `down_true` leaves out what fell into gaps (`down_unseen`); `bounds` must hold the sum of both. `gaps` by reason.
    """

    tenant: str
    window: str
    down_true: float
    down_unseen: float
    down_measured: float
    edges: int
    gaps: dict[str, float]
    bounds: tuple[float, float]

    @property
    def error(self) -> float:
        return abs(self.down_measured - self.down_true)

    @property
    def gap(self) -> float:
        return sum(self.gaps.values())

    @property
    def width(self) -> float:
        """Of the bounds."""
        low, high = self.bounds
        return high - low

    @property
    def outside_bounds(self) -> float:
        low, high = self.bounds
        total = self.down_true + self.down_unseen
        return max(0.0, low - total, total - high)


@dataclass(frozen=True, slots=True)
class CountRow:
    """Requests of one tenant that failed: how many did, how many were counted, and how many by the bounds."""

    tenant: str
    window: str
    bad_true: float
    bad_counted: float
    total: float
    bounds: tuple[float, float]

    @property
    def outside_bounds(self) -> float:
        low, high = self.bounds
        return max(0.0, low - self.bad_true, self.bad_true - high)


def count_row_of(tenant: str, window: dict[str, Any], bad_true: float) -> CountRow:
    """`window` as the API shows an objective."""
    total = window["total"]
    least, most = (total * (1 - window["bounds"][end] / 100) for end in ("high", "low"))
    return CountRow(tenant, window["window"], bad_true, window["bad"], total, (least, most))


def count_table(rows: Iterable[CountRow]) -> str:
    """Markdown."""
    heads = [
        "tenant", "window", "failed, truth", "failed, counted", "of requests", "bounds of failed", "truth outside them",
    ]  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for r in rows:
        low, high = r.bounds
        lines.append(
            f"| {r.tenant} | {r.window} | {r.bad_true:.0f} | {r.bad_counted:.0f} | {r.total:.0f} |"
            f" {low:.1f} to {high:.1f} | {r.outside_bounds:.1f} |"
        )
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a tenant: how much of it, when that was down, and when nobody looked."""

    weight: float
    truth: Sequence[Interval]
    blind: Sequence[Interval]


def row_of(
    tenant: str,
    window: dict[str, Any],
    spans: Sequence[Span],
    truth: Sequence[Interval],
    off: Iterable[Interval],
    until: datetime,
    shares: Sequence[Share] = (),
) -> Row:
    """`window` as the API shows it; `spans` the timeline up to `until` with its reasons, `truth` when the tenant was
    down, or any of its `shares`, `off` its maintenance."""
    off = merged(off)
    start = max(datetime.fromisoformat(window["start"]), spans[0].start)
    blind = [Interval(s.start, s.end) for s in spans if s.state is SpanState.GAP]
    parts = shares or [Share(1.0, truth, blind)]
    seen = sum(p.weight * seconds(p.truth, start, until, merged([*off, *p.blind])) for p in parts)
    whole = sum(p.weight * seconds(p.truth, start, until, off) for p in parts)
    eligible = window["eligible_minutes"] * 60
    least, most = (eligible * (1 - window["bounds"][end] / 100) for end in ("high", "low"))
    gaps: dict[str, float] = defaultdict(float)
    for span in spans:
        if span.unknown_share:
            left = seconds([Interval(span.start, span.end)], start, until, off) * span.unknown_share
            reason = span.reason or (GapReason.PART_SILENT if span.unknown else None)
            gaps[reason.value if reason else "unexplained"] += left
    return Row(
        tenant=tenant,
        window=window["window"],
        down_true=seen,
        down_unseen=whole - seen,
        down_measured=window["down_minutes"] * 60,
        edges=sum((i.start > start) + (i.end < until) for i in truth if i.end > start and i.start < until),
        gaps={reason: found for reason, found in gaps.items() if found},
        bounds=(least, most),
    )


def seconds(of: Iterable[Interval], start: datetime, end: datetime, without: Sequence[Interval]) -> float:
    """The length of `of` inside `[start, end)`, leaving out `without`."""
    total = 0.0
    for interval in of:
        parts = [Interval(max(interval.start, start), min(interval.end, end))]
        for hole in without:
            parts = [
                piece
                for part in parts
                for piece in (
                    Interval(part.start, min(part.end, hole.start)),
                    Interval(max(part.start, hole.end), part.end),
                )
                if piece.start < piece.end
            ]
        total += sum((p.end - p.start).total_seconds() for p in parts if p.start < p.end)
    return total


def table(rows: Iterable[Row]) -> str:
    """Markdown."""
    heads = [
        "tenant", "window", "down, truth s", "down, measured s", "error s", "edges", "error per edge s",
        "unknown s, why", "down in it, truth s", "bounds of all down s", "their width s", "truth outside them s",
    ]  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for r in rows:
        per_edge = r.error / r.edges if r.edges else 0.0
        unknown = ", ".join(f"{found:.1f} {reason}" for reason, found in r.gaps.items()) or "0.0"
        low, high = r.bounds
        lines.append(
            f"| {r.tenant} | {r.window} | {r.down_true:.3f} | {r.down_measured:.3f} | {r.error:.3f} | {r.edges} |"
            f" {per_edge:.3f} | {unknown} | {r.down_unseen:.3f} | {low:.1f} to {high:.1f} |"
            f" {r.width:.1f} | {r.outside_bounds:.3f} |"
        )
    return "\n".join(lines)
