"""Alert rules and notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field

from ecpmon.api.answers.common import Hint
from ecpmon.api.answers.silences import Acknowledged, SilencedBy
from ecpmon.model.alerts import RuleKind, RuleStatus, Severity
from ecpmon.openapi.declaring import TypedDict


class ShownAction(TypedDict):
    """A webhook has `url` and `method`, an e-mail `recipients`. Values of headers may be secrets: they are `***`."""

    type: Literal["webhook", "email"]
    url: NotRequired[str]
    method: NotRequired[Literal["POST", "PUT"]]
    headers: NotRequired[dict[str, str]]
    recipients: NotRequired[list[str]]


class RuleHint(Hint):
    """`actions`: their places in the rule."""

    actions: list[int]


class ShownRule(TypedDict):
    """A rule with its state. `alert_id`: of the alert that stands."""

    rule_id: str
    tenant_id: str
    alert_name: str
    kind: RuleKind
    condition: str
    duration: Annotated[str, Field(examples=["300s"])]
    severity: Severity
    actions: list[ShownAction]
    state: RuleStatus
    since: datetime | None
    value: float | None
    frozen: Annotated[bool, Field(description="it cannot be decided: data is missing")]
    flapping: bool
    flapping_since: NotRequired[datetime | None]
    suppressed: NotRequired[int]
    alert_id: str | None
    silenced: Annotated[SilencedBy | None, Field(description="why nobody is told of it now")]
    acknowledged: Annotated[Acknowledged | None, Field(description="who has seen the alert that stands")]
    created_at: datetime
    objective: NotRequired[str]
    policy: NotRequired[
        Annotated[str, Field(description="of a burn rate: what `…/alerts/test` tries", examples=["page"])]
    ]
    hints: list[RuleHint]


class ShownRules(TypedDict):
    tenant_id: str
    alerts: list[ShownRule]


class MergedEvent(TypedDict):
    event_id: int
    rule_id: str
    alert_name: str
    to_state: str
    at: datetime


class Resend(TypedDict):
    """How a notification had ended when it was sent again, by whom and when."""

    at: datetime
    by: str
    note: str | None
    attempts: int
    last_status: int | None
    last_reason: str | None
    last_answer: str | None


class AlertDelivery(TypedDict):
    """A notification, its tries and the last answer."""

    notification_id: int
    webhook_id: str
    rule_id: str
    alert_name: str
    to_state: str
    action: ShownAction
    status: Literal["pending", "sent", "parked"]
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    finished_at: datetime | None
    last_status: int | None
    last_reason: str | None
    last_answer: str | None
    merged_count: int
    merged: Annotated[
        list[MergedEvent], Field(description="the first 20 events that it tells besides its own")
    ]
    resends: list[Resend]


class Deliveries(TypedDict):
    tenant_id: str
    deliveries: list[AlertDelivery]
