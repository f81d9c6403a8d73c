"""When a CronJob's schedule comes next: the five fields of cron, and its macros."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = {
    name: n
    for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}  # fmt: skip
_DAYS: Final = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FAR: Final = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Days of the week count from Sunday, 0. `either`: one of the two kinds of days is enough, as both are named."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def has_day(self, day: datetime) -> bool:
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((of_month or of_week) if self.either else (of_month and of_week))


@lru_cache(maxsize=1024)
def schedule_of(text: str) -> Schedule:
    """ValueError for a text that is none."""
    fields = _MACROS.get(text.strip(), text).split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: {text}")
    minutes, hours, days, months, weekdays = fields
    return Schedule(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        _numbers(days, 1, 31),
        _numbers(months, 1, 12, _MONTHS),
        frozenset(day % 7 for day in _numbers(weekdays, 0, 7, _DAYS)),
        either=not (days[0] in "*?" or weekdays[0] in "*?"),
    )


def _numbers(field: str, first: int, last: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        if low in ("*", "?"):
            start, end = first, last
        else:
            start = _number(low, names)
            end = _number(high, names) if dash else (last if step else start)
        every = int(step) if step else 1
        if not first <= start <= end <= last or every < 1:
            raise ValueError(f"{part} is no part of {first}-{last}")
        found.update(range(start, end + 1, every))
    return frozenset(found)


def _number(text: str, names: dict[str, int] | None) -> int:
    known = (names or {}).get(text.lower())
    return int(text) if known is None else known


def next_after(text: str, moment: datetime, zone: str | None = None) -> datetime | None:
    """The first time after the aware `moment`, in UTC; None where there is none within five years."""
    found, place = schedule_of(text), ZoneInfo(zone) if zone else UTC
    local = moment.astimezone(place).replace(tzinfo=None, second=0, microsecond=0) + timedelta(minutes=1)
    day, end = local.replace(hour=0, minute=0), local + _FAR
    while day < end:
        if found.has_day(day):
            for hour in sorted(found.hours):
                for minute in sorted(found.minutes):
                    due = day.replace(hour=hour, minute=minute)
                    if due >= local:
                        at = due.replace(tzinfo=place).astimezone(UTC)
                        if at > moment:
                            return at
        day += timedelta(days=1)
    return None
