"""When maintenance is on, and what it takes out of a timeline. Pure.

Recurrence rules are RFC 5545; python-dateutil expands them.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Final, cast
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from ecpmon.errors import LimitReached, ValidationFailed
from ecpmon.model.availability import Span
from ecpmon.model.maintenance import Interval, Maintenance

LONGEST: Final = timedelta(days=31)
RETROACTIVE: Final = timedelta(days=30)
# Figures are asked of these instants for ever, so there must be such instants.
AHEAD: Final = timedelta(days=3660)
MAX_RRULE: Final = 500
MAX_INTERVAL: Final = 1_000
# More often than this is not maintenance but the normal state.
MAX_PER_DAY: Final = 6
_COARSE: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
# Of RFC 5545; dateutil knows one more.
_PARTS: Final = frozenset({
    "FREQ", "UNTIL", "COUNT", "INTERVAL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY", "BYMONTHDAY", "BYYEARDAY",
    "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST",
})  # fmt: skip
# Occurrences are asked for by wall-clock time, and a wall clock may be an hour or a day off at a change of offset.
_CLOCK_CHANGE: Final = timedelta(days=1)

# A year holds every season of a rule; the quarter that begins at its end goes on after it.
_QUARTER: Final = timedelta(days=93)
_SEEN: Final = timedelta(days=366) + _QUARTER

# Statements hold that many exclusions in a month, and more is nothing that people approved.
MOST_AT_ONCE: Final = 100_000

# Files beside the zones: the server's own zone, and one with leap seconds that Python does not count.
_NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})

_start = attrgetter("start")
_end = attrgetter("end")


def zone(name: str) -> ZoneInfo:
    """The time zone called `name`. Raises ValidationFailed."""
    try:
        if name in _NO_ZONES or name.startswith(("posix/", "right/")):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationFailed(
            f"unknown time zone {name[:60]!r}; take a name such as Asia/Seoul",
            fields=[{"field": "time_zone", "message": "unknown"}],
        ) from None


def recurrence(text: str, start: datetime, time_zone: str, *, new: bool = False) -> rrule:
    """A parsed RFC 5545 rule whose occurrences are wall-clock times of `time_zone`. Raises ValidationFailed.

    `new`: it must happen within ten years.
    """
    local_zone = zone(time_zone)
    local = start.astimezone(local_zone).replace(tzinfo=None)
    try:
        parts = _parts(text)
        if "UNTIL" in parts:
            parts["UNTIL"] = _wall_clock(parts["UNTIL"], local_zone)
        rule = cast("rrule", rrulestr(_joined(parts), dtstart=local))
        if new and not _comes(parts, local):
            raise ValueError("it never happens within ten years")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise ValidationFailed(
            f"the recurrence rule is not usable: {error}", fields=[{"field": "rrule", "message": str(error)}]
        ) from error
    return rule


def _comes(parts: Mapping[str, str], local: datetime) -> bool:
    """Whether there is a first occurrence soon.

    dateutil looks for one until the year 9999, for seconds. The calendar repeats every 400 years: asked late in it,
    the search ends soon.
    """
    late = local.replace(year=local.year + 400 * ((9_999 - local.year) // 400 - 1))
    endless = {name: value for name, value in parts.items() if name not in ("COUNT", "UNTIL")}
    first = rrulestr(_joined(endless), dtstart=late).after(late, inc=True)
    if first is None or first - late > AHEAD:
        return False
    return "UNTIL" not in parts or f"{local + (first - late):%Y%m%dT%H%M%S}" <= parts["UNTIL"]


def _wall_clock(until: str, local_zone: ZoneInfo) -> str:
    """UNTIL as the occurrences are, a wall-clock time; a date is its midnight. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{8}(T[0-9]{6}Z?)?", until):
        raise ValueError("UNTIL must be such as 20261231T235959Z")
    at = datetime.strptime(until[:15].ljust(9, "T").ljust(15, "0"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - wall clock
    local = at.replace(tzinfo=UTC).astimezone(local_zone) if until.endswith("Z") else at
    return f"{local:%Y%m%dT%H%M%S}"


def _joined(parts: Mapping[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _parts(text: str) -> dict[str, str]:
    """The parts of one rule by name; dateutil takes the last of a name, and steps of zero. Raises ValueError."""
    if len(text) > MAX_RRULE:
        raise ValueError(f"at most {MAX_RRULE} characters")
    pairs = [part.partition("=") for part in text.strip().upper().removeprefix("RRULE:").split(";") if part]
    parts = {name.strip(): value.strip() for name, _, value in pairs}
    if (
        len(parts) < len(pairs)
        or not parts.keys() <= _PARTS
        or any(re.search(r"[\s:]", v) for v in parts.values())
    ):
        raise ValueError("one rule of RFC 5545, each part once, without DTSTART, EXDATE and RDATE")
    if parts.get("FREQ") not in _COARSE:
        raise ValueError("FREQ must be YEARLY, MONTHLY, WEEKLY or DAILY")
    for name, most in (("INTERVAL", MAX_INTERVAL), ("COUNT", 10**6)):
        if name in parts and not (re.fullmatch(r"[0-9]{1,7}", parts[name]) and 0 < int(parts[name]) <= most):
            raise ValueError(f"{name} must be a whole number from 1 to {most}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("give either COUNT or UNTIL")
    times = [len(set(parts.get(name, "0").split(","))) for name in ("BYHOUR", "BYMINUTE", "BYSECOND")]
    if math.prod(times) > MAX_PER_DAY:
        raise ValueError(f"it happens more than {MAX_PER_DAY} times a day")
    return parts


def check(planned: Maintenance, now: datetime) -> None:
    """Refuse what cannot be meant. Raises ValidationFailed naming the field."""
    problem = _problem(planned, now)
    if problem:
        field, message = problem
        raise ValidationFailed(f"{field}: {message}", fields=[{"field": field, "message": message}])
    zone(planned.time_zone)
    if planned.rrule is not None:
        recurrence(planned.rrule, planned.start, planned.time_zone, new=True)


def _problem(planned: Maintenance, now: datetime) -> tuple[str, str] | None:
    if planned.duration <= timedelta(0):
        return "end", "must lie after start"
    if planned.duration > LONGEST:
        return "end", f"maintenance lasts at most {LONGEST.days} days"
    if not planned.reason.strip():
        return "reason", "say why; statements show it"
    if planned.rrule is not None and planned.start < now:
        return "start", "recurring maintenance begins in the future; enter past times one by one"
    if planned.start > now + AHEAD:
        return "start", "lies more than ten years ahead"
    if planned.start < now - RETROACTIVE:
        return "start", f"maintenance is entered at most {RETROACTIVE.days} days afterwards"
    return None


def occurrences(planned: Maintenance, start: datetime, end: datetime) -> list[Interval]:
    """The parts of `[start, end)` that `planned` covers."""
    if planned.rrule is None:
        begins: Sequence[datetime] = (planned.start,)
    else:
        local_zone = zone(planned.time_zone)
        first = (start - planned.duration - _CLOCK_CHANGE).astimezone(local_zone).date()
        last = (end + 2 * _CLOCK_CHANGE).astimezone(local_zone).date()
        begins = _begins(planned.rrule, planned.start, planned.time_zone, first, last)
        begins = [b for b in begins if planned.until is None or b < planned.until]
    found = [Interval(b, b + planned.duration) for b in begins]
    return [Interval(max(i.start, start), min(i.end, end)) for i in found if i.start < end and i.end > start]


def densest(planned: Maintenance) -> int:
    """How often it begins within 93 days at most, as far as its first sixteen months tell; at least once."""
    if planned.rrule is None:
        return 1
    local = planned.start.astimezone(zone(planned.time_zone)).date()
    begins = _begins(planned.rrule, planned.start, planned.time_zone, local, local + _SEEN)
    return max((bisect_left(begins, at + _QUARTER) - n for n, at in enumerate(begins)), default=1)


@lru_cache(maxsize=4096)
def _begins(text: str, start: datetime, time_zone: str, first: date, last: date) -> tuple[datetime, ...]:
    """The instants at which a rule begins between two days. By days, so that jobs find it done since midnight."""
    local_zone, rule = zone(time_zone), recurrence(text, start, time_zone)
    found = rule.between(datetime.combine(first, time()), datetime.combine(last, time()), inc=True)
    return tuple(b.replace(tzinfo=local_zone).astimezone(UTC) for b in found)


def effort(planned: Iterable[Maintenance]) -> int:
    """About how many occurrences within a quarter have to be worked out, told without working them out."""
    return sum(_effort(each.rrule) for each in planned)


def _effort(rrule: str | None) -> int:
    if rrule is None:
        return 1
    return 14 if "WEEKLY" in rrule.upper() and "," not in rrule else 100


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Overlapping and touching intervals made one, in order."""
    result: list[Interval] = []
    for interval in sorted(intervals, key=lambda i: i.start):
        if result and interval.start <= result[-1].end:
            result[-1] = Interval(result[-1].start, max(result[-1].end, interval.end))
        elif interval.start < interval.end:
            result.append(interval)
    return result


def covered(
    planned: Iterable[Maintenance], start: datetime, end: datetime, most: int = MOST_AT_ONCE
) -> list[Interval]:
    """When any of `planned` is on within `[start, end)`, disjoint and in order.

    Raises LimitReached when that is more than `most` times: whoever planned it before there were bounds.
    """
    found: list[Interval] = []
    for each in planned:
        found.extend(occurrences(each, start, end))
        if len(found) > most:
            raise LimitReached(
                f"maintenance is on more than {most} times within {start:%Y-%m-%d} to {end:%Y-%m-%d}; ask about a "
                "shorter time, or take some of it back",
                limit="maintenance_in_period",
                most=most,
            )
    return merged(found)


def exclude(spans: Sequence[Span], maintenance: Sequence[Interval]) -> list[Span]:
    """`spans` without the time of `maintenance` (both disjoint, in order): what is left is eligible. One merge."""
    if not spans or not maintenance:
        return list(spans)
    kept: list[Span] = []
    index, count = bisect_right(maintenance, spans[0].start, key=_end), len(maintenance)
    for span in spans:
        cursor = span.start
        while index < count and maintenance[index].start < span.end:
            planned = maintenance[index]
            if cursor < planned.start:
                kept.append(replace(span, start=cursor, end=planned.start))
            cursor = max(cursor, planned.end)
            if planned.end > span.end:
                break  # it takes something from the next span as well
            index += 1
        if cursor < span.end:
            kept.append(span if cursor == span.start else replace(span, start=cursor))
    return kept


def is_within(start: datetime, end: datetime, maintenance: Sequence[Interval]) -> bool:
    """Whether one of `maintenance` (disjoint, in order) covers all of `[start, end)`."""
    index = bisect_right(maintenance, start, key=_start) - 1
    return index >= 0 and end <= maintenance[index].end


def touching(maintenance: Sequence[Interval], start: datetime, end: datetime) -> list[Interval]:
    """The parts of `maintenance` (disjoint, in order) inside `[start, end)`."""
    first = bisect_right(maintenance, start, key=_end)
    after = bisect_left(maintenance, end, key=_start)
    return [Interval(max(i.start, start), min(i.end, end)) for i in maintenance[first:after]]
