"""The recovery state machine as a table: what is known, what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.alerts.recovery_notices import actions_of, recovery_drafts
from ecpmon.model.alerts import AlertRule, EmailAction, RuleKind, Severity, WebhookAction
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.recovery import AlertStanding, Recovery, RecoveryReason, RecoveryState
from ecpmon.orchestrator.recovery import (
    Decision,
    Evidence,
    Facts,
    RecoveryPolicy,
    Restarted,
    RestartFailure,
    after_restart,
    decide,
    evidence_of,
    notifies,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY = RecoveryPolicy()
HASTY = RecoveryPolicy(spare_healthy=False)
FIVE, MINUTE = timedelta(minutes=5), timedelta(minutes=1)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
TEN_SECONDS, HOLDS = 10 * SECOND, timedelta(seconds=12.5)
S, R, A = RecoveryState, RecoveryReason, AlertStanding
UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP


def recovery(state: RecoveryState = S.CHECKING, age: timedelta = timedelta(), **more: Any) -> Recovery:
    """An incident that began `age` ago."""
    at = NOW - age
    given = {"tries": 0, "created_at": at, "updated_at": at, "due_at": NOW, "reason": R.ALERTED, **more}
    return Recovery(
        recovery_id="6f1c2a52-0000-4000-8000-000000000000", tenant_id="acme", alert_name="ECPTenantDown",
        severity="critical", fingerprint="f", alert_starts_at=NOW, state=state, detail="",
        **given,
    )  # fmt: skip


def facts(state: SpanState | None, since: timedelta = FIVE, **more: Any) -> Facts:
    """`state` for `since`; observed just now, and settled when up for a minute, unless told otherwise."""
    evidence = Evidence(
        state,
        None if state is None else NOW - since,
        settled_at=more.pop("settled_at", NOW - since + MINUTE if state is UP and since >= MINUTE else None),
        observed_at=more.pop("observed_at", None if state is None else NOW - SECOND),
    )
    return Facts(evidence, **more)


def decision(
    state: RecoveryState, reason: RecoveryReason, after: timedelta | None = None, **more: Any
) -> Decision:
    return Decision(state, reason, None if after is None else NOW + after, **more)


REAL = decision(S.RESTARTING, R.MEASURED_DOWN, timedelta(), again=True)
BELIEVED = decision(S.RESTARTING, R.ALERT_BELIEVED, timedelta(), again=True)
RESTART = decision(S.RESTARTING, R.MEASURED_DOWN, timedelta(), restart=True)
WITHDRAWN = decision(S.RECOVERED, R.RESOLVED_BEFORE_RESTART)
GONE = decision(S.RECOVERED, R.ALERT_GONE)
WANTED = recovery(S.RESTARTING, reason=R.MEASURED_DOWN)
BEGUN = recovery(S.RESTARTING, reason=R.MEASURED_DOWN, restart_at=NOW, tries=1)


def escalated(ago: timedelta = FIVE) -> Recovery:
    return recovery(
        S.ESCALATED, ago + FIVE, reason=R.STILL_DOWN, escalated_at=NOW - ago, updated_at=NOW - FIVE
    )


def still(after: timedelta | None) -> Decision:
    return decision(S.ESCALATED, R.STILL_DOWN, after)


Case = tuple[Recovery, Facts, Decision]
CHECKS: dict[str, Case] = {
    "measured down is acted upon at once": (recovery(), facts(DOWN), REAL),
    "up may be behind the alert: the next observation is waited for": (
        recovery(), facts(UP), decision(S.CHECKING, R.AWAITING_EVIDENCE, 5 * SECOND),
    ),
    "for two and a half intervals at most": (
        recovery(age=TEN_SECONDS), facts(UP), decision(S.CHECKING, R.AWAITING_EVIDENCE, 2.5 * SECOND),
    ),
    "and for five minutes at most of who reports seldom": (
        recovery(age=FIVE), facts(GAP, holds=60 * HOUR), BELIEVED,
    ),
    "unless an older observation still says up": (
        recovery(age=FIVE), facts(UP, holds=25 * MINUTE, observed_at=NOW - 6 * MINUTE, interval=10 * MINUTE),
        decision(S.CHECKING, R.AWAITING_EVIDENCE, 10 * MINUTE),
    ),
    "which says so for an hour, however long it holds": (
        recovery(age=HOUR), facts(UP, holds=60 * HOUR, observed_at=NOW - 2 * HOUR), BELIEVED,
    ),
    "who reports once a day and has just said up is up": (
        recovery(age=FIVE), facts(UP, holds=60 * HOUR), decision(S.DOUBTED, R.MEASURED_UP, MINUTE),
    ),
    "a gap is waited for as well": (
        recovery(), facts(GAP), decision(S.CHECKING, R.AWAITING_EVIDENCE, 5 * SECOND),
    ),
    "no data either": (recovery(), facts(None), decision(S.CHECKING, R.AWAITING_EVIDENCE, 5 * SECOND)),
    "measured up since is told and restarts nothing": (
        recovery(age=HOLDS), facts(UP), decision(S.DOUBTED, R.MEASURED_UP, MINUTE),
    ),
    "a gap prevents nothing": (recovery(age=HOLDS), facts(GAP), BELIEVED),
    "no data prevents nothing": (recovery(age=HOLDS), facts(None), BELIEVED),
    "nor does one that ecpmon has behind it, once it has looked": (
        recovery(age=HOUR, due_at=NOW - TEN_SECONDS), facts(GAP), BELIEVED,
    ),
    "which it does first": (
        recovery(age=HOUR, due_at=NOW - HOUR), facts(GAP), decision(S.CHECKING, R.AWAITING_EVIDENCE, 5 * SECOND),
    ),
    "down while it was waited for": (recovery(age=TEN_SECONDS), facts(DOWN, SECOND), REAL),
    "nobody is told of an alert that is gone by then": (recovery(age=HOLDS), facts(UP, alert=A.GONE), GONE),
    "an alert that is gone and measured down is a real one": (recovery(), facts(DOWN, alert=A.GONE), REAL),
    "Alertmanager without it and nothing measured is no end": (
        recovery(age=HOLDS), facts(GAP, alert=A.GONE), BELIEVED,
    ),
    "a withdrawn alert restarts nothing": (recovery(), facts(DOWN, resolved=True), WITHDRAWN),
    "a silenced alert does not act": (
        recovery(), facts(DOWN, alert=A.SILENCED), decision(S.CHECKING, R.SILENCED, MINUTE),
    ),
    "maintenance is waited for": (
        recovery(), facts(DOWN, maintenance_until=NOW + TEN_SECONDS),
        decision(S.CHECKING, R.IN_MAINTENANCE, TEN_SECONDS),
    ),
    "and looked at now and then, since it may end early": (
        recovery(), facts(DOWN, maintenance_until=NOW + 3 * FIVE), decision(S.CHECKING, R.IN_MAINTENANCE, FIVE),
    ),
    "beside an incident that people were called for it joins": (
        recovery(), facts(DOWN, beside="other"),
        decision(S.JOINED, R.RECOVERY_UNDER_WAY, joined_to="other"),
    ),
    "unless that one is about to be looked at": (
        recovery(), facts(DOWN, beside="other", beside_due=True), decision(S.CHECKING, R.ALERTED, TEN_SECONDS),
    ),
    "but not for ever": (
        recovery(age=FIVE), facts(DOWN, beside="other", beside_due=True),
        decision(S.JOINED, R.RECOVERY_UNDER_WAY, joined_to="other"),
    ),
    "two restarts within the hour leave one": (recovery(), facts(DOWN, restarts=2), REAL),
    "three leave none": (
        recovery(), facts(DOWN, restarts=3),
        decision(S.ESCALATED, R.TOO_MANY_RESTARTS, FIVE, detail="3 restarts within 60 minutes"),
    ),
}  # fmt: skip
DOUBTS: dict[str, Case] = {
    "a doubted alert is looked at while it fires": (
        recovery(S.DOUBTED, FIVE), facts(UP), decision(S.DOUBTED, R.MEASURED_UP, MINUTE),
    ),
    "less often after an hour": (
        recovery(S.DOUBTED, HOUR), facts(UP, alert=A.FIRING), decision(S.DOUBTED, R.MEASURED_UP, FIVE),
    ),
    "a doubted alert whose tenant goes down is a real one": (recovery(S.DOUBTED, HOUR), facts(DOWN), REAL),
    "a short gap does not make it one": (
        recovery(S.DOUBTED, HOUR), facts(GAP, MINUTE), decision(S.DOUBTED, R.MEASURED_UP, FIVE),
    ),
    "a long gap does": (recovery(S.DOUBTED, HOUR), facts(GAP, FIVE), BELIEVED),
    "unless it is of ecpmon's own making": (
        recovery(S.DOUBTED, HOUR, due_at=NOW - FIVE), facts(GAP, FIVE), decision(S.DOUBTED, R.MEASURED_UP, FIVE),
    ),
    "a doubted alert that is withdrawn is over": (recovery(S.DOUBTED, HOUR), facts(UP, resolved=True), WITHDRAWN),
    "a missing resolved is made up for": (recovery(S.DOUBTED, HOUR), facts(UP, alert=A.GONE), GONE),
    "but not in a gap, as Alertmanager forgets what fires": (
        recovery(S.DOUBTED, HOUR), facts(GAP, MINUTE, alert=A.GONE), decision(S.DOUBTED, R.MEASURED_UP, FIVE),
    ),
}  # fmt: skip
RESTARTS: dict[str, Case] = {
    "what was told is restarted": (WANTED, facts(DOWN), RESTART),
    "a restart that was begun is finished, whatever has become of the alert": (
        BEGUN, facts(UP, resolved=True, restarts=9, alert=A.SILENCED, maintenance_until=NOW + HOUR), RESTART,
    ),
    "one that was not begun before ecpmon was killed is not made up for": (
        recovery(S.RESTARTING, HOUR), facts(UP), decision(S.RECOVERED, R.UP_BEFORE_RESTART),
    ),
    "nor when the alert is over": (WANTED, facts(DOWN, resolved=True), WITHDRAWN),
    "nor when it is silenced by then": (
        WANTED, facts(DOWN, alert=A.SILENCED), decision(S.RESTARTING, R.SILENCED, MINUTE),
    ),
    "a restart is not tried for ever": (
        recovery(S.RESTARTING, restart_at=NOW, tries=3), facts(DOWN),
        decision(S.ESCALATED, R.RESTART_FAILED, FIVE, detail="3 tries without an answer"),
    ),
}  # fmt: skip
WAITING = recovery(S.WAITING, FIVE, reason=R.RESTARTED)
ASKED_AGAIN = recovery(S.WAITING, FIVE, reason=R.AWAITING_EVIDENCE)
RECHECKS: dict[str, Case] = {
    "up at the re-check": (WAITING, facts(UP), decision(S.RECOVERED, R.UP_AGAIN)),
    "up for a moment is not up": (
        WAITING, facts(UP, 20 * SECOND), decision(S.WAITING, R.SETTLING, 40 * SECOND),
    ),
    "down at the re-check": (WAITING, facts(DOWN), decision(S.ESCALATED, R.STILL_DOWN, FIVE)),
    "a gap at the re-check has one more observation's time": (
        WAITING, facts(GAP), decision(S.WAITING, R.AWAITING_EVIDENCE, HOLDS),
    ),
    "so has what was not observed since the restart": (
        WAITING, facts(DOWN, observed_at=NOW - HOUR), decision(S.WAITING, R.AWAITING_EVIDENCE, HOLDS),
    ),
    "then a gap is not up": (ASKED_AGAIN, facts(GAP), decision(S.ESCALATED, R.NOT_MEASURED, FIVE)),
    "nor is no data": (ASKED_AGAIN, facts(None), decision(S.ESCALATED, R.NOT_MEASURED, FIVE)),
    "Alertmanager's word does not replace the evidence": (
        WAITING, facts(DOWN, resolved=True, alert=A.GONE), decision(S.ESCALATED, R.STILL_DOWN, FIVE),
    ),
    "nobody is called for a silenced alert": (
        WAITING, facts(DOWN, alert=A.SILENCED), decision(S.WAITING, R.SILENCED, MINUTE),
    ),
    "nor during maintenance": (
        WAITING, facts(DOWN, maintenance_until=NOW + MINUTE), decision(S.WAITING, R.IN_MAINTENANCE, MINUTE),
    ),
}  # fmt: skip
FOLLOW_UPS: dict[str, Case] = {
    "an escalated tenant that comes up": (
        escalated(), facts(UP), decision(S.RECOVERED, R.UP_AFTER_ESCALATION, ended_at=NOW - 4 * MINUTE),
    ),
    "one that was up between two looks, and is down again: the next incident": (
        escalated(), facts(DOWN, SECOND, settled_at=NOW - MINUTE),
        decision(S.RECOVERED, R.UP_AFTER_ESCALATION, anew=True, ended_at=NOW - MINUTE),
    ),
    "but not when the alert is over": (
        escalated(), facts(DOWN, SECOND, settled_at=NOW - MINUTE, resolved=True),
        decision(S.RECOVERED, R.UP_AFTER_ESCALATION, ended_at=NOW - MINUTE),
    ),
    "one that is up for a moment": (escalated(), facts(UP, 20 * SECOND), still(40 * SECOND)),
    "one that stays down": (escalated(), facts(DOWN), still(FIVE)),
    "one whose alert is over, and which is down": (escalated(), facts(DOWN, resolved=True), still(FIVE)),
    "one whose alert is over, and which nobody measures": (escalated(), facts(GAP, resolved=True), still(FIVE)),
    "after a day it is looked at each hour": (escalated(24 * HOUR), facts(DOWN, resolved=True), still(HOUR)),
    "and as long as its alert may fire": (escalated(24 * HOUR), facts(GAP), still(HOUR)),
    "after a day an alert that is over closes what nobody measures": (
        escalated(24 * HOUR), facts(GAP, resolved=True), decision(S.CLOSED, R.ALERT_OVER),
    ),
    "also one that Alertmanager has not any more": (
        escalated(24 * HOUR), facts(None, alert=A.GONE), decision(S.CLOSED, R.ALERT_OVER),
    ),
}  # fmt: skip
TABLE = CHECKS | DOUBTS | RESTARTS | RECHECKS | FOLLOW_UPS


@pytest.mark.parametrize("case", TABLE)
def test_what_a_due_incident_does(case: str) -> None:
    before, known, expected = TABLE[case]
    assert decide(before, known, NOW, POLICY) == expected


@pytest.mark.parametrize("state", [UP, GAP, None])
def test_who_does_not_spare_the_healthy_acts_at_once(state: SpanState | None) -> None:
    assert decide(recovery(), facts(state), NOW, HASTY) == BELIEVED
    assert decide(replace(WANTED, reason=R.ALERT_BELIEVED), facts(state), NOW, HASTY).restart


def spans(*lengths: tuple[SpanState, float]) -> list[Span]:
    """Seconds of each state up to NOW, read a little past it."""
    end, found = NOW, []
    for state, seconds in reversed(lengths):
        found.append(Span(end - timedelta(seconds=seconds), end, state))
        end = found[-1].start
    found[0] = replace(found[0], end=NOW + timedelta(microseconds=1))
    return found[::-1]


@pytest.mark.parametrize(
    ("timeline", "settled"),
    [
        ([(DOWN, 600)], False),
        ([(DOWN, 600), (UP, 59)], False),
        ([(DOWN, 600), (UP, 60)], True),
        ([(DOWN, 600), (UP, 60), (DOWN, 200)], True),
        ([(DOWN, 600), (UP, 59), (DOWN, 200)], False),
        ([(DOWN, 600), (UP, 40), (GAP, 5), (UP, 40)], False),
        ([(UP, 500), (DOWN, 300)], False),  # before the last look
        ([(UP, 500), (DOWN, 299)], True),
        ([(GAP, 600)], False),
    ],
)
def test_an_outage_is_over_when_a_tenant_was_up_for_a_minute(
    timeline: list[tuple[SpanState, float]], settled: bool
) -> None:
    found = evidence_of(spans(*timeline), NOW - FIVE, NOW, MINUTE, None)
    assert (found.settled_at is not None, found.state) == (settled, timeline[-1][0])


def test_what_is_down_by_different_shares_is_down_since_the_first() -> None:
    half, whole = spans((DOWN, 30), (DOWN, 20))
    found = evidence_of([replace(half, share=0.5), whole], NOW - FIVE, NOW, MINUTE, NOW)
    assert (found.state, found.since) == (DOWN, half.start)


def test_a_timeline_that_ended_says_nothing_about_now() -> None:
    ended = [Span(NOW - FIVE, NOW, UP)]
    known = evidence_of(ended, NOW - FIVE, NOW, MINUTE, None)
    assert known == Evidence(None, None, NOW - 4 * MINUTE, None)
    assert evidence_of([], NOW, NOW, MINUTE, None) == Evidence(None)


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
    found = after_restart(recovery(S.RESTARTING, restart_at=NOW, tries=tries), outcome, NOW, POLICY)
    assert (found.state, found.reason, found.due_at) == expected


def test_people_are_told_the_begin_the_doubt_the_escalation_and_the_end_of_what_they_were_told() -> None:
    def told(case: str) -> bool:
        before, known, _ = TABLE[case]
        return notifies(before, decide(before, known, NOW, POLICY))

    assert told("measured down is acted upon at once")
    assert told("a gap prevents nothing")
    assert told("measured up since is told and restarts nothing")
    assert told("a doubted alert that is withdrawn is over")
    assert told("a doubted alert whose tenant goes down is a real one")
    assert told("three leave none")
    assert told("up at the re-check")
    assert told("down at the re-check")
    assert told("an escalated tenant that comes up")
    assert told("also one that Alertmanager has not any more")
    assert not told("one that stays down")
    assert not told("a withdrawn alert restarts nothing")
    assert not told("nobody is told of an alert that is gone by then")
    assert not told("maintenance is waited for")
    assert not told("beside an incident that people were called for it joins")
    assert not told("a doubted alert is looked at while it fires")


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
