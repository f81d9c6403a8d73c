"""Exclusions: windows that a contract takes out of the SLA, or counts as up. Most are maintenance, and all are called
so where nothing depends on what they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Accounting(StrEnum):
    """The two rules in use (slo-practice.md, Maintenance); the contract picks one, both are shown."""

    EXCLUDE = "exclude"  # the time is not eligible
    COUNT_AS_UP = "count_as_up"


class Category(StrEnum):
    """Why time is left out, in the order in which time that several claim is theirs."""

    FORCE_MAJEURE = "force_majeure"
    CUSTOMER = "customer"
    MAINTENANCE = "maintenance"
    DEPLOYMENT = "deployment"
    OTHER = "other"


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
    # Who agreed to it, as whoever entered it says; None: nobody is named. For approvals see below.
    approved_by: str | None = None
    until: datetime | None = None
    # False for a rule that was entered before RFC 5545 was kept to the letter: it goes on as it did.
    by_rfc: bool = True
    category: Category = Category.MAINTENANCE
    # The rules of the day on which it was entered: whether it counts only once somebody else has approved it, and how
    # long before it begins it has to be entered to count without that. They are kept: another setting changes no past.
    needs_approval: bool = False
    notice: timedelta | None = None
    # Who approved it: another one than entered it.
    approver: str | None = None
    approved_at: datetime | None = None
    # The token that entered it, such as production:7.
    token: str | None = None
    # The request that laid the same window on many tenants.
    laid_by: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Maintenance that somebody took back, its past occurrences included."""

    planned: Maintenance
    removed_at: datetime
    removed_by: str
