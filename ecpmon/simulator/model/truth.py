"""The exact timeline of a tenant: what the rest of the product is measured against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ecpmon.simulator.model.times import SECOND, Micros

Transition = tuple[Micros, bool]


@dataclass(frozen=True, slots=True)
class Interval:
    """`[start, end)`, up or down. `end` is None while it lasts."""

    start: Micros
    end: Micros | None
    up: bool


def record(truth: tuple[Transition, ...], now: Micros, up: bool) -> tuple[Transition, ...]:
    """`truth` with the state at `now`. It begins with the first `up`; states of no length vanish."""
    if not truth:
        return ((now, True),) if up else ()
    since, last = truth[-1]
    if last == up:
        return truth
    if since == now:
        return truth[:-1]
    return (*truth, (now, up))


def intervals(pieces: Sequence[tuple[Sequence[Transition], Micros | None]]) -> list[Interval]:
    """Join timelines `(transitions, end)`, oldest first; equal states that touch become one interval."""
    joined: list[Interval] = []
    for transitions, end in pieces:
        for index, (start, up) in enumerate(transitions):
            until = transitions[index + 1][0] if index + 1 < len(transitions) else end
            if until is not None and until <= start:
                continue
            if joined and joined[-1].end == start and joined[-1].up == up:
                joined[-1] = Interval(joined[-1].start, until, up)
            else:
                joined.append(Interval(start, until, up))
    return joined


def clip(timeline: Iterable[Interval], since: Micros, until: Micros, now: Micros) -> list[Interval]:
    """The part of `timeline` in `[since, until)`; an interval that still lasts at `now` stays open."""
    kept = []
    for piece in timeline:
        end = until if piece.end is None else min(piece.end, until)
        start = max(piece.start, since)
        if end > start or (piece.end is None and start == now == until):
            kept.append(Interval(start, None if piece.end is None and until >= now else end, piece.up))
    return kept


def down_seconds(timeline: Iterable[Interval], until: Micros) -> float:
    """Seconds of downtime up to `until`, counted in whole microseconds."""
    total = sum((until if p.end is None else p.end) - p.start for p in timeline if not p.up)
    return total / SECOND


def state_at(timeline: Sequence[Interval], at: Micros) -> bool | None:
    """Up or down at `at`, None where the truth says nothing."""
    for piece in timeline:
        if piece.start <= at and (piece.end is None or at < piece.end):
            return piece.up
    return None
