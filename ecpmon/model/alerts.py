"""Values of alerting: rules, their state, state changes, and what is sent about them.

All instants are aware UTC datetimes, all values are frozen. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal


class RuleKind(StrEnum):
    """What decides a rule: a written condition, or one of the SLA policies."""

    THRESHOLD = "threshold"
    BURN_RATE = "burn_rate"
    BUDGET = "budget"
    NO_DATA = "no_data"


class Severity(StrEnum):
    PAGE = "page"
    TICKET = "ticket"
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class WebhookAction:
    """Post the Alertmanager v4 body to `url`. `headers` are the user's own, as pairs."""

    url: str
    method: Literal["POST", "PUT"] = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    type: Literal["webhook"] = "webhook"


@dataclass(frozen=True, slots=True)
class EmailAction:
    recipients: tuple[str, ...]
    type: Literal["email"] = "email"


Action = WebhookAction | EmailAction


def action_to_dict(action: Action) -> dict[str, Any]:
    """The JSON shape of api.md §5, as it is stored and shown."""
    if isinstance(action, EmailAction):
        return {"type": "email", "recipients": list(action.recipients)}
    shape: dict[str, Any] = {"type": "webhook", "url": action.url, "method": action.method}
    return {**shape, "headers": dict(action.headers)} if action.headers else shape


def action_from_dict(data: Mapping[str, Any]) -> Action:
    """Inverse of `action_to_dict`. Raises ValueError for another type or method, KeyError for a lack."""
    match data["type"]:
        case "email":
            return EmailAction(recipients=tuple(data["recipients"]))
        case "webhook":
            method = str(data.get("method", "POST")).upper()
            if method not in ("POST", "PUT"):
                raise ValueError(f"a webhook is sent with POST or PUT, not {method!r}")
            headers = tuple((data.get("headers") or {}).items())
            return WebhookAction(
                url=data["url"], method="PUT" if method == "PUT" else "POST", headers=headers
            )
        case other:
            raise ValueError(f"an action is a webhook or an email, not {other!r}")


def action_key(action: Action) -> str:
    """16 hex digits naming an action within its rule; deliveries of one (rule, action) keep their order."""
    canonical = json.dumps(action_to_dict(action), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A tenant's rule. `condition` is text of the grammar; `policy` names an SLA rule's burn-rate policy.

    `objective`: what an SLA rule is about, by name, and `objective_key` by number; None: the tenant's availability.
    """

    rule_id: str
    tenant_id: str
    alert_name: str
    kind: RuleKind
    condition: str
    for_seconds: int
    severity: Severity
    actions: tuple[Action, ...] = ()
    policy: str | None = None
    objective: str | None = None
    objective_key: int | None = None

    @property
    def for_(self) -> timedelta:
        return timedelta(seconds=self.for_seconds)


class RuleStatus(StrEnum):
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class FlapPolicy:
    """A rule that fires `firings` times within `window` flaps, until it has been the same for `calm`."""

    firings: int
    window: timedelta
    calm: timedelta


@dataclass(frozen=True, slots=True)
class Flaps:
    """What flap control remembers of a rule. `fired`: when it fired lately; `since`: it flaps since then, and changed
    last at `changed_at`; `untold`: how many changes nobody was told of since then."""

    fired: tuple[datetime, ...] = ()
    since: datetime | None = None
    changed_at: datetime | None = None
    untold: int = 0


@dataclass(frozen=True, slots=True)
class RuleState:
    """Where a rule stands. Everything `for` needs is in here, so that it survives a restart.

    `since`: entered the present status; `pending_since`: the condition holds since then (kept while firing);
    `held`: how much of that time was actually seen to be true; `evaluated_at`: the last evaluation's event
    time; `frozen`: the last evaluation could not decide, since `frozen_since`.
    """

    status: RuleStatus = RuleStatus.INACTIVE
    since: datetime | None = None
    pending_since: datetime | None = None
    held: timedelta = timedelta(0)
    evaluated_at: datetime | None = None
    value: float | None = None
    frozen: bool = False
    frozen_since: datetime | None = None
    flaps: Flaps = Flaps()

    @property
    def flapping(self) -> bool:
        return self.flaps.since is not None

    @property
    def stands(self) -> bool:
        """Whether there is an alert: whoever is told of a flapping rule has one until it calms."""
        return self.status is not RuleStatus.INACTIVE or self.flapping


class TransitionReason(StrEnum):
    """Why a state changed. Shared by logs, metrics and tests."""

    CONDITION_TRUE = "condition_true"  # inactive -> pending
    FIRED_AT_ONCE = "fired_at_once"  # inactive or pending -> firing, a rule without `for`
    HELD_FOR = "held_for"  # pending -> firing
    CONDITION_CLEARED = "condition_cleared"  # pending -> inactive, nobody was told
    RESOLVED = "resolved"  # firing -> inactive
    RULE_DELETED = (
        "rule_deleted"  # pending or firing -> inactive: the rule is gone, whatever its condition says
    )
    RULE_REPLACED = "rule_replaced"  # the same, because it was changed: it starts anew
    OBJECTIVE_REMOVED = "objective_removed"  # the same, because what it was about is no longer promised
    FROZEN = "frozen"  # no status change: the answer depends on missing data
    THAWED = "thawed"  # no status change: the data is back
    CALMED = "calmed"  # no status change: the rule flaps no more
    ACKNOWLEDGED = "acknowledged"  # no status change: somebody has seen it
    UNACKNOWLEDGED = "unacknowledged"  # no status change: and does not look after it any more
    SILENCE_OVER = (
        "silence_over"  # no status change: it fires, of which nobody was told while it was silenced
    )


@dataclass(frozen=True, slots=True)
class Transition:
    """One change at event time `at`. `started_at` is when the alert began to fire, for those that did.

    `flapping`: the rule flaps from then on, or still; `told` False: therefore nobody is told, True: somebody is,
    whatever has changed, and `untold` is of how many changes before nobody was.
    """

    old: RuleStatus
    new: RuleStatus
    at: datetime
    value: float | None
    reason: TransitionReason
    started_at: datetime | None = None
    flapping: bool = False
    told: bool | None = None
    untold: int = 0

    @property
    def is_switch(self) -> bool:
        """Into or out of firing."""
        return self.old is not self.new and RuleStatus.FIRING in (self.old, self.new)

    @property
    def notifies(self) -> bool:
        """Firing and resolved are told to people; the others are recorded and shown."""
        return self.is_switch if self.told is None else self.told


@dataclass(frozen=True, slots=True)
class MergedBodies:
    """What one message tells of several alerts: their bodies in order, and how many alerts there was no room for."""

    bodies: tuple[Mapping[str, Any], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to one action of one rule. `id` grows with age: the outbox keeps this order.

    `tenant_key` is the tenant's number, `receiver` the server or mailbox, `payload` the message (JSON-able). `merged`:
    it tells more than its own event. `attempt` counts the tries already made and recorded since `created_at`, which is
    when it was made, or sent again. `receiver_failures`: in a row, when it was claimed. `claimed_until` tells this
    claim from others, of whoever may have it after that.
    """

    id: int
    idempotency_key: str
    tenant_key: int
    tenant_id: str
    rule_id: str
    alert_name: str
    action: Action
    receiver: str
    payload: Mapping[str, Any] = field(hash=False)
    attempt: int
    created_at: datetime
    merged: MergedBodies | None = field(default=None, hash=False)
    receiver_failures: int = 0
    claimed_until: datetime | None = field(default=None, compare=False)

    @property
    def queue(self) -> tuple[int, str]:
        """What its tenant has for its receiver."""
        return self.tenant_key, self.receiver


class DeliveryOutcome(StrEnum):
    DELIVERED = "delivered"
    RETRY = "retry"
    PARK = "park"


class DeliveryReason(StrEnum):
    """Why a delivery ended as it did. Shared by logs, metrics and tests."""

    ACCEPTED = "accepted"
    SERVER_ERROR = "server_error"  # 5xx of a webhook
    THROTTLED = "throttled"  # 429
    NETWORK = "network"  # no answer: connection, TLS, protocol
    UNRESOLVED = "unresolved"  # the name leads nowhere, or to where webhooks may not go: nobody learns which
    TIMEOUT = "timeout"
    REJECTED = "rejected"  # other 4xx of a webhook, 5xx of SMTP
    REDIRECTED = "redirected"
    REFUSED_TARGET = "refused_target"  # our own guard
    TEMPORARY_SMTP = "temporary_smtp"  # 4xx of SMTP, or our own server's trouble
    NO_NOTIFIER = "no_notifier"
    GAVE_UP = "gave_up"  # retried for a day
    INTERNAL = "internal"  # our own bug
    UNREADABLE = "unreadable"  # the row says nothing that can be sent


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """How one try ended. `answer` is an excerpt of what the receiver said, `error` what went wrong here.

    Both are shown to the tenant, so an error is one of a fixed set of sentences: never an exception's text, which may
    hold addresses of our own network. `detail` is for our log alone.
    """

    outcome: DeliveryOutcome
    reason: DeliveryReason
    status_code: int | None = None
    answer: str = ""
    error: str = ""
    detail: str = ""
    retry_after: timedelta | None = None
