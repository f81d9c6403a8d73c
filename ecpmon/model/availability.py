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


@dataclass(frozen=True, slots=True)
class Observation:
    """Evidence at one instant, and how long it holds when nothing follows.

    `share`: how much of the tenant is down, by its component policy; 0 is up, 1 wholly down.
    """

    ts: datetime
    share: float
    holds: timedelta

    @property
    def down(self) -> bool:
        return self.share > 0


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` of one state. `reason` is set for gaps only, `share` counts for down spans only.

    `share`: how much of the tenant is down, in (0, 1]; always 1 under the component policy `any`.
    """

    start: datetime
    end: datetime
    state: SpanState
    reason: GapReason | None = None
    share: float = 1.0

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def down_share(self) -> float:
        """0 for spans that are not down."""
        return self.share if self.state is SpanState.DOWN else 0.0

    @property
    def down_seconds(self) -> float:
        """Seconds of down time, as far as the tenant is down."""
        return self.seconds * self.down_share
