"""From readings of counters and of response times to minutes of counts (data-and-sla.md §3). Pure.

An increase belongs to the minute of the later reading (`sla.growth`), and so does the time of a gap that it measures
(`sla.bridges`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from ecpmon.model.availability import Observation, SpanState
from ecpmon.model.objectives import Counts, Hole
from ecpmon.sla.births import births
from ecpmon.sla.bridges import Bridge, bridges
from ecpmon.sla.growth import Increase, Reading, settled
from ecpmon.sla.restarts import restart_together, unsure_restarts
from ecpmon.sla.spans import clip, lay
from ecpmon.sla.tracks import Grown, Track, by_era, held_until

MINUTE: Final = timedelta(minutes=1)
MINUTES: Final = 60
HOUR: Final = timedelta(hours=1)
_NO_TIME: Final = timedelta()
_MICROSECOND: Final = timedelta(microseconds=1)
NOTHING: Final = Counts()
# How objectives are counted: one more whenever the same readings give other counts. What was counted in an older way is
# counted anew, as far as there are raw samples.
COUNTING: Final = 4


def minute_of(ts: datetime) -> datetime:
    return ts.replace(second=0, microsecond=0)


def hour_of(ts: datetime) -> datetime:
    return ts.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Found:
    """The minutes of a stretch that hold anything, and the holes that end in it, in order."""

    minutes: Mapping[datetime, Counts]
    holes: tuple[Hole, ...] = ()


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


def _instants(series: Sequence[Iterable[Reading]]) -> list[Observation]:
    """When any of the series was read; an instant at which one had ended holds as long as what was read of others."""
    read: dict[datetime, timedelta] = {}
    ends: list[tuple[datetime, int]] = []
    for number, readings in enumerate(series):
        for r in readings:
            if r.is_marker:
                ends.append((r.ts, number))
            elif (known := read.get(r.ts)) is None or known < r.holds:
                read[r.ts] = r.holds
    for at, number in ends:
        read.setdefault(at, _held_by_others(series, number, at) if len(series) > 1 else _NO_TIME)
    return [Observation(ts, 0.0, holds) for ts, holds in sorted(read.items())]


def _held_by_others(series: Sequence[Iterable[Reading]], ended: int, at: datetime) -> timedelta:
    """For how long after `at` what was read last of any other series before it holds."""
    held = _NO_TIME
    for number, readings in enumerate(series):
        last = max((r for r in readings if r.ts <= at), key=lambda r: r.ts, default=None)
        if number != ended and last is not None:
            held = max(held, last.until - at)
    return held


@dataclass(slots=True)
class _Sheet:
    """What the minutes of `[start, end)` hold, and what holes do, while it is added up: whole, part, and the rest."""

    start: datetime
    end: datetime
    whole: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    part: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    bridged: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    resets: dict[datetime, int] = field(default_factory=lambda: defaultdict(int))
    # (start, end) -> whole, part, microseconds of a gap that begins with it
    holes: dict[tuple[datetime, datetime], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * 3)
    )
    # (start, end) -> whole, part that were not counted, and may have happened
    unsure: dict[tuple[datetime, datetime], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * 2)
    )

    # Series are read at the same instants as a rule.
    _minutes: dict[datetime, datetime] = field(default_factory=dict)

    def add(self, track: Track, grown: Increase) -> None:
        if not (grown.count or grown.assumed) or not self.start <= grown.ts < self.end:
            return
        minute = self._minutes.get(grown.ts)
        if minute is None:
            minute = self._minutes[grown.ts] = minute_of(grown.ts)
        whole = grown.count if track.whole else 0
        part = grown.count if track.part else 0
        if whole:
            self.whole[minute] += whole
        if part:
            self.part[minute] += part
        if grown.assumed:
            self.resets[minute] += 1
        if grown.hole and grown.count:
            hole = self.holes[grown.since, grown.ts]
            hole[0] += whole
            hole[1] += part

    def doubt(self, track: Track, since: datetime, at: datetime, count: int) -> None:
        """What may have been counted between two instants beside what was."""
        if self.start <= at < self.end:
            doubt = self.unsure[since, at]
            doubt[0] += count if track.whole else 0
            doubt[1] += count if track.part else 0

    def bridge(self, gap: Bridge) -> None:
        if self.start <= gap.told_at < self.end:
            lasting = (gap.end - gap.start) // _MICROSECOND
            self.bridged[minute_of(gap.told_at)] += lasting
            self.holes[gap.start, gap.told_at][2] += lasting

    def found(self, seen: Mapping[datetime, int], part_is_bad: bool) -> Found:
        def good(whole: int, part: int) -> int:
            return whole - part if part_is_bad else part

        minutes: dict[datetime, Counts] = {}
        for at in (
            self.whole.keys() | self.part.keys() | seen.keys() | self.bridged.keys() | self.resets.keys()
        ):
            whole, rest = self.whole.get(at, 0), (self.bridged.get(at, 0), self.resets.get(at, 0))
            minutes[at] = Counts(good(whole, self.part.get(at, 0)), whole, seen.get(at, 0), *rest)
        holes = [
            Hole(start, end, good(whole, part), whole, bridged)
            for (start, end), (whole, part, bridged) in self.holes.items()
        ]
        holes += [
            Hole(start, end, good(whole, part), whole, told=False)
            for (start, end), (whole, part) in self.unsure.items()
        ]
        return Found(minutes, tuple(sorted(holes, key=lambda h: (h.start, h.end, h.told))))


def request_minutes(
    tracks: Sequence[Track],
    part_is_bad: bool,
    start: datetime,
    end: datetime,
    watched: datetime | None = None,
) -> Found:
    """What the series of `total`, and of `good` or `bad`, say about `[start, end)`. `watched`: when the total was read
    first, if that was before all that is given here.

    `start` and `end` are whole minutes. Each series needs every reading of five `holds` before `start`, and its last
    one before that if the first one after is a minute's of the stretch, or follows a gap of the total.
    """
    sheet = _Sheet(start, end)
    for grown in by_era(tracks).values():
        _enter(sheet, grown, watched)
    seen, _ = _observed(_instants([t.readings for t in tracks if t.whole]), start, end)
    return sheet.found(seen, part_is_bad)


def _enter(sheet: _Sheet, grown: Sequence[Grown], watched: datetime | None) -> None:
    """The series of one era."""
    restart_together(grown)
    held = held_until(grown)
    for each in grown:
        first = max(bisect_left(each.instants, sheet.start) - 1, 0)
        for increase in each.increases[first:]:
            sheet.add(each.track, increase)
    for birth in births(grown, held, sheet.start, sheet.end, watched):
        track, growth = birth.series.track, birth.growth
        if birth.counts:
            sheet.add(track, growth)
        else:
            sheet.doubt(track, growth.since, growth.ts, growth.count)
    for each, (since, at), more in unsure_restarts(grown, sheet.start, sheet.end):
        sheet.doubt(each.track, since, at, more)
    for gap in bridges(grown, held, sheet.start):
        sheet.bridge(gap)


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


# An hour's 60 running sums of good, total, observed, bridged and resets: the n-th holds everything through the n-th
# minute.
Sums = tuple[Sequence[int], ...]


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
    columns = [_apart(sums) for sums in stored] if stored else [[0] * MINUTES for _ in NOTHING.cells]
    for minute in touched:
        index = (minute - hour) // MINUTE
        for column, cell in zip(columns, fresh.get(minute, NOTHING).cells, strict=True):
            column[index] = cell
    return tuple(list(accumulate(column)) for column in columns)
