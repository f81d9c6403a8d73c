"""Where simulated time comes from: the wall clock times a speed, or somebody's hand."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from ecpmon.simulator.model.times import Micros


class Clock(Protocol):
    """`target` says where simulated time should be, given where it is; never before that."""

    @property
    def mode(self) -> str: ...

    @property
    def speed(self) -> float: ...

    def target(self, now: Micros) -> Micros: ...


def wall_micros() -> Micros:
    """The machine's clock, microseconds since the epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class WallClock:
    """Simulated time runs `speed` times as fast as the wall clock from a common starting point.

    When the wall clock is set back, simulated time stands still until it has caught up.
    """

    simulated_start: Micros
    wall_start: Micros
    speed: float = 1.0
    mode: str = "wall"

    def target(self, now: Micros) -> Micros:
        passed = wall_micros() - self.wall_start
        moved = passed if self.speed == 1.0 else round(passed * self.speed)
        return max(now, self.simulated_start + moved)


@dataclass(frozen=True, slots=True)
class ManualClock:
    """Time stands still until it is advanced."""

    mode: str = "manual"
    speed: float = 0.0

    def target(self, now: Micros) -> Micros:
        return now
