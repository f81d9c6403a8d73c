"""The days that an iCalendar text (RFC 5545) names. Pure; the only user of icalendar.

Holidays are whole days of whatever zone they are used in: an event with a time of day is refused, not guessed at. What
is read is bounded, and so is what it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final, cast

from dateutil.rrule import rrule, rrulestr
from icalendar import Calendar, Component

MAX_EVENTS: Final = 2_000
# Finding out what one of them means may take a tenth of a second.
MAX_RECURRING: Final = 40
# Around the day on which it is read: contracts are not made for longer, and nobody asks about what was before.
BEFORE: Final = timedelta(days=366)
AHEAD: Final = timedelta(days=3_660)
_DAY: Final = timedelta(days=1)
_COARSE: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_PARTS: Final = frozenset(
    {
        "FREQ",
        "UNTIL",
        "COUNT",
        "INTERVAL",
        "BYDAY",
        "BYMONTHDAY",
        "BYYEARDAY",
        "BYWEEKNO",
        "BYMONTH",
        "BYSETPOS",
        "WKST",
    }
)
_PICKING: Final = frozenset({"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS"})
_MAX_INTERVAL: Final = 1_000
_READ: Final = frozenset({"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"})
# After so many years the calendar is the same, weekdays included.
_CYCLE: Final = 400


class CalendarError(ValueError):
    """The text cannot be used, and says why to whoever sent it."""


def holidays_of(text: str, today: date, most: int) -> frozenset[date]:
    """Every day of the events, from a year before `today` to ten years after. Raises CalendarError."""
    found: set[date] = set()
    moved: dict[str, set[date]] = {}
    recurring = 0
    events = _events(text)
    for event in events:
        if (instead := _date_of(event, "RECURRENCE-ID")) is not None:
            moved.setdefault(str(event.get("UID", "")), set()).add(instead)
    for event in events:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        if "RRULE" in event and (recurring := recurring + 1) > MAX_RECURRING:
            raise CalendarError(f"more than {MAX_RECURRING} events recur")
        own = moved.get(str(event.get("UID", "")), set()) if "RECURRENCE-ID" not in event else set()
        found.update(_days(event, own, today, most))
        if len(found) > most:
            raise CalendarError(f"names more than {most} days within ten years")
    return frozenset(found)


def _events(text: str) -> list[Component]:
    try:
        calendar = Calendar.from_ical(text.strip())
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise CalendarError(f"is no iCalendar text: {str(error)[:200]}") from error
    events = [c for c in calendar.subcomponents if c.name == "VEVENT"] if calendar.name == "VCALENDAR" else []
    if not 0 < len(events) <= MAX_EVENTS:
        raise CalendarError(f"must hold from 1 to {MAX_EVENTS} events (VEVENT) in one VCALENDAR")
    return events


def _named(event: Component) -> str:
    return f"the event {str(event.get('SUMMARY', ''))[:60]!r}"


def _days(event: Component, moved: set[date], today: date, most: int) -> Iterator[date]:
    """Those of an event that lie near enough, but for the occurrences that are `moved` elsewhere."""
    for name, message in event.errors:
        if name in _READ:
            raise CalendarError(f"{_named(event)} has an unusable {name}: {str(message)[:200]}")
    start = _date_of(event, "DTSTART")
    if start is None:
        raise CalendarError(f"{_named(event)} has no DTSTART")
    lasting = _lasting(event, start)
    first, last = today - BEFORE, today + AHEAD
    begins = {start, *_recurring(event, start, first - lasting, last, most), *_listed(event, "RDATE")}
    for begin in begins - {*_listed(event, "EXDATE"), *moved}:
        day, end = max(begin, first), min(begin + lasting, last)
        if (end - day) // _DAY > most:
            raise CalendarError(f"{_named(event)} lasts for more than {most} days")
        while day < end:
            yield day
            day += _DAY


def _lasting(event: Component, start: date) -> timedelta:
    end, duration = _date_of(event, "DTEND"), _value(event, "DURATION")
    # Not what the standard says, but what many write for one day: an end on the day itself.
    lasting = end - start if end is not None and end != start else _DAY
    if isinstance(duration, timedelta):
        lasting = duration
    if lasting <= timedelta(0) or lasting % _DAY:
        raise CalendarError(f"{_named(event)} does not last whole days; DTEND is the day after its last one")
    return lasting


def _value(event: Component, name: str) -> Any:
    """None where there is none. Raises CalendarError for several."""
    found = event.get(name)
    if isinstance(found, list):
        raise CalendarError(f"{_named(event)} has more than one {name}")
    return None if found is None else found.dt


def _date_of(event: Component, name: str) -> date | None:
    if any(name == broken for broken, _ in event.errors):
        return None  # told with the event
    return _whole_day(event, name, _value(event, name))


def _whole_day(event: Component, name: str, value: Any) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        if value is not None and not 1900 <= value.year < 2200:
            raise CalendarError(f"{_named(event)} has a {name} that no contract is made for")
        return value
    raise CalendarError(f"{_named(event)} has a time of day ({name}); holidays are whole days (VALUE=DATE)")


def _listed(event: Component, name: str) -> list[date]:
    """The dates of EXDATE or RDATE, which may come several times."""
    found = event.get(name, [])
    lists = found if isinstance(found, list) else [found]
    days = (_whole_day(event, name, each.dt) for part in lists for each in part.dts)
    return [day for day in days if day is not None]


def _recurring(event: Component, start: date, first: date, last: date, most: int) -> Iterable[date]:
    """When the rule of an event says that it happens between two days."""
    found = event.get("RRULE")
    if found is None:
        return ()
    if isinstance(found, list):
        raise CalendarError(f"{_named(event)} has more than one RRULE")
    # dateutil looks for a next one until the year 9999; as late as that in the calendar the search ends soon.
    later = _CYCLE * ((9_999 - start.year) // _CYCLE - 1)
    parts = {
        name.upper(): value
        for name, _, value in (p.partition("=") for p in found.to_ical().decode().split(";"))
    }
    # Days that are picked from each day may never come, and that is found out only at the end of all time.
    picked = parts.get("FREQ") == "DAILY" and parts.keys() & _PICKING
    if not parts.keys() <= _PARTS or parts.get("FREQ") not in _COARSE or picked:
        raise CalendarError(f"{_named(event)} recurs as no holiday does: {found.to_ical().decode()[:100]}")
    if not 0 < int(parts.get("INTERVAL", "1")) <= _MAX_INTERVAL:
        raise CalendarError(f"{_named(event)} has an INTERVAL that is not from 1 to {_MAX_INTERVAL}")
    if "UNTIL" in parts:
        until = parts["UNTIL"][:8]
        parts["UNTIL"] = f"{int(until[:4]) + later:04d}{until[4:]}"
    return _between(event, parts, start, first, last, most, later)


def _between(
    event: Component, parts: dict[str, str], start: date, first: date, last: date, most: int, later: int
) -> list[date]:
    days: list[date] = []
    try:
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        rule = cast("rrule", rrulestr(text, dtstart=datetime.combine(_moved(start, later), time())))
        for at in rule.xafter(datetime.combine(_moved(max(first, start), later), time()), inc=True):
            day = _moved(at.date(), -later)
            if day >= last:
                break
            days.append(day)
            if len(days) > most:
                raise CalendarError(f"{_named(event)} recurs more than {most} times within ten years")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        if isinstance(error, CalendarError):
            raise
        raise CalendarError(f"{_named(event)} has an unusable RRULE: {str(error)[:200]}") from error
    return days


def _moved(day: date, years: int) -> date:
    return day.replace(year=day.year + years)
