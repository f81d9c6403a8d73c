"""Every window of a tenant from totals alone: nothing here grows with a window's length or its incidents. Pure.

Totals are additive, so maintenance is taken out by asking for its own totals. What needs the order of the spans
(bounds of polled sources, incidents) is `windows.evaluate`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import SlaStatus, Tally, WindowFigures
from ecpmon.sla.maintenance import touching
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
    """Whose tallies `totals` needs: `[start, end)` and the maintenance inside."""
    return {Interval(start, end), *_planned(terms, start, end)}


def totals(found: Mapping[Interval, Tally], start: datetime, end: datetime, terms: Terms) -> Tally:
    """What was measured in `[start, end)` outside of maintenance; zeros where nothing was."""
    whole = found.get(Interval(start, end), NOTHING)
    planned = [found.get(i, NOTHING) for i in _planned(terms, start, end)]
    return _without(whole, planned) if planned else whole


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


def _planned(terms: Terms, start: datetime, end: datetime) -> list[Interval]:
    """Maintenance inside `[start, end)`."""
    return touching(terms.maintenance, start, end)


def _without(whole: Tally, parts: Sequence[Tally]) -> Tally:
    taken_out = sum(p.eligible for p in parts)
    # Microseconds: what is left of equal numbers must be zero.
    return Tally(
        round(whole.eligible - taken_out, 6),
        round(whole.down - sum(p.down for p in parts), 6),
        round(whole.gap - sum(p.gap for p in parts), 6),
        round(taken_out, 6),
        whole.early,
        whole.late,
    )
