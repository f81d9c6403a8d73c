"""Trying a rule on the past."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, StrictStr

from ecpmon.openapi.declaring import TypedDict
from ecpmon.shapes import Model


class TrialBody(Model):
    """A threshold rule, as it would be saved, or the name of a burn-rate policy."""

    model_config = ConfigDict(extra="forbid")

    condition: StrictStr | None = None
    duration: StrictStr | None = None
    policy: Literal["page", "ticket"] | None = None
    # What the policy is about, by name; None: the tenant's availability.
    objective: Annotated[StrictStr, Field(max_length=100)] | None = None
    target: StrictStr | None = None
    from_: StrictStr | None = Field(default=None, alias="from")
    to: StrictStr | None = None
    step: StrictStr | None = None
    # The rest of a rule's body: it changes nothing here, so a rule can be tried as it is before it is saved.
    alert_name: Any = None
    severity: Any = None
    actions: Any = None


class Firing(TypedDict):
    fired_at: datetime
    resolved_at: datetime | None
    value: float | None


class Detected(TypedDict):
    """An outage of the period, and when the rule would have told of it."""

    start: datetime
    end: datetime | None
    detected_at: datetime | None
    detection_delay_seconds: float | None
    budget_left_minutes_at_detection: float | None


class TrialBudget(TypedDict):
    """What is left at the end. Of an objective only the percentage is known."""

    window: str
    total_minutes: NotRequired[float]
    consumed_minutes: NotRequired[float]
    remaining_minutes: NotRequired[float]
    remaining_percent: float | None


Trial = TypedDict(
    "Trial",
    {
        "tenant_id": str,
        "condition": NotRequired[str],
        "policy": NotRequired[str | None],
        "objective": NotRequired[str],
        "duration": str,
        "target": float | None,
        "from": datetime,
        "to": datetime,
        "step_seconds": float,
        "resolution_seconds": Annotated[
            float | None, Field(description="of the averages that were read; null: single samples")
        ],
        "evaluations": int,
        "unknown_evaluations": int,
        "firings": list[Firing],
        "incidents": list[Detected],
        "messages": Annotated[int, Field(description="that would have been sent")],
        "suppressed": Annotated[
            int, Field(description="changes that nobody would have been told of: it flapped")
        ],
        "missed_incidents": int,
        "false_alarms": int,
        "budget": TrialBudget,
    },
)
