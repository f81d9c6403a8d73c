"""Outages, and what was done about them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from ecpmon.api.answers.common import Day
from ecpmon.model.recovery import RecoveryReason, RecoveryState
from ecpmon.openapi.declaring import TypedDict


class Stretch(TypedDict):
    start: datetime
    end: datetime


class IncidentRecovery(TypedDict):
    """`joined_alerts`: how many more came while it was under way."""

    recovery_id: str
    alert_name: str
    fingerprint: str
    alert_starts_at: datetime
    joined_alerts: int
    state: RecoveryState
    reason: RecoveryReason
    created_at: datetime
    restarted_at: datetime | None
    escalated_at: datetime | None
    ended_at: datetime | None


class ShownIncident(TypedDict):
    """`start` and `end` are its own; `counted`, `down_seconds` and `budget_minutes` are what lies within the range that
    was asked about."""

    start: datetime
    end: datetime | None
    ongoing: bool
    duration_seconds: float
    counted: Stretch
    down_seconds: float
    recovery_seconds: Annotated[
        float | None, Field(description="down time of the whole incident, outside of maintenance")
    ]
    cause: str | None
    budget_minutes: float
    recoveries: list[IncidentRecovery]


Incidents = TypedDict(
    "Incidents",
    {
        "tenant_id": str,
        "from": datetime,
        "to": datetime,
        "flap_limit_seconds": Annotated[
            float, Field(description="outages with less up time than that between them are one")
        ],
        "by_minute": Annotated[
            list[Day],
            Field(description="days of UTC on which an outage begins and ends at a whole minute"),
        ],
        "incidents": list[ShownIncident],
        "gap_minutes": Annotated[
            float, Field(description="in which there may have been more: nobody measured")
        ],
        "other_recoveries": Annotated[
            list[IncidentRecovery], Field(description="alerts that no measured outage belongs to")
        ],
    },
)
