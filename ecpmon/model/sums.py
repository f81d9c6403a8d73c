"""Values of the running sums over an availability timeline: entries, and what is known at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecpmon.model.availability import SpanState

_MICROSECOND: Final = timedelta(microseconds=1)
# `Entry.was` of what follows a gap.
BLIND: Final = -1.0


def micros(length: timedelta) -> int:
    return length // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Entry:
    """A span that is down or a gap, and everything counted before it. Times in microseconds from some origin.

    `was`: which share of the tenant was down just before (0: none; `BLIND`: nobody knew). `joins`: the up time
    between it and the outage that it goes on with; None: it is a gap or begins an outage. `outage_at`: when its outage
    began. `hard_before` counts down time whatever its share, `lasting_before` outages from their begin to their end.
    `early_before`, `late_before`: the shares at changes that doubts are about (`windows.doubted`).
    """

    starts: datetime
    ends: datetime
    is_down: bool
    share: float = 1.0
    was: float = 0.0
    joins: int | None = None
    outage_at: datetime | None = None
    down_before: float = 0
    gap_before: int = 0
    hard_before: int = 0
    downs_before: int = 0
    outages_before: int = 0
    lasting_before: int = 0
    early_before: float = 0.0
    late_before: float = 0.0

    @property
    def opens(self) -> bool:
        """Whether an outage begins with it."""
        return self.is_down and self.joins is None

    @property
    def length(self) -> int:
        return micros(self.ends - self.starts)

    def until(self, at: datetime) -> int:
        """Microseconds of it before `at`, which is not before its start."""
        return micros(min(self.ends, at) - self.starts)

    @property
    def edge(self) -> tuple[float, float]:
        """(early, late) of the change at its start, as `windows.doubted` says."""
        if self.was == BLIND:
            return 0.0, 0.0
        if not self.is_down:
            return 1 - self.was, self.was
        worse = self.share - self.was
        return max(worse, 0.0), max(-worse, 0.0)


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known at `at`: the entry that began last before it, and the first one that began then or later."""

    at: datetime
    last: Entry | None
    next: Entry | None

    @property
    def down(self) -> float:
        if self.last is None:
            return self.next.down_before if self.next else 0
        whole = self.last.until(self.at) if self.last.is_down else 0
        return self.last.down_before + whole * self.last.share

    @property
    def gap(self) -> int:
        if self.last is None:
            return self.next.gap_before if self.next else 0
        return self.last.gap_before + (0 if self.last.is_down else self.last.until(self.at))

    @property
    def hard(self) -> int:
        if self.last is None:
            return self.next.hard_before if self.next else 0
        return self.last.hard_before + (self.last.until(self.at) if self.last.is_down else 0)

    @property
    def doubts_before(self) -> tuple[float, float]:
        """(early, late) of the changes before `at`."""
        last = self.last
        if last is None:
            return (self.next.early_before, self.next.late_before) if self.next else (0.0, 0.0)
        early, late = last.edge
        ended = last.share if last.is_down and last.ends < self.at else 0.0
        return last.early_before + early, last.late_before + late + ended

    @property
    def doubts_through(self) -> tuple[float, float]:
        """The same with the change at `at` itself."""
        if self.next is not None and self.next.starts == self.at:
            early, late = self.next.edge
            return self.next.early_before + early, self.next.late_before + late
        early, late = self.doubts_before
        ended = self.last is not None and self.last.is_down and self.last.ends == self.at
        return early, late + (self.last.share if self.last and ended else 0)


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """What the latest observation says: `state` from `since` until it `expires`, then nobody knows."""

    state: SpanState
    since: datetime
    expires: datetime
    share: float = 1.0
