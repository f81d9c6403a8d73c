"""Series that are born while their objective is watched, and gaps that the counters themselves measure. Pure.

Both are told from what is stored of the objective's series under one source. Invariant: what is said of an instant
follows from readings of the objective before it, back to the last ones that held when it was read before, and from
the four `holds` before it; never from readings after it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from ecpmon.sla.growth import (
    Begun,
    Increase,
    Reading,
    Step,
    Told,
    begun_at,
    counts_of,
    existed_before,
    increases_of,
    steps_of,
)

_NO_TIME: Final = timedelta()
_NOTHING: Final[Told] = MappingProxyType({})
# Who counts on under another name has grown by no more than this since, unless it is so young that it hardly matters.
_ALIKE: Final = 1.1
# Counters that begin where no other goes on are new ones if they show no more than so many times what the total grew by
# in the time that a reading holds, or than so much.
_SURGE: Final = 10
_LITTLE: Final = 100
# By so much a reading may come later than the one before it did.
_LATE: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Track:
    """One series of an objective under one source, and what it is counted for.

    `begun`: what the counter says of when it began. `old`: it is known to have been there before the first of these
    readings. `era`: the stretch of time for which its source counts; nothing is compared across eras.
    """

    readings: Sequence[Reading]
    whole: bool = True
    part: bool = False
    begun: Begun = ()
    old: bool = False
    era: datetime | None = None
    # Those with an equal one begin together. None: nobody knows.
    process: Hashable | None = None
    labels: frozenset[tuple[str, str]] | None = None

    def may_be_of(self, other: Track) -> bool:
        """Whether both may be of one process, as far as their labels tell."""
        if self is other or self.labels is None or other.labels is None:
            return False
        return self.labels <= other.labels or other.labels <= self.labels


@dataclass(slots=True)
class Grown:
    """A track and how it grew: `increases[n]` is that of `counts[n + 1]`, and follows from it alone until `count`."""

    track: Track
    counts: list[Reading] = field(init=False)
    instants: list[datetime] = field(init=False)
    steps: list[Step] = field(init=False)
    increases: list[Increase] = field(init=False)
    # Its staleness markers.
    ends: list[datetime] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = counts_of(self.track.readings)
        self.instants = [r.ts for r in self.counts]
        some = len(self.counts) < len(self.track.readings)
        self.ends = [r.ts for r in self.track.readings if r.is_marker] if some else []
        self.count()

    def count(self, told: Told = _NOTHING) -> None:
        """`told`: what others say of it."""
        self.steps = steps_of(self.counts, self.track.begun, told)
        self.increases = increases_of(self.counts, self.steps)

    @property
    def is_unsteady(self) -> bool:
        """Whether it ever fell, or restarted."""
        return any(step is not Step.ON for step in self.steps)

    def last(self, at: datetime) -> int:
        """The place of the last reading not after `at`; -1 before the first."""
        return bisect_right(self.instants, at) - 1

    def before(self, at: datetime) -> int:
        """The place of the last reading before `at`; -1 if there is none."""
        return bisect_left(self.instants, at) - 1

    def stays_away(self, before: datetime, at: datetime) -> float:
        """Where it stood, when it held at `before` and should have been read again by `at`; else nothing."""
        last = self.holds(before)
        if last is None:
            return 0
        place = self.last(before)
        step = last.ts - self.instants[place - 1] if place > 0 else _NO_TIME
        # Who was not read for long may be read at any time.
        due = last.ts + (step if step <= last.holds else _NO_TIME)
        return last.value if due <= at + _LATE else 0

    def goes_on(self, at: datetime) -> bool:
        """Whether it was read at this instant, and before."""
        place = self.last(at)
        return place > 0 and self.instants[place] == at

    def holds(self, at: datetime) -> Reading | None:
        """The reading that holds at this instant."""
        place = self.last(at)
        if place < 0 or self.counts[place].until <= at:
            return None
        if not self.ends:
            return self.counts[place]
        since = self.instants[place]
        ended = any(since < end <= at for end in self.ends)
        return None if ended else self.counts[place]


# When the total was read -> until when that holds.
Held = Mapping[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Birth:
    """What the first reading of a series says. `counts` False: nothing, and yet it may be growth."""

    series: Grown
    growth: Increase
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Bridge:
    """A gap `[start, end)` of which the counters tell what happened, since `told_at`."""

    start: datetime
    end: datetime
    told_at: datetime


def births(
    grown: Sequence[Grown], seen: Held, start: datetime, end: datetime, watched: datetime | None = None
) -> list[Birth]:
    """Who was born in `[start, end)`, and what its first reading counts.

    The objective's total had been read before without it. That was the source's last word on it: either the total had
    been read for as long as a reading holds, or it is read at the same instant, and no more begins than may have been
    counted meanwhile. `watched`: when the objective was read
    first; None: at the first of these readings.
    """
    by_instant: dict[datetime, list[Grown]] = defaultdict(list)
    # What is wrong may be read a little later than what it is a part of.
    early = start - max((g.counts[0].holds for g in grown if g.counts), default=_NO_TIME)
    for each in grown:
        if each.counts and not each.track.old and early <= each.instants[0] < end:
            by_instant[each.instants[0]].append(each)
    instants = sorted(seen) if by_instant else []
    found: list[Birth] = []
    for at, fresh in sorted(by_instant.items()):
        place = bisect_left(instants, at)
        if place:
            before = instants[place - 1]
            # Of one that is known to be older somebody has begun to look at it.
            since = instants[0] if watched is None else min(watched, instants[0])
            born = [g for g in fresh if not _is_older(g, since)]
            found += _born(grown, born, found, before, at, instants[0], hole=at > seen[before])
    return [birth for birth in found if birth.growth.ts >= start]


def _born(
    grown: Sequence[Grown],
    fresh: Sequence[Grown],
    earlier: Sequence[Birth],
    before: datetime,
    at: datetime,
    first: datetime,
    *,
    hole: bool,
) -> list[Birth]:
    """What the first readings at `at` are. The total was read first at `first`, and last at `before`."""
    if not fresh:
        return []
    holds = fresh[0].counts[0].holds
    wholes = [g for g in fresh if g.track.whole]
    # What was usual before a hole is not at hand.
    usual = 0 if hole else grew(grown, before, holds)
    known = {id(g) for g in _known_new(grown, fresh, before, at, first, hole=hole)}
    counted = [Birth(g, _growth(g, grown, before, hole), id(g) in known) for g in wholes]
    limit = grew(grown, at, holds) + sum(
        b.growth.count
        for b in (*earlier, *counted)
        if b.counts and b.series.track.whole and b.growth.ts > at - holds
    )
    counted += [
        Birth(g, growth, id(g) in known and growth.count <= limit)
        for g in fresh
        if not g.track.whole and (growth := _growth(g, grown, before, hole))
    ]
    return [birth for birth in counted if birth.counts or 0 < birth.growth.count <= plausible(usual)]


def _known_new(
    grown: Sequence[Grown],
    fresh: Sequence[Grown],
    before: datetime,
    at: datetime,
    first: datetime,
    *,
    hole: bool,
) -> Sequence[Grown]:
    """Those of `fresh` that were not there before, as far as can be told from who else was read."""
    aligned = any(g.track.whole and g.goes_on(at) for g in grown)
    if first > at - fresh[0].counts[0].holds and (not aligned or _is_much(fresh, grown, before)):
        return [g for g in fresh if _began(g) is not None]
    alone = not any(g.goes_on(at) for g in grown)
    if alone and (_renamed(fresh, grown, before, at) or (not hole and _is_much(fresh, grown, before))):
        # What began before the others ended may be one of them.
        return [g for g in fresh if (began := _began(g)) is not None and not existed_before(began, before)]
    return fresh


def plausible(usual: float) -> float:
    """How much may have been counted between two looks at a total that grew by `usual` in the time a reading holds."""
    return max(_SURGE * usual, _LITTLE)


def held_until(grown: Iterable[Grown]) -> Held:
    """Of the series of one era."""
    found: dict[datetime, datetime] = {}
    for each in grown:
        if each.track.whole:
            for r in each.counts:
                until, known = r.ts + r.holds, found.get(r.ts)
                if known is None or known < until:
                    found[r.ts] = until
    return found


def _began(each: Grown) -> datetime | None:
    first = each.counts[0]
    return begun_at(each.track.begun, first.ts, first.holds) if each.track.begun else None


def _is_older(each: Grown, watched: datetime) -> bool:
    """By its own word it was there before the objective, or its source, was watched."""
    began, era = _began(each), each.track.era
    return began is not None and existed_before(began, watched if era is None else max(watched, era))


def _growth(each: Grown, grown: Iterable[Grown], before: datetime, hole: bool) -> Increase:
    """What its first reading shows, since `before`; since others of its process were read, or since it says that it
    began, if that is earlier."""
    first, began = each.counts[0], _began(each)
    read = [
        g.counts[place] for g in grown if g.track.may_be_of(each.track) and (place := g.before(first.ts)) >= 0
    ]
    if read and (last := max(read, key=lambda r: r.ts)).ts < before:
        before, hole = last.ts, hole or last.until < first.ts
    elif began is not None and began < before:
        before, hole = began, hole or first.ts - began > first.holds
    return Increase(first.ts, int(first.value), False, before, False, hole)


def _renamed(born: Sequence[Grown], grown: Sequence[Grown], before: datetime, at: datetime) -> bool:
    """Whether what should have been read by now has other names instead: one begins about where another one ended."""
    ended = [x for g in grown if g.track.whole and (x := g.stays_away(before, at)) > 0]
    begun = [g.counts[0].value for g in born if g.track.whole]
    return any(x <= value <= x * _ALIKE for x in ended for value in begun)


def _is_much(born: Iterable[Grown], grown: Iterable[Grown], before: datetime) -> bool:
    """Whether those who begin show more than can have been counted since the total was read last: they are older."""
    fresh = [g.counts[0] for g in born if g.track.whole]
    if not fresh:
        return False
    usual = grew(grown, before, fresh[0].holds)
    return sum(r.value for r in fresh) > plausible(usual)


def grew(grown: Iterable[Grown], at: datetime, holds: timedelta) -> int:
    """By how much the total grew in the time that a reading holds, up to `at`: no more can have gone wrong."""
    found = 0
    for each in grown:
        if each.track.whole:
            low = bisect_right(each.instants, at - holds)
            found += sum(i.count for i in each.increases[max(low - 1, 0) : max(each.last(at), 0)])
    return found


def bridges(grown: Sequence[Grown], held: Held, start: datetime) -> list[Bridge]:
    """The gaps that end, or are told of, at `start` or later, and over which every series counted on.

    Whatever was counted for held before the gap: it was read again when the gap was over, within the time that a
    reading holds, and had not restarted.
    """
    found: list[Bridge] = []
    for before, after in pairwise(sorted(held)):
        if held[before] < after and held[after] >= start:
            told_at = _counted_on(grown, before, after, held[after])
            if told_at is not None:
                found.append(Bridge(held[before], after, told_at))
    return found


def _counted_on(
    grown: Iterable[Grown], before: datetime, after: datetime, latest: datetime
) -> datetime | None:
    """When the last of those that held before the gap was read again; None when not all were, or none held."""
    told_at: datetime | None = None
    for each in grown:
        if each.holds(before) is None:
            continue
        place = each.last(before) + 1
        if place >= len(each.counts) or each.instants[place] > latest or each.increases[place - 1].reset:
            return None
        told_at = max(told_at or after, each.instants[place])
    return told_at


def by_era(tracks: Iterable[Track]) -> Mapping[datetime | None, list[Grown]]:
    """The tracks of each era."""
    found: dict[datetime | None, list[Grown]] = defaultdict(list)
    for track in tracks:
        found[track.era].append(Grown(track))
    return found
