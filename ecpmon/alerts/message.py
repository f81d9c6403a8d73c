"""What is sent about an alert: the Alertmanager webhook body, version "4", and the WebSocket event. Pure.

Source: Alertmanager's documentation of `webhook_config`, ecosystem.md. Receivers written for Alertmanager
work unchanged; the fingerprint is computed as Prometheus does it, so that they can deduplicate on
(`fingerprint`, `startsAt`, `status`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from ecpmon.alerts.evaluate import Reading
from ecpmon.alerts.syntax import format_duration, format_number
from ecpmon.model.alerts import (
    Action,
    AlertRule,
    EmailAction,
    Notification,
    RuleStatus,
    Transition,
    TransitionReason,
    action_key,
)
from ecpmon.ports.alerts import NewEvent
from ecpmon.sla.burn import BurnDecision

OPEN_END: Final = "0001-01-01T00:00:00Z"
RECEIVER: Final = "ecpmon"
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_WITHDRAWN: Final = {
    TransitionReason.RULE_DELETED: "its rule was deleted",
    TransitionReason.RULE_REPLACED: "its rule was changed",
    TransitionReason.OBJECTIVE_REMOVED: "its objective was removed",
}
_FLAPS: Final = "It fires again and again. What it does next is told when it has stayed the same for a while."
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def rfc3339(at: datetime) -> str:
    """UTC with `Z`; fractions only where there are any. `at` is aware."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 hex digits of FNV-1a over the sorted labels, as `model.LabelSet.Fingerprint` of Prometheus."""
    value = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def rule_labels(rule: AlertRule) -> dict[str, str]:
    """The identity of an alert; nothing in here changes while it fires."""
    return {
        "alertname": rule.alert_name,
        "rule_id": rule.rule_id,
        "severity": rule.severity.value,
        "tenant_id": rule.tenant_id,
        **({"objective": rule.objective} if rule.objective else {}),
    }


def alert_item(
    rule: AlertRule, transition: Transition, reading: Reading | None, api_url: str
) -> dict[str, Any]:
    """One entry of `alerts[]` for a transition into or out of firing."""
    labels = rule_labels(rule)
    firing = transition.new is RuleStatus.FIRING
    return {
        "status": "firing" if firing else "resolved",
        "labels": labels,
        "annotations": _annotations(rule, transition, reading),
        "startsAt": rfc3339(transition.started_at or transition.at),
        "endsAt": OPEN_END if firing else rfc3339(transition.at),
        "generatorURL": f"{api_url.rstrip('/')}/api/v1/tenants/{rule.tenant_id}/alerts/{rule.rule_id}",
        "fingerprint": fingerprint(labels),
    }


def alertmanager_body(
    alerts: Sequence[Mapping[str, Any]], group_labels: Mapping[str, str], external_url: str
) -> dict[str, Any]:
    """The whole webhook body around one or more `alert_item`s of one group."""
    firing = any(alert["status"] == "firing" for alert in alerts)
    group = ", ".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(group_labels.items()))
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{group}}}",
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": RECEIVER,
        "groupLabels": dict(group_labels),
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": external_url,
        "alerts": [dict(alert) for alert in alerts],
    }


def transition_body(
    rule: AlertRule, transition: Transition, reading: Reading | None, external_url: str
) -> dict[str, Any]:
    """The body for one rule's transition: a group of its own, so that order per alert is kept."""
    group = {"alertname": rule.alert_name, "rule_id": rule.rule_id, "tenant_id": rule.tenant_id}
    return alertmanager_body([alert_item(rule, transition, reading, external_url)], group, external_url)


@dataclass(frozen=True, slots=True)
class Draft:
    """A notification before the outbox numbers it."""

    idempotency_key: str
    action: Action
    payload: Mapping[str, Any]


def drafts(
    rule: AlertRule, transition: Transition, reading: Reading | None, external_url: str
) -> tuple[Draft, ...]:
    """What to put into the outbox for a transition; empty unless it is one that notifies.

    An email to several people becomes one draft each: a recipient that is refused for the moment is
    retried without the others getting the message again.
    """
    if not transition.notifies:
        return ()
    body = transition_body(rule, transition, reading, external_url)
    return tuple(
        Draft(idempotency_key(rule, transition, action), action, body)
        for action in dict.fromkeys(one_recipient_each(rule.actions))
    )


def new_event(
    rule: AlertRule, transition: Transition, reading: Reading | None, alert_id: str, external_url: str
) -> NewEvent:
    """A state change as it is stored, with what is to be sent about it."""
    messages = drafts(rule, transition, reading, external_url)
    return NewEvent(
        alert_id=alert_id,
        from_state=transition.old.value,
        to_state=transition.new.value,
        at=transition.at,
        value=reading.value if reading else transition.value,
        threshold=reading.threshold if reading else None,
        metric=reading.metric if reading else None,
        reason=transition.reason.value,
        message=summary(rule, transition, reading),
        flapping=transition.flapping,
        suppressed=transition.untold,
        notifications=tuple((d.idempotency_key, d.action) for d in messages),
        body=messages[0].payload if messages else None,
    )


def merged_message(notification: Notification) -> Notification:
    """The notification with the one message that tells all it stands for, if it stands for several alerts."""
    merged = notification.merged
    if merged is None:
        return notification
    alerts = [alert for body in merged.bodies for alert in body["alerts"]]
    group = _common([body["groupLabels"] for body in merged.bodies])
    body = alertmanager_body(alerts, group, merged.bodies[0]["externalURL"])
    names = {str(alert["labels"].get("alertname")) for alert in alerts}
    return replace(
        notification,
        payload={**body, "truncatedAlerts": merged.left_out},
        alert_name=names.pop() if len(names) == 1 else f"{len(alerts) + merged.left_out} alerts",
        merged=None,
    )


def idempotency_key(rule: AlertRule, transition: Transition, action: Action) -> str:
    """32 hex digits, the same whenever the same change is told to the same action."""
    identity = [rule.tenant_id, rule.rule_id, transition.new, rfc3339(transition.at), action_key(action)]
    if transition.reason is TransitionReason.CALMED:
        identity.append(transition.reason)  # it may have changed at the same instant
    return hashlib.sha256("\x00".join(identity).encode()).hexdigest()[:32]


def socket_event(rule: AlertRule, transition: Transition, reading: Reading | None) -> dict[str, Any]:
    """The message of `/ws/alerts/{tenant_id}` (api.md §8). `status`: firing, resolved, pending, inactive."""
    resolved = transition.old is RuleStatus.FIRING and transition.new is RuleStatus.INACTIVE
    return {
        "alert_id": rule.rule_id,
        "tenant_id": rule.tenant_id,
        "severity": rule.severity.value,
        "type": rule.kind.value,
        "message": summary(rule, transition, reading),
        "metric": reading.metric if reading else None,
        "current_value": reading.value if reading else transition.value,
        "threshold": reading.threshold if reading else None,
        "status": "resolved" if resolved else transition.new.value,
        "timestamp": rfc3339(transition.at),
        **({"objective": rule.objective} if rule.objective else {}),
    }


def summary(rule: AlertRule, transition: Transition, reading: Reading | None) -> str:
    """One line for people."""
    word = {RuleStatus.FIRING: "is firing", RuleStatus.PENDING: "is pending"}.get(
        transition.new, "is resolved"
    )
    if why := _WITHDRAWN.get(transition.reason):
        return f"{rule.alert_name} {word} for {rule.tenant_id}: {why} ({rule.condition})"
    if transition.reason is TransitionReason.CALMED:
        many = f"{transition.untold} change{'' if transition.untold == 1 else 's'}"
        text = f"no more flapping, {many} not told"
        return f"{rule.alert_name} {word} for {rule.tenant_id}: {text} ({rule.condition})"
    if transition.reason is TransitionReason.SILENCE_OVER:
        return f"{rule.alert_name} {word} for {rule.tenant_id}: the silence is over ({rule.condition})"
    if transition.flapping:
        word += " and flapping" if transition.new is RuleStatus.FIRING else ", flapping"
    if reading is None or reading.value is None:
        return f"{rule.alert_name} {word} for {rule.tenant_id}: {rule.condition}"
    value = format_number(float(f"{reading.value:.6g}"))
    return f"{rule.alert_name} {word} for {rule.tenant_id}: {reading.metric} is {value} ({rule.condition})"


def _annotations(rule: AlertRule, transition: Transition, reading: Reading | None) -> dict[str, str]:
    """Strings only, as Alertmanager has them; what is not known is left out."""
    numbers = {"current_value": reading.value, "threshold": reading.threshold} if reading else {}
    return {
        "summary": summary(rule, transition, reading),
        "condition": rule.condition,
        "reason": transition.reason.value,
        **({"metric": reading.metric} if reading else {}),
        **{name: format_number(number) for name, number in numbers.items() if number is not None},
        **(_burn(reading.burn) if reading and reading.burn else {}),
        **({"flapping": "true", "description": _FLAPS} if transition.flapping else {}),
        **({"suppressed": str(transition.untold)} if transition.untold else {}),
    }


def _burn(decision: BurnDecision) -> dict[str, str]:
    """The windows of the pair that decided, and how fast each burns."""
    rates = {"burn_rate_long": decision.long.burn, "burn_rate_short": decision.short.burn}
    return {
        "long_window": format_duration(decision.pair.long),
        "short_window": format_duration(decision.pair.short),
        **{name: format_number(float(f"{rate:.6g}")) for name, rate in rates.items() if rate is not None},
    }


def one_recipient_each(actions: Sequence[Action]) -> list[Action]:
    """Actions with every e-mail split by recipient, in order."""
    single: list[Action] = []
    for action in actions:
        if isinstance(action, EmailAction):
            single += [EmailAction((recipient,)) for recipient in action.recipients]
        else:
            single.append(action)
    return single


def _common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    if not mappings:
        return {}
    first, *rest = mappings
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}
