"""Series that are born while their objective is watched (docs/objectives.md, "First readings"). Pure.

Told from what is stored of the objective's series under one source. Invariants:
1. What is said of an instant follows from readings of the objective before it, back to the last ones that held when it
   was read before, and from the four `holds` before it; never from readings after it.
2. That something was not read is no proof by itself: a scrape may fail, and each process has instants of its own. What
   counts as growth has been missed where it would have been seen; what may be growth is in the bounds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from ecpmon.sla.growth import Increase, begun_at, existed_before
from ecpmon.sla.tracks import Grown, Held, grew

_NO_TIME: Final = timedelta()
# Who counts on under another name has grown by no more than this since, unless it is so young that it hardly matters.
_ALIKE: Final = 1.1
# What begins is new if it shows no more than so many times what the total grew by in the time that a reading holds, or
# than so much.
_SURGE: Final = 10
_LITTLE: Final = 100
# Of so many times as much again nobody knows; what shows more is older.
_DOUBTFUL: Final = 10


class Belief(IntEnum):
    """What is held of a first reading."""

    OLDER = 0
    # It counts nothing, and is in the bounds.
    MAYBE = 1
    BORN = 2


@dataclass(frozen=True, slots=True)
class Birth:
    """What the first reading of a series says. `counts` False: nothing, and yet it may be growth."""

    series: Grown
    growth: Increase
    counts: bool = True


@dataclass(frozen=True, slots=True)
class _Moment:
    """An instant `at` which `fresh` are read for the first time, of all that are `grown`.

    They were not there at `before`, if they are new; `hole`: nothing was read for some of the time since. `first`: when
    the total was read first, of what is at hand; `watched`: of all. `usual`: what it grew by in the time that a reading
    holds, up to `before`; `pace`: up to now, or then, whichever is more. None: nobody knows.
    """

    at: datetime
    grown: Sequence[Grown]
    fresh: Sequence[Grown]
    before: datetime
    hole: bool
    first: datetime
    watched: datetime
    usual: int
    pace: int | None

    @property
    def is_early(self) -> bool:
        return self.first > self.at - self.fresh[0].counts[0].holds

    @property
    def is_alone(self) -> bool:
        """Whether no series goes on at this instant."""
        return not any(g.goes_on(self.at) for g in self.grown)

    @property
    def is_renamed(self) -> bool:
        """Whether what should have been read by now has other names instead: one begins about where one ended."""
        ended = [x for g in self.grown if g.track.whole and (x := g.stays_away(self.before, self.at)) > 0]
        begun = [g.counts[0].value for g in self.fresh if g.track.whole]
        return any(x <= value <= x * _ALIKE for x in ended for value in begun)

    def shown(self, each: Grown) -> float:
        """What is to be as much as may have been counted meanwhile. Where nobody else goes on they are one: somebody
        may have changed where counters come from."""
        if self.is_alone:
            return sum(g.counts[0].value for g in self.fresh if g.track.whole)
        # What went wrong is held to what the total grew by.
        return each.counts[0].value if each.track.whole else 0.0

    def since(self, each: Grown) -> datetime:
        """Since when it would have been seen."""
        return self.watched if each.track.era is None else max(self.watched, each.track.era)

    def was_missed(self, each: Grown) -> bool:
        """Whether what has the same labels was read before without it."""
        labels = each.track.labels
        return labels is not None and any(
            g is not each and g.track.labels == labels and g.before(self.at) >= 0 for g in self.grown
        )


def births(
    grown: Sequence[Grown], seen: Held, start: datetime, end: datetime, watched: datetime | None = None
) -> list[Birth]:
    """Who was born in `[start, end)`, and what its first reading counts.

    `seen`: when the objective's total was read; before that nobody is born. `watched`: when it was read first; None:
    at the first of these readings.
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
        if instants and instants[0] < at:
            # Of one that is known to be older somebody has begun to look at it.
            since = instants[0] if watched is None else min(watched, instants[0])
            if born := [g for g in fresh if not _is_older(g, since)]:
                found += _born(_moment(grown, born, seen, instants, since), found)
    return [birth for birth in found if birth.growth.ts >= start]


def _moment(
    grown: Sequence[Grown],
    fresh: Sequence[Grown],
    seen: Held,
    instants: Sequence[datetime],
    watched: datetime,
) -> _Moment:
    """`instants`: when the total was read, in order."""
    at, holds = fresh[0].instants[0], fresh[0].counts[0].holds
    before, hole = _absent_at(at, holds, seen, instants)
    # What was usual before a hole is not at hand; what was counted over it by others is.
    usual = 0 if hole else grew(grown, before, holds)
    known = not hole or any(_is_back(g, at, holds) for g in grown)
    pace = max(usual, grew(grown, at, holds)) if known else None
    return _Moment(at, grown, fresh, before, hole, instants[0], watched, usual, pace)


def _is_back(each: Grown, at: datetime, holds: timedelta) -> bool:
    """Whether it was read again lately, so that its growth is known."""
    place = each.last(at)
    return each.track.whole and place > 0 and each.instants[place] > at - holds


def _absent_at(
    at: datetime, holds: timedelta, seen: Held, instants: Sequence[datetime]
) -> tuple[datetime, bool]:
    """(the last instant that shows the absence of what is read first at `at`, whether nothing was read for some time
    since).

    Each series is read once in the time that a reading holds. So of a gap that ended less than that ago its beginning.
    """
    place, after = bisect_left(instants, at) - 1, at
    last = instants[place]
    while place >= 0 and after > at - holds:
        if seen[instants[place]] < after:
            return instants[place], True
        after = instants[place]
        place -= 1
    return last, False


def _born(moment: _Moment, earlier: Sequence[Birth]) -> list[Birth]:
    """What the first readings of a moment are. `earlier`: what was found of those before."""
    beliefs = {id(g): _believed(g, moment) for g in moment.fresh}
    wholes = [g for g in moment.fresh if g.track.whole]
    growths = {id(g): _growth(g, moment) for g in moment.fresh}
    holds = moment.fresh[0].counts[0].holds
    limit = grew(moment.grown, moment.at, holds)
    limit += sum(growths[id(g)].count for g in wholes if beliefs[id(g)] is Belief.BORN)
    limit += sum(
        b.growth.count
        for b in earlier
        if b.counts and b.series.track.whole and b.growth.ts > moment.at - holds
    )
    for part in moment.fresh:
        if not part.track.whole:
            own = [beliefs[id(g)] for g in wholes if _are_one(g, part)]
            belief = min([beliefs[id(part)], *own])
            if belief is Belief.BORN and growths[id(part)].count > limit:
                belief = _unproven(part, moment)
            beliefs[id(part)] = belief
    return [
        Birth(g, growths[id(g)], beliefs[id(g)] is Belief.BORN)
        for g in moment.fresh
        if beliefs[id(g)] is Belief.BORN or (beliefs[id(g)] is Belief.MAYBE and growths[id(g)].count > 0)
    ]


def _are_one(one: Grown, other: Grown) -> bool:
    """Whether both are of one process."""
    return one.track.labels is not None and one.track.labels == other.track.labels


def _believed(each: Grown, moment: _Moment) -> Belief:
    """As far as can be told from itself and from who else was read."""
    renamed = moment.is_alone and moment.is_renamed
    much = moment.pace is not None and moment.shown(each) > plausible(moment.pace)
    began = _began(each)
    if began is not None:
        # What began before the others ended may be one of them; and clocks differ.
        other = moment.is_alone and (renamed or much) and existed_before(began, moment.before)
        known = existed_before(moment.since(each), began)
        return Belief.BORN if known and not other else Belief.MAYBE
    if renamed or (moment.is_early and not moment.was_missed(each)):
        return _unproven(each, moment)
    if much:
        doubtful = moment.shown(each) <= _DOUBTFUL * plausible(moment.pace or 0)
        return Belief.MAYBE if doubtful else Belief.OLDER
    return Belief.BORN


def _unproven(each: Grown, moment: _Moment) -> Belief:
    """Where nothing speaks for its birth but that it is small."""
    return Belief.MAYBE if each.counts[0].value <= plausible(moment.usual) else Belief.OLDER


def plausible(usual: float) -> float:
    """How much may have been counted between two looks at a total that grew by `usual` in the time a reading holds."""
    return max(_SURGE * usual, _LITTLE)


def _began(each: Grown) -> datetime | None:
    first = each.counts[0]
    return begun_at(each.track.begun, first.ts, first.holds) if each.track.begun else None


def _is_older(each: Grown, watched: datetime) -> bool:
    """By its own word it was there before the objective, or its source, was watched."""
    began, era = _began(each), each.track.era
    return began is not None and existed_before(began, watched if era is None else max(watched, era))


def _growth(each: Grown, moment: _Moment) -> Increase:
    """What its first reading shows, since it was absent; since others of its process were read, or since it says that
    it began, if that is earlier."""
    before, hole = moment.before, moment.hole
    first, began = each.counts[0], _began(each)
    read = [
        g.counts[place]
        for g in moment.grown
        if g.track.may_be_of(each.track) and (place := g.before(first.ts)) >= 0
    ]
    if read and (last := max(read, key=lambda r: r.ts)).ts < before:
        before, hole = last.ts, hole or last.until < first.ts
    elif began is not None and began < before:
        before, hole = began, hole or first.ts - began > first.holds
    return Increase(first.ts, int(first.value), False, before, False, hole)
