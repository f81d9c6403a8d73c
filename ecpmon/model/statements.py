"""Values of monthly statements. Fractions and seconds, unrounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ecpmon.model.availability import Span
from ecpmon.model.maintenance import Accounting, Category, Interval, Withdrawn
from ecpmon.model.windows import Incident, Tally, WindowResult


@dataclass(frozen=True, slots=True)
class CreditTier:
    """`credit` (fraction of the fee) when availability is below `below` (fraction; None: the contract's target)."""

    below: float | None
    credit: float


@dataclass(frozen=True, slots=True)
class Contract:
    """What the statement is made under; part of its digest.

    `version`: the number of the contract's version. What follows `tiers` no statement of an earlier release has, and
    their `version` is the name of the credit table. `begins`: when the first month of a version with another time zone
    begins, which is when the month before has ended.
    """

    version: str
    target: float
    accounting: Accounting
    time_zone: str
    tiers: tuple[CreditTier, ...]
    valid_from: datetime | None = None
    credit_terms: str | None = None
    hours: Mapping[str, Any] | None = None
    begins: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Time taken out, with who approved it and why."""

    interval: Interval
    reason: str
    approved_by: str | None
    entered_at: datetime
    category: Category = Category.MAINTENANCE
    approved_at: datetime | None = None
    # Why it does not count yet; None: it counts.
    lacks: str | None = None


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    tally: Tally
    availability: float | None


@dataclass(frozen=True, slots=True)
class ComingDay:
    """How many seconds of a day, or of what is left of it, will be eligible, as far as is planned."""

    day: date
    seconds: float


@dataclass(frozen=True, slots=True)
class Statement:
    """A tenant-month. `final` is False while the month is not over. `deleted_at`: the tenant's end, and the month's.

    `credit` with its bounds is that of the whole month, if all that is to come of it is up.
    """

    tenant_id: str
    name: str
    month: str
    final: bool
    contract: Contract
    result: WindowResult
    days: tuple[Day, ...]
    # The rest of a month that is not over.
    to_come: tuple[ComingDay, ...]
    incidents: tuple[Incident, ...]
    gaps: tuple[Span, ...]
    exclusions: tuple[Exclusion, ...]
    # Seconds of what was measured that each category took out; time that several claim is the first one's.
    by_category: Mapping[Category, float]
    # What was entered and does not count yet.
    uncounted: tuple[Exclusion, ...]
    withdrawn: tuple[Withdrawn, ...]
    credit: float | None
    # If everything that nobody measured was up, and down.
    credit_bounds: tuple[float | None, float | None]
    deleted_at: datetime | None
    digest: str
