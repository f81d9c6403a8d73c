"""Values that several tests of alerting share."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ecpmon.alerts.evaluate import Reading
from ecpmon.alerts.message import transition_body
from ecpmon.alerts.syntax import CompareOp
from ecpmon.model.alerts import (
    Action,
    AlertRule,
    EmailAction,
    Notification,
    RuleKind,
    RuleStatus,
    Severity,
    Transition,
    TransitionReason,
    WebhookAction,
)

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOOK = WebhookAction("https://hooks.example.com/ecp")
MAIL = EmailAction(("ops@example.com", "sre@example.com"))
RULE = AlertRule(
    rule_id="0b8e6d3c-0c1f-4b64-9d55-3b1e2a4f7c11",
    tenant_id="my-ai-service",
    alert_name="CPU 사용률 높음",
    kind=RuleKind.THRESHOLD,
    condition="cpu_usage > 80",
    for_seconds=300,
    severity=Severity.CRITICAL,
    actions=(HOOK, MAIL),
)
FIRED = Transition(RuleStatus.PENDING, RuleStatus.FIRING, T0, 91.25, TransitionReason.HELD_FOR, started_at=T0)
RESOLVED = Transition(
    RuleStatus.FIRING,
    RuleStatus.INACTIVE,
    T0 + timedelta(minutes=7, microseconds=500_000),
    42.0,
    TransitionReason.RESOLVED,
    started_at=T0,
)
HIGH = Reading("cpu_usage", CompareOp.GT, 91.25, 80.0, True)
LOW = replace(HIGH, value=42.0, result=False)
URL = "http://127.0.0.1:8001"


def notification(number: int = 1, action: Action = HOOK, **changes: Any) -> Notification:
    made = Notification(
        id=number,
        idempotency_key=f"{number:032x}",
        tenant_key=1,
        tenant_id=RULE.tenant_id,
        rule_id=RULE.rule_id,
        alert_name=RULE.alert_name,
        action=action,
        receiver=receiver_of(action),
        payload=transition_body(RULE, FIRED, HIGH, URL),
        attempt=0,
        created_at=T0,
    )
    return replace(made, **changes)


def receiver_of(action: Action) -> str:
    """As the database computes it."""
    if isinstance(action, EmailAction):
        return f"mailto:{action.recipients[0]}".lower()
    scheme, _, rest = action.url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest)[0]}".lower()
