"""The series of an objective, and how they grew: what births, restarts and bridged gaps are told from. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from ecpmon.sla.growth import (
    Begun,
    Increase,
    Reading,
    Step,
    Told,
    counts_of,
    increases_of,
    steps_of,
)

_NO_TIME: Final = timedelta()
_NOTHING: Final[Told] = MappingProxyType({})
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


def grew(grown: Iterable[Grown], at: datetime, holds: timedelta) -> int:
    """By how much the total grew in the time that a reading holds, up to `at`: no more can have gone wrong."""
    found = 0
    for each in grown:
        if each.track.whole:
            low = bisect_right(each.instants, at - holds)
            found += sum(i.count for i in each.increases[max(low - 1, 0) : max(each.last(at), 0)])
    return found


def by_era(tracks: Iterable[Track]) -> Mapping[datetime | None, list[Grown]]:
    """The tracks of each era."""
    found: dict[datetime | None, list[Grown]] = defaultdict(list)
    for track in tracks:
        found[track.era].append(Grown(track))
    return found
