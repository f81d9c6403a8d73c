"""An objective's own past, as a replay reads it: what was counted before any whole minute at the same cost. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ecpmon.alerts.counted import LONGEST_READ, CountedFacts
from ecpmon.model.maintenance import Interval
from ecpmon.model.objectives import Counts, HoursOfCounts, Promised
from ecpmon.sla.periods import period

_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class CountedHistory:
    """All that a replay reads about one objective. `planned`: the whole minutes that are taken out, disjoint and in
    order; `outside`: those of them that lie outside of the service hours."""

    promised: Promised
    hours: HoursOfCounts
    planned: Sequence[tuple[datetime, datetime]]
    zone: ZoneInfo
    interval: timedelta
    outside: Sequence[Interval] = ()
    _ends: list[datetime] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", [end for _, end in self.planned])

    def before(self, at: datetime) -> Counts:
        """Everything counted before `at`, from some origin."""
        hours, seconds = self.hours, int(at.timestamp())
        if not hours.begins:
            return Counts()
        row = bisect_right(hours.begins, seconds) - 1
        minute = 0 if row < 0 else min((seconds - hours.begins[row]) // _MINUTE, 60)
        place = max(row, 0) * 61 + minute
        return Counts(hours.good[place], hours.total[place], hours.observed[place])

    def at(self, now: datetime) -> CountedFacts:
        """As of the whole minute `now`."""
        begun = min(period(self.promised.window, now, self.zone).start, now)
        off = self._between(min(begun, now - LONGEST_READ), now)
        return CountedFacts(self.promised, now, begun, self.before, off, self.interval, self.outside)

    def _between(self, start: datetime, now: datetime) -> Sequence[tuple[datetime, datetime]]:
        over = bisect_right(self._ends, now)
        found = list(self.planned[bisect_right(self._ends, start) : over])
        if over < len(self.planned) and self.planned[over][0] < now:
            found.append((self.planned[over][0], now))
        return found
