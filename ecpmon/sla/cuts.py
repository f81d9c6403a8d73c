"""Minutes of days that are kept by the minute, of which a window holds a part only. Pure.

What such a minute was is known as a whole: for how long it was up, down and unknown, and how much of that is in doubt.
Where in the minute that was is not, so of a part of it only that is sure which there is no room for in the rest.

Formula, in seconds, of a minute that was up for u and down for d, of which e may have been down and l up unseen, and of
which r lie outside of the window (and what is planned counts as outside):

    up inside >= max(0, u - e - r),   down inside >= max(0, d - l - r)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from ecpmon.sla.minutes import MINUTE, day_of, minute_before


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds. `early`, `late`: for how long it may have been down, and up, unseen."""

    eligible: float
    down: float
    gap: float
    early: float
    late: float


def minutes_cut(edges: Iterable[datetime], coarse: Collection[date]) -> list[datetime]:
    """The minutes of the `coarse` days (of UTC) that one of `edges` lies within: their begins, in order."""
    if not coarse:
        return []
    within = {begin for at in edges if (begin := minute_before(at)) != at}
    return sorted(begin for begin in within if day_of(begin) in coarse)


def edges_within(instants: Iterable[datetime], coarse: Collection[date]) -> set[datetime]:
    """Begin and end of the minutes that `minutes_cut` finds."""
    return {at for begin in minutes_cut(instants, coarse) for at in (begin, begin + MINUTE)}


def widened(
    start: datetime,
    end: datetime,
    cut: Iterable[datetime],
    whole: Callable[[datetime, datetime], Measured],
    inside: Callable[[datetime, datetime], Measured],
) -> tuple[float, float]:
    """By how many seconds (early, late) is more in doubt of `[start, end)` than is told, for the minutes `cut`.

    `whole` tells of any stretch, and `inside` of one within the window, what is planned left out.
    """
    early = late = 0.0
    for begin in cut:
        more, further = _apart(
            whole(begin, begin + MINUTE), inside(max(begin, start), min(begin + MINUTE, end))
        )
        early, late = early + more, late + further
    return early, late


def _apart(whole: Measured, inside: Measured) -> tuple[float, float]:
    """How much less than told, its own doubts taken off, the part `inside` of a minute may have been up, and down."""
    rest = max(whole.eligible - inside.eligible, 0.0)
    least_up = max(whole.eligible - whole.gap - whole.down - whole.early - rest, 0.0)
    least_down = max(whole.down - whole.late - rest, 0.0)
    up = inside.eligible - inside.gap - inside.down
    return up - inside.early - least_up, inside.down - inside.late - least_down
