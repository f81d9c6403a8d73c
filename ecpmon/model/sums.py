"""Values of the running sums over an availability timeline: entries, and what is known at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ecpmon.model.availability import SpanState

_MICROSECOND: Final = timedelta(microseconds=1)


def micros(length: timedelta) -> int:
    return length // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Entry:
    """A span that is down or a gap, and everything counted before it. Times in microseconds from some origin.

    `share`, `unknown`: as in `Span`. `was`: which share of the tenant was down just before, and if it was a gap, which
    share of it was unknown, as a negative number (-1: nobody knew anything). `joins`: the up time
    between it and the outage that it goes on with; None: it is a gap or begins an outage. `outage_at`: when its outage
    began, and `outage_hard` what `hard_before` was then. `hard_before` counts down time whatever its share.
    Seconds: `doubt`, for how long the change at its start may have gone unseen; `after`, the same of the change back to
    up at its end; `early_before`, `late_before`, all of them before it by the shares that they are about
    (`windows.doubted`).
    """

    starts: datetime
    ends: datetime
    is_down: bool
    share: float = 1.0
    was: float = 0.0
    joins: int | None = None
    outage_at: datetime | None = None
    down_before: float = 0
    gap_before: float = 0
    hard_before: int = 0
    downs_before: int = 0
    outages_before: int = 0
    outage_hard: int | None = None
    early_before: float = 0.0
    late_before: float = 0.0
    doubt: float = 0.0
    after: float = 0.0
    unknown: float = 0.0

    @property
    def blind(self) -> float:
        """Which share of the tenant is unknown."""
        return self.unknown if self.is_down else self.share

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
    def shares(self) -> tuple[float, float]:
        """What the change at its start may have done sooner than was seen, as `windows.doubted` says."""
        down, unknown = (self.share, self.unknown) if self.is_down else (0.0, self.share)
        return doubted(max(self.was, 0.0), max(-self.was, 0.0), down, unknown)

    @property
    def edge(self) -> tuple[float, float]:
        """(early, late) of the change at its start, in seconds."""
        sooner, later = self.shares
        return sooner * self.doubt, later * self.doubt


def doubted(was_down: float, was_unknown: float, down: float, unknown: float) -> tuple[float, float]:
    """Which share of the tenant may have gone down, and come up, sooner than a change to `down` and `unknown` was seen.

    What is unknown may be down from then on, so it may have been before, unless that was unknown as well.
    """
    worse, silent = down - was_down, unknown - was_unknown
    early = max(worse, 0.0) + max(silent, 0.0)
    return min(early, 1 - was_down - was_unknown), max(-worse, 0.0)


def doubts_before(at: datetime, entries: Sequence[Entry], until: datetime) -> tuple[float, float]:
    """(early, late) of a mark at `at`: of changes before `until` after the begin of the first of `entries`, which are
    what follows it."""
    early = late = 0.0
    for index, entry in enumerate(entries):
        if index and entry.starts < until:
            sooner, later = entry.shares
            seconds = seconds_before(at, entry.doubt, entry.starts)
            early, late = early + sooner * seconds, late + later * seconds
        comes_up = index + 1 == len(entries) or entries[index + 1].starts > entry.ends
        if entry.is_down and comes_up and entry.ends < until:
            late += entry.share * seconds_before(at, entry.after, entry.ends)
    return early, late


def seconds_before(at: datetime, doubt: float, change: datetime) -> float:
    """How much of the doubt about a change lies before `at`."""
    return doubt if change <= at else max(doubt - (change - at).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known at `at`: the entry that began last before it, and the first one that began then or later.

    `early`, `late`: the seconds of doubt that lie before `at`, about changes after the begin of `next`, as far as they
    are known. With several observers there are some.
    """

    at: datetime
    last: Entry | None
    next: Entry | None
    early: float = 0.0
    late: float = 0.0

    @property
    def down(self) -> float:
        if self.last is None:
            return self.next.down_before if self.next else 0
        whole = self.last.until(self.at) if self.last.is_down else 0
        return self.last.down_before + whole * self.last.share

    @property
    def gap(self) -> float:
        if self.last is None:
            return self.next.gap_before if self.next else 0
        return self.last.gap_before + self.last.until(self.at) * self.last.blind

    @property
    def hard(self) -> int:
        if self.last is None:
            return self.next.hard_before if self.next else 0
        return self.last.hard_before + (self.last.until(self.at) if self.last.is_down else 0)

    @property
    def doubts(self) -> tuple[float, float]:
        """(early, late): the seconds of doubt that lie before `at`, about earlier changes and about later ones."""
        last, following = self.last, self.next
        early, late = self.early, self.late
        if last is not None:
            own_early, own_late = last.edge
            early, late = early + last.early_before + own_early, late + last.late_before + own_late
            if last.is_down and (following is None or following.starts > last.ends):
                late += last.share * seconds_before(self.at, last.after, last.ends)
        elif following is not None:
            early, late = early + following.early_before, late + following.late_before
        if following is not None:
            sooner, later = following.shares
            part = seconds_before(self.at, following.doubt, following.starts)
            early, late = early + sooner * part, late + later * part
        return early, late

    @property
    def outage(self) -> Entry | None:
        """What is down at `at`, or the flap that `at` lies before: an entry whose outage began before `at`."""
        last, following = self.last, self.next
        if last is not None and last.ends > self.at:
            return last if last.is_down else None
        return following if following is not None and following.joins is not None else None

    def as_of(self, until: datetime) -> Mark:
        """As it was known at `until`, when nobody knew of changes from then on: `early` and `late` know of none."""
        last, following = self.last, self.next
        if last is not None and last.after and last.ends >= until:
            last = replace(last, after=0.0)
        if following is not None and following.after and following.ends >= until:
            following = replace(following, after=0.0)
        if following is not None and following.doubt and following.starts >= until:
            following = replace(following, doubt=0.0)
        if last is self.last and following is self.next:
            return self
        return Mark(self.at, last, following, self.early, self.late)


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """What the latest observation says: `state` from `since` until it `expires`, then nobody knows.

    A gap is one in part. Seconds: `doubt` is that of the change at `since`, `unseen` that of the gap when it has
    expired.
    """

    state: SpanState
    since: datetime
    expires: datetime
    share: float = 1.0
    doubt: float = 0.0
    unseen: float = 0.0
    unknown: float = 0.0
