"""Every window of a tenant from totals alone: nothing here grows with a window's length or its incidents. Pure.

Totals are additive, so maintenance, and what lies outside of the service hours, is taken out by asking for its own
totals. What needs the order of the spans
(bounds of polled sources, incidents) is `windows.evaluate`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import SlaStatus, Tally, WindowFigures
from ecpmon.sla.maintenance import touching, without
from ecpmon.sla.parts import NOTHING, Part, Terms
from ecpmon.sla.periods import WINDOW_NAMES
from ecpmon.sla.windows import figures_of


def intervals_for(now: datetime, terms: Terms, names: Sequence[str] = WINDOW_NAMES) -> set[Interval]:
    """Whose tallies `standing` needs: the windows as far as `now`, and the maintenance inside each."""
    asked: set[Interval] = set()
    for part in (part for name in names for part in terms.parts(name, now, 0.5)):
        if part.start < now:
            asked |= needed(part.start, part.until(now), part.terms)
    return asked


def needed(start: datetime, end: datetime, terms: Terms) -> set[Interval]:
    """Whose tallies `totals` needs: `[start, end)` and what is taken out inside."""
    planned, outside = _taken_out(terms, start, end)
    return {Interval(start, end), *planned, *outside}


def totals(found: Mapping[Interval, Tally], start: datetime, end: datetime, terms: Terms) -> Tally:
    """What was measured in `[start, end)` outside of maintenance; zeros where nothing was."""
    whole = found.get(Interval(start, end), NOTHING)
    planned, outside = _taken_out(terms, start, end)
    if not planned and not outside:
        return whole
    return _without(whole, [found.get(i, NOTHING) for i in planned], [found.get(i, NOTHING) for i in outside])


def standing(
    found: Mapping[Interval, Tally],
    now: datetime,
    target: float,
    previous: Mapping[str, SlaStatus],
    terms: Terms,
    names: Sequence[str] = WINDOW_NAMES,
) -> list[WindowFigures]:
    """What `windows.standing` says, from the tallies of `intervals_for`; none at all: no observation yet."""
    return [of_parts(name, terms.parts(name, now, target), found, now, previous.get(name)) for name in names]


def of_parts(
    name: str,
    parts: Sequence[Part],
    found: Mapping[Interval, Tally],
    now: datetime,
    previous: SlaStatus | None,
) -> WindowFigures:
    tallies = [totals(found, p.start, p.until(now), p.terms) if p.start < now else NOTHING for p in parts]
    return figures_of(name, parts, tallies, now, previous)


def _taken_out(terms: Terms, start: datetime, end: datetime) -> tuple[list[Interval], list[Interval]]:
    """Of `[start, end)`: maintenance within the service hours, and what lies outside of them."""
    if not terms.maintenance:  # `outside` is a part of it
        return [], []
    all_of_it, outside = touching(terms.maintenance, start, end), touching(terms.outside, start, end)
    return without(all_of_it, outside), outside


def _without(whole: Tally, planned: Sequence[Tally], outside: Sequence[Tally]) -> Tally:
    parts = [*planned, *outside]
    taken_out = sum(p.eligible for p in parts)
    never = sum(p.eligible for p in outside)
    # Microseconds: what is left of equal numbers must be zero.
    return Tally(
        round(whole.eligible - taken_out, 6),
        round(whole.down - sum(p.down for p in parts), 6),
        round(whole.gap - sum(p.gap for p in parts), 6),
        round(taken_out - never, 6),
        round(never, 6),
        whole.early,
        whole.late,
    )
