"""Window arithmetic of counted objectives: the same questions as `sla.windows`, asked of good and total. Pure.

Windows are whole minutes, because counts are kept by the minute; they end at the last whole minute.

What was counted over a hole belongs to the minute that told. Of a hole that the window or its maintenance covers partly
nobody knows when it happened: the bounds allow for all of it having happened on either side (`Doubt`). So they do for
what may not have been counted at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.objectives import Counts, Hole, RatioResult, StoredObjective
from ecpmon.model.windows import ErrorBudget, SlaStatus
from ecpmon.sla.budgets import allowed, exhausted_at, status
from ecpmon.sla.counters import MINUTE, NOTHING, minute_of
from ecpmon.sla.maintenance import touching, without
from ecpmon.sla.parts import Terms, maintenance_of
from ecpmon.sla.windows import verdict

_MICROSECOND: Final = timedelta(microseconds=1)
_NONE: Final = timedelta()


def _overlap(a: datetime, b: datetime, start: datetime, end: datetime) -> timedelta:
    """How much of `[a, b)` lies in `[start, end)`."""
    return max(min(b, end) - max(a, start), _NONE)


@dataclass(frozen=True, slots=True)
class Stretch:
    """`[start, end)` of whole minutes, and the maintenance in it, disjoint and in order, as whole minutes too.

    `outside` of the service hours, likewise, nothing belongs to the stretch, and nothing is maintenance. `accounting`:
    of the version of the contract that judges it; None: of the newest.
    """

    window: str
    start: datetime
    end: datetime
    maintenance: tuple[tuple[datetime, datetime], ...] = ()
    outside: tuple[tuple[datetime, datetime], ...] = ()
    accounting: Accounting | None = None

    @property
    def taken_out(self) -> tuple[tuple[datetime, datetime], ...]:
        """Not in order."""
        return (*self.maintenance, *self.outside)

    @property
    def ranges(self) -> list[tuple[datetime, datetime]]:
        return [(self.start, self.end), *self.taken_out]

    @property
    def cuts(self) -> list[datetime]:
        """Where what belongs to the stretch and what does not meet."""
        return [self.start, self.end, *(at for both in self.taken_out for at in both)]

    def concerns(self, hole: Hole) -> bool:
        """Whether something of a hole may lie on the other side of an edge, or may be counted too little."""
        if not hole.told and hole.start < self.end and hole.end >= self.start:
            return True
        # What was told at an edge happened before it.
        return any(hole.start < at <= hole.end for at in self.cuts)

    def holds(self, at: datetime) -> bool:
        """Whether the minute of an instant is one of the stretch, within the service hours or not."""
        return self.start <= minute_of(at) < self.end

    def served(self, start: datetime, end: datetime) -> timedelta:
        """How much of `[start, end)` is of the stretch, and within the service hours."""
        found = _overlap(self.start, self.end, start, end)
        return found - sum((_overlap(a, b, start, end) for a, b in self.outside), _NONE)

    def unplanned(self, start: datetime, end: datetime) -> timedelta:
        """How much of that is no maintenance."""
        planned = sum((_overlap(a, b, start, end) for a, b in self.maintenance), _NONE)
        return self.served(start, end) - planned

    def is_outside(self, at: datetime) -> bool:
        """Whether the minute of an instant is outside of the service hours."""
        return any(a <= minute_of(at) < b for a, b in self.outside)

    def touches_outside(self, start: datetime, end: datetime) -> bool:
        return any(start < b and a < end for a, b in self.outside)

    def is_planned(self, at: datetime) -> bool:
        """Whether the minute of an instant is one of maintenance."""
        return any(a <= minute_of(at) < b for a, b in self.maintenance)


@dataclass(frozen=True, slots=True)
class Measured:
    """Counts of a stretch within the service hours: all of it, and what fell into maintenance; and the holes that are
    only partly in either."""

    whole: Counts
    maintenance: Counts = NOTHING
    holes: tuple[Hole, ...] = ()


@dataclass(frozen=True, slots=True)
class Doubt:
    """By how much the counts may be wrong: at worst as many less are good and more bad; at best, the other way."""

    good_less: int = 0
    bad_more: int = 0
    good_more: int = 0
    bad_less: int = 0

    def __add__(self, other: Doubt) -> Doubt:
        return Doubt(
            self.good_less + other.good_less,
            self.bad_more + other.bad_more,
            self.good_more + other.good_more,
            self.bad_less + other.bad_less,
        )


_SURE: Final = Doubt()
_NO_HOLES: Final[Mapping[int, Sequence[Hole]]] = {}


def _ceil(ts: datetime) -> datetime:
    floor = minute_of(ts)
    return floor if floor == ts else floor + MINUTE


def stretch(name: str, now: datetime, terms: Terms) -> Stretch:
    """The window `name` as far as the last whole minute. Raises KeyError for an unknown name.

    A minute belongs to maintenance when it begins inside it. Maintenance is accounted for as the version says that
    judges the window, of several the latest: counts cannot be parted by months.
    """
    end = minute_of(now)
    parts = terms.parts(name, end, 0.5)
    start = min(_ceil(parts[0].start), end)
    outside = whole_minutes(terms.outside, start, end)
    planned = without(whole_minutes(maintenance_of(parts), start, end), outside)
    latest = [part for part in parts if part.start <= end][-1:]
    accounting = latest[0].terms.accounting if latest else None
    return Stretch(name, start, end, _pairs(planned), _pairs(outside), accounting)


def planned_minutes(
    maintenance: Sequence[Interval], start: datetime, end: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    """What of `[start, end)`, whole minutes, lies in maintenance, as whole minutes; disjoint and in order."""
    near = touching(maintenance, start - MINUTE, end)
    inside = [(max(_ceil(i.start), start), min(_ceil(i.end), end)) for i in near]
    return tuple((a, b) for a, b in inside if a < b)


def whole_minutes(intervals: Sequence[Interval], start: datetime, end: datetime) -> list[Interval]:
    """The same as intervals."""
    return [Interval(a, b) for a, b in planned_minutes(intervals, start, end)]


def _pairs(intervals: Iterable[Interval]) -> tuple[tuple[datetime, datetime], ...]:
    return tuple((i.start, i.end) for i in intervals)


def ratio(counts: Counts) -> float | None:
    """Good over total, unclamped; None without requests."""
    return counts.good / counts.total if counts.total > 0 else None


def budget(counts: Counts, target: float) -> ErrorBudget:
    """`(1 − target) × total` and what was bad. In events; what is yet to come is not guessed."""
    return ErrorBudget(allowed(target) * counts.total, counts.bad)


def burn_rate(counts: Counts, target: float) -> float | None:
    """Bad fraction over the allowed fraction; 1.0 uses the budget up exactly in time."""
    return (counts.bad / counts.total) / allowed(target) if counts.total > 0 else None


def bounds(counts: Counts, eligible: float, doubt: Doubt = _SURE) -> tuple[float | None, float | None]:
    """The ratio if everything in the unobserved time had been bad, and if it had been good.

    How much that was nobody knows: it is taken to be as dense as in the observed time, for the bounds only. Exact
    for latency, where the total is the observed time itself.
    """
    if counts.total <= 0 or counts.measured <= 0:
        return None, None
    observed = counts.measured / 1e6
    unseen = counts.total * max(eligible - observed, 0.0) / observed
    worst, best = counts.good - doubt.good_less, counts.good + doubt.good_more + unseen
    low = _share(worst, counts.bad + doubt.bad_more + unseen)
    high = _share(best, counts.bad - doubt.bad_less)
    return max(low, 0.0), min(high, 1.0)


def _share(good: float, bad: float) -> float:
    """Nothing at all says nothing against anybody, nor for them: who asks has counted something."""
    return good / (good + bad) if good + bad > 0 else 0.0


def projected_exhaustion(left: ErrorBudget, counts: Counts, now: datetime) -> datetime | None:
    """When the budget is gone if things go bad as often as in this window; None when it does not shrink."""
    seconds = counts.measured / 1e6
    return exhausted_at(left, counts.bad / seconds if seconds > 0 else 0.0, now)


def _eligible(span: Stretch, first_at: datetime | None, with_maintenance: bool) -> float:
    """Seconds of the stretch since the first observation within the service hours, maintenance included or not."""
    if first_at is None or first_at >= span.end:
        return 0.0
    first = max(first_at, span.start)
    eligible = span.served if with_maintenance else span.unplanned
    return eligible(first, span.end).total_seconds()


def evaluate(
    span: Stretch,
    measured: Measured,
    first_at: datetime | None,
    target: float,
    previous: SlaStatus | None = None,
    accounting: Accounting = Accounting.EXCLUDE,
    known: bool = True,
) -> RatioResult:
    """One window of one objective. `first_at`: before it nothing is eligible; `target` a fraction in (0, 1).

    `known` False: what is good or bad of the total nobody counts. Then the total says nothing, and is none.
    """
    if not known:
        whole, planned = (replace(c, good=0, total=0) for c in (measured.whole, measured.maintenance))
        measured = Measured(whole, planned, tuple(replace(h, good=0, total=0) for h in measured.holes))
    excluded = measured.whole - measured.maintenance
    # What went wrong during maintenance counts as good.
    as_up = replace(measured.whole, good=measured.whole.good + measured.maintenance.bad)
    counting = accounting is Accounting.COUNT_AS_UP
    chosen, other = (as_up, excluded) if counting else (excluded, as_up)
    chosen = replace(chosen, bridged=chosen.bridged + _misplaced(span, measured.holes, counting))
    eligible = _eligible(span, first_at, counting)
    low, high = bounds(chosen, eligible, _doubt(span, measured.holes, counting))
    left = budget(chosen, target)
    return RatioResult(
        window=span.window,
        start=span.start,
        end=span.end,
        target=target,
        counts=chosen,
        eligible=eligible,
        ratio=ratio(chosen),
        ratio_other_accounting=ratio(other),
        low=low,
        high=high,
        coverage=min(chosen.measured / 1e6 / eligible, 1.0) if eligible > 0 else None,
        verdict=verdict(low, high, target),
        status=status(left.remaining_fraction, chosen.total, previous),
        budget=left,
        burn_rate=burn_rate(chosen, target),
        projected_exhaustion=projected_exhaustion(left, chosen, span.end),
    )


def _doubt(span: Stretch, holes: Iterable[Hole], counting: bool) -> Doubt:
    """What holes that an edge of the window or of its maintenance cuts may have put on the wrong side of it.

    `counting`: maintenance counts as up, so that what is bad in it is good.
    """
    return sum((_if_any(_elsewhere(span, hole, counting)) for hole in holes), _SURE)


def _if_any(changes: Sequence[tuple[int, int]]) -> Doubt:
    """When any of these changes (of good, of bad) may be what really happened; either may be less than nothing, where
    what is bad comes of another counter than the total."""
    good, bad = ([0, *(change[place] for change in changes)] for place in (0, 1))
    return Doubt(-min(good), max(bad), max(good), -min(bad))


def _elsewhere(span: Stretch, hole: Hole, counting: bool) -> list[tuple[int, int]]:
    """By how much more would be good, and bad, if it had happened where it is not counted."""
    is_in = hole.told and span.holds(hole.end) and not span.is_outside(hole.end)
    told = _counts_as(hole, is_in, span.is_planned(hole.end), counting)
    found = []
    for inside, planned in _places(span, hole):
        good, bad = _counts_as(hole, inside, planned, counting)
        found.append((good - told[0], bad - told[1]))
    return found


def _places(span: Stretch, hole: Hole) -> Iterator[tuple[bool, bool]]:
    """Where it may have happened: inside of what belongs to the stretch, and if so in maintenance."""
    unplanned = span.unplanned(hole.start, hole.end)
    if unplanned:
        yield True, False
    if span.served(hole.start, hole.end) > unplanned:
        yield True, True
    if hole.start < span.start or hole.end > span.end or span.touches_outside(hole.start, hole.end):
        yield False, False
    if not hole.told and span.holds(hole.end) and not span.is_outside(hole.end):
        yield True, span.is_planned(hole.end)


def _counts_as(hole: Hole, inside: bool, planned: bool, counting: bool) -> tuple[int, int]:
    """What counts as good and bad of what happened there."""
    if not inside or (planned and not counting):
        return 0, 0
    return (hole.good + hole.bad, 0) if planned else (hole.good, hole.bad)


def _misplaced(span: Stretch, holes: Iterable[Hole], counting: bool) -> int:
    """Microseconds of measured gaps that are counted too little (or, negative, too much) where an edge cuts them."""
    found = 0
    for hole in holes:
        gap_end = hole.start + timedelta(microseconds=hole.bridged)
        # A window that ends in a gap does not know yet.
        if not span.holds(hole.end):
            continue
        eligible = span.served(hole.start, gap_end) if counting else span.unplanned(hole.start, gap_end)
        elsewhere = span.is_outside(hole.end) or (not counting and span.is_planned(hole.end))
        found += eligible // _MICROSECOND - (0 if elsewhere else hole.bridged)
    return found


# (key of the objective, an instant at a whole minute) -> everything counted before it, from some origin
Before = Mapping[tuple[int, datetime], Counts]
# Key of the objective -> the holes that one of the instants cuts that were asked about
Holes = Mapping[int, Sequence[Hole]]


def measure(key: int, span: Stretch, before: Before, holes: Holes = _NO_HOLES) -> Measured:
    """Counts of a stretch as differences of running sums."""

    def between(start: datetime, end: datetime) -> Counts:
        return before[key, end] - before[key, start]

    def together(parts: Iterable[tuple[datetime, datetime]]) -> Counts:
        return sum((between(start, end) for start, end in parts), NOTHING)

    own = tuple(h for h in holes.get(key, ()) if span.concerns(h))
    whole = between(span.start, span.end) - together(span.outside)
    return Measured(whole, together(span.maintenance), own)


def cuts(stored: StoredObjective, spans: Iterable[Stretch]) -> set[tuple[int, datetime]]:
    """The instants of which `measure` has to know the holes that they cut."""
    until = stored.holes_until
    if until is None:
        return set()
    return {(stored.key, at) for span in spans for at in span.cuts if at <= until}


def edges(key: int, spans: Iterable[Stretch]) -> set[tuple[int, datetime]]:
    """What `measure` will look up."""
    return {(key, at) for span in spans for both in span.ranges for at in both}


def standing(
    stored: StoredObjective,
    spans: Sequence[Stretch],
    before: Before,
    accounting: Accounting,
    previous: Mapping[tuple[int, str], SlaStatus],
    holes: Holes = _NO_HOLES,
) -> list[RatioResult]:
    """Every stretch of one objective. `previous`: (key, window) -> status so far, for the hysteresis."""
    return [
        evaluate(
            span,
            measure(stored.key, span, before, holes),
            stored.first_at,
            stored.objective.target,
            previous.get((stored.key, span.window)),
            accounting if span.accounting is None else span.accounting,
            stored.part_known,
        )
        for span in spans
    ]
