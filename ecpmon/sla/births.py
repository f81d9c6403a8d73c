"""Series that are born while their objective is watched, and gaps that the counters themselves measure. Pure.

Both are told from what is stored of the objective's series under one source. Invariant: what is said of an instant
follows from readings of the objective before it, back to the last ones that held when it was read before, and from
the three `holds` before it; never from readings after it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from ecpmon.sla.growth import (
    Begun,
    Increase,
    Reading,
    begun_at,
    counts_of,
    existed_before,
    increases,
)


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

    def __post_init__(self) -> None:
        self.counts = counts_of(self.track.readings)
        self.instants = [r.ts for r in self.counts]
        self.increases = increases(self.counts, self.track.begun)

    def last(self, at: datetime) -> int:
        """The place of the last reading not after `at`; -1 before the first."""
        return bisect_right(self.instants, at) - 1

    def goes_on(self, at: datetime) -> bool:
        """Whether it was read at this instant, and before."""
        place = self.last(at)
        return place > 0 and self.instants[place] == at

    def holds(self, at: datetime) -> Reading | None:
        """The reading that holds at this instant."""
        place = self.last(at)
        if place < 0 or self.counts[place].until <= at:
            return None
        since = self.instants[place]
        ended = any(r.is_marker and since < r.ts <= at for r in self.track.readings)
        return None if ended else self.counts[place]


@dataclass(frozen=True, slots=True)
class Bridge:
    """A gap `[start, end)` of which the counters tell what happened, since `told_at`."""

    start: datetime
    end: datetime
    told_at: datetime


def births(grown: Sequence[Grown], start: datetime, end: datetime) -> list[tuple[Grown, Increase]]:
    """Who was born in `[start, end)`, and what its first reading counts.

    The objective's total had been read before without it. That was the source's last word on it: either the total is
    read at the same instant, or it had been read for as long as a reading holds.
    """
    seen = _held(grown)
    instants = sorted(seen)
    by_instant: dict[datetime, list[Grown]] = defaultdict(list)
    for each in grown:
        if each.counts and not each.track.old and start <= each.instants[0] < end:
            by_instant[each.instants[0]].append(each)
    found: list[tuple[Grown, Increase]] = []
    for at, fresh in sorted(by_instant.items()):
        place = bisect_left(instants, at)
        if place == 0:
            continue
        before = instants[place - 1]
        if at not in seen and instants[0] > at - fresh[0].counts[0].holds:
            continue
        born = [g for g in fresh if not _is_older(g, before)]
        if not _went_on(born, grown, before, at):
            born = [g for g in born if _began(g) is not None]
        hole = at > seen[before]
        wholes = [_birth(g, before, hole) for g in born if g.track.whole]
        limit = sum(i.count for _, i in wholes) + _grew(grown, at, fresh[0].counts[0].holds)
        parts = [_birth(g, before, hole) for g in born if not g.track.whole]
        found += [*wholes, *((g, i) for g, i in parts if i.count <= limit)]
    return found


def _held(grown: Iterable[Grown]) -> dict[datetime, datetime]:
    """When the total was read -> until when that held."""
    found: dict[datetime, datetime] = {}
    for each in grown:
        if each.track.whole:
            for r in each.counts:
                found[r.ts] = max(r.until, found.get(r.ts, r.until))
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


def _went_on(born: Sequence[Grown], grown: Sequence[Grown], before: datetime, at: datetime) -> bool:
    """False when all series have other names than before and together count on from where they were."""
    fresh = [g for g in born if g.track.whole]
    if not fresh or any(g.goes_on(at) for g in grown):
        return True
    gone = [r.value for g in grown if g.track.whole and (r := g.holds(before)) is not None]
    return sum(g.counts[0].value for g in fresh) < sum(gone) or not sum(gone)


def _grew(grown: Iterable[Grown], at: datetime, holds: timedelta) -> int:
    """By how much the total grew in the time that a reading holds, up to `at`: no more can have gone wrong."""
    found = 0
    for each in grown:
        if each.track.whole:
            low = bisect_right(each.instants, at - holds)
            found += sum(i.count for i in each.increases[max(low - 1, 0) : each.last(at)])
    return found


def bridges(grown: Sequence[Grown], start: datetime) -> list[Bridge]:
    """The gaps that end, or are told of, at `start` or later, and over which every series counted on.

    Whatever was counted for held before the gap: it was read again when the gap was over, within the time that a
    reading holds, and had not restarted.
    """
    held = _held(grown)
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
