"""What recurrence rules meant that were entered before RFC 5545 was kept to the letter. Pure.

They go on as they were, so that no closed statement changes by an update: python-dateutil expands them, takes times
that the clock skips for an hour later and counts them, and `UNTIL` as a date ends at its midnight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from dateutil.rrule import rrule


def begins(text: str, start: datetime, zone: ZoneInfo, first: date, last: date) -> Iterator[datetime]:
    """The instants, in UTC, at which it begins on the days `first` to `last` of its zone. Raises ValueError."""
    found = _rule(text, start, zone).between(
        datetime.combine(first, time()), datetime.combine(last, time()), inc=True
    )
    return (b.replace(tzinfo=zone).astimezone(UTC) for b in found)


@lru_cache(maxsize=256)
def _rule(text: str, start: datetime, zone: ZoneInfo) -> rrule:
    from dateutil.rrule import rrulestr

    pairs = [part.partition("=") for part in text.strip().upper().removeprefix("RRULE:").split(";") if part]
    parts = {name.strip(): value.strip() for name, _, value in pairs}
    if "UNTIL" in parts:
        parts["UNTIL"] = _wall_clock(parts["UNTIL"], zone)
    joined = ";".join(f"{name}={value}" for name, value in parts.items())
    return cast("rrule", rrulestr(joined, dtstart=start.astimezone(zone).replace(tzinfo=None)))


def _wall_clock(until: str, zone: ZoneInfo) -> str:
    """UNTIL as the occurrences are; a date is its midnight."""
    if not re.fullmatch(r"[0-9]{8}(T[0-9]{6}Z?)?", until):
        raise ValueError("UNTIL must be such as 20261231T235959Z")
    at = datetime.strptime(until[:15].ljust(9, "T").ljust(15, "0"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - wall clock
    local = at.replace(tzinfo=UTC).astimezone(zone) if until.endswith("Z") else at
    return f"{local:%Y%m%dT%H%M%S}"
