"""What a rule would have done over a tenant's own history. Pure: nothing is stored, nothing is sent.

The same functions decide here as in the engine (`judge`, `evaluate`, `burn.evaluate`, `advance`); only what they
read comes from running totals (`past.History`).
A replay starts with the rule inactive, as if it had been saved at the first instant, and it sees history as it is
known today: what arrived late, or was corrected, is read at the instant it speaks of.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.alerts.counted import judge as judge_counted
from ecpmon.alerts.counted_past import CountedHistory
from ecpmon.alerts.evaluate import Evaluation, evaluate
from ecpmon.alerts.flapping import flaps_by
from ecpmon.alerts.judgement import Facts, judge, saved_condition, told_until
from ecpmon.alerts.machine import advance
from ecpmon.alerts.past import History
from ecpmon.alerts.syntax import References, references
from ecpmon.model.alerts import (
    AlertRule,
    FlapPolicy,
    RuleKind,
    RuleState,
    RuleStatus,
    Transition,
    TransitionReason,
)
from ecpmon.model.windows import ErrorBudget, Incident
from ecpmon.sla import burn

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
Look = Callable[[RuleState, Facts], Evaluation]


@dataclass(frozen=True, slots=True)
class Firing:
    """As it is told. `value` is what was read when it fired; `resolved_at` None: still firing at the end."""

    fired_at: datetime
    resolved_at: datetime | None
    value: float | None

    @property
    def until(self) -> datetime:
        return self.resolved_at or _NEVER


@dataclass(frozen=True, slots=True)
class Detection:
    """An outage and whether the rule told of it. `budget_left` is of the 30-day window, at the detection.

    Nothing is late before the replay begins, or while the outage was planned.
    """

    incident: Incident
    detected_at: datetime | None
    budget_left: ErrorBudget | None

    @property
    def delay(self) -> timedelta | None:
        return None if self.detected_at is None else self.detected_at - self.incident.counted.start


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have done. `unknown` counts the evaluations in which it was frozen; `messages` is what each
    action would have sent, `suppressed` how many changes would not have been told, as the rule flapped."""

    evaluations: int
    unknown: int
    firings: tuple[Firing, ...]
    detections: tuple[Detection, ...]
    false_alarms: int
    messages: int = 0
    suppressed: int = 0

    @property
    def missed(self) -> int:
        return sum(1 for d in self.detections if d.detected_at is None)


def evaluations_in(lasting: timedelta, step: timedelta) -> int:
    """How often a replay evaluates: at its start and every `step` after it, its end included."""
    return lasting // step + 1


def replay(
    rule: AlertRule,
    history: History,
    start: datetime,
    end: datetime,
    step: timedelta,
    policies: Mapping[str, burn.BurnPolicy],
    flap: FlapPolicy | None = None,
) -> Backtest:
    """Evaluate `rule` (a threshold or a burn rate) every `step` from `start` to `end`."""
    look, wanted = _looking(rule, policies)
    state, unknown, told, untold, flap = RuleState(), 0, list[Transition](), 0, flaps_by(rule, flap)
    count = evaluations_in(end - start, step)
    for index in range(count):
        now = start + step * index
        evaluation = look(state, history.at(now, wanted))
        unknown += evaluation.result is None
        value = evaluation.reading.value
        state, changes = advance(state, evaluation.result, now, rule.for_, value=value, flap=flap)
        told.extend(change for change in changes if change.notifies)
        untold += sum(change.told is False for change in changes)
    firings = _firings(told)
    reach = step + _reach(rule, wanted, policies)
    around = history.incidents(start - reach, end)
    return Backtest(
        evaluations=count,
        unknown=unknown,
        firings=tuple(firings),
        detections=tuple(_detections(history, firings, start, end, reach)),
        false_alarms=sum(1 for f in firings if not _explained(f, around, reach)),
        messages=len(told),
        suppressed=untold,
    )


def replay_counted(
    rule: AlertRule,
    history: CountedHistory,
    start: datetime,
    end: datetime,
    step: timedelta,
    policies: Mapping[str, burn.BurnPolicy],
) -> Backtest:
    """The same for a rule about an objective, at whole minutes: `start` and `step` are such. Counts know no outages."""
    state, unknown, told = RuleState(), 0, list[Transition]()
    count = evaluations_in(end - start, step)
    for index in range(count):
        now = start + step * index
        evaluation = judge_counted(rule, state, history.at(now), policies)
        unknown += evaluation.result is None
        state, changes = advance(state, evaluation.result, now, rule.for_, value=evaluation.reading.value)
        told.extend(change for change in changes if change.notifies)
    return Backtest(count, unknown, tuple(_firings(told)), (), 0, len(told))


def _looking(rule: AlertRule, policies: Mapping[str, burn.BurnPolicy]) -> tuple[Look, References]:
    """How to judge the rule, its condition parsed once, and what that reads."""
    if rule.kind is RuleKind.BURN_RATE:
        return _burning(rule, policies), References()
    condition = saved_condition(rule)
    return lambda _, facts: evaluate(condition, facts), references(condition)


def _burning(rule: AlertRule, policies: Mapping[str, burn.BurnPolicy]) -> Look:
    """`judge` for a burn-rate rule, asked again only when something it reads has changed: mostly nothing has."""
    pairs = policies[rule.policy or "page"].pairs
    lengths = tuple({length for pair in pairs for length in (pair.long, pair.short)})
    seen: tuple[object, ...] = ()
    answer: Evaluation

    def look(state: RuleState, facts: Facts) -> Evaluation:
        nonlocal seen, answer
        history = facts.history
        voting = [history >= pair.long for pair in pairs]
        told = told_until(state, facts.now)
        reads = (state.status is RuleStatus.FIRING, voting, [facts.window_burn(w, told) for w in lengths])
        if reads != seen:
            seen, answer = reads, judge(rule, state, facts, policies)
        return answer

    return look


def _reach(rule: AlertRule, wanted: References, policies: Mapping[str, burn.BurnPolicy]) -> timedelta:
    """How long after an outage what fires may still be about it: what it looks at has to contain it."""
    if rule.kind is RuleKind.BURN_RATE:
        return max(pair.short for pair in policies[rule.policy or "page"].pairs)
    return wanted.longest_window


def _firings(told: Sequence[Transition]) -> list[Firing]:
    found: list[Firing] = []
    for change in told:
        if change.new is RuleStatus.FIRING:
            if change.reason is not TransitionReason.CALMED:  # else who was told knows that it fires
                found.append(Firing(change.at, None, change.value))
        else:
            found[-1] = replace(found[-1], resolved_at=change.at)
    return found


def _detections(
    history: History, firings: Sequence[Firing], start: datetime, end: datetime, reach: timedelta
) -> Iterator[Detection]:
    """Every outage within the replay with the first firing about it; one that was on already knew at once."""
    over = [f.until for f in firings]
    for incident in history.incidents(start, end):
        since = incident.counted.start
        index = bisect_right(over, since)
        if index < len(firings) and firings[index].fired_at <= incident.end + reach:
            at = max(firings[index].fired_at, since)
            yield Detection(incident, at, history.budget(at))
        else:
            yield Detection(incident, None, None)


def _explained(firing: Firing, incidents: Sequence[Incident], reach: timedelta) -> bool:
    """Whether some outage overlaps the firing, or ended no longer than `reach` before it."""
    index = bisect_left(incidents, firing.fired_at - reach, key=lambda i: i.end)
    return index < len(incidents) and incidents[index].start < firing.until
