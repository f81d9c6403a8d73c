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


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """What a tenant's GPUs were measured to do over `[start, end]`, in percent, the average of all of them.

    `sm` and `dram`: the share of their cores, and of their memory's cycles, that worked. `engine`: the share of time in
    which anything ran at all. `sampled`: the same as the driver samples it. `other`: `gpu_usage`, whatever its sender
    means by it. `memory`: the share of it that is taken.
    """

    resolution: timedelta
    start: datetime
    end: datetime
    sm: Distribution | None = None
    dram: Distribution | None = None
    engine: Distribution | None = None
    sampled: Distribution | None = None
    other: Distribution | None = None
    memory: Distribution | None = None
    known: timedelta = timedelta()
