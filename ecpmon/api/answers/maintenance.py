"""Planned windows of one tenant, and the same window for many."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field

from ecpmon.api.answers.common import Hint
from ecpmon.model.maintenance import Category
from ecpmon.openapi.declaring import TypedDict
from ecpmon.sla.exclusions import Lacks


class Occurrence(TypedDict):
    start: datetime
    end: datetime
    counts: bool


class PlannedStanding(TypedDict):
    """Whether a window counts, and what it lacks. `approved_by`: who answers for it in a statement."""

    category: Category
    counts: bool
    lacks: Lacks | None
    counts_from: Annotated[
        datetime | None, Field(description="of a recurring one what begins then or later needs no approval")
    ]
    notice_hours: float | None
    hint: Hint | None
    approved_by: str | None
    approved_at: datetime | None
    named_approver: str | None


class PlannedWindow(PlannedStanding):
    """`end`: of its first occurrence; `rrule_reading`: how its rule is understood, `as_before` for an old one."""

    title: str
    reason: str
    start: datetime
    end: datetime
    duration_seconds: float
    rrule: str | None
    rrule_reading: Literal["rfc5545", "as_before"] | None
    time_zone: str
    ends_at: datetime | None
    created_by: str
    created_at: datetime
    next_occurrences: Annotated[list[Occurrence], Field(description="ten, within 90 days")]


class PlannedMaintenance(PlannedWindow):
    id: str


class MaintenanceList(TypedDict):
    tenant_id: str
    maintenance: list[PlannedMaintenance]


Outcome = Literal["chosen", "laid", "already", "taken_back", "refused"]


class ExclusionRow(TypedDict):
    """What became of one tenant."""

    tenant_id: str
    outcome: Outcome
    maintenance_id: NotRequired[str | None]
    error: NotRequired[Hint]


class Exclusions(TypedDict):
    """What became of the tenants that were chosen, and how often what. `chosen`: of a `dry_run`, which does nothing."""

    request_id: str
    window: PlannedWindow
    laid: int
    already: int
    taken_back: int
    refused: int
    chosen: NotRequired[int]
    tenants: list[ExclusionRow]


class ExclusionsApproved(TypedDict):
    request_id: str
    approved: int
    tenants: list[str]


class ExclusionsRemoved(TypedDict):
    request_id: str
    removed: int
    tenants: list[str]
