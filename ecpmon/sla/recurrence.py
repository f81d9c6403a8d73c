"""When a recurrence rule happens (RFC 5545), by calendar arithmetic. Pure.

Invariants:
- Occurrences are wall-clock times of a zone. A time that the clock skips there is none: it is not in the set, so
  `COUNT` does not count it and `BYSETPOS` does not see it, as with the 30th of February. A time that comes twice is
  the first of both; the start is the instant that was given.
- None lies before the start, and the start is one only if the rule says so. `UNTIL` is included: with `Z` it is an
  instant, without it a wall-clock time, as a date all of that day.
- `BYSETPOS` chooses from all of a period, what lies before the start included.
- The weeks of a year are those that `BYWEEKNO` counts: the first may begin in December.
- What is asked about costs by its own length, except with `COUNT`, which is counted from the start.

Not dateutil's: that takes skipped times for an hour later and counts them, leaves the days before the start out of the
first week's `BYSETPOS`, takes `BYDAY=MO,1TU` for both at once, and `BYWEEKNO` alone for seven days.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, product
from typing import Final
from zoneinfo import ZoneInfo

from ecpmon.sla.rrule_text import Freq, Rule

_DAY: Final = timedelta(days=1)
# Weeks of the last years of the calendar reach into the next.
_LAST_YEAR: Final = 9_997


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule with the instant of its start, in a zone."""

    rule: Rule
    start: datetime
    zone: ZoneInfo
    # The start as the wall clock shows it, without a zone.
    local: datetime = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "local", self.start.astimezone(self.zone).replace(tzinfo=None))

    def begins(self, first: date, last: date) -> Iterator[datetime]:
        """The instants, in UTC and in order, at which it happens on the days `first` to `last` of its zone."""
        most = self.rule.count
        found = self._from(self._period_of(first) if most is None else 0, last)
        for counted, (wall, instant) in enumerate(found, 1):
            day = wall.date()
            if day > last or self._is_over(wall, instant) or (most is not None and counted > most):
                return
            if day >= first:
                yield instant

    def next(self, within: timedelta) -> datetime | None:
        """The first time that it happens, if that is within so long of its start."""
        first = self.local.date()
        return next(self.begins(first, first + within), None)

    def _is_over(self, wall: datetime, instant: datetime) -> bool:
        until = self.rule.until
        return until is not None and (instant if until.tzinfo else wall) > until

    def _from(self, period: int, last: date) -> Iterator[tuple[datetime, datetime]]:
        """(wall-clock time, instant) of what happens from a period on, up to that in which `last` is."""
        times = _times(self.rule, self.local)
        for number in count(period):
            days = _days_of(self.rule, self.local, number)
            if days is None or days[0] > last:
                return
            fitting = (day for day in _each(*days) if _fits(self.rule, self.local, day))
            walls = (datetime.combine(day, at) for day, at in product(fitting, times))
            here = [(wall, at) for wall in walls if (at := self._at(wall)) is not None]
            yield from (each for each in _chosen(here, self.rule.positions) if each[1] >= self.start)

    def _at(self, wall: datetime) -> datetime | None:
        """The instant of a wall-clock time; None for one that the clock skips."""
        if wall == self.local:
            return self.start
        instant = wall.replace(tzinfo=self.zone).astimezone(UTC)
        return instant if instant.astimezone(self.zone).replace(tzinfo=None) == wall else None

    def _period_of(self, day: date) -> int:
        """The number of a period no later than that which holds `day`."""
        return max(0, _distance(self.rule, self.local, day) // self.rule.interval)


def _chosen(
    found: list[tuple[datetime, datetime]], positions: frozenset[int]
) -> list[tuple[datetime, datetime]]:
    if not positions:
        return found
    places = {p - 1 if p > 0 else len(found) + p for p in positions}
    return [each for n, each in enumerate(found) if n in places]


def _times(rule: Rule, local: datetime) -> list[time]:
    """The times of day, in order; what the rule does not say is that of the start."""
    parts = (rule.hours or (local.hour,), rule.minutes or (local.minute,), rule.seconds or (local.second,))
    # A start may hold parts of a second, which no rule can say.
    return [time(h, m, s, local.microsecond) for h, m, s in product(*parts)]


# --- periods ------------------------------------------------------------------------------------------------


def _distance(rule: Rule, local: datetime, day: date) -> int:
    """How many days, weeks, months or years from the start's to no later than that of `day`."""
    base = local.date()
    match rule.freq:
        case Freq.DAILY:
            return (day - base).days
        case Freq.WEEKLY:
            return (_week_of(day, rule.week_start) - _week_of(base, rule.week_start)).days // 7
        case Freq.MONTHLY:
            return (day.year - base.year) * 12 + day.month - base.month
    # The first days of January may be of a week of the year before.
    return day.year - 1 - _base_year(rule, base) if rule.weeks else day.year - base.year


def _days_of(rule: Rule, local: datetime, number: int) -> tuple[date, date] | None:
    """A period from its first day to before the second; None past the calendar."""
    base, steps = local.date(), number * rule.interval
    if base.year + steps // 12 > _LAST_YEAR and rule.freq is Freq.MONTHLY:
        return None
    match rule.freq:
        case Freq.DAILY | Freq.WEEKLY:
            weekly = rule.freq is Freq.WEEKLY
            first = _week_of(base, rule.week_start) if weekly else base
            ahead = steps * 7 if weekly else steps
            if first.toordinal() + ahead > date(_LAST_YEAR, 12, 31).toordinal():
                return None
            first += timedelta(days=ahead)
            return first, first + timedelta(days=7 if weekly else 1)
        case Freq.MONTHLY:
            year, month = divmod(base.year * 12 + base.month - 1 + steps, 12)
            first = date(year, month + 1, 1)
            return first, first + timedelta(days=monthrange(year, month + 1)[1])
    year = _base_year(rule, base) + steps
    if year > _LAST_YEAR:
        return None
    if rule.weeks:
        return _first_week(year, rule.week_start), _first_week(year + 1, rule.week_start)
    return date(year, 1, 1), date(year + 1, 1, 1)


def _each(first: date, after: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((after - first).days))


def _week_of(day: date, week_start: int) -> date:
    return day - timedelta(days=(day.weekday() - week_start) % 7)


def _first_week(year: int, week_start: int) -> date:
    """The first day of the first week with four days of the year in it."""
    return _week_of(date(year, 1, 4), week_start)


def _week_year(day: date, week_start: int) -> int:
    """The year whose week a day is in."""
    if day < _first_week(day.year, week_start):
        return day.year - 1
    return day.year + (day >= _first_week(day.year + 1, week_start))


def _base_year(rule: Rule, base: date) -> int:
    return _week_year(base, rule.week_start) if rule.weeks else base.year


# --- days ---------------------------------------------------------------------------------------------------


def _fits(rule: Rule, local: datetime, day: date) -> bool:
    """Whether the rule takes a day of one of its periods."""
    if rule.months and day.month not in rule.months:
        return False
    if rule.weeks and not _is_week(rule, day):
        return False
    year_length = 366 if isleap(day.year) else 365
    if rule.year_days and not _is_nth(day.timetuple().tm_yday, year_length, rule.year_days):
        return False
    if rule.month_days and not _is_nth(day.day, monthrange(day.year, day.month)[1], rule.month_days):
        return False
    if rule.days:
        return _is_weekday(rule, day)
    if rule.month_days or rule.year_days:
        return True
    return _is_as_the_start(rule, local, day)


def _is_as_the_start(rule: Rule, local: datetime, day: date) -> bool:
    """What a rule that names no days takes from its start."""
    match rule.freq:
        case Freq.DAILY:
            return True
        case Freq.WEEKLY:
            return day.weekday() == local.weekday()
        case Freq.MONTHLY:
            return day.day == local.day
    if rule.weeks:
        return day.weekday() == local.weekday()
    return day.day == local.day and (bool(rule.months) or day.month == local.month)


def _is_week(rule: Rule, day: date) -> bool:
    year = _week_year(day, rule.week_start)
    first, after = _first_week(year, rule.week_start), _first_week(year + 1, rule.week_start)
    return _is_nth((day - first).days // 7 + 1, (after - first).days // 7, rule.weeks)


def _is_weekday(rule: Rule, day: date) -> bool:
    """Every one of its kind, or the nth of its month or year."""
    if (0, day.weekday()) in rule.days:
        return True
    if rule.freq not in (Freq.MONTHLY, Freq.YEARLY):
        return False
    if rule.freq is Freq.MONTHLY or rule.months:
        place, length = day.day, monthrange(day.year, day.month)[1]
    else:
        place, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
    from_begin, from_end = (place - 1) // 7 + 1, -((length - place) // 7 + 1)
    return (from_begin, day.weekday()) in rule.days or (from_end, day.weekday()) in rule.days


def _is_nth(place: int, length: int, wanted: frozenset[int]) -> bool:
    """Whether the place, counted from 1, is wanted, or is as counted from the end."""
    return place in wanted or place - length - 1 in wanted
