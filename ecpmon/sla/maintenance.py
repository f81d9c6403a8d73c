"""When maintenance is on, and what it takes out of a timeline. Pure. Recurrence rules: `sla.recurrence`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Final
from zoneinfo import ZoneInfo

from ecpmon.errors import Forbidden, LimitReached, ValidationFailed
from ecpmon.model.availability import Span
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.sla import recurrence_before
from ecpmon.sla.exclusions import Uncounted, lacks
from ecpmon.sla.recurrence import Recurrence
from ecpmon.sla.rrule_text import rule_of

LONGEST: Final = timedelta(days=31)
RETROACTIVE: Final = timedelta(days=30)
# By who is authorised to: closed months are restated by it.
RETROACTIVE_RULES: Final = timedelta(days=366)
LONG_REASON: Final = 10
# Figures are asked of these instants for ever, so there must be such instants.
AHEAD: Final = timedelta(days=3660)
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


def recurrence(text: str, start: datetime, time_zone: str, *, new: bool = False) -> Recurrence:
    """A parsed RFC 5545 rule whose occurrences are wall-clock times of `time_zone`. Raises ValidationFailed.

    `new`: it must happen within ten years.
    """
    try:
        found = Recurrence(rule_of(text), start, zone(time_zone))
        if new and found.next(AHEAD) is None:
            raise ValueError("it never happens within ten years")
    except (ValueError, OverflowError) as error:
        raise ValidationFailed(
            f"the recurrence rule is not usable: {error}", fields=[{"field": "rrule", "message": str(error)}]
        ) from error
    return found


def check(planned: Maintenance, now: datetime, *, authorised: bool = False) -> None:
    """Refuse what cannot be meant. Raises ValidationFailed naming the field.

    `authorised`: who enters it may say what recurred in the past. Raises Forbidden for who may not.
    """
    recurred = planned.rrule is not None and planned.start < now
    if recurred and not authorised:
        raise Forbidden(
            "recurring maintenance that began in the past is entered by a tenant_admin or admin; enter past times "
            "one by one, or let it begin in the future"
        )
    problem = _problem(planned, now, RETROACTIVE_RULES if recurred else RETROACTIVE)
    if problem:
        field, message = problem
        raise ValidationFailed(f"{field}: {message}", fields=[{"field": field, "message": message}])
    zone(planned.time_zone)
    if planned.rrule is not None:
        recurrence(planned.rrule, planned.start, planned.time_zone, new=True)


def _problem(planned: Maintenance, now: datetime, ago: timedelta) -> tuple[str, str] | None:
    """`ago`: how far back it may begin."""
    if planned.duration <= timedelta(0):
        return "end", "must lie after start"
    if planned.duration > LONGEST:
        return "end", f"maintenance lasts at most {LONGEST.days} days"
    if not planned.reason.strip():
        return "reason", "say why; statements show it"
    if planned.rrule is not None and planned.start < now and len(planned.reason.strip()) < LONG_REASON:
        return "reason", f"say in at least {LONG_REASON} characters why it is entered afterwards"
    if planned.start > now + AHEAD:
        return "start", "lies more than ten years ahead"
    if planned.start < now - ago:
        return "start", f"maintenance is entered at most {ago.days} days afterwards"
    return None


def occurrences(planned: Maintenance, start: datetime, end: datetime) -> list[Interval]:
    """The parts of `[start, end)` that `planned` covers and that count."""
    found = _within(planned, start, end)
    if planned.notice is None and not planned.needs_approval:
        return [i for _, i in found]
    return [i for begin, i in found if lacks(planned, begin) is None]


def uncounted(planned: Maintenance, start: datetime, end: datetime) -> list[Uncounted]:
    """The parts of `[start, end)` that `planned` covers and that do not count yet."""
    found = _within(planned, start, end)
    return [Uncounted(i, planned, why) for begin, i in found if (why := lacks(planned, begin)) is not None]


def _within(planned: Maintenance, start: datetime, end: datetime) -> list[tuple[datetime, Interval]]:
    """When each occurrence begins, and what of it lies in `[start, end)`."""
    if planned.rrule is None:
        begins: Sequence[datetime] = (planned.start,)
    else:
        local_zone = zone(planned.time_zone)
        first = (start - planned.duration - _CLOCK_CHANGE).astimezone(local_zone).date()
        last = (end + 2 * _CLOCK_CHANGE).astimezone(local_zone).date()
        begins = _begins(planned.rrule, planned.start, planned.time_zone, planned.by_rfc, first, last)
        begins = [b for b in begins if planned.until is None or b < planned.until]
    found = [(b, b + planned.duration) for b in begins]
    return [(b, Interval(max(b, start), min(e, end))) for b, e in found if b < end and e > start]


def densest(planned: Maintenance) -> int:
    """How often it begins within 93 days at most, as far as its first sixteen months tell; at least once."""
    if planned.rrule is None:
        return 1
    local = planned.start.astimezone(zone(planned.time_zone)).date()
    begins = _begins(planned.rrule, planned.start, planned.time_zone, planned.by_rfc, local, local + _SEEN)
    return max((bisect_left(begins, at + _QUARTER) - n for n, at in enumerate(begins)), default=1)


@lru_cache(maxsize=4096)
def _begins(
    text: str, start: datetime, time_zone: str, by_rfc: bool, first: date, last: date
) -> tuple[datetime, ...]:
    """The instants at which a rule begins between two days. By days, so that jobs find it done since midnight."""
    if by_rfc:
        return tuple(recurrence(text, start, time_zone).begins(first, last))
    try:
        return tuple(recurrence_before.begins(text, start, zone(time_zone), first, last))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise ValidationFailed(
            f"the recurrence rule is not usable: {error}", fields=[{"field": "rrule", "message": str(error)}]
        ) from error


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


def without(intervals: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """What of `intervals` lies in none of `others` (each disjoint and in order). One merge."""
    if not others:
        return list(intervals)
    kept: list[Interval] = []
    index, count = 0, len(others)
    for interval in intervals:
        cursor = interval.start
        while index < count and others[index].end <= cursor:
            index += 1
        place = index
        while place < count and others[place].start < interval.end:
            if cursor < others[place].start:
                kept.append(Interval(cursor, others[place].start))
            cursor = max(cursor, others[place].end)
            place += 1
        if cursor < interval.end:
            kept.append(interval if cursor == interval.start else Interval(cursor, interval.end))
    return kept


def is_within(start: datetime, end: datetime, maintenance: Sequence[Interval]) -> bool:
    """Whether one of `maintenance` (disjoint, in order) covers all of `[start, end)`."""
    index = bisect_right(maintenance, start, key=_start) - 1
    return index >= 0 and end <= maintenance[index].end


def touching(maintenance: Sequence[Interval], start: datetime, end: datetime) -> list[Interval]:
    """The parts of `maintenance` (disjoint, in order) inside `[start, end)`."""
    if not maintenance:
        return []
    first = bisect_right(maintenance, start, key=_end)
    after = bisect_left(maintenance, end, key=_start)
    return [Interval(max(i.start, start), min(i.end, end)) for i in maintenance[first:after]]
