"""What a service was measured to use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Distribution:
    """`points` values of one series: the median, the 95th percentile and the largest."""

    points: int
    p50: float
    p95: float
    high: float


@dataclass(frozen=True, slots=True)
class ServiceUsage:
    """One service over `[start, end]`, the first and last point. None: never measured there.

    `cpu` in millicores and `memory` in MiB of one replica; `sessions` and `replicas` of the whole service.
    A point is the mean of `resolution`, its largest the largest sample; resolution 0: the samples themselves.
    `known`: of how much time there is any point, in whole parts of five minutes.
    """

    service: str
    resolution: timedelta
    start: datetime
    end: datetime
    cpu: Distribution | None = None
    memory: Distribution | None = None
    sessions: Distribution | None = None
    replicas: Distribution | None = None
    known: timedelta = timedelta()

    @property
    def points(self) -> int:
        """How many points there are of both what is requested."""
        return min(self.cpu.points if self.cpu else 0, self.memory.points if self.memory else 0)
