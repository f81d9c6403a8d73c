"""The state machine of a rule: inactive → pending → firing → inactive. Pure; the state is a value.

How `for` is measured: on event time, by adding up the steps between consecutive evaluations that both
found the condition true. So a rule fires when it was *seen* to hold for that long:
- The state carries the sum, so a restart continues where it stopped. A step longer than
  `outage_tolerance` does not count: nobody looked in between (Prometheus' rules.alert.for-outage-tolerance,
  same default).
- Unknown freezes. Neither the step into blindness nor the step out of it counts, and the rule goes on
  from the sum it had. A frozen rule neither fires nor resolves; `frozen` shows it.
- A round that was overtaken says nothing: it judges an instant before the one that the state was judged at last, of
  which less was known (a sample of later counts as not there). So within `OVERTAKEN` an earlier instant changes
  nothing; what is further back is a clock that was set. (Of one that was set back by less, nothing is seen until it
  has caught up.)
- A clock that stepped back further starts a pending rule over at the earlier time: it may fire later than it
  should, never earlier. A firing rule is not touched by it.

What of it is told to people is flap control's (`ecpmon.alerts.flapping`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ecpmon.alerts.flapping import tamed
from ecpmon.model.alerts import FlapPolicy, RuleState, RuleStatus, Transition, TransitionReason

OUTAGE_TOLERANCE: Final = timedelta(hours=1)
# Longer than a round takes from its instant to what it stores.
OVERTAKEN: Final = timedelta(seconds=20)


def advance(
    state: RuleState,
    condition: bool | None,
    now: datetime,
    for_: timedelta,
    *,
    value: float | None = None,
    outage_tolerance: timedelta = OUTAGE_TOLERANCE,
    flap: FlapPolicy | None = None,
) -> tuple[RuleState, tuple[Transition, ...]]:
    """The state after an evaluation at event time `now` (aware UTC), and what changed, in order.

    `condition` None means unknown. `value` is the deciding value, kept for display. `flap` None: every change is told.
    """
    if is_overtaken(state, now):
        return state, ()
    new, changes = _evaluated(state, condition, now, for_, value, outage_tolerance)
    return tamed(state, new, changes, now, flap)


def is_overtaken(state: RuleState, now: datetime) -> bool:
    """Whether the state is what was found at a later instant already."""
    return state.evaluated_at is not None and timedelta(0) < state.evaluated_at - now <= OVERTAKEN


def _evaluated(
    state: RuleState,
    condition: bool | None,
    now: datetime,
    for_: timedelta,
    value: float | None,
    tolerance: timedelta,
) -> tuple[RuleState, tuple[Transition, ...]]:
    if condition is None:
        return _freeze(state, now)
    thawed, changes = _thaw(state, now, value)
    if condition:
        new, change = _hold(state, thawed, now, for_, tolerance)
    else:
        new, change = _clear(thawed, now)
    return new, (*changes, *change)


def withdraw(
    state: RuleState, now: datetime, reason: TransitionReason
) -> tuple[RuleState, tuple[Transition, ...]]:
    """The state of a rule that starts anew, and what ends with that, whatever the condition says.

    `evaluated_at` is set, so that an evaluation of the rule as it was before cannot be stored any more.
    """
    anew = RuleState(evaluated_at=now)
    if not state.stands:
        return anew, ()
    end = _change(state, RuleStatus.INACTIVE, now, reason, started_at=state.flaps.since)
    told = True if state.flapping else None
    return anew, (replace(end, told=told, untold=state.flaps.untold),)


def _freeze(state: RuleState, now: datetime) -> tuple[RuleState, tuple[Transition, ...]]:
    if state.frozen:
        return replace(state, evaluated_at=now), ()
    frozen = replace(state, frozen=True, frozen_since=now, evaluated_at=now)
    return frozen, (_change(state, state.status, now, TransitionReason.FROZEN),)


def _thaw(state: RuleState, now: datetime, value: float | None) -> tuple[RuleState, tuple[Transition, ...]]:
    """The state as evaluated now and no longer blind, everything else as it was."""
    seen = replace(state, frozen=False, frozen_since=None, evaluated_at=now, value=value)
    return seen, (_change(seen, seen.status, now, TransitionReason.THAWED),) if state.frozen else ()


def _hold(
    before: RuleState, seen: RuleState, now: datetime, for_: timedelta, tolerance: timedelta
) -> tuple[RuleState, tuple[Transition, ...]]:
    """The condition is true."""
    if seen.status is RuleStatus.FIRING:
        return seen, ()
    if for_ <= timedelta(0):
        return _fire(seen, now, TransitionReason.FIRED_AT_ONCE)
    if seen.status is RuleStatus.INACTIVE:
        pending = replace(seen, status=RuleStatus.PENDING, since=now, pending_since=now, held=timedelta(0))
        return pending, (_change(seen, RuleStatus.PENDING, now, TransitionReason.CONDITION_TRUE),)
    if before.evaluated_at is not None and now < before.evaluated_at:
        return replace(seen, pending_since=now, held=timedelta(0)), ()
    held = replace(seen, held=seen.held + _counted_step(before, now, tolerance))
    return _fire(held, now, TransitionReason.HELD_FOR) if held.held >= for_ else (held, ())


def _counted_step(before: RuleState, now: datetime, tolerance: timedelta) -> timedelta:
    """How much of the time since the previous evaluation the condition was seen to hold."""
    if before.frozen or before.evaluated_at is None:
        return timedelta(0)
    step = now - before.evaluated_at
    return step if step <= tolerance else timedelta(0)


def _fire(
    seen: RuleState, now: datetime, reason: TransitionReason
) -> tuple[RuleState, tuple[Transition, ...]]:
    firing = replace(seen, status=RuleStatus.FIRING, since=now, pending_since=seen.pending_since or now)
    return firing, (_change(seen, RuleStatus.FIRING, now, reason, started_at=now),)


def _clear(seen: RuleState, now: datetime) -> tuple[RuleState, tuple[Transition, ...]]:
    """The condition is false."""
    if seen.status is RuleStatus.INACTIVE:
        return seen, ()
    firing = seen.status is RuleStatus.FIRING
    reason = TransitionReason.RESOLVED if firing else TransitionReason.CONDITION_CLEARED
    inactive = replace(seen, status=RuleStatus.INACTIVE, since=now, pending_since=None, held=timedelta(0))
    return inactive, (_change(seen, RuleStatus.INACTIVE, now, reason),)


def _change(
    old: RuleState,
    new: RuleStatus,
    at: datetime,
    reason: TransitionReason,
    started_at: datetime | None = None,
) -> Transition:
    started = started_at or (old.since if old.status is RuleStatus.FIRING else None)
    return Transition(old.status, new, at, old.value, reason, started)
