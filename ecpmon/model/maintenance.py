"""Maintenance: planned windows that a contract takes out of the SLA, or counts as up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Accounting(StrEnum):
    """The two rules in use (slo-practice.md, Maintenance); the contract picks one, both are shown."""

    EXCLUDE = "exclude"  # the time is not eligible
    COUNT_AS_UP = "count_as_up"


@dataclass(frozen=True, slots=True)
class Interval:
    """`[start, end)`, aware UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A window that people planned. With `rrule` it recurs: `start` is its first occurrence.

    Recurrences keep the wall-clock time of `time_zone` across DST; `duration` is real time. None of them begins at
    `until` or later.
    """

    maintenance_id: str
    start: datetime
    duration: timedelta
    reason: str
    created_by: str
    created_at: datetime
    time_zone: str = "UTC"
    rrule: str | None = None
    title: str = ""
    # None: who entered it.
    approved_by: str | None = None
    until: datetime | None = None
    # False for a rule that was entered before RFC 5545 was kept to the letter: it goes on as it did.
    by_rfc: bool = True


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Maintenance that somebody took back, its past occurrences included."""

    planned: Maintenance
    removed_at: datetime
    removed_by: str
