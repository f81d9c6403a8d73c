"""What a rule would have done over a tenant's own history. Pure: nothing is stored, nothing is sent.

The same functions decide here as in the engine (`judge`, `evaluate`, `burn.evaluate`, `advance`); only what they
read comes from running totals, because a month in steps of a minute reads hundreds of thousands of windows.
A replay starts with the rule inactive, as if it had been saved at the first instant, and it sees history as it is
known today: what arrived late, or was corrected, is read at the instant it speaks of.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.alerts.engine import SLA_LOOKBACK
from ecpmon.alerts.evaluate import Evaluation, evaluate
from ecpmon.alerts.judgement import Facts, judge, saved_condition
from ecpmon.alerts.machine import advance
from ecpmon.alerts.syntax import AggFunction, Aggregate, References, references
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus, Transition
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import ErrorBudget, Incident, Tally
from ecpmon.ports import Latest, Point
from ecpmon.sla import burn, windows
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import exclude

BUDGET_WINDOW: Final = timedelta(days=30)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
Look = Callable[[RuleState, Facts], Evaluation]


def _ticks(at: datetime) -> int:
    """Microseconds since 1970. Whole numbers: running totals of them stay exact."""
    return (at - _EPOCH) // _MICROSECOND


class Timeline:
    """Spans (in order, disjoint) with running totals: any window costs two bisections, however many spans it has."""

    def __init__(self, spans: Sequence[Span], interval: timedelta) -> None:
        """`interval` is how often evidence comes: it makes a length of down time a number of failures."""
        self.spans = spans
        self._interval = interval // _MICROSECOND
        self._states = [s.state for s in spans]
        self._starts = [_ticks(s.start) for s in spans]
        self._ends = [_ticks(s.end) for s in spans]
        self._lengths = [end - start for start, end in zip(self._starts, self._ends, strict=True)]
        down, gap = self._lengths_of(SpanState.DOWN), self._lengths_of(SpanState.GAP)
        # Down time counts by its share, failed observations do not.
        charged = [n * s.down_share for n, s in zip(self._lengths, spans, strict=True)]
        self._all, self._down, self._gap = _running(self._lengths), _running(charged), _running(gap)
        self._failures = _running(self._failures_in(n) for n in down)

    def _lengths_of(self, state: SpanState) -> list[int]:
        return [n if s is state else 0 for s, n in zip(self._states, self._lengths, strict=True)]

    def _failures_in(self, down: int) -> int:
        return max(1, round(down / self._interval)) if down else 0

    def tally(self, start: datetime, end: datetime) -> tuple[Tally, int]:
        """What `windows.tally` says about `[start, end)`, and the number of failed observations in it."""
        begin, stop = _ticks(start), _ticks(end)
        first, after = bisect_right(self._ends, begin), bisect_left(self._starts, stop)
        if first >= after:
            return Tally(0.0, 0.0, 0.0), 0
        total = self._all[after] - self._all[first]
        down = self._down[after] - self._down[first]
        gap = self._gap[after] - self._gap[first]
        failures = self._failures[after] - self._failures[first]
        # Only the first and the last span can reach out of the window.
        for index in (first,) if first == after - 1 else (first, after - 1):
            inside = min(self._ends[index], stop) - max(self._starts[index], begin)
            outside = self._lengths[index] - inside
            total -= outside
            state = self._states[index]
            if state is SpanState.DOWN:
                down -= outside * self.spans[index].share
                failures += self._failures_in(inside) - self._failures_in(inside + outside)
            elif state is SpanState.GAP:
                gap -= outside
        return Tally(total / 1_000_000, down / 1_000_000, gap / 1_000_000), round(failures)

    def history(self, now: datetime) -> timedelta:
        """How long before `now` the first span begins that the engine, looking back as far as it does, would see."""
        first = bisect_right(self._ends, _ticks(now - SLA_LOOKBACK))
        return max(now - self.spans[first].start, timedelta(0)) if first < len(self.spans) else timedelta(0)


def _running(lengths: Iterable[float]) -> list[float]:
    return list(itertools.accumulate(lengths, initial=0))


@dataclass(frozen=True, slots=True)
class Instant(Facts):
    """`Facts` at one instant of the past. Reads of the timeline cost the same whatever the window."""

    timeline: Timeline = field(kw_only=True)
    fraction: float = field(kw_only=True)
    _burns: dict[timedelta, burn.WindowBurn] = field(kw_only=True, default_factory=dict)

    def burn_rate(self, window: timedelta) -> float | None:
        return windows.burn_rate(self.timeline.tally(self.now - window, self.now)[0], self.target)

    def budget_remaining(self, window: timedelta) -> float | None:
        left = windows.budget(self.timeline.tally(self.now - window, self.now)[0], self.target)
        return None if left.remaining_fraction is None else left.remaining_fraction * 100

    @property
    def target(self) -> float:
        return self.fraction

    @property
    def history(self) -> timedelta:
        return self.timeline.history(self.now)

    def window_burn(self, window: timedelta) -> burn.WindowBurn:
        if window not in self._burns:
            seconds, failures = self.timeline.tally(self.now - window, self.now)
            coverage = seconds.measured / seconds.eligible if seconds.eligible > 0 else 0.0
            rate = windows.burn_rate(seconds, self.target)
            self._burns[window] = burn.WindowBurn(rate, coverage, failures)
        return self._burns[window]


class Series:
    """One metric from one source, oldest first.

    `width` None: single samples. Else averages over that long, which are known when their time is over and hold
    until the next one is.
    """

    def __init__(self, source: Source, points: Sequence[Point], width: timedelta | None = None) -> None:
        self.source, self.width = source, width
        self.at = [p.ts + (width or timedelta(0)) for p in points]
        self._values = [p.value for p in points]
        self._lows, self._highs = [p.low for p in points], [p.high for p in points]
        # A fall of a counter is a reset (`storage.monitoring.rate_of`).
        rises = (b - a if b >= a else b for a, b in itertools.pairwise(self._values))
        self._rises = [0.0, *rises]
        self._known: dict[tuple[AggFunction, timedelta], tuple[int, int, float | None]] = {}

    def newest(self, now: datetime) -> Latest | None:
        index = bisect_right(self.at, now) - 1
        if index < 0:
            return None
        holds = self.width is not None and now - self.at[index] < self.width
        return Latest(now if holds else self.at[index], "", self._values[index], self.source)

    def aggregate(self, function: AggFunction, window: timedelta, now: datetime) -> float | None:
        """Over `(now - window, now]`."""
        first, after = bisect_right(self.at, now - window), bisect_right(self.at, now)
        known = self._known.get((function, window))
        if known is None or known[:2] != (first, after):
            known = (first, after, self._aggregate(function, first, after))
            self._known[function, window] = known
        return known[2]

    def _aggregate(self, function: AggFunction, first: int, after: int) -> float | None:
        if first >= after:
            return None
        match function:
            case AggFunction.AVG:
                return sum(self._values[first:after]) / (after - first)
            case AggFunction.MIN:
                return min(self._lows[first:after])
            case AggFunction.MAX:
                return max(self._highs[first:after])
            case AggFunction.LAST:
                return self._values[after - 1]
            case AggFunction.RATE:
                seconds = (self.at[after - 1] - self.at[first]).total_seconds()
                return sum(self._rises[first + 1 : after]) / seconds if seconds > 0 else None


class History:
    """All that a replay reads about one tenant. `spans` reach `SLA_LOOKBACK` before the first evaluation."""

    def __init__(
        self,
        tenant: Tenant,
        intervals: Intervals,
        spans: Sequence[Span],
        maintenance: Sequence[Interval] = (),
        samples: Mapping[str, Sequence[Series]] | None = None,
    ) -> None:
        """`samples`: metric name -> its series, the one from the evidence source first."""
        self._tenant, self._intervals = tenant, intervals
        interval = intervals.of(tenant.evidence_source, tenant)
        self.eligible = Timeline(exclude(spans, maintenance), interval)
        self._whole = Timeline(spans, interval)
        self._samples = samples or {}
        self._fraction = tenant.sla_target.fraction
        self._stalest = intervals.stalest(tenant)

    def at(self, now: datetime, wanted: References) -> Instant:
        latest = {m.name: found for m in wanted.metrics if (found := self._latest(m.name, now))}
        aggregates = {(a.function, a.name, a.window): self._aggregate(a, now) for a in wanted.aggregates}
        return Instant(
            self._tenant, now, (), latest, self._intervals, aggregates,
            timeline=self.eligible, fraction=self._fraction,
        )  # fmt: skip

    def _latest(self, name: str, now: datetime) -> Latest | None:
        """The newest of any source, as `MonitoringStore.latest` finds it; of two the evidence source's."""
        newest = [found for series in self._samples.get(name, ()) if (found := series.newest(now))]
        found = max(newest, key=lambda item: item.ts, default=None)
        return found if found and found.ts > now - self._stalest else None

    def _aggregate(self, term: Aggregate, now: datetime) -> float | None:
        series = self._samples.get(term.name)
        return series[0].aggregate(term.function, term.window, now) if series else None

    def budget(self, at: datetime) -> ErrorBudget:
        """What was left of the 30-day budget, by the contract's accounting rule."""
        seconds, _ = self.eligible.tally(at - BUDGET_WINDOW, at)
        if self._tenant.maintenance_accounting is Accounting.COUNT_AS_UP:
            whole, _ = self._whole.tally(at - BUDGET_WINDOW, at)
            excluded = replace(seconds, maintenance=whole.eligible - seconds.eligible)
            seconds = excluded.counting_maintenance_as_up()
        return windows.budget(seconds, self._fraction)


@dataclass(frozen=True, slots=True)
class Firing:
    """`value` is what was read when it fired; `resolved_at` None: still firing at the end."""

    fired_at: datetime
    resolved_at: datetime | None
    value: float | None

    @property
    def until(self) -> datetime:
        return self.resolved_at or _NEVER


@dataclass(frozen=True, slots=True)
class Detection:
    """An outage and whether the rule told of it. `budget_left` is of the 30-day window, at the detection."""

    incident: Incident
    detected_at: datetime | None
    budget_left: ErrorBudget | None

    @property
    def delay(self) -> timedelta | None:
        return None if self.detected_at is None else self.detected_at - self.incident.start


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have done. `unknown` counts the evaluations in which it was frozen."""

    evaluations: int
    unknown: int
    firings: tuple[Firing, ...]
    detections: tuple[Detection, ...]
    false_alarms: int

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
) -> Backtest:
    """Evaluate `rule` (a threshold or a burn rate) every `step` from `start` to `end`."""
    look, wanted = _looking(rule, policies)
    state, unknown, told = RuleState(), 0, list[Transition]()
    count = evaluations_in(end - start, step)
    for index in range(count):
        now = start + step * index
        evaluation = look(state, history.at(now, wanted))
        unknown += evaluation.result is None
        state, changes = advance(state, evaluation.result, now, rule.for_, value=evaluation.reading.value)
        told.extend(change for change in changes if change.notifies)
    firings = _firings(told)
    reach = step + _reach(rule, wanted, policies)
    around = windows.incidents(history.eligible.spans, start - reach, end)
    return Backtest(
        evaluations=count,
        unknown=unknown,
        firings=tuple(firings),
        detections=tuple(_detections(history, firings, start, end, reach)),
        false_alarms=sum(1 for f in firings if not _explained(f, around, reach)),
    )


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
        reads = (state.status is RuleStatus.FIRING, voting, [facts.window_burn(w) for w in lengths])
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
            found.append(Firing(change.at, None, change.value))
        else:
            found[-1] = replace(found[-1], resolved_at=change.at)
    return found


def _detections(
    history: History, firings: Sequence[Firing], start: datetime, end: datetime, reach: timedelta
) -> Iterator[Detection]:
    """Every outage within the replay with the first firing about it; one that was on already knew at once."""
    over = [f.until for f in firings]
    for incident in windows.incidents(history.eligible.spans, start, end):
        index = bisect_right(over, incident.start)
        if index < len(firings) and firings[index].fired_at <= incident.end + reach:
            at = max(firings[index].fired_at, incident.start)
            yield Detection(incident, at, history.budget(at))
        else:
            yield Detection(incident, None, None)


def _explained(firing: Firing, incidents: Sequence[Incident], reach: timedelta) -> bool:
    """Whether some outage overlaps the firing, or ended no longer than `reach` before it."""
    index = bisect_left(incidents, firing.fired_at - reach, key=lambda i: i.end)
    return index < len(incidents) and incidents[index].start < firing.until
