"""The messages, against golden files; refresh them with ECPMON_UPDATE_GOLDEN=1."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_samples import FIRED, HIGH, HOOK, LOW, RESOLVED, RULE, URL

from ecpmon.alerts.message import (
    alert_item,
    alertmanager_body,
    drafts,
    fingerprint,
    socket_event,
    transition_body,
)
from ecpmon.model.alerts import (
    EmailAction,
    RuleStatus,
    WebhookAction,
    action_from_dict,
    action_key,
    action_to_dict,
)

GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, body: dict[str, Any]) -> None:
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    path = GOLDEN / name
    if os.environ.get("ECPMON_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_firing_body() -> None:
    check_golden("webhook_firing.json", transition_body(RULE, FIRED, HIGH, URL))


def test_resolved_body() -> None:
    check_golden("webhook_resolved.json", transition_body(RULE, RESOLVED, LOW, URL))


def test_socket_event() -> None:
    check_golden("socket_resolved.json", socket_event(RULE, RESOLVED, LOW))


def test_the_fingerprint_is_the_one_of_prometheus() -> None:
    """Vectors of prometheus/common model/signature_test.go."""
    assert fingerprint({}) == f"{14695981039346656037:016x}"
    labels = {"name": "garland, briggs", "fear": "love is not enough"}
    assert fingerprint(labels) == f"{5799056148416392346:016x}"
    assert fingerprint(dict(reversed(labels.items()))) == fingerprint(labels)


def test_an_alert_keeps_its_identity_from_firing_to_resolved() -> None:
    firing = alert_item(RULE, FIRED, HIGH, URL)
    resolved = alert_item(RULE, RESOLVED, LOW, URL)
    assert firing["endsAt"] == "0001-01-01T00:00:00Z"
    assert resolved["endsAt"] == "2026-03-01T12:07:00.500000Z"
    for field in ("labels", "fingerprint", "startsAt"):
        assert firing[field] == resolved[field]


def test_a_group_fires_while_one_of_it_fires_and_shares_only_what_is_equal() -> None:
    other = replace(RULE, rule_id="other", alert_name='with "quotes"')
    items = [alert_item(RULE, RESOLVED, LOW, URL), alert_item(other, FIRED, HIGH, URL)]
    body = alertmanager_body(items, {"tenant_id": 'a"b\\c'}, URL)
    assert body["status"] == "firing"
    assert body["commonLabels"] == {"severity": "critical", "tenant_id": "my-ai-service"}
    assert body["groupKey"] == '{}:{tenant_id="a\\"b\\\\c"}'


def test_drafts_one_per_target_with_keys_that_repeat() -> None:
    made = drafts(RULE, FIRED, HIGH, URL)
    assert [draft.action for draft in made] == [
        HOOK,
        EmailAction(("ops@example.com",)),
        EmailAction(("sre@example.com",)),
    ]
    assert made == drafts(RULE, FIRED, HIGH, URL)
    keys = {draft.idempotency_key for draft in (*made, *drafts(RULE, RESOLVED, LOW, URL))}
    assert len(keys) == 6


def test_changes_that_tell_nobody_draft_nothing() -> None:
    pending = replace(FIRED, old=RuleStatus.INACTIVE, new=RuleStatus.PENDING)
    assert drafts(RULE, pending, HIGH, URL) == ()
    assert socket_event(RULE, pending, None)["status"] == "pending"


@pytest.mark.parametrize(
    "action",
    [
        WebhookAction("https://a.example/x", "PUT", (("X-Token", "1"), ("A", "2"))),
        HOOK,
        EmailAction(("a@b.example", "c@d.example")),
    ],
)
def test_actions_survive_json(action: WebhookAction | EmailAction) -> None:
    stored = json.loads(json.dumps(action_to_dict(action)))
    assert action_from_dict(stored) == action
    assert action_key(action_from_dict(stored)) == action_key(action)


@pytest.mark.parametrize("data", [{"type": "sms"}, {"type": "webhook", "url": "u", "method": "GET"}])
def test_other_actions_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        action_from_dict(data)
