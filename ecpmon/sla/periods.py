"""Windows by name: rolling ones, and calendar months and quarters in the tenant's time zone. Pure.

Ends are exclusive, and lengths are real seconds across DST.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from ecpmon.model.windows import ROLLING_WINDOWS

CALENDAR_WINDOWS: Final = ("month", "quarter")
WINDOW_NAMES: Final = (*ROLLING_WINDOWS, *CALENDAR_WINDOWS)
# No named window reaches further back: a quarter of 92 days and its hour of DST.
LONGEST_WINDOW: Final = timedelta(days=93)


@dataclass(frozen=True, slots=True)
class Period:
    """`[start, end)`. A calendar period may end after `now`: its budget is that of the whole period."""

    start: datetime
    end: datetime


def midnight(year: int, month: int, zone: ZoneInfo) -> datetime:
    """The instant at which a month begins in `zone`, in UTC. `month` may be 13: January of the next year."""
    year, month = (year + 1, month - 12) if month > 12 else (year, month)
    return datetime(year, month, 1, tzinfo=zone).astimezone(UTC)


def month_of(year: int, month: int, zone: ZoneInfo) -> Period:
    return Period(midnight(year, month, zone), midnight(year, month + 1, zone))


@lru_cache(maxsize=256)
def period(name: str, now: datetime, zone: ZoneInfo) -> Period:
    """The window called `name` as of `now`. Raises KeyError for an unknown name.

    Jobs ask it of thousands of tenants at one instant.
    """
    local = now.astimezone(zone)
    if name == "month":
        return month_of(local.year, local.month, zone)
    if name == "quarter":
        first = (local.month - 1) // 3 * 3 + 1
        return Period(midnight(local.year, first, zone), midnight(local.year, first + 3, zone))
    return Period(now - ROLLING_WINDOWS[name], now)
