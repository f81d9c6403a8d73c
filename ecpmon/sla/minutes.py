"""Minutes and days of UTC, by which a timeline is kept that changes too often. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

MINUTE: Final = timedelta(minutes=1)


def minute_before(at: datetime) -> datetime:
    """The whole minute at or before `at`."""
    return at.replace(second=0, microsecond=0)


def minute_after(at: datetime) -> datetime:
    """The whole minute at or after `at`."""
    whole = minute_before(at)
    return whole if whole == at else whole + MINUTE


def day_of(at: datetime) -> date:
    """The UTC day, which is what is kept by the minute or not."""
    return at.astimezone(UTC).date()
