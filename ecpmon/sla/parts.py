"""A window in parts, each judged by the terms of one version of the contract. Pure.

Rolling windows and months are one part; a quarter has one per version. Parts follow one another without a hole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.windows import Tally
from ecpmon.sla.budgets import allowed
from ecpmon.sla.maintenance import merged, touching
from ecpmon.sla.periods import period

UTC_ZONE: Final = ZoneInfo("UTC")
# Of a target that several make together: a quarter's share of that is less than a microsecond.
_DIGITS: Final = 1e13
_EVER: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
NOTHING: Final = Tally(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contract says beside the target.

    `maintenance` is all that is taken out, planned or outside of the service hours, disjoint and in order, and reaches
    past `now`; `outside` is the part of it that no contract counts, likewise. `calendar`: by name the windows that
    other terms than these judge, wholly or in part, as of the `now` that these terms were made for.
    """

    maintenance: Sequence[Interval] = ()
    accounting: Accounting = Accounting.EXCLUDE
    zone: ZoneInfo = UTC_ZONE
    calendar: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    outside: Sequence[Interval] = ()

    def parts(self, name: str, now: datetime, target: float) -> Sequence[Part]:
        """The window called `name`; `target` is that of these terms. Raises KeyError for an unknown name."""
        if name in self.calendar:
            return self.calendar[name]
        whole = period(name, now, self.zone)
        return (Part(whole.start, whole.end, target, self),)


@dataclass(frozen=True, slots=True)
class Part:
    """`[start, end)` of a window, judged by one target (a fraction in (0, 1)) and terms; it may end after `now`."""

    start: datetime
    end: datetime
    target: float
    terms: Terms

    def until(self, now: datetime) -> datetime:
        return max(min(self.end, now), self.start)


def ended(parts: Sequence[Part], ends: datetime | None) -> Sequence[Part]:
    """The parts as far as `ends`; None: all of them."""
    if ends is None or parts[-1].end <= ends:
        return parts
    return [replace(part, end=min(part.end, ends)) for part in parts if part.start < ends]


def maintenance_of(parts: Sequence[Part]) -> Sequence[Interval]:
    """What is taken out of a window and around it, disjoint and in order; the very sequence of its terms where they
    share one."""
    first = parts[0].terms.maintenance
    if all(part.terms.maintenance is first for part in parts):
        return first
    starts = [_EVER[0], *(part.start for part in parts[1:])]
    ends = [*(part.end for part in parts[:-1]), _EVER[1]]
    return merged(
        interval
        for part, start, end in zip(parts, starts, ends, strict=True)
        for interval in touching(part.terms.maintenance, start, end)
    )


def added(tallies: Sequence[Tally]) -> Tally:
    # Microseconds: what floats leave over is no time.
    names = [each.name for each in fields(Tally)]
    return Tally(**{name: round(sum(getattr(t, name) for t in tallies), 6) for name in names})


def rest_of(part: Part, now: datetime) -> float:
    """The seconds of a part that are yet to come, and will be eligible."""
    begins = max(part.start, now)
    if part.end <= begins:
        return 0.0
    rest = (part.end - begins).total_seconds()
    never = part.terms.maintenance if part.terms.accounting is Accounting.EXCLUDE else part.terms.outside
    return rest - sum((i.end - i.start).total_seconds() for i in touching(never, begins, part.end))


def shared_target(targets: Sequence[float], eligible: Sequence[float], current: float) -> float:
    """What is promised for parts together: that their budgets, added up, are not overspent.

    `targets`: of each a fraction in (0, 1); `eligible`: of each the time that is, and will be, in any unit. `current`
    is the target where there is no such time.
    """
    whole = sum(eligible)
    if len(set(targets)) == 1 or whole <= 0:
        return current
    may_fail = sum(allowed(target) * part for target, part in zip(targets, eligible, strict=True))
    return math.floor((1 - may_fail / whole) * _DIGITS) / _DIGITS
