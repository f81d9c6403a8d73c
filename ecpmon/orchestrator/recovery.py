"""What to do about a tenant that is down: one restart, a look after five minutes, then people. Pure.

`restarting → waiting → recovered | escalated`; an escalated tenant that comes up becomes recovered. `decide`
looks at a recovery that is due, `after_restart` at what the deployer answered. Nothing here acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ecpmon.model.availability import SpanState
from ecpmon.model.recovery import Recovery, RecoveryReason, RecoveryState


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """Restarts are bounded per tenant: `max_restarts` within `window`. The deployer is asked `max_tries` times."""

    recheck_after: timedelta = timedelta(minutes=5)
    max_restarts: int = 3
    window: timedelta = timedelta(hours=1)
    max_tries: int = 3
    retry_after: timedelta = timedelta(seconds=10)
    # How long an escalated tenant is looked at, so that its recovery is told as well.
    follow_up: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at the moment of deciding.

    `state` is the tenant's availability now (a gap, or None before any data: not known); `resolved` whether
    Alertmanager has withdrawn the alert; `restarts` how often the tenant was restarted for other alerts
    within the policy's window; `maintenance_until` the end of the maintenance that is on.
    """

    state: SpanState | None
    resolved: bool = False
    restarts: int = 0
    maintenance_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state. `restart` True: restart the tenant first, then ask `after_restart`."""

    state: RecoveryState
    reason: RecoveryReason
    due_at: datetime | None = None
    restart: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The deployer's answer: the number of deployments restarted."""

    deployments: int


@dataclass(frozen=True, slots=True)
class RestartFailure:
    """The deployer could not, and why."""

    reason: RecoveryReason
    message: str
    retryable: bool


def decide(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    """What a due recovery does now."""
    if recovery.state is RecoveryState.RESTARTING:
        return _before_restart(recovery, facts, now, policy)
    if recovery.state is RecoveryState.WAITING:
        return _recheck(facts, now, policy)
    if recovery.state is RecoveryState.ESCALATED:
        return _follow_up(recovery, facts, now, policy)
    return Decision(recovery.state, recovery.reason)


def after_restart(
    recovery: Recovery, outcome: Restarted | RestartFailure, now: datetime, policy: RecoveryPolicy
) -> Decision:
    """What follows from the deployer's answer. `recovery.tries` counts the try just made."""
    if isinstance(outcome, Restarted):
        if outcome.deployments == 0:
            return _escalate(RecoveryReason.NOTHING_TO_RESTART, now, policy)
        return Decision(RecoveryState.WAITING, RecoveryReason.RESTARTED, now + policy.recheck_after)
    if outcome.retryable and recovery.tries < policy.max_tries:
        due = now + policy.retry_after
        waiting = RecoveryReason.DEPLOYER_UNAVAILABLE
        return Decision(RecoveryState.RESTARTING, waiting, due, detail=outcome.message)
    return _escalate(outcome.reason, now, policy, outcome.message)


def notifies(recovery: Recovery, decision: Decision) -> bool:
    """Escalations and recoveries are told to people; a recovery only of what was restarted or escalated."""
    if decision.state is recovery.state:
        return False
    if decision.state is RecoveryState.ESCALATED:
        return True
    handled = recovery.restarted_at is not None or recovery.escalated_at is not None
    return decision.state is RecoveryState.RECOVERED and handled


def _before_restart(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    if recovery.restart_at is None:
        if facts.resolved:
            return Decision(RecoveryState.RECOVERED, RecoveryReason.RESOLVED_BEFORE_RESTART)
        # An alert is ahead of our own evidence by some seconds; only one that was left lying is held against it.
        if facts.state is SpanState.UP and now - recovery.created_at >= policy.recheck_after:
            return Decision(RecoveryState.RECOVERED, RecoveryReason.UP_BEFORE_RESTART)
        if facts.maintenance_until is not None:
            # It may be ended early.
            due = min(facts.maintenance_until, now + policy.recheck_after)
            return Decision(recovery.state, RecoveryReason.IN_MAINTENANCE, due)
        if facts.restarts >= policy.max_restarts:
            detail = f"{facts.restarts} restarts within {_minutes(policy.window)} minutes"
            return _escalate(RecoveryReason.TOO_MANY_RESTARTS, now, policy, detail)
    if recovery.tries >= policy.max_tries:
        detail = f"{recovery.tries} tries without an answer"
        return _escalate(RecoveryReason.RESTART_FAILED, now, policy, detail)
    return Decision(recovery.state, recovery.reason, now, restart=True)


def _recheck(facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    if facts.state is SpanState.UP:
        return Decision(RecoveryState.RECOVERED, RecoveryReason.UP_AGAIN)
    if facts.state is SpanState.DOWN:
        return _escalate(RecoveryReason.STILL_DOWN, now, policy)
    return _escalate(RecoveryReason.NOT_MEASURED, now, policy)


def _follow_up(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    if facts.state is SpanState.UP:
        return Decision(RecoveryState.RECOVERED, RecoveryReason.UP_AFTER_ESCALATION)
    since = recovery.escalated_at or recovery.updated_at
    due = now + policy.recheck_after if now - since < policy.follow_up else None
    return Decision(recovery.state, recovery.reason, due, detail=recovery.detail)


def _escalate(reason: RecoveryReason, now: datetime, policy: RecoveryPolicy, detail: str = "") -> Decision:
    return Decision(RecoveryState.ESCALATED, reason, now + policy.recheck_after, detail=detail)


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g}"
