"""The recovery state machine as a table: what is known, what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.alerts.recovery_notices import actions_of, recovery_drafts
from ecpmon.model.alerts import AlertRule, EmailAction, RuleKind, Severity, WebhookAction
from ecpmon.model.availability import SpanState
from ecpmon.model.recovery import Recovery, RecoveryReason, RecoveryState
from ecpmon.orchestrator.recovery import (
    Facts,
    RecoveryPolicy,
    Restarted,
    RestartFailure,
    after_restart,
    decide,
    notifies,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY = RecoveryPolicy()
FIVE, TEN_SECONDS = timedelta(minutes=5), timedelta(seconds=10)
S, R = RecoveryState, RecoveryReason
UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP


def recovery(state: RecoveryState = S.RESTARTING, **more: Any) -> Recovery:
    given = {"tries": 0, "created_at": NOW, "updated_at": NOW, "due_at": NOW, **more}
    return Recovery(
        recovery_id="6f1c2a52-0000-4000-8000-000000000000", tenant_id="acme", alert_name="ECPTenantDown",
        severity="critical", fingerprint="f", alert_starts_at=NOW, state=state, reason=R.ALERTED, detail="",
        **given,
    )  # fmt: skip


ESCALATED = {"escalated_at": NOW - FIVE}
TABLE = {
    "a fresh alert restarts, even when our own evidence is behind": (recovery(), Facts(UP), (S.RESTARTING, True)),
    "a fresh alert restarts a tenant that is down": (recovery(), Facts(DOWN), (S.RESTARTING, True)),
    "an alert left lying does not restart what is up": (
        recovery(created_at=NOW - FIVE), Facts(UP), (S.RECOVERED, R.UP_BEFORE_RESTART, None),
    ),
    "an alert left lying restarts what is down": (
        recovery(created_at=NOW - FIVE), Facts(DOWN), (S.RESTARTING, True),
    ),
    "a withdrawn alert restarts nothing": (
        recovery(), Facts(DOWN, resolved=True), (S.RECOVERED, R.RESOLVED_BEFORE_RESTART, None),
    ),
    "a restart that was begun is finished, withdrawn or not": (
        recovery(restart_at=NOW, tries=1), Facts(UP, resolved=True, restarts=9), (S.RESTARTING, True),
    ),
    "a restart is not tried for ever": (
        recovery(restart_at=NOW, tries=3), Facts(DOWN), (S.ESCALATED, R.RESTART_FAILED, NOW + FIVE),
    ),
    "maintenance is waited for": (
        recovery(), Facts(DOWN, maintenance_until=NOW + TEN_SECONDS),
        (S.RESTARTING, R.IN_MAINTENANCE, NOW + TEN_SECONDS),
    ),
    "and looked at now and then, since it may end early": (
        recovery(), Facts(DOWN, maintenance_until=NOW + 3 * FIVE), (S.RESTARTING, R.IN_MAINTENANCE, NOW + FIVE),
    ),
    "two restarts within the hour leave one": (recovery(), Facts(DOWN, restarts=2), (S.RESTARTING, True)),
    "three leave none": (
        recovery(), Facts(DOWN, restarts=3), (S.ESCALATED, R.TOO_MANY_RESTARTS, NOW + FIVE),
    ),
    "up at the re-check": (recovery(S.WAITING), Facts(UP), (S.RECOVERED, R.UP_AGAIN, None)),
    "down at the re-check": (recovery(S.WAITING), Facts(DOWN), (S.ESCALATED, R.STILL_DOWN, NOW + FIVE)),
    "a gap at the re-check is not up": (
        recovery(S.WAITING), Facts(GAP), (S.ESCALATED, R.NOT_MEASURED, NOW + FIVE),
    ),
    "no data at the re-check is not up": (
        recovery(S.WAITING), Facts(None), (S.ESCALATED, R.NOT_MEASURED, NOW + FIVE),
    ),
    "Alertmanager's word does not replace the evidence": (
        recovery(S.WAITING), Facts(DOWN, resolved=True), (S.ESCALATED, R.STILL_DOWN, NOW + FIVE),
    ),
    "an escalated tenant that comes up": (
        recovery(S.ESCALATED, **ESCALATED), Facts(UP), (S.RECOVERED, R.UP_AFTER_ESCALATION, None),
    ),
    "an escalated tenant that stays down": (
        recovery(S.ESCALATED, **ESCALATED), Facts(DOWN), (S.ESCALATED, R.ALERTED, NOW + FIVE),
    ),
    "after a day nobody looks any more": (
        recovery(S.ESCALATED, escalated_at=NOW - timedelta(days=1)), Facts(GAP), (S.ESCALATED, R.ALERTED, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_what_a_due_recovery_does(case: str) -> None:
    before, facts, expected = TABLE[case]
    found = decide(before, facts, NOW, POLICY)
    if len(expected) == 2:
        assert (found.state, found.restart) == expected
    else:
        assert (found.state, found.reason, found.due_at) == expected
        assert not found.restart


AWAY = RestartFailure(R.RESTART_FAILED, "away", retryable=True)
REFUSED = RestartFailure(R.RESTART_FAILED, "refused", retryable=False)
OUTCOMES = {
    "restarted": (1, Restarted(3), (S.WAITING, R.RESTARTED, NOW + FIVE)),
    "there was nothing": (1, Restarted(0), (S.ESCALATED, R.NOTHING_TO_RESTART, NOW + FIVE)),
    "the deployer is away": (1, AWAY, (S.RESTARTING, R.DEPLOYER_UNAVAILABLE, NOW + TEN_SECONDS)),
    "away a third time": (3, AWAY, (S.ESCALATED, R.RESTART_FAILED, NOW + FIVE)),
    "refused": (1, REFUSED, (S.ESCALATED, R.RESTART_FAILED, NOW + FIVE)),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_what_follows_from_the_deployers_answer(case: str) -> None:
    tries, outcome, expected = OUTCOMES[case]
    found = after_restart(recovery(restart_at=NOW, tries=tries), outcome, NOW, POLICY)
    assert (found.state, found.reason, found.due_at) == expected


def test_people_are_told_of_escalations_and_of_the_end_of_what_was_handled() -> None:
    def told(before: Recovery, facts: Facts) -> bool:
        return notifies(before, decide(before, facts, NOW, POLICY))

    restarted = recovery(S.WAITING, restarted_at=NOW, restarted=2)
    assert told(restarted, Facts(UP))
    assert told(restarted, Facts(DOWN))
    assert told(recovery(S.ESCALATED, **ESCALATED), Facts(UP))
    assert not told(recovery(S.ESCALATED, **ESCALATED), Facts(DOWN))
    assert not told(recovery(), Facts(DOWN, resolved=True))
    assert not told(recovery(), Facts(DOWN, maintenance_until=NOW + FIVE))


def rule(*actions: WebhookAction | EmailAction) -> AlertRule:
    return AlertRule("r", "acme", "x", RuleKind.THRESHOLD, "cpu > 1", 0, Severity.PAGE, actions)


def test_everybody_whom_a_rule_tells_is_told_once() -> None:
    hook, mail = WebhookAction("https://a.example/x"), EmailAction(("a@x.example", "b@x.example"))
    default = (WebhookAction("https://default.example/"),)
    assert actions_of([rule(hook, mail), rule(hook), rule()], default) == (
        hook, EmailAction(("a@x.example",)), EmailAction(("b@x.example",)),
    )  # fmt: skip
    assert actions_of([rule()], default) == default


def test_a_notice_reads_like_any_other_alert() -> None:
    hook = WebhookAction("https://a.example/x")
    before = recovery(S.WAITING, restarted_at=NOW, restarted=2)
    [fired] = recovery_drafts(before, S.ESCALATED, R.STILL_DOWN, "", [hook], NOW, "http://ecpmon/")
    [over] = recovery_drafts(before, S.RECOVERED, R.UP_AFTER_ESCALATION, "", [hook], NOW, "http://ecpmon/")
    assert (fired.payload["version"], fired.payload["status"], over.payload["status"]) == (
        "4",
        "firing",
        "resolved",
    )
    [alert], [end] = fired.payload["alerts"], over.payload["alerts"]
    # A receiver recognises the end by these two.
    assert (alert["fingerprint"], alert["startsAt"]) == (end["fingerprint"], end["startsAt"])
    assert alert["annotations"]["reason"] == "still_down"
    assert "acme" in alert["annotations"]["summary"]
    assert fired.idempotency_key != over.idempotency_key
    again = recovery_drafts(before, S.ESCALATED, R.STILL_DOWN, "", [hook], NOW + FIVE, "http://ecpmon/")
    assert again[0].idempotency_key == fired.idempotency_key
