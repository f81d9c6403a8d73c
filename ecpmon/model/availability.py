"""Values of the availability timeline: observations, spans, reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class SpanState(StrEnum):
    UP = "up"
    DOWN = "down"
    GAP = "gap"


class GapReason(StrEnum):
    """Who was blind. Shared by spans, logs, metrics and tests."""

    TARGET_FAILED = "target_failed"  # we asked, the target failed or said nothing
    COLLECTOR_DOWN = "collector_down"  # we did not ask, or could not take a push
    NOT_PUSHED = "not_pushed"  # we were listening, the tenant stayed silent
    PART_SILENT = "part_silent"  # a part of the tenant stayed silent, of the others something was heard


@dataclass(frozen=True, slots=True)
class Observation:
    """Evidence at one instant, and how long it holds when nothing follows.

    `share`: how much of the tenant is down, by its component policy; 0 is up, 1 wholly down. `age`: how old what it
    was made of may have been, for whoever looks now and then; None: it was told as it happened, its instant is exact.
    `unknown`: of how much of the tenant nothing is known, in [0, 1); the rest is up.
    """

    ts: datetime
    share: float
    holds: timedelta
    age: timedelta | None = None
    unknown: float = 0.0

    @property
    def down(self) -> bool:
        return self.share > 0

    @property
    def seen_at(self) -> datetime:
        """From when on something else may be so."""
        return self.ts - self.age if self.age else self.ts

    @property
    def unseen(self) -> float:
        """For how many seconds something else may have been so when it no longer holds and nothing followed."""
        return 0.0 if self.age is None else (self.holds + self.age).total_seconds()


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` of one state. `reason` is set for gaps only.

    `share`: how much of the tenant is down, or unknown if it is a gap, in (0, 1]; 1 if it is up, and always 1 under the
    component policy `any`. Of a gap in part the rest is up. `unknown`: of how much of a tenant that is down in part
    nothing is known; 0 for other states. Seconds: `doubt`, for how long before `start` the change to it may have gone
    unseen (0: exact, or a gap or nothing came before), and `doubt_after`, the same of the change at `end`, as far as
    that is known.
    """

    start: datetime
    end: datetime
    state: SpanState
    reason: GapReason | None = None
    share: float = 1.0
    doubt: float = 0.0
    doubt_after: float = 0.0
    unknown: float = 0.0

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def is_blind(self) -> bool:
        """Whether nothing is known of any part of the tenant."""
        return self.state is SpanState.GAP and self.share == 1.0

    @property
    def unknown_share(self) -> float:
        """Of how much of the tenant nothing is known."""
        return self.share if self.state is SpanState.GAP else self.unknown

    @property
    def gap_seconds(self) -> float:
        """Seconds of gap, as far as the tenant is unknown."""
        return self.seconds * self.unknown_share

    @property
    def down_share(self) -> float:
        """0 for spans that are not down."""
        return self.share if self.state is SpanState.DOWN else 0.0

    @property
    def down_seconds(self) -> float:
        """Seconds of down time, as far as the tenant is down."""
        return self.seconds * self.down_share
