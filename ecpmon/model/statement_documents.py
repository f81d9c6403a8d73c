"""The shape of a statement as JSON, which is what is kept, shown and compared.

A statement that an earlier release closed is told as it was made: what it did not say then is not there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field

from ecpmon.model.maintenance import Accounting, Category
from ecpmon.model.windows import Verdict
from ecpmon.shapes import TypedDict

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Date = Annotated[str, Field(json_schema_extra={"format": "date"})]


class Ends(TypedDict):
    start: Time
    end: Time


class Between(TypedDict):
    low: float | None
    high: float | None


class ShownTier(TypedDict):
    """So much of the fee when availability is below that."""

    below: float
    credit_percent: float


class StatementContract(TypedDict):
    """What it was judged by. `versions`: of a quarter or a year, with the months of each."""

    version: str
    target: float
    maintenance_accounting: Accounting
    time_zone: str
    credit_tiers: list[ShownTier]
    valid_from: NotRequired[Time]
    credit_terms: NotRequired[str | None]
    hours: NotRequired[dict[str, Any] | None]
    begins: NotRequired[Annotated[Time, Field(description="when the first month of the version began")]]
    versions: NotRequired[list[ContractMonths]]


class ContractMonths(TypedDict):
    months: list[str]
    contract: StatementContract


class StatementBudget(TypedDict):
    total_minutes: float
    consumed_minutes: float
    remaining_minutes: float


class StatementDay(TypedDict):
    """1,500 eligible minutes on a day of 25 hours; less what was left out."""

    date: Date
    availability: float | None
    eligible_minutes: float
    down_minutes: float
    gap_minutes: float
    maintenance_minutes: float
    outside_minutes: NotRequired[float]


class StatementIncident(TypedDict):
    """Its own begin and end, which may lie outside of the month; what lies inside is counted."""

    start: Time
    end: Time | None
    ongoing: bool
    counted: NotRequired[Ends]
    down_minutes: float
    recovery_minutes: NotRequired[float | None]


class StatementGap(TypedDict):
    """Nobody measured, and who was blind. Of a gap in part the `share` that is unknown, and the minutes it makes."""

    start: Time
    end: Time
    minutes: float
    reason: str
    share: NotRequired[float]


class StatementExclusion(TypedDict):
    start: Time
    end: Time
    category: NotRequired[Category]
    reason: str
    approved_by: str | None
    approved_at: NotRequired[Time | None]
    entered_at: Time


class UncountedExclusion(StatementExclusion):
    lacks: str | None


class WithdrawnExclusion(TypedDict):
    """What was once taken out, and by whom it was put back."""

    start: Time
    rrule: str | None
    reason: str
    withdrawn_by: str
    withdrawn_at: Time


class DayToCome(TypedDict):
    """What of a day will yet be eligible."""

    date: Date
    eligible_minutes: float


class Rest(TypedDict):
    """What will yet be eligible, of what is not over."""

    to_come_minutes: NotRequired[float]
    days_to_come: NotRequired[list[DayToCome]]


class AllowedMinutes(TypedDict):
    total_minutes: float


class MonthToCome(Rest):
    """A month of a quarter or a year that has not begun."""

    month: str
    contract: StatementContract
    error_budget: AllowedMinutes


class StatementMonth(TypedDict):
    """A month of a quarter or a year, in short."""

    month: str
    state: Literal["final", "preliminary"]
    revision: NotRequired[int]
    contract: StatementContract
    availability: float | None
    bounds: Between
    coverage: float | None
    verdict: Verdict
    eligible_minutes: float
    down_minutes: float
    gap_minutes: float
    maintenance_minutes: float
    outside_minutes: NotRequired[float]
    to_come_minutes: NotRequired[float]
    error_budget: StatementBudget
    failure_count: int
    recovery_time_avg: float | None
    credit_percent: float | None
    credit_bounds: NotRequired[Between]
    digest: str


class StatementDocument(Rest):
    """Percentages 0 to 100, minutes. `month` is null for a quarter or a year, which `of` names in any case."""

    tenant_id: str
    name: str
    month: str | None
    of: NotRequired[str]
    state: Literal["final", "preliminary"]
    period: Ends
    deleted_at: NotRequired[Time | None]
    contract: StatementContract
    availability: float | None
    availability_other_accounting: float | None
    bounds: Between
    coverage: float | None
    verdict: Verdict
    credit_percent: float | None
    credit_bounds: NotRequired[Between]
    credit_of: NotRequired[str]
    eligible_minutes: float
    down_minutes: float
    gap_minutes: float
    maintenance_minutes: float
    outside_minutes: NotRequired[float]
    service_hours: NotRequired[
        Annotated[str | None, Field(description="of the week, in words; null: every hour")]
    ]
    error_budget: StatementBudget
    failure_count: int
    recovery_time_avg: Annotated[float | None, Field(description="seconds")]
    flap_limit_seconds: NotRequired[float | None]
    months: NotRequired[list[StatementMonth]]
    months_to_come: NotRequired[list[MonthToCome]]
    days: list[StatementDay]
    incidents: list[StatementIncident]
    gaps: NotRequired[list[StatementGap]]
    exclusions: list[StatementExclusion]
    exclusion_minutes: NotRequired[
        Annotated[dict[str, float], Field(description="of the minutes that were measured, by category")]
    ]
    uncounted_exclusions: NotRequired[list[UncountedExclusion]]
    withdrawn: NotRequired[list[WithdrawnExclusion]]
    digest: Annotated[str, Field(description="SHA-256 of what the figures were made of")]


class ToldStatement(StatementDocument):
    """A closed one has a `revision`, a preliminary one is `as_of` now. `restates`: what it changed."""

    as_of: NotRequired[Time]
    revision: NotRequired[int]
    revisions: NotRequired[int]
    closed_at: NotRequired[Time]
    restates: NotRequired[dict[str, Any] | None]
    imported: NotRequired[Annotated[list[Ends], Field(description="of which time history was imported")]]
