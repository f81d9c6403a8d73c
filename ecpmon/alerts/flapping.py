"""Flap control: what a rule that changes all the time tells of it. Pure; the state is a value.

A rule that fires for the nth time within a window flaps. That firing is told, and says so; then nothing is told until
the rule has been the same for a while. Then one message tells how it stands, and how much was left out. Invariants:

- Whoever was told stands in a firing alert as long as the rule flaps. So nobody waits for the first message of an
  outage: it begins in a calm rule, which tells at once, or in an alert that stands.
- What was told last is how the rule stands, as soon as that has been the same for the calm time. That is counted from
  the last change, seen or not since then: a rule that is blind keeps its state.
- Every firing and resolution is told, or counted in what the end of the flapping tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ecpmon.model.alerts import (
    AlertRule,
    FlapPolicy,
    Flaps,
    RuleKind,
    RuleState,
    RuleStatus,
    Transition,
    TransitionReason,
)


def flaps_by(rule: AlertRule, policy: FlapPolicy | None) -> FlapPolicy | None:
    """The policy, for a rule that it is about: those of the SLA have their own hysteresis."""
    return policy if rule.kind is RuleKind.THRESHOLD else None


def tamed(
    before: RuleState,
    after: RuleState,
    changes: Sequence[Transition],
    now: datetime,
    policy: FlapPolicy | None,
) -> tuple[RuleState, tuple[Transition, ...]]:
    """What an evaluation at `now` made of a rule, with its flaps, and its changes as they are to be told.

    `policy` None: nothing flaps, and what does has calmed.
    """
    if not changes and before.flaps.since is None:
        return after, ()
    flaps, told = before.flaps, list[Transition]()
    for change in changes:
        if change.is_switch:
            flaps, change = _switched(flaps, change, now, policy)  # noqa: PLW2901 - as it is told
        told.append(replace(change, flapping=flaps.since is not None))
    if flaps.since is not None and _is_calm(flaps, now, policy):
        told.append(_calmed(after, flaps, now))
        flaps = Flaps(flaps.fired)
    return replace(after, flaps=flaps if policy else Flaps()), tuple(told)


def _switched(
    flaps: Flaps, change: Transition, now: datetime, policy: FlapPolicy | None
) -> tuple[Flaps, Transition]:
    """After a firing or a resolution."""
    fires = change.new is RuleStatus.FIRING
    fired = flaps.fired
    if fires and policy is not None:
        fired = (*(at for at in fired if now - policy.window < at <= now), now)[-policy.firings :]
    if flaps.since is not None:
        untold = replace(flaps, fired=fired, changed_at=now, untold=flaps.untold + 1)
        return untold, replace(change, told=False)
    if fires and policy is not None and len(fired) >= policy.firings:
        return Flaps(fired, since=now, changed_at=now), change
    return replace(flaps, fired=fired), change


def _is_calm(flaps: Flaps, now: datetime, policy: FlapPolicy | None) -> bool:
    """A clock that was set back far calms as well: it would keep the rule from telling anything for as long."""
    if policy is None or flaps.changed_at is None:
        return True
    return abs(now - flaps.changed_at) >= policy.calm


def _calmed(after: RuleState, flaps: Flaps, now: datetime) -> Transition:
    """The alert that stands for who was told began with the flapping, or anew with the present firing."""
    started = after.since if after.status is RuleStatus.FIRING else flaps.since
    calmed = Transition(after.status, after.status, now, after.value, TransitionReason.CALMED, started)
    return replace(calmed, told=True, untold=flaps.untold)
