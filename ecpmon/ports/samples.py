"""Samples: taken in, read back, and which pulls brought them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ecpmon.model.ingest import Batch, IngestResult
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.model.usage import GpuUsage, ServiceUsage
from ecpmon.model.windows import Cause


class SampleWriter(Protocol):
    @property
    def part(self) -> int:
        """How much of a large request to hand over at once (`cost_of`): less while others send as well."""
        ...

    async def write(self, batch: Batch) -> IngestResult:
        """Commit a batch (grouped with others under load). Returning means committed.

        Raises DatabaseUnavailable within about a second when the database is away.
        """
        ...


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a plot. `value` is the average over the step."""

    ts: datetime
    value: float
    low: float
    high: float


class PackedPoints(Protocol):
    """Points that cross over to where work is done as a few values of bytes."""

    def open(self) -> dict[tuple[str, str], list[Point]]:
        """(metric_type, metric_name) -> points, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Plot:
    """One series over time, oldest first: the begins of its steps in whole seconds since 1970, the average of each.

    Steps without a sample are left out. `source`: as it is stored, which people may have written by hand; `high`: the
    largest sample of all, `mean`: their average, whatever the steps.
    """

    metric_type: str
    metric_name: str
    source: str
    begins: Sequence[int]
    values: Sequence[float]
    high: float
    mean: float


@dataclass(frozen=True, slots=True)
class Latest:
    ts: datetime
    metric_type: str
    value: float
    # Its `data_source`: one of `Source`, or what somebody wrote.
    source: str = Source.PUSH


class MonitoringStore(Protocol):
    async def packed(
        self,
        tenant: Tenant,
        start: datetime,
        end: datetime,
        step: timedelta,
        metric_type: str | None = None,
        source: str | None = None,
        names: Collection[str] | None = None,
    ) -> PackedPoints:
        """The points of every series, from the tier whose resolution fits `step`, opened where that holds nobody.

        `names`: only these metrics; None: all there are.
        """
        ...

    async def plots(
        self, tenant: Tenant, start: datetime, end: datetime, step: timedelta, metric_type: str | None = None
    ) -> list[Plot]:
        """Every series of every source in columns, in no order; what was committed last is in it.

        `start` is a multiple of 5 minutes, `step` less than that, 5 minutes or whole hours. Whatever the step, the same
        samples are looked at, so that `high` and `mean` are the same. Raises ValueError for another step."""
        ...

    async def latest(self, tenant: Tenant, since: datetime, now: datetime) -> list[tuple[str, Latest]]:
        """Metric names and the newest value of each source since `since`.

        Of a tenant that says very much, what its newest frames hold. What is of a time after `now` is left out.
        """
        ...

    async def coming(self, tenant: Tenant, now: datetime) -> list[tuple[str, Latest]]:
        """Metric names and values that are stored already, and whose time comes after `now`; oldest first."""
        ...

    async def latest_of(
        self, since: Sequence[tuple[Tenant, datetime]], names: Collection[str], now: datetime
    ) -> dict[int, dict[str, Latest]]:
        """The same for several tenants, each since an instant of its own, by number; of these metrics alone, and from
        the source that reported last.

        In the newest 5,000 frames of a tenant, and no more than hold some 50,000 values."""
        ...

    async def newest(
        self, since: Sequence[tuple[Tenant, datetime]], names: Collection[str], now: datetime
    ) -> list[tuple[int, str, str, datetime, float]]:
        """Of several tenants, each since an instant of its own: number, metric, source, instant and value of what each
        source has said last of these metrics up to `now`, whoever wrote it. In a tenant's newest 2,000 frames."""
        ...

    async def trailing(
        self, tenant: Tenant, terms: Collection[tuple[str, str, timedelta]], now: datetime
    ) -> dict[tuple[str, str, timedelta], float | None]:
        """By function (avg, min, max, last, or rate per second with counter resets respected), metric and window: what
        the metric's values in (now - window, now] give; None without any. They are the evidence source's if that said
        any then, else those of the source that spoke last.

        From the newest 500,000 frames of the tenant. Raises ValidationFailed for an unknown function."""
        ...

    async def mean_response_times(
        self, evidence: Mapping[int, str], start: datetime, end: datetime
    ) -> dict[int, float]:
        """Number of the tenant -> mean response time in ms, from the hourly rollups; absent without data.

        Of its evidence source (`evidence`: by number), else of whoever spoke last. What stands for the response time of
        requests that nobody answered is left out.
        """
        ...

    async def mean_response_times_30d(self, evidence: Mapping[int, str], now: datetime) -> dict[int, float]:
        """The same of the last 30 days as a job found them not long ago; who has none yet is looked up."""
        ...

    async def service_usage(
        self, tenant: Tenant, start: datetime, end: datetime, *, raw: bool
    ) -> dict[str, ServiceUsage]:
        """service -> what it was measured to use in `[start, end)`; from samples, or from 5-minute rollups."""
        ...

    async def gpu_usage(
        self, tenant: Tenant, start: datetime, end: datetime, *, raw: bool
    ) -> GpuUsage | None:
        """What its GPUs were measured to do in `[start, end)`, in the same way; None: nobody told of any."""
        ...

    async def causes(
        self, tenant: Tenant, outages: Sequence[Interval], raw_since: datetime, error_rate_at: float | None
    ) -> list[Cause]:
        """What was wrong when each outage began, as far as its evidence says; raw samples go back to `raw_since`."""
        ...

    async def has_said(self, tenant: Tenant, names: Collection[str]) -> tuple[bool, bool]:
        """Whether the tenant, or a part of it, has ever sent one of these metrics; whether it has sent any at all."""
        ...

    async def sources(self, tenant: Tenant) -> set[str]:
        """Every `data_source` that the tenant has ever had."""
        ...

    async def metric_names(self, tenant: Tenant) -> set[str]:
        """Names this tenant has ever sent."""
        ...


class AttemptLog(Protocol):
    """Where collectors report attempts and resume."""

    async def watermark(self, source: Source) -> datetime | None: ...

    async def last_attempt(self, source: Source, since: datetime, now: datetime) -> datetime | None: ...
