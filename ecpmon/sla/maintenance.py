"""When maintenance is on, and what it takes out of a timeline. Pure.

Recurrence rules are RFC 5545; python-dateutil expands them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from ecpmon.errors import ValidationFailed
from ecpmon.model.availability import Span
from ecpmon.model.maintenance import Interval, Maintenance

LONGEST: Final = timedelta(days=31)
RETROACTIVE: Final = timedelta(days=30)
MAX_RRULE: Final = 500
# More often than this is not maintenance but the normal state.
MAX_OCCURRENCES: Final = 5_000
_COARSE: Final = re.compile(r"FREQ=(YEARLY|MONTHLY|WEEKLY|DAILY)\b", re.IGNORECASE)


def zone(name: str) -> ZoneInfo:
    """The time zone called `name`. Raises ValidationFailed."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationFailed(
            f"unknown time zone {name[:60]!r}; take a name such as Asia/Seoul",
            fields=[{"field": "time_zone", "message": "unknown"}],
        ) from None


def recurrence(text: str, start: datetime, time_zone: str) -> rrule:
    """A parsed RFC 5545 rule whose occurrences are wall-clock times of `time_zone`. Raises ValidationFailed."""
    local = start.astimezone(zone(time_zone)).replace(tzinfo=None)
    try:
        if len(text) > MAX_RRULE or "DTSTART" in text.upper():
            raise ValueError("at most 500 characters, without DTSTART")
        # UNTIL in UTC does not mix with naive wall-clock times; only its date and time are taken.
        rule = rrulestr(text.replace("Z", "") if "UNTIL" in text.upper() else text, dtstart=local)
        if isinstance(rule, rruleset):
            raise ValueError("one rule, without EXDATE and RDATE")  # noqa: TRY004 - becomes a field error below
        if not _COARSE.search(text):
            raise ValueError("FREQ must be YEARLY, MONTHLY, WEEKLY or DAILY")
        if rule.after(local, inc=True) is None:
            raise ValueError("it never happens")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ValidationFailed(
            f"the recurrence rule is not usable: {error}", fields=[{"field": "rrule", "message": str(error)}]
        ) from error
    return rule


def check(planned: Maintenance, now: datetime) -> None:
    """Refuse what cannot be meant. Raises ValidationFailed naming the field."""
    problem = _problem(planned, now)
    if problem:
        field, message = problem
        raise ValidationFailed(f"{field}: {message}", fields=[{"field": field, "message": message}])
    zone(planned.time_zone)
    if planned.rrule is not None:
        recurrence(planned.rrule, planned.start, planned.time_zone)


def _problem(planned: Maintenance, now: datetime) -> tuple[str, str] | None:
    if planned.duration <= timedelta(0):
        return "end", "must lie after start"
    if planned.duration > LONGEST:
        return "end", f"maintenance lasts at most {LONGEST.days} days"
    if not planned.reason.strip():
        return "reason", "say why; statements show it"
    if planned.rrule is not None and planned.start < now:
        return "start", "recurring maintenance begins in the future; enter past times one by one"
    if planned.start < now - RETROACTIVE:
        return "start", f"maintenance is entered at most {RETROACTIVE.days} days afterwards"
    return None


def occurrences(planned: Maintenance, start: datetime, end: datetime) -> list[Interval]:
    """The parts of `[start, end)` that `planned` covers."""
    if planned.rrule is None:
        found = [Interval(planned.start, planned.start + planned.duration)]
    else:
        local_zone = zone(planned.time_zone)
        rule = recurrence(planned.rrule, planned.start, planned.time_zone)
        first = (start - planned.duration).astimezone(local_zone).replace(tzinfo=None)
        last = end.astimezone(local_zone).replace(tzinfo=None)
        begins = [b.replace(tzinfo=local_zone).astimezone(UTC) for b in rule.between(first, last, inc=True)]
        found = [Interval(b, b + planned.duration) for b in begins[:MAX_OCCURRENCES]]
    return [Interval(max(i.start, start), min(i.end, end)) for i in found if i.start < end and i.end > start]


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Overlapping and touching intervals made one, in order."""
    result: list[Interval] = []
    for interval in sorted(intervals, key=lambda i: i.start):
        if result and interval.start <= result[-1].end:
            result[-1] = Interval(result[-1].start, max(result[-1].end, interval.end))
        elif interval.start < interval.end:
            result.append(interval)
    return result


def covered(planned: Iterable[Maintenance], start: datetime, end: datetime) -> list[Interval]:
    """When any of `planned` is on within `[start, end)`, disjoint and in order."""
    return merged(i for p in planned for i in occurrences(p, start, end))


def exclude(spans: Sequence[Span], maintenance: Sequence[Interval]) -> list[Span]:
    """`spans` without the time of `maintenance` (disjoint, in order): what is left is eligible."""
    kept: list[Span] = []
    for span in spans:
        cursor = span.start
        for interval in maintenance:
            if interval.end <= cursor or interval.start >= span.end:
                continue
            if cursor < interval.start:
                kept.append(replace(span, start=cursor, end=interval.start))
            cursor = max(cursor, interval.end)
        if cursor < span.end:
            kept.append(replace(span, start=cursor))
    return kept
