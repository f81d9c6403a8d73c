"""SLA figures: windows, timeline, analysis, the operators' summary."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ecpmon.api.answers.common import Bounded, Bounds, Certainty, Day, ShownState
from ecpmon.model.availability import GapReason
from ecpmon.model.maintenance import Accounting, Category
from ecpmon.model.tenants import TenantStatus
from ecpmon.model.windows import SlaStatus, Verdict
from ecpmon.openapi.declaring import TypedDict


class BudgetMinutes(TypedDict):
    """`remaining` is negative when more was spent than there was."""

    total_minutes: float
    consumed_minutes: float
    remaining_minutes: float
    remaining_percent: float | None


class SlaWindow(TypedDict):
    """One window; `outside_minutes`: outside of the service hours, neither eligible nor charged."""

    window: str
    start: datetime
    end: datetime
    availability: float | None
    availability_other_accounting: Annotated[
        float | None, Field(description="by the rule for maintenance that the contract did not pick")
    ]
    bounds: Bounds
    coverage: float | None
    verdict: Verdict
    status: SlaStatus
    eligible_minutes: float
    up_minutes: float
    down_minutes: float
    gap_minutes: float
    maintenance_minutes: float
    outside_minutes: float
    to_come_minutes: Annotated[
        float, Field(description="what will yet be eligible of a window that is not over")
    ]
    error_budget: BudgetMinutes
    burn_rate: float | None
    projected_exhaustion: datetime | None
    failure_count: int
    recovery_time_avg: Annotated[float | None, Field(description="seconds")]
    time_between_failures_avg: Annotated[float | None, Field(description="seconds of up time per failure")]


class WindowContract(TypedDict):
    """The versions of the contract that judge a window; `target`: of all of them together."""

    versions: list[int]
    target: float | None
    valid_from: datetime


class JudgedWindow(SlaWindow):
    contract: WindowContract


class Sla(TypedDict):
    """`by_minute`: days of UTC with so many changes that only the totals of each minute are kept."""

    tenant_id: str
    target: float
    as_of: datetime
    deleted_at: datetime | None
    time_zone: str
    state: ShownState
    stale: bool
    maintenance_accounting: Accounting
    flap_limit_seconds: Annotated[
        float, Field(description="outages with less up time than that between them are one")
    ]
    by_minute: list[Day]
    windows: list[JudgedWindow]


class TimelinePoint(TypedDict):
    """A step of a plot, by its begin."""

    timestamp: datetime
    availability: float | None
    coverage: float | None
    down_minutes: float
    gap_minutes: float
    outside_minutes: float


Timeline = TypedDict(
    "Timeline",
    {
        "tenant_id": str,
        "window": str,
        "step": str,
        "from": Annotated[datetime, Field(description="The begin of the first point.")],
        "to": Annotated[datetime, Field(description="The end of the last one.")],
        "points": list[TimelinePoint],
    },
)


class ShownGap(TypedDict):
    """Nobody measured, and who was blind. `minutes`: as far as the tenant is unknown."""

    start: datetime
    end: datetime
    minutes: float
    reason: GapReason


class ShownExclusion(TypedDict):
    """Left out of what counts. `title`: of the window, or its reason."""

    start: datetime
    end: datetime
    category: Category
    title: str


Annotations = TypedDict(
    "Annotations",
    {
        "tenant_id": str,
        "from": datetime,
        "to": datetime,
        "gaps": list[ShownGap],
        "exclusions": list[ShownExclusion],
    },
)


class Analysis(Certainty):
    """A period that ends now; `uptime_percentage` says the same as `current_sla`."""

    tenant_id: str
    current_sla: float | None
    target_sla: float
    contract: WindowContract
    status: SlaStatus
    state: ShownState
    verdict: Verdict
    gap_minutes: float
    uptime_percentage: float | None
    failure_count: int
    recovery_time_avg: Annotated[float | None, Field(description="seconds")]
    flap_limit_seconds: float


class SummaryWindow(Bounded):
    contract_versions: list[int]
    availability: float | None
    status: SlaStatus
    budget_remaining_percent: float | None
    burn_rate: float | None


class BudgetLeft(TypedDict):
    remaining_minutes: float
    remaining_percent: float | None


class LastAlert(TypedDict):
    alert_name: str
    status: Literal["firing", "resolved"]
    at: datetime


SummaryWindows = TypedDict(
    "SummaryWindows",
    {
        "1h": SummaryWindow,
        "24h": SummaryWindow,
        "7d": SummaryWindow,
        "30d": SummaryWindow,
        "month": SummaryWindow,
    },
)
BurnRates = TypedDict("BurnRates", {"1h": float | None, "24h": float | None})


class SummaryRow(TypedDict):
    """A tenant, judged by its window of 30 days."""

    tenant_id: str
    name: str | None
    tenant_status: TenantStatus
    target: float
    state: ShownState
    stale: bool
    status: SlaStatus
    as_of: datetime
    windows: SummaryWindows
    error_budget: BudgetLeft
    burn_rate: BurnRates
    last_alert: LastAlert | None


class Summary(TypedDict):
    """The worst first."""

    as_of: datetime
    tenants: list[SummaryRow]
