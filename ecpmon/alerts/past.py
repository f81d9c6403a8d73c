"""A tenant's own past, as a replay reads it: any window at any instant at the same cost. Pure.

The engine reads stores; a month in steps of a minute reads hundreds of thousands of windows, so they come from
running totals here.
"""

from __future__ import annotations

import functools
import itertools
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.alerts.engine import SLA_LOOKBACK
from ecpmon.alerts.judgement import Facts
from ecpmon.alerts.syntax import AggFunction, Aggregate, References
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import ErrorBudget, Tally
from ecpmon.ports.samples import Latest, Point
from ecpmon.sla import burn, windows
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import exclude

BUDGET_WINDOW: Final = timedelta(days=30)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


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
    _burns: dict[tuple[timedelta, datetime | None], burn.WindowBurn] = field(
        kw_only=True, default_factory=dict
    )

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

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn:
        if (window, told) not in self._burns:
            self._burns[window, told] = self._window_burn(window, told)
        return self._burns[window, told]

    def _window_burn(self, window: timedelta, told: datetime | None) -> burn.WindowBurn:
        start = self.now - window
        seconds, failures = self.timeline.tally(start, self.now)
        if told is not None and told > start:
            untold, failures = self.timeline.tally(told, self.now)
            seconds = replace(seconds, down=untold.down)
        coverage = seconds.measured / seconds.eligible if seconds.eligible > 0 else 0.0
        return burn.WindowBurn(windows.burn_rate(seconds, self.target), coverage, failures)


class Folded:
    """Sums, minima or maxima of any stretch of a list in logarithmic time, and without what differences lose.

    A binary tree in a list: the leaves are the second half, and each node is its two children taken together.
    """

    def __init__(self, values: Sequence[float], together: Callable[[float, float], float]) -> None:
        self._together = together
        self._size = len(values)
        self._tree = [*values, *values]
        for node in range(self._size - 1, 0, -1):
            self._tree[node] = together(self._tree[2 * node], self._tree[2 * node + 1])

    def over(self, first: int, after: int) -> float:
        """Of `[first, after)`, which must not be empty."""
        left, right = first + self._size, after + self._size
        parts: list[float] = []
        while left < right:
            if left % 2:
                parts.append(self._tree[left])
                left += 1
            if right % 2:
                right -= 1
                parts.append(self._tree[right])
            left, right = left // 2, right // 2
        return functools.reduce(self._together, parts)


class Series:
    """One metric from one source, oldest first.

    `width` None: single samples. Else averages over that long, which are known when their time is over and hold
    until the next one is.
    """

    def __init__(self, source: Source, points: Sequence[Point], width: timedelta | None = None) -> None:
        self.source, self.width = source, width
        self.at = [p.ts + (width or timedelta(0)) for p in points]
        self._values = [p.value for p in points]
        # A fall of a counter is a reset (`storage.monitoring.rate_of`).
        rises = (b - a if b >= a else b for a, b in itertools.pairwise(self._values))
        self._sums, self._rises = Folded(self._values, operator.add), Folded([0.0, *rises], operator.add)
        self._lows = Folded([p.low for p in points], min)
        self._highs = Folded([p.high for p in points], max)
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
                return self._sums.over(first, after) / (after - first)
            case AggFunction.MIN:
                return self._lows.over(first, after)
            case AggFunction.MAX:
                return self._highs.over(first, after)
            case AggFunction.LAST:
                return self._values[after - 1]
            case AggFunction.RATE:
                seconds = (self.at[after - 1] - self.at[first]).total_seconds()
                return self._rises.over(first + 1, after) / seconds if seconds > 0 else None


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
