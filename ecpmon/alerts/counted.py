"""Whether a rule about an objective holds, from its counts by the minute. Pure; the policy is that of availability.

Instants are whole minutes: `now` is the last one that is over and every window ends at it, so that a replay over the
same counts decides the same. Minutes of maintenance are in no window, whatever the contract's accounting: nobody is
woken for what was planned. Nor are those outside of the service hours, across which windows reach further back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from ecpmon.alerts.defaults import BUDGETS
from ecpmon.alerts.evaluate import Evaluation, Reading
from ecpmon.alerts.judgement import BUDGET_LEAVES, BUDGET_MIN_HISTORY, burning, told_until
from ecpmon.alerts.syntax import CompareOp
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus
from ecpmon.model.maintenance import Interval
from ecpmon.model.objectives import Counts, Promised
from ecpmon.sla import burn, hours, ratios
from ecpmon.sla.budgets import allowed

# Nothing counted for so long is told.
SILENCE: Final = timedelta(minutes=5)
# No policy reads further back than its period allows, nor than this.
LONGEST_READ: Final = timedelta(days=30)
# What a promise over these windows spends its budget in. A shorter promise is alerted on as one of the policy's period.
_PERIODS: Final = {"7d": 7, "30d": 30, "90d": 90, "month": 30, "quarter": 90}
# A pair whose factor is less would fire on what the promise allows: it is raised to what spends the budget exactly.
LEAST_FACTOR: Final = 1.0
_MICROSECOND: Final = timedelta(microseconds=1)


@lru_cache(maxsize=64)
def fitting(policy: burn.BurnPolicy, window: str, *, events: bool) -> burn.BurnPolicy:
    """The policy for a promise over `window`; `events`: requests are counted, and so many bad ones are evidence.

    It may have no pairs, when all of them are longer than the promise: then it has nothing to say.
    """
    days = _PERIODS.get(window)
    period = policy.period if days is None else timedelta(days=days)
    pairs = tuple(_raised(p, period) for p in policy.pairs if p.long <= period)
    least = policy.min_bad_events if events else policy.min_failed_observations
    return replace(policy, period=period, pairs=pairs, min_failed_observations=least)


def _raised(pair: burn.WindowPair, period: timedelta) -> burn.WindowPair:
    if pair.factor(period) >= LEAST_FACTOR:
        return pair
    return replace(pair, budget_share=LEAST_FACTOR * (pair.long / period))


@dataclass(frozen=True, slots=True)
class CountedFacts:
    """What is known about one objective at the whole minute `now`.

    `before` gives everything counted before an instant; it is asked for `instants` only. `planned` are the minutes that
    are taken out before `now`, disjoint and in order, and `outside` those that lie outside of the service hours.
    `begun`: where the promised window begins. `interval`: how long one observation stands for.
    """

    promised: Promised
    now: datetime
    begun: datetime
    before: Callable[[datetime], Counts]
    planned: Sequence[tuple[datetime, datetime]]
    interval: timedelta
    outside: Sequence[Interval] = ()

    @property
    def target(self) -> float:
        return self.promised.target

    @property
    def history(self) -> timedelta:
        """Time since the first observation."""
        return self._since_first(self.now)

    def _since_first(self, at: datetime) -> timedelta:
        first = self.promised.first_at
        return timedelta(0) if first is None else max(at - first, timedelta(0))

    def since(self, start: datetime) -> Counts:
        """What was counted from `start` on, without maintenance."""
        found = self.before(self.now) - self.before(start)
        for begin, end in self.planned:
            if end > start:
                found -= self.before(end) - self.before(max(begin, start))
        return found

    def eligible(self, start: datetime) -> float:
        """Seconds from `start` on that could have been observed: after the first observation, without maintenance."""
        first = self.promised.first_at
        if first is None or first >= self.now:
            return 0.0
        start = max(start, first)
        off = ((max(begin, start), end) for begin, end in self.planned if end > start)
        return (self.now - start).total_seconds() - sum((b - a).total_seconds() for a, b in off)

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn:
        """Of the window that ends now; what was bad before `told` counts as good (see `told_until`)."""
        start = window_start(self.now, window, self.outside)
        counts, eligible = self.since(start), self.eligible(start)
        bad = counts.bad if told is None or told <= start else self.since(told).bad
        coverage = min(counts.observed / 1e6 / eligible, 1.0) if eligible > 0 else 0.0
        return burn.WindowBurn(self._rate(bad, counts), coverage, self._failures(bad))

    def _rate(self, bad: int, counts: Counts) -> float | None:
        if counts.total > 0:
            return (bad / counts.total) / allowed(self.target)
        # Seen, and nobody asked: nothing of the budget was spent.
        return 0.0 if self.promised.events and counts.observed > 0 else None

    def _failures(self, bad: int) -> int:
        return bad if self.promised.events else bad // (self.interval // _MICROSECOND)

    @property
    def budget_remaining(self) -> float | None:
        """Percent of the promised window's budget; None: nothing was observed in it."""
        counts = self.since(self.begun)
        left = ratios.budget(counts, self.target).remaining_fraction if counts.total > 0 else None
        if left is None:
            return 100.0 if self.promised.events and counts.observed > 0 else None
        return left * 100

    @property
    def budget_history(self) -> timedelta:
        """How much of the promised window could have been observed so far."""
        return min(self.now - self.begun, self.history)


def window_start(now: datetime, window: timedelta, outside: Sequence[Interval]) -> datetime:
    """Where a policy's window begins that ends at `now` and is so long in service hours."""
    return hours.since(outside, now, window, LONGEST_READ)


def lengths(policies: Mapping[str, burn.BurnPolicy]) -> set[timedelta]:
    """Of the windows that rules about objectives read, but for the promised one."""
    pairs = [pair for policy in policies.values() for pair in policy.pairs]
    return {length for pair in pairs for length in (pair.long, pair.short)} | {SILENCE}


def judge(
    rule: AlertRule, state: RuleState, facts: CountedFacts, policies: Mapping[str, burn.BurnPolicy]
) -> Evaluation:
    """The rule's condition at `facts.now`; `result` None freezes it."""
    match rule.kind:
        case RuleKind.BURN_RATE:
            promised = facts.promised
            policy = fitting(policies[rule.policy or "page"], promised.window, events=promised.events)
            return burning(policy, state, facts)
        case RuleKind.BUDGET:
            return _budget(rule, state, facts)
        case RuleKind.NO_DATA:
            return _no_data(state, facts)
        case RuleKind.THRESHOLD:
            raise ValueError("a condition is not about an objective")


def _budget(rule: AlertRule, state: RuleState, facts: CountedFacts) -> Evaluation:
    """As for availability: not in the first day of the window, and with the same hysteresis."""
    threshold, value = BUDGETS[rule.condition], facts.budget_remaining
    firing = state.status is RuleStatus.FIRING
    result: bool | None
    if facts.budget_history < BUDGET_MIN_HISTORY:
        result = None if firing else False
    elif value is None:
        result = None
    else:
        result = value < BUDGET_LEAVES[threshold] if firing else value <= threshold
    name = f"budget_remaining({facts.promised.window})"
    return Evaluation(result, Reading(name, CompareOp.LE, value, threshold, result))


def _no_data(state: RuleState, facts: CountedFacts) -> Evaluation:
    """True while nothing was observed for `SILENCE`, maintenance apart. What was never counted has nothing to miss."""
    start = facts.now - SILENCE
    seen = (facts.before(facts.now) - facts.before(start)).observed / 1e6
    result: bool | None
    if seen > 0 or facts.promised.first_at is None:
        result = False
    elif facts.eligible(start) < SILENCE.total_seconds():
        result = None if state.status is RuleStatus.FIRING else False
    else:
        result = True
    return Evaluation(result, Reading("observed_seconds(5m)", CompareOp.LE, seen, 0.0, result))


def instants(
    now: datetime,
    begun: datetime,
    planned: Sequence[tuple[datetime, datetime]],
    told: Sequence[datetime],
    windows: set[timedelta],
    outside: Sequence[Interval] = (),
) -> set[datetime]:
    """What `CountedFacts.before` is asked for when rules with these windows are judged."""
    edges = {at for both in planned for at in both}
    starts = {at for length in windows for at in (now - length, window_start(now, length, outside))}
    return {now, begun, *starts, *edges, *told}


def told_of(states: Sequence[RuleState], now: datetime) -> list[datetime]:
    """Until when failures were told, of each rule that has resolved."""
    return [at for state in states if (at := told_until(state, now)) is not None]
