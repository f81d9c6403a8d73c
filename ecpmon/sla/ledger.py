"""Every figure of a window from running sums: what it costs does not grow with what happened in the window. Pure.

A timeline is kept as entries (`model.sums`), one per span that is not up, each with everything that was counted before
it. A mark is what is known at an instant: the entry that began last before it and the one after. Figures between two
instants are differences of marks; planned maintenance is taken out by the marks at its edges. What is in order
(outages that flaps join, doubts at changes) is counted in the sums as well, and joined across maintenance.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import Final

from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.sums import Entry, Mark, micros
from ecpmon.model.windows import Outages, SlaStatus, Tally, WindowFigures, WindowResult
from ecpmon.sla import hours
from ecpmon.sla.cuts import Measured, minutes_cut, widened
from ecpmon.sla.maintenance import touching
from ecpmon.sla.parts import NOTHING, Part, Terms, ended, maintenance_of
from ecpmon.sla.periods import WINDOW_NAMES
from ecpmon.sla.pieces import Piece, piece_between
from ecpmon.sla.windows import bounds, figures_of, judged


@dataclass(frozen=True, slots=True)
class Question:
    """What a `Ledger` needs: the marks of `instants` (in order), and what is taken out, as far as it matters.

    `earlier` is what is taken out before all of them, which matters as far back as an outage reaches that goes on at
    the first: whoever finds the marks finds those of its edges as well. `outside` is the part of `maintenance` that
    lies outside of the service hours.
    """

    instants: Sequence[datetime]
    maintenance: Sequence[Interval]
    earlier: Sequence[Interval] = ()
    outside: Sequence[Interval] = ()

    def known(self, marks: Mapping[datetime, Mark], coarse: Collection[date] = ()) -> Ledger:
        """The ledger of what was found. `coarse`: days that are kept by the minute; with the marks of their minutes."""
        first = len(self.earlier)
        while first and self.earlier[first - 1].start in marks:
            first -= 1
        return Ledger(marks.__getitem__, [*self.earlier[first:], *self.maintenance], self.outside, coarse)


def question(
    now: datetime, terms: Terms, names: Sequence[str] = WINDOW_NAMES, others: Collection[datetime] = ()
) -> Question:
    """For these windows, and for what begins at `others`, as of `now`."""
    windows = [terms.parts(name, now, 0.5) for name in names]
    asked = {now, *others, *(part.start for parts in windows for part in parts if part.start < now)}
    first = bisect_right(terms.maintenance, min(asked), key=attrgetter("end"))
    maintenance = terms.maintenance[first : bisect_left(terms.maintenance, now, key=attrgetter("start"))]
    edges = edges_of(maintenance).union(*(edges_of(_apart(parts, terms, now) or ()) for parts in windows))
    outside = touching(terms.outside, min(asked), now)
    return Question(sorted(asked | edges), maintenance, terms.maintenance[:first], outside)


def _apart(parts: Sequence[Part], terms: Terms, now: datetime) -> Sequence[Interval] | None:
    """What is taken out of a window, where that is not what `terms` take out: what touches it, whole."""
    own = maintenance_of(parts)
    if own is terms.maintenance:
        return None
    first = bisect_right(own, parts[0].start, key=attrgetter("end"))
    return own[first : bisect_left(own, now, key=attrgetter("start"))]


def edges_of(maintenance: Sequence[Interval]) -> set[datetime]:
    return {at for i in maintenance for at in (i.start, i.end)}


def reached(mark: Mark, earlier: Sequence[Interval]) -> Sequence[Interval]:
    """Those of `earlier` (in order, before `mark`) since which an outage may last that goes on at `mark`."""
    outage = mark.outage
    if outage is None or outage.outage_at is None:
        return ()
    return earlier[bisect_right(earlier, outage.outage_at, key=attrgetter("end")) :]


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Microseconds; `down` by its share, `hard` whatever it is. `early`, `late`: seconds of doubt by their shares."""

    eligible: int = 0
    down: float = 0
    gap: float = 0
    hard: int = 0
    early: float = 0.0
    late: float = 0.0

    @property
    def measured(self) -> Measured:
        return Measured(self.eligible / 1e6, self.down / 1e6, self.gap / 1e6, self.early, self.late)

    def __add__(self, other: _Amounts) -> _Amounts:
        return _Amounts(
            self.eligible + other.eligible,
            self.down + other.down,
            self.gap + other.gap,
            self.hard + other.hard,
            self.early + other.early,
            self.late + other.late,
        )

    def __sub__(self, other: _Amounts) -> _Amounts:
        return _Amounts(
            self.eligible - other.eligible,
            self.down - other.down,
            self.gap - other.gap,
            self.hard - other.hard,
            self.early - other.early,
            self.late - other.late,
        )


def _between(a: Mark, b: Mark) -> _Amounts:
    (early, late), (sooner, later) = b.doubts, a.doubts
    return _Amounts(
        micros(b.at - a.at), b.down - a.down, b.gap - a.gap, b.hard - a.hard, early - sooner, late - later
    )


class Ledger:
    """Figures of one tenant between any two instants whose marks are known, those of its maintenance included."""

    def __init__(
        self,
        mark: Callable[[datetime], Mark],
        maintenance: Sequence[Interval] = (),
        outside: Sequence[Interval] = (),
        coarse: Collection[date] = (),
    ) -> None:
        """`mark` finds the mark of an instant; `maintenance` is disjoint and in order, and so is `outside`, the part of
        it that lies outside of the service hours. `coarse`: the days that are kept by the minute. Of each of their
        minutes that a window or maintenance begins or ends in, begin and end are asked for (`cuts.edges_within`)."""
        self._mark = mark
        self._coarse = coarse
        self._maintenance = maintenance
        self._starts = [i.start for i in maintenance]
        self._ends = [i.end for i in maintenance]
        self._never = outside

    def taking_out(self, maintenance: Sequence[Interval]) -> Ledger:
        """The same with other maintenance."""
        return Ledger(self._mark, maintenance, self._never, self._coarse)

    @cached_property
    def _taken(self) -> list[_Amounts]:
        """What the first n of the maintenance windows take out."""
        parts = (_between(self._mark(i.start), self._mark(i.end)) for i in self._maintenance)
        return list(accumulate(parts, initial=_Amounts()))

    def _taken_out(self, start: datetime, end: datetime) -> _Amounts:
        first, after = bisect_right(self._ends, start), bisect_left(self._starts, end)
        if first >= after:
            return _Amounts()
        total = self._taken[after] - self._taken[first]
        if self._starts[first] < start:
            total -= _between(self._mark(self._starts[first]), self._mark(start))
        if self._ends[after - 1] > end:
            total -= _between(self._mark(end), self._mark(self._ends[after - 1]))
        return total

    def tally(self, start: datetime, end: datetime) -> Tally:
        """What `windows.tally` says about `[start, end)`, maintenance left out."""
        first, last = self._mark(start), self._mark(end)
        out = self._taken_out(start, end)
        left = _between(first, last) - out
        # Marks know from when on and until when anything was known, which is all that time outside depends on.
        never = sum(micros(i.end - i.start) for i in touching(self._never, first.at, last.at))
        # Microseconds: what floats leave over of equal numbers is no time.
        return Tally(
            left.eligible / 1e6,
            round(left.down / 1e6, 6),
            round(left.gap / 1e6, 6),
            (out.eligible - never) / 1e6,
            never / 1e6,
        )

    def _pieces(self, start: datetime, end: datetime) -> Iterator[Piece]:
        """What is not up between maintenance, in order."""
        cursor, stop = self._mark(start), self._mark(end)
        first, after = bisect_right(self._ends, start), bisect_left(self._starts, end)
        for index in range(first, after):
            off = self._mark(self._starts[index])
            if cursor.at < off.at and (found := piece_between(cursor, off)):
                yield found
            on = self._mark(self._ends[index])
            cursor = on if on.at > cursor.at else cursor
        if cursor.at < stop.at and (found := piece_between(cursor, stop)):
            yield found

    def failures(self, start: datetime, end: datetime, interval: timedelta) -> int:
        """Observations that failed in `[start, end)`, when they come every `interval`: at least one per down span."""
        pieces = list(self._pieces(start, end))
        hard = sum(piece.b.hard - piece.a.hard for piece in pieces)
        return max(sum(piece.downs for piece in pieces), round(hard / micros(interval)))

    def outages(self, start: datetime, end: datetime) -> Outages:
        """What `incidents` finds in `[start, end)` as it was known at `end`, counted."""
        count = hard = 0
        latest: datetime | None = None
        for piece in self._pieces(start, end):
            if not piece.outages:
                continue
            hard += piece.b.hard - piece.a.hard
            begun = piece.begins_with
            if begun is not None and not count:
                # The part of the first that lies before.
                hard += self._hard_of(begun, start)
            goes_on = begun is not None and count > 0 and begun.outage_at == latest
            count, latest = count + piece.outages - goes_on, piece.ends_with
        last = self._mark(end).last
        if latest and last is not None and last.outage_at == latest and last.ends >= end:
            return Outages(count, count - 1, (hard - self._hard_of(last, end)) / 1e6)
        return Outages(count, count, hard / 1e6)

    def _hard_of(self, outage: Entry, until: datetime) -> int:
        """Down time of the outage of an entry from its begin to `until`, outside of maintenance."""
        since, then = outage.outage_at, outage.outage_hard
        if since is None or then is None or since >= until:
            return 0
        total = self._mark(until).hard - then
        first, after = bisect_right(self._ends, since), bisect_left(self._starts, until)
        if first >= after:
            return total
        total -= self._taken[after].hard - self._taken[first].hard
        if self._starts[first] < since:
            total += then - self._mark(self._starts[first]).hard
        if self._ends[after - 1] > until:
            total += self._mark(self._ends[after - 1]).hard - self._mark(until).hard
        return total

    def unseen(self, start: datetime, end: datetime) -> tuple[float, float]:
        """What `windows.unseen` says about `[start, end)`."""
        left = self._left(start, end)
        if not self._coarse:
            return max(left.early, 0.0), max(left.late, 0.0)
        planned = touching(self._maintenance, start, end)
        cut = minutes_cut((start, end, *(at for i in planned for at in (i.start, i.end))), self._coarse)
        early, late = widened(start, end, cut, self._whole, lambda a, b: self._left(a, b).measured)
        return max(left.early + early, 0.0), max(left.late + late, 0.0)

    def _left(self, start: datetime, end: datetime) -> _Amounts:
        return _between(self._mark(start), self._mark(end)) - self._taken_out(start, end)

    def _whole(self, start: datetime, end: datetime) -> Measured:
        return _between(self._mark(start), self._mark(end)).measured

    def history(self, start: datetime, end: datetime) -> timedelta:
        """How long before `end` there is eligible time, from `start` on."""
        begin = self._mark(start).at
        index = bisect_right(self._ends, begin)
        while index < len(self._starts) and self._starts[index] <= begin:
            begin, index = self._ends[index], index + 1
        return max(end - begin, timedelta(0))

    def since(self, now: datetime, length: timedelta, most: timedelta) -> datetime:
        """From when on `length` of the time before `now` was within the service hours (`hours.since`)."""
        return hours.since(self._never, now, length, most)

    def state(self, at: datetime) -> SpanState | None:
        """What the tenant is at `at`, an observation of this very instant included; None: it was not observed yet."""
        mark = self._mark(at)
        if (mark.last is None and mark.next is None) or mark.at != at:
            return None
        here = mark.next if mark.next is not None and mark.next.starts == at else mark.last
        if here is None or here.ends <= at:
            return SpanState.UP
        return SpanState.DOWN if here.is_down else SpanState.GAP

    def silence(self, start: datetime, end: datetime) -> float | None:
        """Seconds of the gap with which the eligible time of `[start, end)` ends; None: it ends with no gap."""
        index = bisect_left(self._starts, end) - 1
        planned = index >= 0 and self._ends[index] >= end
        stop = self._mark(self._starts[index] if planned else end)
        before = index - 1 if planned else index
        begin = max(
            self._mark(start).at,
            self._mark(self._ends[before]).at if before >= 0 else stop.at.min.replace(tzinfo=UTC),
        )
        last = stop.last
        if last is None or last.is_down or last.ends < stop.at or stop.at <= begin:
            return None
        return micros(stop.at - max(last.starts, begin)) / 1e6


def standing(
    ledger: Ledger,
    now: datetime,
    target: float,
    previous: Mapping[str, SlaStatus],
    names: Sequence[str] = WINDOW_NAMES,
    terms: Terms | None = None,
    ends: datetime | None = None,
) -> list[WindowResult]:
    """What `windows.standing` says, from the marks of `question`. `ends`: there is no budget beyond."""
    terms, found = terms or Terms(), []
    for name in names:
        parts = ended(terms.parts(name, now, target), ends)
        own = _apart(parts, terms, now)
        known = ledger if own is None else ledger.taking_out(own)
        found.append(evaluate_parts(known, name, parts, now, previous.get(name)))
    return found


_FIGURES: Final = tuple(field.name for field in fields(WindowFigures))


def evaluate(
    ledger: Ledger,
    window: str,
    start: datetime,
    end: datetime,
    target: float,
    previous: SlaStatus | None,
    terms: Terms,
    period_end: datetime | None = None,
) -> WindowResult:
    """What `windows.evaluate` says."""
    return evaluate_parts(ledger, window, [Part(start, period_end or end, target, terms)], end, previous)


def evaluate_parts(
    ledger: Ledger, window: str, parts: Sequence[Part], now: datetime, previous: SlaStatus | None
) -> WindowResult:
    """What `windows.evaluate_parts` says. `ledger` takes out what is taken out of them."""
    start, end = parts[0].start, min(parts[-1].end, now)
    tallies = [ledger.tally(p.start, p.until(now)) if p.start < now else NOTHING for p in parts]
    base = figures_of(window, parts, tallies, now, previous)
    low, high = bounds(base.tally, *ledger.unseen(start, end))
    return WindowResult(
        **{name: getattr(base, name) for name in _FIGURES} | {"low": low, "high": high},
        verdict=judged(base, low, high),
        outages=ledger.outages(start, end),
    )
