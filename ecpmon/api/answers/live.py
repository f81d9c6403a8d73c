"""What is said in sockets. Errors have the one error shape."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field

from ecpmon.api.answers.common import Certainty
from ecpmon.api.answers.sla import SummaryRow
from ecpmon.model.windows import SlaStatus
from ecpmon.openapi.declaring import TypedDict


class LiveMetrics(TypedDict):
    """The newest values by metric. With `state` it tells that the tenant has become that, and `up` is among them."""

    timestamp: Annotated[datetime, Field(description="of the newest value")]
    tenant_id: str
    metrics: dict[str, float]
    state: NotRequired[Literal["up", "down", "gap"]]


class SlaFigures(Certainty):
    """Of the last 24 hours."""

    availability: float | None
    status: SlaStatus
    uptime_percentage: float | None
    downtime_minutes: float


class RealtimeMetrics(LiveMetrics):
    sla_data: Annotated[SlaFigures | None, Field(description="null: not known right now")]


class FleetChanges(TypedDict):
    """Rows of `GET /api/v1/sla/summary` that are others than this socket was told last, or than when it was opened.
    One without any is sent when there has been none for some seconds: so one can see that the figures are looked at."""

    as_of: Annotated[datetime, Field(description="When they were looked at; it stands while they cannot be.")]
    away: Annotated[
        bool, Field(description="Whether they cannot be looked at: the database is away since `as_of`.")
    ]
    gone: Annotated[
        list[str], Field(description="Tenants that are no more; one of that name may follow in `tenants`.")
    ]
    tenants: list[SummaryRow]


AlertType = Literal[
    "resource_usage",
    "threshold",
    "sla_burn_rate",
    "sla_budget",
    "no_data",
    "recovery",
    "alertmanager",
]


class AlertMessage(TypedDict):
    """An alert that fires or is resolved. `flapping` and `suppressed`: changes not told, as the rule flaps; `silenced`:
    nobody was told of this one; `acknowledged`: somebody has seen it (false: and does not look after it any more)."""

    alert_id: str
    tenant_id: str | None
    severity: str
    type: AlertType
    message: str
    metric: str | None
    current_value: float | None
    threshold: float | None
    status: Literal["firing", "resolved"]
    timestamp: datetime
    flapping: NotRequired[bool]
    suppressed: NotRequired[int]
    silenced: NotRequired[Literal[True]]
    acknowledged: NotRequired[bool]
    objective: NotRequired[str]


class Pong(TypedDict):
    action: Literal["pong"]


class Ping(TypedDict):
    action: Literal["ping"]


class Unsubscribe(TypedDict):
    """Nothing but changes of the tenant's state from now on."""

    action: Literal["unsubscribe"]


class WithoutEffect(TypedDict):
    """Taken, and of no effect: every alert is told."""

    action: Literal["subscribe", "unsubscribe"]
