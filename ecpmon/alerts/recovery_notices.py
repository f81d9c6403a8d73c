"""What people are told about a recovery: the Alertmanager v4 body, as for any other alert. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from ecpmon.alerts.message import (
    OPEN_END,
    Draft,
    alertmanager_body,
    fingerprint,
    one_recipient_each,
    rfc3339,
)
from ecpmon.model.alerts import Action, AlertRule, action_key
from ecpmon.model.recovery import Recovery, RecoveryReason, RecoveryState

ALERT_NAME: Final = "ECPTenantRecovery"
WHY: Final = {
    RecoveryReason.UP_AGAIN: "it is up again after the restart",
    RecoveryReason.UP_AFTER_ESCALATION: "it is up again",
    RecoveryReason.UP_BEFORE_RESTART: "it was up before a restart was due",
    RecoveryReason.MEASURED_UP: "an alert says that it is down, and it is measured up, so nothing is restarted",
    RecoveryReason.MEASURED_DOWN: "it is measured down, so it is restarted",
    RecoveryReason.ALERT_BELIEVED: "an alert says that it is down and nothing measured denies it, so it is restarted",
    RecoveryReason.ALERT_GONE: "Alertmanager does not have the alert any more, and it is measured up",
    RecoveryReason.ALERT_OVER: "the alert is over; nobody has measured whether it is up",
    RecoveryReason.SILENCED: "the alert is silenced; looked at again when it is not",
    RecoveryReason.SETTLING: "it is up, not yet for long enough",
    RecoveryReason.AWAITING_EVIDENCE: "nothing is measured yet",
    RecoveryReason.RESOLVED_BEFORE_RESTART: "the alert was withdrawn before the restart",
    RecoveryReason.STILL_DOWN: "it is still down after the restart",
    RecoveryReason.NOT_MEASURED: "nobody has measured it since the restart, so nobody knows",
    RecoveryReason.TOO_MANY_RESTARTS: "it was restarted too often already",
    RecoveryReason.NOT_DEPLOYED: "it is not deployed by ecpmon, so there is nothing to restart",
    RecoveryReason.NO_DEPLOYER: "nothing here can restart it where it is deployed",
    RecoveryReason.NOTHING_TO_RESTART: "it has no deployments to restart",
    RecoveryReason.RESTART_FAILED: "the restart failed",
    RecoveryReason.DEPLOYER_UNAVAILABLE: "the deployer does not answer; it is asked again",
    RecoveryReason.RESTARTED: "it was restarted; the re-check will tell",
    RecoveryReason.IN_MAINTENANCE: "maintenance is on; looked at again when it is over",
}


def summary(recovery: Recovery, state: RecoveryState, reason: RecoveryReason, detail: str) -> str:
    """One line for people."""
    said = f"recovery of {recovery.tenant_id}: {state.value}, {WHY.get(reason, reason.value)}"
    return f"{said} ({detail})" if detail else said


def actions_of(rules: Iterable[AlertRule], default: Sequence[Action]) -> tuple[Action, ...]:
    """Whom to tell: everybody a rule of the tenant tells, each once; nobody there: the default."""
    named = dict.fromkeys(action for rule in rules for action in rule.actions)
    return tuple(dict.fromkeys(one_recipient_each(tuple(named) or tuple(default))))


def recovery_drafts(
    recovery: Recovery,
    state: RecoveryState,
    reason: RecoveryReason,
    detail: str,
    actions: Sequence[Action],
    now: datetime,
    external_url: str,
) -> tuple[Draft, ...]:
    """What is open fires, what is over resolves; one draft per action, its key the same whenever it is made."""
    body = _body(recovery, state, reason, detail, now, external_url)
    return tuple(Draft(_key(recovery, state, action), action, body) for action in actions)


def _body(
    recovery: Recovery,
    state: RecoveryState,
    reason: RecoveryReason,
    detail: str,
    now: datetime,
    external_url: str,
) -> dict[str, Any]:
    group = {"alertname": ALERT_NAME, "tenant_id": recovery.tenant_id, "recovery_id": recovery.recovery_id}
    labels = {**group, "severity": recovery.severity, "alert": recovery.alert_name}
    resolved = state in (RecoveryState.RECOVERED, RecoveryState.CLOSED)
    annotations = {
        "summary": summary(recovery, state, reason, detail),
        "reason": reason.value,
        "restarted": str(recovery.restarted or 0),
        **({"detail": detail} if detail else {}),
    }
    item = {
        "status": "resolved" if resolved else "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": rfc3339(recovery.created_at),
        "endsAt": rfc3339(now) if resolved else OPEN_END,
        "generatorURL": f"{external_url.rstrip('/')}/api/v1/tenants/{recovery.tenant_id}/recoveries",
        "fingerprint": fingerprint(labels),
    }
    return alertmanager_body([item], group, external_url)


def _key(recovery: Recovery, state: RecoveryState, action: Action) -> str:
    identity = ("recovery", recovery.recovery_id, state.value, action_key(action))
    return hashlib.sha256("\x00".join(identity).encode()).hexdigest()[:32]
