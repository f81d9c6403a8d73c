"""Series that are born while their objective is watched, and gaps that the counters themselves measure. Pure.

Both are told from what is stored of the objective's series under one source. Invariant: what is said of an instant
follows from readings of the objective before it, back to the last ones that held when it was read before, and from
the four `holds` before it; never from readings after it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from ecpmon.sla.growth import (
    Begun,
    Increase,
    Reading,
    begun_at,
    counts_of,
    existed_before,
    increases_of,
)

_NO_TIME: Final = timedelta()
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


@dataclass(slots=True)
class Grown:
    """A track and what follows from it alone: `increases[n]` is that of `counts[n + 1]`."""

    track: Track
    counts: list[Reading] = field(init=False)
    instants: list[datetime] = field(init=False)
    increases: list[Increase] = field(init=False)
    # Its staleness markers.
    ends: list[datetime] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = counts_of(self.track.readings)
        self.instants = [r.ts for r in self.counts]
        some = len(self.counts) < len(self.track.readings)
        self.ends = [r.ts for r in self.track.readings if r.is_marker] if some else []
        self.increases = increases_of(self.counts, self.track.begun)

    def last(self, at: datetime) -> int:
        """The place of the last reading not after `at`; -1 before the first."""
        return bisect_right(self.instants, at) - 1

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
class Bridge:
    """A gap `[start, end)` of which the counters tell what happened, since `told_at`."""

    start: datetime
    end: datetime
    told_at: datetime


def births(
    grown: Sequence[Grown], seen: Held, start: datetime, end: datetime
) -> list[tuple[Grown, Increase]]:
    """Who was born in `[start, end)`, and what its first reading counts.

    The objective's total had been read before without it. That was the source's last word on it: either the total is
    read at the same instant, or it had been read for as long as a reading holds.
    """
    by_instant: dict[datetime, list[Grown]] = defaultdict(list)
    for each in grown:
        if each.counts and not each.track.old and start <= each.instants[0] < end:
            by_instant[each.instants[0]].append(each)
    instants = sorted(seen) if by_instant else []
    found: list[tuple[Grown, Increase]] = []
    for at, fresh in sorted(by_instant.items()):
        place = bisect_left(instants, at)
        if place == 0:
            continue
        before = instants[place - 1]
        aligned = any(g.track.whole and g.goes_on(at) for g in grown)
        if not aligned and instants[0] > at - fresh[0].counts[0].holds:
            continue
        born = [g for g in fresh if not _is_older(g, before)]
        hole = at > seen[before]
        alone = not any(g.goes_on(at) for g in grown)
        if alone and (_renamed(born, grown, before, at) or (not hole and _is_much(born, grown, before))):
            born = [g for g in born if _began(g) is not None]
        wholes = [_birth(g, before, hole) for g in born if g.track.whole]
        limit = sum(i.count for _, i in wholes) + _grew(grown, at, fresh[0].counts[0].holds)
        parts = [_birth(g, before, hole) for g in born if not g.track.whole]
        found += [*wholes, *((g, i) for g, i in parts if i.count <= limit)]
    return found


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


def _is_older(each: Grown, before: datetime) -> bool:
    """By its own word it was there already: somebody has begun to look at it."""
    began = _began(each)
    return began is not None and existed_before(began, before)


def _birth(each: Grown, before: datetime, hole: bool) -> tuple[Grown, Increase]:
    first = each.counts[0]
    return each, Increase(first.ts, int(first.value), False, before, False, hole)


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
    usual = _grew(grown, before, fresh[0].holds)
    return sum(r.value for r in fresh) > max(_SURGE * usual, _LITTLE)


def _grew(grown: Iterable[Grown], at: datetime, holds: timedelta) -> int:
    """By how much the total grew in the time that a reading holds, up to `at`: no more can have gone wrong."""
    found = 0
    for each in grown:
        if each.track.whole:
            low = bisect_right(each.instants, at - holds)
            found += sum(i.count for i in each.increases[max(low - 1, 0) : each.last(at)])
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
