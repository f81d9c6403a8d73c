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
from ecpmon.sla.periods import WINDOW_NAMES, Period, period
from ecpmon.sla.windows import Terms, figures


def intervals_for(now: datetime, terms: Terms, names: Sequence[str] = WINDOW_NAMES) -> set[Interval]:
    """Whose tallies `standing` needs: the windows as far as `now`, and the maintenance inside each."""
    asked: set[Interval] = set()
    for name in names:
        asked |= needed(period(name, now, terms.zone).start, now, terms)
    return asked


def needed(start: datetime, end: datetime, terms: Terms) -> set[Interval]:
    """Whose tallies `totals` needs: `[start, end)` and the maintenance inside."""
    return {Interval(start, end), *_planned(terms, start, end)}


def totals(found: Mapping[Interval, Tally], start: datetime, end: datetime, terms: Terms) -> Tally:
    """What was measured in `[start, end)` outside of maintenance; zeros where nothing was."""
    nothing = Tally(0.0, 0.0, 0.0)
    whole = found.get(Interval(start, end), nothing)
    planned = [found.get(i, nothing) for i in _planned(terms, start, end)]
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
    return [_one(name, period(name, now, terms.zone), found, now, target, previous, terms) for name in names]


def _one(
    name: str,
    asked: Period,
    found: Mapping[Interval, Tally],
    now: datetime,
    target: float,
    previous: Mapping[str, SlaStatus],
    terms: Terms,
) -> WindowFigures:
    excluded = totals(found, asked.start, now, terms)
    calendar = asked.end if asked.end > now else None
    return figures(name, excluded, asked.start, now, target, previous.get(name), terms, calendar)


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
