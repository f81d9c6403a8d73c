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
from operator import itemgetter
from typing import Final

from ecpmon.alerts.judgement import Facts
from ecpmon.alerts.syntax import AggFunction, Aggregate, References
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import ErrorBudget, Incident, Tally
from ecpmon.ports.samples import Latest, Point
from ecpmon.sla import budgets, burn, hours, incidents
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

    def __init__(self, spans: Sequence[Span], outside: Sequence[Interval] = ()) -> None:
        """`outside` of the service hours: not in `spans`, but windows reach across it."""
        self.spans = spans
        self._outside = outside
        self._states = [s.state for s in spans]
        self._starts = [_ticks(s.start) for s in spans]
        self._ends = [_ticks(s.end) for s in spans]
        self._lengths = [end - start for start, end in zip(self._starts, self._ends, strict=True)]
        down = [n if s.state is SpanState.DOWN else 0 for n, s in zip(self._lengths, spans, strict=True)]
        # Down time and gaps count by their share, failed observations do not.
        charged = [n * s.down_share for n, s in zip(self._lengths, spans, strict=True)]
        gap = [n * s.unknown_share for n, s in zip(self._lengths, spans, strict=True)]
        self._all, self._down, self._gap = _running(self._lengths), _running(charged), _running(gap)
        self._hard, self._downs = _running(down), _running(map(bool, down))

    def tally(self, start: datetime, end: datetime) -> Tally:
        """What `windows.tally` says about `[start, end)`."""
        begin, stop = _ticks(start), _ticks(end)
        first, after = bisect_right(self._ends, begin), bisect_left(self._starts, stop)
        if first >= after:
            return Tally(0.0, 0.0, 0.0)
        total = self._all[after] - self._all[first]
        down = self._down[after] - self._down[first]
        gap = self._gap[after] - self._gap[first]
        # Only the first and the last span can reach out of the window.
        for index in {first, after - 1}:
            outside = self._lengths[index] - self._inside(index, begin, stop)
            total -= outside
            down -= outside * self.spans[index].down_share
            gap -= outside * self.spans[index].unknown_share
        return Tally(total / 1_000_000, down / 1_000_000, gap / 1_000_000)

    def _inside(self, index: int, begin: int, stop: int) -> int:
        return min(self._ends[index], stop) - max(self._starts[index], begin)

    def failures(self, start: datetime, end: datetime, interval: timedelta) -> int:
        begin, stop = _ticks(start), _ticks(end)
        first, after = bisect_right(self._ends, begin), bisect_left(self._starts, stop)
        if first >= after:
            return 0
        hard = self._hard[after] - self._hard[first]
        for index in {first, after - 1}:
            if self._states[index] is SpanState.DOWN:
                hard -= self._lengths[index] - self._inside(index, begin, stop)
        return max(round(self._downs[after] - self._downs[first]), round(hard / (interval // _MICROSECOND)))

    def history(self, start: datetime, end: datetime) -> timedelta:
        first = bisect_right(self._ends, _ticks(start))
        if first == len(self.spans):
            return timedelta(0)
        return max(end - max(self.spans[first].start, start), timedelta(0))

    def since(self, now: datetime, length: timedelta, most: timedelta) -> datetime:
        return hours.since(self._outside, now, length, most)

    def silence(self, start: datetime, end: datetime) -> float | None:
        last = bisect_left(self._starts, _ticks(end)) - 1
        if last < 0 or self.spans[last].state is not SpanState.GAP or self.spans[last].end <= start:
            return None
        span = self.spans[last]
        return (min(span.end, end) - max(span.start, start)).total_seconds()


def _running(lengths: Iterable[float]) -> list[float]:
    return list(itertools.accumulate(lengths, initial=0))


@dataclass(frozen=True, slots=True)
class Instant(Facts):
    """`Facts` at one instant of the past. Reads of the timeline cost the same whatever the window."""

    fraction: float = field(kw_only=True)
    _burns: dict[tuple[timedelta, datetime | None], burn.WindowBurn] = field(
        kw_only=True, default_factory=dict
    )

    @property
    def target(self) -> float:
        return self.fraction

    def _fresh_for(self, source: str) -> timedelta:
        """Every sample of the past has been heard of."""
        return self.intervals.holds(source, self.tenant)

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn:
        if (window, told) not in self._burns:
            self._burns[window, told] = Facts.window_burn(self, window, told)
        return self._burns[window, told]


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

    def __init__(self, source: str, points: Sequence[Point], width: timedelta | None = None) -> None:
        self.source, self.width = source, width
        self.at = [p.ts + (width or timedelta(0)) for p in points]
        self._values = [p.value for p in points]
        # A fall of a counter is a reset, as the database counts it.
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

    def last(self, window: timedelta, now: datetime) -> datetime | None:
        """When it said something last in `(now - window, now]`."""
        place = bisect_right(self.at, now) - 1
        return self.at[place] if place >= 0 and self.at[place] > now - window else None

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
        outside: Sequence[Interval] = (),
    ) -> None:
        """`samples`: metric name -> its series, one per source, the one from the evidence source first if there is one.
        `outside` of the service hours: a part of `maintenance`, which is all that is taken out."""
        self._tenant, self._intervals = tenant, intervals
        self.eligible = Timeline(exclude(spans, maintenance), outside)
        self._whole = Timeline(spans)
        self._serving = Timeline(exclude(spans, outside))
        self._maintenance = maintenance
        self._samples = samples or {}
        self._fraction = tenant.sla_target.fraction
        self._stalest = intervals.stalest(tenant)

    def at(self, now: datetime, wanted: References) -> Instant:
        latest = {m.name: found for m in wanted.metrics if (found := self._latest(m.name, now))}
        aggregates = {(a.function, a.name, a.window): self._aggregate(a, now) for a in wanted.aggregates}
        return Instant(
            self._tenant, now, self.eligible, latest, self._intervals, aggregates, fraction=self._fraction,
        )  # fmt: skip

    def _latest(self, name: str, now: datetime) -> Latest | None:
        """The newest of any source, as `MonitoringStore.latest` finds it; of two the evidence source's."""
        newest = [found for series in self._samples.get(name, ()) if (found := series.newest(now))]
        found = max(newest, key=lambda item: item.ts, default=None)
        return found if found and found.ts > now - self._stalest else None

    def _aggregate(self, term: Aggregate, now: datetime) -> float | None:
        """The evidence source's if that said anything in the window, else that of the source that spoke last, as
        `MonitoringStore.trailing` finds it."""
        evidence = self._tenant.evidence_source
        said = [
            (series.source == evidence, last, series)
            for series in self._samples.get(term.name, ())
            if (last := series.last(term.window, now)) is not None
        ]
        chosen = max(said, key=itemgetter(0, 1), default=None)
        return None if chosen is None else chosen[2].aggregate(term.function, term.window, now)

    def incidents(self, start: datetime, end: datetime) -> list[Incident]:
        """Those that count in `[start, end)`, whole, as they were known at `end`."""
        return incidents.incidents(self._whole.spans, start, end, self._maintenance)

    def budget(self, at: datetime) -> ErrorBudget:
        """What was left of the 30-day budget, by the contract's accounting rule."""
        seconds = self.eligible.tally(at - BUDGET_WINDOW, at)
        if self._tenant.maintenance_accounting is Accounting.COUNT_AS_UP:
            serving = self._serving.tally(at - BUDGET_WINDOW, at)
            excluded = replace(seconds, maintenance=serving.eligible - seconds.eligible)
            seconds = excluded.counting_maintenance_as_up()
        return budgets.budget(seconds, self._fraction)
