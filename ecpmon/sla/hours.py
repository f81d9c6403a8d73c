"""Service hours: what they are called in JSON, when they count and when they do not. Pure.

An instant counts if the wall clock of the contract's zone then shows a day that is no holiday and a time that the week
holds. So a local time that a change of the clock skips counts for nothing, and one that comes twice counts both times.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain, groupby, pairwise
from operator import attrgetter
from typing import Any, Final
from zoneinfo import ZoneInfo

from ecpmon.errors import ValidationFailed
from ecpmon.model.hours import DAY_NAMES, ServiceHours
from ecpmon.model.maintenance import Interval
from ecpmon.sla.maintenance import merged

FIELD: Final = "service_hours"
MAX_PER_DAY: Final = 4
MAX_HOLIDAYS: Final = 1_000
# Characters of an iCalendar text.
MAX_CALENDAR: Final = 150_000
_DAY: Final = 1_440
TIME_RANGE: Final = "([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])"
_TIME: Final = re.compile(TIME_RANGE, re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# Zones change their offset months apart; nowhere do two changes within this time undo each other.
_LOOK: Final = timedelta(hours=6)
_NONE: Final = timedelta(0)
_SECOND: Final = timedelta(seconds=1)
_SHOWN: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def parse(document: object, today: date) -> ServiceHours:
    """What people send: `weekly`, and perhaps `holidays` (dates) and `calendar` (iCalendar, read as of `today`).

    Raises ValidationFailed naming the field.
    """
    if not isinstance(document, Mapping):
        raise _bad("", 'must be an object such as {"weekly": {"mon": ["08:00-18:00"]}}')
    if unknown := sorted(map(str, document.keys() - {"weekly", "holidays", "calendar"})):
        raise _bad("", f"unknown field {unknown[0][:40]!r}; known are weekly, holidays and calendar")
    found, text = stored(document), document.get("calendar")
    _refuse_overlaps(found.weekly)
    if text is None:
        return found
    holidays = found.holidays | _of_calendar(text, today)
    if len(holidays) > MAX_HOLIDAYS:
        raise _bad("holidays", f"are {len(holidays)} days with those of the calendar; at most {MAX_HOLIDAYS}")
    return replace(found, holidays=holidays)


def stored(document: Mapping[str, Any]) -> ServiceHours:
    """What `document_of` wrote, and earlier releases did. Raises ValidationFailed, also for what somebody wrote by
    hand."""
    return ServiceHours(_weekly(document.get("weekly")), _dates(document.get("holidays", [])))


def document_of(hours: ServiceHours) -> dict[str, Any]:
    """As JSON: `weekly` by day, days without any left out; `holidays` as dates, in order."""
    weekly = {
        name: [_range(*part) for part in parts]
        for name, parts in zip(DAY_NAMES, hours.weekly, strict=True)
        if parts
    }
    return {"weekly": weekly, "holidays": [day.isoformat() for day in sorted(hours.holidays)]}


def runs(hours: ServiceHours) -> list[tuple[list[int], list[str]]]:
    """Days of the week (0 is Monday) that follow one another with the same hours, and those, such as `08:00–18:00`."""
    found = [
        (list(days), parts)
        for parts, days in groupby(range(len(DAY_NAMES)), key=lambda day: hours.weekly[day])
        if parts
    ]
    return [(days, [_range(*part).replace("-", "–") for part in parts]) for days, parts in found]


def words(hours: ServiceHours) -> str:
    """`Monday–Friday 08:00–18:00; Saturday 09:00–12:00, 13:00–16:00`: the week in one line."""
    return "; ".join(f"{_days(days)} {', '.join(parts)}" for days, parts in runs(hours))


def _days(days: Sequence[int]) -> str:
    first, last = _SHOWN[days[0]], _SHOWN[days[-1]]
    return first if first == last else f"{first}{'–' if len(days) > 2 else ' and '}{last}"


def _range(start: int, end: int) -> str:
    return f"{_clock(start)}-{_clock(end if end <= _DAY else end - _DAY)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _bad(field: str, message: str) -> ValidationFailed:
    name = f"{FIELD}.{field}" if field else FIELD
    return ValidationFailed(f"{name}: {message}", fields=[{"field": name, "message": message}])


def _weekly(value: object) -> tuple[tuple[tuple[int, int], ...], ...]:
    if not isinstance(value, Mapping) or not value.keys() <= set(DAY_NAMES):
        raise _bad("weekly", f"must be an object with some of {', '.join(DAY_NAMES)}")
    weekly = tuple(_parts(name, value.get(name, [])) for name in DAY_NAMES)
    if not any(weekly):
        raise _bad("weekly", "holds no hours, so that nothing would ever count")
    return weekly


def _parts(name: str, value: object) -> tuple[tuple[int, int], ...]:
    field = f"weekly.{name}"
    if not isinstance(value, list) or len(value) > MAX_PER_DAY:
        raise _bad(field, f"must be a list of at most {MAX_PER_DAY} ranges such as 08:00-18:00")
    parts = sorted(_minutes(f"{field}[{place}]", text) for place, text in enumerate(value))
    if any(later[0] < earlier[1] for earlier, later in pairwise(parts)):
        raise _bad(field, "has ranges that overlap")
    return tuple(parts)


def _refuse_overlaps(weekly: tuple[tuple[tuple[int, int], ...], ...]) -> None:
    """What a night begins is not named once more by the day after it; earlier releases took both together."""
    for day, parts in enumerate(weekly):
        following = (day + 1) % len(weekly)
        # Each day's are in order: the last one alone may go on, and the first one alone begin so early.
        if parts and weekly[following] and weekly[following][0][0] < parts[-1][1] - _DAY:
            raise _bad(
                f"weekly.{DAY_NAMES[following]}",
                f"overlaps with {_range(*parts[-1])} of {DAY_NAMES[day]}, which goes on after midnight",
            )


def _minutes(field: str, text: object) -> tuple[int, int]:
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _bad(field, "must be a range such as 08:00-18:00, 22:00-06:00 or 00:00-24:00")
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if end > _DAY or start == end:
        raise _bad(field, "must end at another time than it begins, at 24:00 at the latest")
    return start, end if end > start else end + _DAY


def _dates(value: object) -> frozenset[date]:
    if not isinstance(value, list) or len(value) > MAX_HOLIDAYS:
        raise _bad("holidays", f"must be a list of at most {MAX_HOLIDAYS} dates such as 2026-12-25")
    return frozenset(_date(f"holidays[{place}]", text) for place, text in enumerate(value))


def _date(field: str, text: object) -> date:
    try:
        if not isinstance(text, str) or not _DATE.fullmatch(text):
            raise ValueError(text)
        day = date.fromisoformat(text)
        if not 1970 <= day.year < 2200:
            raise ValueError(text)
    except ValueError:
        raise _bad(field, "must be a date such as 2026-12-25") from None
    return day


def _of_calendar(text: object, today: date) -> frozenset[date]:
    if not isinstance(text, str) or len(text) > MAX_CALENDAR:
        raise _bad("calendar", f"must be an iCalendar text of at most {MAX_CALENDAR} characters")
    from ecpmon.sla.holidays import CalendarError, holidays_of  # who sends none does without the library

    try:
        return holidays_of(text, today, MAX_HOLIDAYS)
    except CalendarError as error:
        raise _bad("calendar", str(error)) from error


def counted(hours: ServiceHours, zone: ZoneInfo, start: datetime, end: datetime) -> list[Interval]:
    """The parts of `[start, end)` that count, disjoint, in order, none touching another."""
    week = _by_day(hours.weekly)
    return merged(
        Interval(begin - offset, stop - offset)
        for since, until, offset in _stretches(zone, start, end)
        for begin, stop in _on_the_wall(week, hours.holidays, since + offset, until + offset)
    )


def outside(hours: ServiceHours, zone: ZoneInfo, start: datetime, end: datetime) -> list[Interval]:
    """The parts of `[start, end)` that do not, likewise."""
    found: list[Interval] = []
    cursor = start
    for part in counted(hours, zone, start, end):
        if cursor < part.start:
            found.append(Interval(cursor, part.start))
        cursor = part.end
    return [*found, Interval(cursor, end)] if cursor < end else found


def since(outside: Sequence[Interval], now: datetime, length: timedelta, most: timedelta) -> datetime:
    """From when on `length` of the time before `now` was not `outside` (disjoint, in order), `most` before at most.

    So the hour of service that ends at ten past eight began the evening before.
    """
    cursor, left = now, length
    for place in range(bisect_left(outside, now, key=attrgetter("start")) - 1, -1, -1):
        part = outside[place]
        inside = max(cursor - part.end, _NONE)
        if inside >= left or now - part.end >= most:
            break
        cursor, left = part.start, left - inside
    return max(cursor - left, now - max(most, length))


@lru_cache(maxsize=256)
def _by_day(
    weekly: tuple[tuple[tuple[int, int], ...], ...],
) -> tuple[tuple[tuple[timedelta, timedelta], ...], ...]:
    """For each day what of it counts, as time after its midnight: what begins on the day before goes on."""
    days: list[list[tuple[int, int]]] = [[] for _ in weekly]
    for day, parts in enumerate(weekly):
        for start, end in parts:
            days[day].append((start, min(end, _DAY)))
            if end > _DAY:
                days[(day + 1) % len(weekly)].append((0, end - _DAY))
    return tuple(
        tuple((timedelta(minutes=a), timedelta(minutes=b)) for a, b in sorted(parts)) for parts in days
    )


def _on_the_wall(
    week: Sequence[Sequence[tuple[timedelta, timedelta]]],
    holidays: frozenset[date],
    start: datetime,
    end: datetime,
) -> Iterator[tuple[datetime, datetime]]:
    """Of `[start, end)`, times of a wall clock that nobody sets."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while midnight < end:
        if midnight.date() not in holidays:
            for after, until in week[midnight.weekday()]:
                begin, stop = max(midnight + after, start), min(midnight + until, end)
                if begin < stop:
                    yield begin, stop
        midnight += timedelta(days=1)


def _stretches(
    zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """`[start, end)` by the offset from UTC that the zone has: (since, until, offset), in UTC."""
    if start >= end:
        return
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    changes = chain.from_iterable(_changes(zone, year) for year in range(start.year, end.year + 1))
    edges = [start, *(at for at in changes if start < at < end), end]
    for since, until in pairwise(edges):
        yield since, until, _offset(zone, since)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


@lru_cache(maxsize=512)
def _changes(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The instants of a UTC year from which on the zone has another offset."""
    # A change that comes with the year is the first of it.
    first = datetime(year, 1, 1, tzinfo=UTC) - _SECOND
    last = datetime(year + 1, 1, 1, tzinfo=UTC) - _SECOND
    points = [first + _LOOK * n for n in range((last - first) // _LOOK)] + [last]
    return tuple(
        _change_between(zone, a, b) for a, b in pairwise(points) if _offset(zone, a) != _offset(zone, b)
    )


def _change_between(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second with the offset of `high`, when that of `low` is another."""
    while high - low > _SECOND:
        middle = (low + (high - low) // 2).replace(microsecond=0)
        if _offset(zone, middle) == _offset(zone, low):
            low = middle
        else:
            high = middle
    return high
