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
    """Evidence at one instant: down or up, and how long it holds when nothing follows."""

    ts: datetime
    down: bool
    holds: timedelta


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` of one state. `reason` is set for gaps only."""

    start: datetime
    end: datetime
    state: SpanState
    reason: GapReason | None = None

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()
