"""From readings of counters and of response times to minutes of counts (data-and-sla.md §3). Pure.

Nothing is extrapolated: an increase is the difference of two readings of one series, as a whole number, and it
belongs to the minute of the later reading.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from ecpmon.model.availability import Observation, SpanState
from ecpmon.model.objectives import Counts
from ecpmon.sla.spans import clip, lay

MINUTE: Final = timedelta(minutes=1)
MINUTES: Final = 60
HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
NOTHING: Final = Counts()
# Beyond it a double cannot count by one.
MAX_COUNT: Final = 2**53


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample of one series. NaN is a staleness marker: the series was seen to end here.

    The reading says something about the time until the next one, at most `holds`.
    """

    ts: datetime
    value: float
    holds: timedelta

    @property
    def is_marker(self) -> bool:
        return math.isnan(self.value)


@dataclass(frozen=True, slots=True)
class Increase:
    """How much a counter grew up to `ts`. `reset`: it had restarted from zero since the reading before."""

    ts: datetime
    count: int
    reset: bool


def is_count(value: float) -> bool:
    """Whether a counter can stand at `value`: not negative, not NaN, and small enough to be counted on from."""
    return 0 <= value <= MAX_COUNT


def minute_of(ts: datetime) -> datetime:
    return ts.replace(second=0, microsecond=0)


def hour_of(ts: datetime) -> datetime:
    return ts.replace(minute=0, second=0, microsecond=0)


def settled(readings: Iterable[Reading]) -> list[Reading]:
    """In time order, one per instant: of two readings of one instant the one given later counts."""
    return [reading for _, reading in sorted({r.ts: r for r in readings}.items())]


def increases(readings: Iterable[Reading]) -> list[Increase]:
    """The increases of one series; in any order, with duplicates.

    The first reading counts nothing: what came before it is unknown. A fall means a restart from zero, so the new
    value counts. Staleness markers and gaps end nothing. What is no count (see `is_count`) is no reading.
    """
    found: list[Increase] = []
    last: int | None = None
    for reading in settled(readings):
        if not is_count(reading.value):
            continue
        value = math.floor(reading.value)
        if last is not None:
            fell = value < last
            found.append(Increase(reading.ts, value if fell else value - last, fell))
        last = value
    return found


def _per_minute(series: Iterable[Iterable[Reading]], start: datetime, end: datetime) -> dict[datetime, int]:
    """Increases of several series in `[start, end)`, added up by minute. Earlier readings only serve as the base."""
    counts: dict[datetime, int] = defaultdict(int)
    for readings in series:
        for grown in increases(readings):
            if start <= grown.ts < end:
                counts[minute_of(grown.ts)] += grown.count
    return counts


def _observed(
    observations: Sequence[Observation], start: datetime, end: datetime
) -> tuple[dict[datetime, int], dict[datetime, int]]:
    """Microseconds (observed, of those up) by minute of `[start, end)`. `observations` as for `lay`."""
    seen: dict[datetime, int] = defaultdict(int)
    up: dict[datetime, int] = defaultdict(int)
    if not observations:
        return seen, up
    reach = max(end, observations[-1].ts)
    for span in clip(lay(observations, reach), start, end):
        if span.state is SpanState.GAP:
            continue
        at = span.start
        while at < span.end:
            minute = minute_of(at)
            until = min(minute + MINUTE, span.end)
            lasting = (until - at) // _MICROSECOND
            seen[minute] += lasting
            if span.state is SpanState.UP:
                up[minute] += lasting
            at = until
    return seen, up


def _instants(series: Iterable[Iterable[Reading]]) -> list[Observation]:
    """When any of the series was read; an instant at which all that were read had ended holds no longer."""
    read: dict[datetime, timedelta] = {}
    for readings in series:
        for r in readings:
            holds = timedelta(0) if r.is_marker else r.holds
            read[r.ts] = max(read.get(r.ts, holds), holds)
    return [Observation(ts, 0.0, holds) for ts, holds in sorted(read.items())]


def request_minutes(
    total: Sequence[Sequence[Reading]],
    part: Sequence[Sequence[Reading]],
    part_is_bad: bool,
    start: datetime,
    end: datetime,
) -> dict[datetime, Counts]:
    """The minutes of `[start, end)` that hold anything, from the series of `total` and of `good` or `bad`.

    `start` and `end` are whole minutes. Each series needs its last reading before `start` (whatever its age) and
    every reading of the longest `holds` before it.
    """
    totals, parts = _per_minute(total, start, end), _per_minute(part, start, end)
    seen, _ = _observed(_instants(total), start, end)
    found: dict[datetime, Counts] = {}
    for minute in totals.keys() | parts.keys() | seen.keys():
        whole, some = totals.get(minute, 0), parts.get(minute, 0)
        found[minute] = Counts(whole - some if part_is_bad else some, whole, seen.get(minute, 0))
    return found


def _alike(readings: Iterable[Reading], threshold_ms: float) -> list[Observation]:
    """Of readings in time order, one observation for all that follow one another without a gap on the same side."""
    runs: list[tuple[datetime, datetime, bool]] = []
    for r in readings:
        until, over = r.ts if r.is_marker else r.ts + r.holds, r.value > threshold_ms
        if runs and r.ts <= runs[-1][1] and over is runs[-1][2]:
            runs[-1] = (runs[-1][0], until, over)
        else:
            runs.append((r.ts, until, over))
    return [Observation(began, float(over), until - began) for began, until, over in runs]


def latency_minutes(
    readings: Iterable[Reading], threshold_ms: float, start: datetime, end: datetime
) -> dict[datetime, Counts]:
    """Microseconds within the threshold and observed, by minute of `[start, end)`.

    A reading holds until the next one, at most its `holds`; exactly at the threshold is within it.
    """
    observations = _alike(settled(readings), threshold_ms)
    seen, within = _observed(observations, start, end)
    return {minute: Counts(within.get(minute, 0), lasting, lasting) for minute, lasting in seen.items()}


# An hour's 60 running sums of good, total and observed: the n-th holds everything through the n-th minute.
Sums = tuple[Sequence[int], Sequence[int], Sequence[int]]


def running(minutes: Mapping[datetime, Counts], hour: datetime) -> Sums:
    """The running sums of the hour that begins at `hour`."""
    return rewritten(None, hour, minutes, minutes)


def _apart(sums: Sequence[int]) -> list[int]:
    return [through - before for through, before in zip(sums, (0, *sums), strict=False)]


def apart(sums: Sums, hour: datetime) -> dict[datetime, Counts]:
    """The minutes of an hour from its running sums: the inverse of `running`."""
    cells = zip(*map(_apart, sums), strict=True)
    return {hour + index * MINUTE: Counts(*cell) for index, cell in enumerate(cells)}


def rewritten(
    stored: Sums | None, hour: datetime, touched: Iterable[datetime], fresh: Mapping[datetime, Counts]
) -> Sums:
    """The running sums of an hour after its `touched` minutes became what `fresh` says (absent: nothing)."""
    good, total, observed = map(_apart, stored) if stored else ([0] * MINUTES, [0] * MINUTES, [0] * MINUTES)
    for minute in touched:
        index, found = (minute - hour) // MINUTE, fresh.get(minute, NOTHING)
        good[index], total[index], observed[index] = found.good, found.total, found.observed
    return list(accumulate(good)), list(accumulate(total)), list(accumulate(observed))
