"""The days that an iCalendar text (RFC 5545) names. Pure; the only user of icalendar.

Holidays are whole days of whatever zone they are used in: an event with a time of day is refused, not guessed at. What
is read is bounded, and so is what it costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from icalendar import Calendar, Component

from ecpmon.sla.recurrence import Recurrence
from ecpmon.sla.rrule_text import rule_of

MAX_EVENTS: Final = 2_000
# Finding out what one of them means may take a tenth of a second.
MAX_RECURRING: Final = 40
# Around the day on which it is read: contracts are not made for longer, and nobody asks about what was before.
BEFORE: Final = timedelta(days=366)
AHEAD: Final = timedelta(days=3_660)
_DAY: Final = timedelta(days=1)
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
_READ: Final = frozenset({"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"})
_UTC: Final = ZoneInfo("UTC")


class CalendarError(ValueError):
    """The text cannot be used, and says why to whoever sent it."""


@dataclass(frozen=True, slots=True)
class _Shift:
    """From the occurrence of `since` on, all of a series happen `by` so much later, for so long; `lasting` None: they
    are cancelled."""

    since: date
    by: timedelta = timedelta(0)
    lasting: timedelta | None = None


@dataclass(slots=True)
class _Changes:
    """What events with a RECURRENCE-ID change of a series: occurrences that are told apart, and shifts in order."""

    apart: set[date] = field(default_factory=set)
    shifts: list[_Shift] = field(default_factory=list)

    def of(self, begin: date) -> _Shift | None:
        return next((s for s in reversed(self.shifts) if s.since <= begin), None)

    @property
    def reach(self) -> timedelta:
        """How far an occurrence may lie from where its rule has it, and how much longer it may last."""
        return sum((abs(s.by) + (s.lasting or timedelta(0)) for s in self.shifts), timedelta(0))


def holidays_of(text: str, today: date, most: int) -> frozenset[date]:
    """Every day of the events, from a year before `today` to ten years after. Raises CalendarError."""
    found: set[date] = set()
    recurring = 0
    events = _events(text)
    changes = _changes(events)
    for event in events:
        if _is_cancelled(event):
            continue
        if "RRULE" in event and (recurring := recurring + 1) > MAX_RECURRING:
            raise CalendarError(f"more than {MAX_RECURRING} events recur")
        own = changes.get(_series(event), _Changes()) if "RECURRENCE-ID" not in event else _Changes()
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


def _series(event: Component) -> str:
    return str(event.get("UID", ""))


def _is_cancelled(event: Component) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED"


def _changes(events: Sequence[Component]) -> dict[str, _Changes]:
    """By series what of it is changed. Raises CalendarError for a change of all later occurrences of none."""
    found: dict[str, _Changes] = defaultdict(_Changes)
    series = {_series(event) for event in events if "RECURRENCE-ID" not in event}
    for event in events:
        if (instead := _date_of(event, "RECURRENCE-ID")) is None:
            continue
        changes = found[_series(event)]
        if not _is_of_later_ones(event):
            changes.apart.add(instead)
        elif _series(event) in series:
            changes.shifts.append(_shift(event, instead))
        else:
            raise CalendarError(f"{_named(event)} changes all later ones of a series that is not there")
    for changes in found.values():
        changes.shifts.sort(key=lambda shift: shift.since)
    return found


def _is_of_later_ones(event: Component) -> bool:
    """Whether it stands for all later occurrences, too. Raises CalendarError for what the standard does not know."""
    text = str(event["RECURRENCE-ID"].params.get("RANGE", "")).upper()
    if text not in ("", "THISANDFUTURE"):
        raise CalendarError(
            f"{_named(event)} has a RECURRENCE-ID with RANGE={text[:40]}; known is THISANDFUTURE"
        )
    return bool(text)


def _shift(event: Component, since: date) -> _Shift:
    if _is_cancelled(event):
        return _Shift(since)
    if "RRULE" in event or "RDATE" in event:
        raise CalendarError(f"{_named(event)} changes all later ones and recurs itself")
    start = _start_of(event)
    if abs(start - since) > BEFORE:
        raise CalendarError(f"{_named(event)} moves all later ones by more than a year")
    return _Shift(since, start - since, _lasting(event, start))


def _named(event: Component) -> str:
    return f"the event {str(event.get('SUMMARY', ''))[:60]!r}"


def _start_of(event: Component) -> date:
    for name, message in event.errors:
        if name in _READ:
            raise CalendarError(f"{_named(event)} has an unusable {name}: {str(message)[:200]}")
    start = _date_of(event, "DTSTART")
    if start is None:
        raise CalendarError(f"{_named(event)} has no DTSTART")
    return start


def _days(event: Component, changes: _Changes, today: date, most: int) -> Iterator[date]:
    """Those of an event that lie near enough, but for the occurrences that are told apart, and as they are shifted."""
    start = _start_of(event)
    usually = _lasting(event, start)
    first, last = today - BEFORE, today + AHEAD
    earliest, latest = first - usually - changes.reach, last + changes.reach
    begins = {start, *_recurring(event, start, earliest, latest, most), *_listed(event, "RDATE")}
    for begin in begins - {*_listed(event, "EXDATE"), *changes.apart}:
        shift = changes.of(begin)
        moved, lasting = (begin, usually) if shift is None else (begin + shift.by, shift.lasting)
        if lasting is None:
            continue
        day, end = max(moved, first), min(moved + lasting, last)
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
    if lasting > BEFORE + AHEAD:
        raise CalendarError(f"{_named(event)} lasts for longer than any contract")
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
    text = found.to_ical().decode()
    names = {part.partition("=")[0].upper() for part in text.split(";")}
    if not names <= _PARTS:
        raise CalendarError(f"{_named(event)} recurs as no holiday does: {text[:100]}")
    try:
        recurrence = Recurrence(rule_of(text), datetime.combine(start, time(), UTC), _UTC)
    except ValueError as error:
        raise CalendarError(f"{_named(event)} has an unusable RRULE: {str(error)[:200]}") from error
    days = [at.date() for at in islice(recurrence.begins(max(first, start), last - _DAY), most + 1)]
    if len(days) > most:
        raise CalendarError(f"{_named(event)} recurs more than {most} times within ten years")
    return days
