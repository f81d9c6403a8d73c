"""How much one counter grew from reading to reading (docs/objectives.md, "How counting works"). Pure.

Nothing is extrapolated: an increase is the difference of two readings of one series, as a whole number.

Invariants:
1. What is said of a reading follows from the readings of its series at most two `holds` before it, and from the last
   one before it, however old. So a stretch that is counted again gives what counting everything gives.
2. An increase is never negative. A restart counts what the counter shows afterwards, never what it may have lost.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from types import MappingProxyType
from typing import Final

# Beyond it a double cannot count by one.
MAX_COUNT: Final = 2**53
# A counter that says when it began says so to the second at best, and by another clock than whoever reads it.
_SKEW: Final = timedelta(seconds=5)
_SAME: Final = timedelta(seconds=1)
# A fall by less than one part in so many may be a reading out of order.
_SLIGHT: Final = 100


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

    @property
    def until(self) -> datetime:
        """Until when it holds if none follows."""
        return self.ts if self.is_marker else self.ts + self.holds


# Instant of a reading -> when the counter said that it had begun, in time order.
Begun = Sequence[tuple[datetime, datetime]]


@dataclass(frozen=True, slots=True)
class Increase:
    """How much a counter grew after `since` up to `ts`.

    `reset`: it had restarted from zero in between; `assumed`: as far as its fall tells, it has not said so itself.
    `hole`: the reading before had ceased to hold.
    """

    ts: datetime
    count: int
    reset: bool
    since: datetime
    assumed: bool = False
    hole: bool = False


class Step(Enum):
    """What became of a counter from one reading to the next."""

    ON = "on"
    # An older value than the one before it: the order of readings is wrong, not the counter.
    STRAY = "stray"
    RESTART = "restart"
    ASSUMED_RESTART = "assumed restart"


RESTARTS: Final = (Step.RESTART, Step.ASSUMED_RESTART)
# Instant of a reading -> what became of the counter up to it, as others of its process tell.
Told = Mapping[datetime, Step]
_NOTHING: Final[Told] = MappingProxyType({})


def is_count(value: float) -> bool:
    """Whether a counter can stand at `value`: not negative, not NaN, and small enough to be counted on from."""
    return 0 <= value <= MAX_COUNT


def settled(readings: Iterable[Reading]) -> list[Reading]:
    """In time order, one per instant: of two readings of one instant the one given later counts."""
    given = list(readings)
    # As a rule they are, and nothing has to be sorted.
    if all(a.ts < b.ts for a, b in pairwise(given)):
        return given
    return [reading for _, reading in sorted({r.ts: r for r in given}.items())]


def counts_of(readings: Iterable[Reading]) -> list[Reading]:
    """Settled, without what is no count (see `is_count`), as whole numbers."""
    return [
        r if r.value == (whole := math.floor(r.value)) else Reading(r.ts, whole, r.holds)
        for r in settled(readings)
        if is_count(r.value)
    ]


def begun_at(begun: Begun, at: datetime, holds: timedelta) -> datetime | None:
    """What the counter said last, at most `holds` before `at`, of when it began."""
    index = bisect_right(begun, at, key=lambda b: b[0]) - 1
    return begun[index][1] if index >= 0 and begun[index][0] >= at - holds else None


def existed_before(began: datetime, at: datetime) -> bool:
    """Whether a counter that says it began then had certainly begun by `at`."""
    return began < at - _SKEW


def increases(readings: Iterable[Reading], begun: Begun = ()) -> list[Increase]:
    """The increases of one series; in any order, with duplicates.

    The first reading counts nothing here. Staleness markers and gaps end nothing. A fall means a restart from zero, so
    the new value counts, unless it is slight: by less than 1 %, and by no more than the counter grew from one reading
    to the next shortly before, where that is known. Then the reading is out of order: it counts nothing, and neither
    does what follows until it is above where the counter has been. What says when it began is believed instead.
    """
    known = counts_of(readings)
    return increases_of(known, steps_of(known, begun))


def steps_of(known: Sequence[Reading], begun: Begun = (), told: Told = _NOTHING) -> list[Step]:
    """What became of the counter up to each reading of `counts_of`; up to the first nothing did. `told` is believed."""
    steps: list[Step] = []
    for index, reading in enumerate(known):
        step = Step.ON
        if index and (reading.value < known[index - 1].value or begun):
            step = _step(known, index, begun)
        steps.append(told.get(reading.ts, step) if told and index else step)
    return steps


def increases_of(known: Sequence[Reading], steps: Sequence[Step]) -> list[Increase]:
    """The same of what `counts_of` and `steps_of` give."""
    found: list[Increase] = []
    stray: datetime | None = None
    for index in range(1, len(known)):
        before, reading, step = known[index - 1], known[index], steps[index]
        ts, grown = reading.ts, reading.value - before.value
        if step in RESTARTS:
            grown = reading.value
        elif stray is not None and stray >= ts - reading.holds:
            grown = reading.value - _level(known, steps, index)
        if step is Step.STRAY:
            stray = ts
        hole = ts - before.ts > before.holds
        count = int(grown) if grown > 0 else 0
        assumed = step is Step.ASSUMED_RESTART
        found.append(Increase(ts, count, assumed or step is Step.RESTART, before.ts, assumed, hole))
    return found


def _step(known: Sequence[Reading], index: int, begun: Begun) -> Step:
    """What became of the counter between the reading before and this one."""
    reading, before = known[index], known[index - 1]
    began = begun_at(begun, reading.ts, reading.holds) if begun else None
    fell = before.value - reading.value
    if began is not None:
        earlier = begun_at(begun, before.ts, before.holds)
        if began > before.ts if earlier is None else began - earlier > _SAME:
            return Step.RESTART
        return Step.STRAY if fell > 0 else Step.ON
    if fell <= 0:
        return Step.ON
    usual = _usual(known, index)
    slight = fell * _SLIGHT < before.value and (usual == 0 or fell <= usual)
    return Step.STRAY if slight else Step.ASSUMED_RESTART


def _usual(known: Sequence[Reading], index: int) -> float:
    """The most that the counter grew from one reading to the next within `holds` before; 0 where that is not known."""
    oldest, most = known[index].ts - known[index].holds, 0.0
    for at in range(index - 1, 0, -1):
        if known[at - 1].ts < oldest:
            break
        most = max(most, known[at].value - known[at - 1].value)
    return most


def _level(known: Sequence[Reading], steps: Sequence[Step], index: int) -> float:
    """Where the counter had been before this reading, by what was read within `holds`: strays left out."""
    oldest, first = known[index].ts - known[index].holds, index - 1
    while first > 0 and known[first - 1].ts >= oldest:
        first -= 1
    level = known[first].value
    for reading, step in zip(known[first + 1 : index], steps[first + 1 : index], strict=True):
        if step in RESTARTS:
            level = reading.value
        elif step is Step.ON:
            level = max(level, reading.value)
    return level
