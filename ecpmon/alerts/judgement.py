"""Whether a rule's condition holds now. Pure: what was read from the stores comes in as values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Final, Protocol

from ecpmon.alerts.evaluate import Evaluation, Reading, evaluate
from ecpmon.alerts.grammar import parse
from ecpmon.alerts.syntax import AggFunction, CompareOp, Condition, references
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.samples import Latest
from ecpmon.sla import budgets, burn
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.ledger import Ledger

# Every window an SLA rule reads lies within this.
SLA_LOOKBACK: Final = timedelta(days=30)
# Budgets below which a stock rule fires, and the budget it needs to resolve (slo-practice.md, hysteresis).
BUDGET_LEAVES: Final = {20.0: 25.0, 0.0: 2.0}
# Percentages of a budget that has hardly begun to grow mean nothing.
BUDGET_MIN_HISTORY: Final = timedelta(hours=24)


class _AnyName(Collection[str]):
    """Names were checked when the rule was saved; a series that has since gone must not make it unreadable."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def saved_condition(rule: AlertRule) -> Condition:
    """The tree of a stored rule's condition."""
    return _parsed(rule.condition)


@lru_cache(maxsize=4096)
def _parsed(condition: str) -> Condition:
    return parse(condition, _AnyName())


def reads_windows(rule: AlertRule) -> bool:
    """Whether it asks for windows of samples, which take longest to read. Raises what `saved_condition` raises."""
    return rule.kind is RuleKind.THRESHOLD and bool(references(saved_condition(rule)).aggregates)


def windows_read(rules: Iterable[AlertRule], policies: Mapping[str, burn.BurnPolicy]) -> set[timedelta]:
    """Lengths of the windows of availability that the rules read; empty: they read none."""
    found: set[timedelta] = set()
    for rule in rules:
        match rule.kind:
            case RuleKind.BURN_RATE:
                pairs = policies[rule.policy or "page"].pairs
                found |= {length for pair in pairs for length in (pair.long, pair.short)}
            case RuleKind.NO_DATA:
                found.add(SLA_LOOKBACK)
            case _:
                found |= {term.window for term in references(saved_condition(rule)).sla}
    return found


class Record(Protocol):
    """A tenant's availability, as far as a rule reads it: without maintenance, and without what lies outside of the
    service hours. All intervals end exclusively."""

    def tally(self, start: datetime, end: datetime) -> Tally: ...

    def failures(self, start: datetime, end: datetime, interval: timedelta) -> int:
        """Observations that failed, when they come every `interval`."""

    def history(self, start: datetime, end: datetime) -> timedelta:
        """How long before `end` there is something known, from `start` on."""

    def since(self, now: datetime, length: timedelta, most: timedelta) -> datetime:
        """From when on `length` of the time before `now` was within the service hours; `most` before at most."""

    def silence(self, start: datetime, end: datetime) -> float | None:
        """Seconds of the gap that it ends with; None: it ends with no gap."""


def unobserved(now: datetime) -> Record:
    """The record of a tenant that nobody has ever observed."""
    return Ledger(lambda _: Mark(now, None, None))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one tenant at `now`; `Values` for conditions."""

    tenant: Tenant
    now: datetime
    record: Record
    latest: Mapping[str, Latest]
    intervals: Intervals
    aggregates: Mapping[tuple[AggFunction, str, timedelta], float | None] = field(default_factory=dict)

    def last(self, metric: str) -> float | None:
        found = self.latest.get(metric)
        if found is None:
            return None
        return found.value if self.now - found.ts <= self._fresh_for(found.source) else None

    def _fresh_for(self, source: str) -> timedelta:
        return self.intervals.shown(source, self.tenant)

    def aggregate(self, function: AggFunction, metric: str, window: timedelta) -> float | None:
        return self.aggregates.get((function, metric, window))

    def burn_rate(self, window: timedelta) -> float | None:
        return budgets.burn_rate(self.record.tally(self.now - window, self.now), self.target)

    def budget_remaining(self, window: timedelta) -> float | None:
        left = budgets.budget(self.record.tally(self.now - window, self.now), self.target)
        return None if left.remaining_fraction is None else left.remaining_fraction * 100

    @property
    def target(self) -> float:
        return self.tenant.sla_target.fraction

    @property
    def history(self) -> timedelta:
        """Time since the first observation, as far as rules look back."""
        return self.record.history(self.now - SLA_LOOKBACK, self.now)

    @property
    def silence(self) -> float | None:
        """Seconds since the newest known state became a gap; None: it is none."""
        return self.record.silence(self.now - SLA_LOOKBACK, self.now)

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn:
        """Of the window that ends now; what failed before `told` counts as up (see `told_until`).

        It is as long in service hours: else the first minute of a day would be all of its first hour.
        """
        start = self.record.since(self.now, window, SLA_LOOKBACK)
        seconds = self.record.tally(start, self.now)
        if told is not None and told > start:
            start = told
            seconds = replace(seconds, down=self.record.tally(start, self.now).down)
        coverage = seconds.measured / seconds.eligible if seconds.eligible > 0 else 0.0
        interval = self.intervals.of(self.tenant.evidence_source, self.tenant)
        failed = self.record.failures(start, self.now, interval)
        return burn.WindowBurn(budgets.burn_rate(seconds, self.target), coverage, failed)


class Burning(Protocol):
    """What a burn-rate policy reads."""

    @property
    def now(self) -> datetime: ...

    @property
    def target(self) -> float: ...

    @property
    def history(self) -> timedelta: ...

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn: ...


def told_until(state: RuleState, now: datetime) -> datetime | None:
    """Until when failures have been told, so that they fire no burn-rate rule a second time; None: none have.

    A rule resolves while its long window still holds what it fired for: without this every further failed probe
    would fire it again. A new outage is told as soon as a first one. A clock that stepped back forgets it.
    """
    quiet = state.status is RuleStatus.INACTIVE and state.since is not None and state.since <= now
    return state.since if quiet else None


def remembered(state: RuleState, now: datetime) -> bool:
    """Whether a window that a rule reads may hold what was told before."""
    told = told_until(state, now)
    return told is not None and told > now - SLA_LOOKBACK


def judge(
    rule: AlertRule, state: RuleState, facts: Facts, policies: Mapping[str, burn.BurnPolicy]
) -> Evaluation:
    """The rule's condition at `facts.now`; `result` None freezes it."""
    match rule.kind:
        case RuleKind.BURN_RATE:
            return burning(policies[rule.policy or "page"], state, facts)
        case RuleKind.BUDGET:
            return _budget(rule, state, facts)
        case RuleKind.NO_DATA:
            return _no_data(facts)
        case RuleKind.THRESHOLD:
            return evaluate(saved_condition(rule), facts)


def burning(chosen: burn.BurnPolicy, state: RuleState, facts: Burning) -> Evaluation:
    """Whether the policy fires, as far as it can at the target."""
    try:
        policy = burn.reachable(chosen, facts.target)
    except burn.PolicyError:
        # A target so low that even a full outage never burns fast enough: the policy has nothing to say.
        return Evaluation(False, Reading("burn_rate", CompareOp.GT, None, None, False))
    firing = state.status is RuleStatus.FIRING
    measure = partial(facts.window_burn, told=told_until(state, facts.now))
    decision = burn.decide(policy, measure, facts.history, firing)
    hours = decision.pair.long.total_seconds() / 3600
    reading = Reading(
        f"burn_rate({hours:g}h)", CompareOp.GT, decision.long.burn, decision.factor, decision.fired, decision
    )
    return Evaluation(decision.fired, reading)


def _budget(rule: AlertRule, state: RuleState, facts: Facts) -> Evaluation:
    found = evaluate(saved_condition(rule), facts)
    if facts.history < BUDGET_MIN_HISTORY:
        return Evaluation(None if state.status is RuleStatus.FIRING else False, found.reading)
    value, threshold = found.reading.value, found.reading.threshold
    if state.status is RuleStatus.FIRING and value is not None and threshold is not None:
        return Evaluation(value < BUDGET_LEAVES.get(threshold, threshold), found.reading)
    return found


def _no_data(facts: Facts) -> Evaluation:
    """True while the newest known state is a gap. A tenant never observed has nothing to miss."""
    seconds = facts.silence
    blind = seconds is not None
    return Evaluation(blind, Reading("gap_seconds", CompareOp.GT, seconds or 0.0, 0.0, blind))
