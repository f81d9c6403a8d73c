"""What to do about a tenant that Alertmanager says is down: one restart per incident, then people. Pure.

An *incident* is the period in which a fingerprint fires and our own evidence does not say that the tenant is up. A
row of `recoveries` is one incident and what was done about it; other alerts about the tenant meanwhile join it,
whatever their fingerprint and `startsAt`.

    checking ─► restarting ─► waiting ─► recovered
       │  ▲         │            │           ▲ ▲
       │  │         └────────────┴─► escalated ─┴─► closed
       ▼  │                              ▲
     doubted ─► recovered      checking ─┘     checking ─► joined

Rules, of which the tests are named after:

1. Nothing is done before our evidence had its time: down counts at once, up when it was observed after the alert, and
   a gap when what came before is shown no more (`Facts.holds`, five minutes at most; an hour while an older
   observation still says up).
   Who was not there when an incident was due waits for so long once more before a gap counts.
2. Measured up: `doubted`, which is told and never restarted. It is looked at as long as the alert fires; measured
   down, or nothing measured for five minutes, makes it a real one. A gap or no data prevents nothing.
3. One restart per incident. It is over when the tenant was measured up for `settle` on end (as outages are counted),
   not before: so no new `startsAt`, no second fingerprint and no second message restarts what was restarted, or what
   people were called for. If it is down again by then and the alert still fires, that is the next incident.
4. An alert is over when `resolved` came for it, whichever `startsAt` that names. A missing `resolved` is made up for by
   Alertmanager's list (`AlertStanding.GONE`), but only together with our evidence: Alertmanager forgets what fires when
   it is started anew. An alert that is silenced or inhibited does not act, neither does one during maintenance; a
   restart that was begun is finished.
5. A `startsAt` that lies ahead counts as the time at which the alert was received: Alertmanager tells what fires.

`decide` looks at an incident that is due, `after_restart` at what the deployer answered. Nothing here acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.recovery import AlertStanding, Recovery, RecoveryReason, RecoveryState
from ecpmon.sla.incidents import FLAP_LIMIT


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """Restarts are bounded per tenant: `max_restarts` within `window`. The deployer is asked `max_tries` times.

    `spare_healthy` False: an alert is acted upon at once, whatever our evidence says.
    """

    recheck_after: timedelta = timedelta(minutes=5)
    max_restarts: int = 3
    window: timedelta = timedelta(hours=1)
    max_tries: int = 3
    retry_after: timedelta = timedelta(seconds=10)
    spare_healthy: bool = True
    # Up for so long is the end of an outage.
    settle: timedelta = FLAP_LIMIT
    # How often it is looked whether what holds somebody back is over.
    look_every: timedelta = timedelta(minutes=1)
    # So long an incident is looked at often, afterwards once an hour until it ends.
    follow_up: timedelta = timedelta(hours=24)
    seldom: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What our timeline says now: `state` (a gap, or None before any data: not known) since `since`.

    `settled_at`: when the tenant had last been up for `settle` on end; None: not since it was last looked at.
    `observed_at`: of the newest observation.
    """

    state: SpanState | None
    since: datetime | None = None
    settled_at: datetime | None = None
    observed_at: datetime | None = None

    def is_since(self, instant: datetime) -> bool:
        """Whether anything was observed at `instant` or after it."""
        return self.observed_at is not None and self.observed_at >= instant


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at the moment of deciding.

    Of the tenant's evidence, `holds`: how long an observation is shown; `interval`: how often there is one. `resolved`:
    Alertmanager has withdrawn every alert of the incident.
    `restarts`: how often the tenant was restarted for other incidents within the policy's window.
    `maintenance_until`: the end of the maintenance that is on. `beside`: the tenant's incident that people were called
    for and that is not over; `beside_due`: it is about to be looked at.
    """

    evidence: Evidence
    holds: timedelta = timedelta(seconds=12.5)
    interval: timedelta = timedelta(seconds=5)
    resolved: bool = False
    alert: AlertStanding = AlertStanding.UNKNOWN
    restarts: int = 0
    maintenance_until: datetime | None = None
    beside: str | None = None
    beside_due: bool = False

    @property
    def state(self) -> SpanState | None:
        return self.evidence.state


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state. `restart` True: restart the tenant first, then ask `after_restart`.

    `again` True: there is more to do at once, when this is stored. `anew` True: the alert still fires, and is the
    begin of another incident. `ended_at`: when it was over; None: now.
    """

    state: RecoveryState
    reason: RecoveryReason
    due_at: datetime | None = None
    restart: bool = False
    again: bool = False
    anew: bool = False
    ended_at: datetime | None = None
    detail: str = ""
    joined_to: str | None = None


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


def evidence_of(
    spans: Sequence[Span], looked_at: datetime, now: datetime, settle: timedelta, observed_at: datetime | None
) -> Evidence:
    """From the newest spans of a timeline that was read a little past `now`."""
    runs: list[tuple[SpanState, datetime, datetime]] = []
    for span in spans:
        if runs and runs[-1][0] is span.state and runs[-1][2] == span.start:
            runs[-1] = (span.state, runs[-1][1], span.end)
        else:
            runs.append((span.state, span.start, span.end))
    settled = [
        max(start + settle, looked_at)
        for state, start, end in runs
        if state is SpanState.UP and end > looked_at and min(end, now) - start >= settle
    ]
    state, since = (runs[-1][0], runs[-1][1]) if runs and runs[-1][2] > now else (None, None)
    return Evidence(state, since, settled[-1] if settled else None, observed_at)


def decide(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    """What a due incident does now."""
    match recovery.state:
        case RecoveryState.CHECKING | RecoveryState.DOUBTED:
            return _judge(recovery, facts, now, policy)
        case RecoveryState.RESTARTING:
            return _restart(recovery, facts, now, policy)
        case RecoveryState.WAITING:
            return _recheck(recovery, facts, now, policy)
        case RecoveryState.ESCALATED:
            return _follow_up(recovery, facts, now, policy)
        case _:
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


# What people have heard of, so that they are told its end as well.
_TOLD = frozenset(
    {RecoveryState.DOUBTED, RecoveryState.RESTARTING, RecoveryState.WAITING, RecoveryState.ESCALATED}
)


def notifies(recovery: Recovery, decision: Decision) -> bool:
    """People are told when an alert is doubted, when an incident begins, when it is escalated, and how it ended."""
    if decision.state is recovery.state:
        return False
    if decision.state in (RecoveryState.DOUBTED, RecoveryState.RESTARTING, RecoveryState.ESCALATED):
        return True
    return decision.state in (RecoveryState.RECOVERED, RecoveryState.CLOSED) and recovery.state in _TOLD


def _judge(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    """Whether an alert is a real one."""
    if facts.resolved:
        return Decision(RecoveryState.RECOVERED, RecoveryReason.RESOLVED_BEFORE_RESTART)
    if facts.beside is not None:
        # That one may be over; whoever looks at it says so.
        if facts.beside_due and now - recovery.created_at < policy.recheck_after:
            return Decision(recovery.state, recovery.reason, now + policy.retry_after)
        under_way = RecoveryReason.RECOVERY_UNDER_WAY
        return Decision(RecoveryState.JOINED, under_way, joined_to=facts.beside)
    if held := _held_back(recovery, facts, now, policy):
        return held
    if facts.state is SpanState.DOWN:
        return _begin(RecoveryReason.MEASURED_DOWN, facts, now, policy)
    if recovery.state is RecoveryState.DOUBTED:
        return _doubt(recovery, facts, now, policy)
    if policy.spare_healthy and (spared := _spare(recovery, facts, now, policy)):
        return spared
    return _begin(RecoveryReason.ALERT_BELIEVED, facts, now, policy)


def _spare(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision | None:
    """Of who is not measured down; None: nothing keeps it from a restart."""
    patience = _patience(facts, policy)
    decided_at = recovery.created_at + patience
    if now >= decided_at and _measured_up(recovery, facts):
        if facts.alert is AlertStanding.GONE:
            return Decision(RecoveryState.RECOVERED, RecoveryReason.ALERT_GONE)
        return Decision(RecoveryState.DOUBTED, RecoveryReason.MEASURED_UP, now + policy.look_every)
    if _comes_late(recovery, facts, now, policy):
        decided_at = now + patience
    elif facts.state is SpanState.UP:  # by an observation before the alert, which still holds
        decided_at = recovery.created_at + min(facts.holds, policy.window)
    if now >= decided_at:
        return None
    due = min(decided_at, now + facts.interval)
    return Decision(recovery.state, RecoveryReason.AWAITING_EVIDENCE, due)


def _patience(facts: Facts, policy: RecoveryPolicy) -> timedelta:
    """How long evidence may be behind: by then something newer has come, or what came before is shown no more."""
    return min(facts.holds, policy.recheck_after)


def _comes_late(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> bool:
    """Nobody has looked when it was due: ecpmon was not there, and has a gap behind it and evidence in a moment."""
    return recovery.due_at is not None and now - recovery.due_at > _patience(facts, policy)


def _measured_up(recovery: Recovery, facts: Facts) -> bool:
    """Since the alert: an observation that is good for days says nothing about now."""
    return facts.state is SpanState.UP and facts.evidence.is_since(recovery.created_at)


def _doubt(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    since = facts.evidence.since
    if facts.state is SpanState.UP:
        if facts.alert is AlertStanding.GONE:
            return Decision(RecoveryState.RECOVERED, RecoveryReason.ALERT_GONE)
    elif (
        since is not None
        and now - since >= policy.recheck_after
        and not _comes_late(recovery, facts, now, policy)
    ):
        return _begin(RecoveryReason.ALERT_BELIEVED, facts, now, policy)
    often = now - recovery.created_at < policy.window
    due = now + (policy.look_every if often else policy.recheck_after)
    return Decision(recovery.state, RecoveryReason.MEASURED_UP, due)


def _begin(reason: RecoveryReason, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    """It is a real one: told first, restarted then."""
    if facts.restarts >= policy.max_restarts:
        detail = f"{facts.restarts} restarts within {_minutes(policy.window)} minutes"
        return _escalate(RecoveryReason.TOO_MANY_RESTARTS, now, policy, detail)
    return Decision(RecoveryState.RESTARTING, reason, now, again=True)


def _restart(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    if recovery.restart_at is None:
        if facts.resolved:
            return Decision(RecoveryState.RECOVERED, RecoveryReason.RESOLVED_BEFORE_RESTART)
        if policy.spare_healthy and _measured_up(recovery, facts):
            return Decision(RecoveryState.RECOVERED, RecoveryReason.UP_BEFORE_RESTART)
        if held := _held_back(recovery, facts, now, policy):
            return held
    if recovery.tries >= policy.max_tries:
        detail = f"{recovery.tries} tries without an answer"
        return _escalate(RecoveryReason.RESTART_FAILED, now, policy, detail)
    return Decision(recovery.state, recovery.reason, now, restart=True)


def _recheck(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    state = facts.state if facts.evidence.is_since(recovery.restarted_at or recovery.created_at) else None
    if state is SpanState.UP:
        if (due := _settled_at(facts, now, policy)) > now:
            return Decision(recovery.state, RecoveryReason.SETTLING, due)
        return Decision(RecoveryState.RECOVERED, RecoveryReason.UP_AGAIN)
    if held := _held_back(recovery, facts, now, policy):
        return held
    if state is SpanState.DOWN:
        return _escalate(RecoveryReason.STILL_DOWN, now, policy)
    # Who was just started has a gap behind it, and evidence in a moment.
    if recovery.reason is not RecoveryReason.AWAITING_EVIDENCE:
        due = now + _patience(facts, policy)
        return Decision(recovery.state, RecoveryReason.AWAITING_EVIDENCE, due)
    return _escalate(RecoveryReason.NOT_MEASURED, now, policy)


def _follow_up(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision:
    if facts.evidence.settled_at is not None:
        down_again = facts.state is SpanState.DOWN and not _over(facts)
        after = RecoveryReason.UP_AFTER_ESCALATION
        return Decision(RecoveryState.RECOVERED, after, anew=down_again, ended_at=facts.evidence.settled_at)
    since = recovery.escalated_at or recovery.updated_at
    late = now - since >= policy.follow_up
    if late and facts.state is not SpanState.DOWN and facts.state is not SpanState.UP and _over(facts):
        return Decision(RecoveryState.CLOSED, RecoveryReason.ALERT_OVER)
    due = now + (policy.seldom if late else policy.recheck_after)
    if facts.state is SpanState.UP:
        due = _settled_at(facts, now, policy)
    return Decision(recovery.state, recovery.reason, max(due, now), detail=recovery.detail)


def _over(facts: Facts) -> bool:
    return facts.resolved or facts.alert is AlertStanding.GONE


def _settled_at(facts: Facts, now: datetime, policy: RecoveryPolicy) -> datetime:
    """When a tenant that is up will have been up for long enough."""
    return (facts.evidence.since or now) + policy.settle


def _held_back(recovery: Recovery, facts: Facts, now: datetime, policy: RecoveryPolicy) -> Decision | None:
    if facts.alert is AlertStanding.SILENCED:
        return Decision(recovery.state, RecoveryReason.SILENCED, now + policy.look_every)
    if facts.maintenance_until is not None:
        # It may be ended early.
        due = min(facts.maintenance_until, now + policy.recheck_after)
        return Decision(recovery.state, RecoveryReason.IN_MAINTENANCE, due)
    return None


def _escalate(reason: RecoveryReason, now: datetime, policy: RecoveryPolicy, detail: str = "") -> Decision:
    return Decision(RecoveryState.ESCALATED, reason, now + policy.recheck_after, detail=detail)


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g}"
