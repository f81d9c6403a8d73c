"""The timeline of availability, totals over it, maintenance, objectives, statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Interval, Maintenance, Withdrawn
from ecpmon.model.objectives import (
    Counts,
    Hole,
    HoursOfCounts,
    Objective,
    Promised,
    RatioResult,
    StoredObjective,
)
from ecpmon.model.samples import Source
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus, Tally, WindowFigures


class PackedSpans(Protocol):
    """A timeline that crosses over to where work is done as a few values of bytes."""

    def __len__(self) -> int:
        """About how many spans."""
        ...

    def open(self) -> list[Span]: ...

    def troubles(self, start: datetime, most: int) -> list[Span]:
        """The newest `most` that are not up and end after `start`, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """A tenant's last 30 days as lists show them: fractions, found at `as_of`. `state`: at present; None: never
    observed."""

    availability: float | None
    coverage: float | None
    low: float | None
    high: float | None
    status: SlaStatus
    as_of: datetime
    state: SpanState | None


class AvailabilityStore(Protocol):
    async def timeline(
        self,
        tenant: Tenant,
        start: datetime,
        now: datetime,
        *,
        reasons: bool = False,
        present: bool = False,
    ) -> list[Span]:
        """The tenant's spans that touch `[start, now)`, up to `now`.

        `present`: `now` is the present, so what was observed last is shown for as long as the next may not have been
        heard of (`Intervals.shown`). As of an instant of the past it holds as long as it holds.

        The gap after the last observation has reasons only when they are asked for: they cost a look at every
        attempt since. Closed gaps always have theirs.
        """
        ...

    async def reach(self, tenant: Tenant, start: datetime, end: datetime, now: datetime) -> Interval:
        """From when to when (`now` and the tenant's end at the latest) a timeline is read in which the outages that
        touch `[start, end)` are whole."""
        ...

    async def coarse_days(self, tenant: Tenant, start: datetime, end: datetime) -> list[date]:
        """The UTC days in `[start, end]` on which so much changed that the timeline is kept by the minute."""
        ...

    async def packed(
        self,
        tenant: Tenant,
        start: datetime,
        now: datetime,
        *,
        reasons: bool = False,
        present: bool = False,
    ) -> PackedSpans:
        """What `timeline` is made of, to be taken apart where that holds nobody."""
        ...

    async def troubles(
        self, tenant: Tenant, start: datetime, now: datetime, most: int, *, present: bool = False
    ) -> PackedSpans:
        """The newest `most` of the spans that are not up and touch `[start, now)` are its `troubles`; no reasons."""
        ...

    async def statuses(self, tenant: Tenant) -> dict[str, SlaStatus]:
        """window -> live status as last stored, for its hysteresis."""
        ...

    async def statuses_of(self, tenants: Collection[Tenant]) -> dict[str, dict[str, SlaStatus]]:
        """The same for several, by tenant_id; absent where nothing is stored."""
        ...

    async def remembered(self, tenants: Collection[Tenant]) -> dict[str, dict[str, SlaStatus]]:
        """Of `statuses_of` those that hysteresis goes by: a window that is not named is as one never evaluated."""
        ...

    async def store_current(self, results: Mapping[str, Sequence[WindowFigures]], now: datetime) -> None:
        """Store the evaluation of tenant_id -> windows."""
        ...

    async def current_30d(self, tenant_keys: Sequence[int], now: datetime) -> dict[int, Listed]:
        """Number of the tenant -> what is stored of its last 30 days, for listings; absent before any evaluation."""
        ...


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """Seconds of a tenant in several windows that end together, maintenance not taken out, in the order asked; and
    the seconds of doubt in each, at least.

    `first` and `latest`: observations; `expires`: until when the latest one is shown, which said `state`.
    """

    state: SpanState
    first: datetime
    latest: datetime
    expires: datetime
    eligible: Sequence[float]
    down: Sequence[float]
    gap: Sequence[float]
    early: Sequence[float] = ()
    late: Sequence[float] = ()

    def tally(self, place: int) -> Tally:
        """Of the window at this place. Time is stored in microseconds: what floats add to that is not meant."""
        return Tally(
            round(self.eligible[place], 6),
            round(self.down[place], 6),
            round(self.gap[place], 6),
            early=self.early[place] if self.early else 0.0,
            late=self.late[place] if self.late else 0.0,
        )


class Outline(NamedTuple):
    """What all totals of a tenant follow from, with the time. Instants and lengths in seconds since 1970."""

    # `gap`: it is known in part only, whether a part of that is down or not.
    state: str
    since: float
    share: float
    # The first observation.
    first: float
    # The newest down time or gap that is over, and what was counted before it; None: there is none.
    starts: float | None
    ends: float | None
    down: float | None
    gap: float | None
    # The newest observation, and until when it is shown.
    latest: float
    expires: float

    def is_like(self, other: Outline) -> bool:
        """Whether they differ in the newest observation only."""
        return self[:-2] == other[:-2]


class WindowSums(Protocol):
    """Totals of the timeline whose cost grows neither with a window's length nor with what happened in it.

    `now` is the present, so what was observed last is shown as `AvailabilityStore.timeline` says. `marks` are asked of
    the past as well.
    """

    async def tallies(
        self, asked: Mapping[str, Collection[Interval]], now: datetime
    ) -> dict[str, dict[Interval, Tally]]:
        """Seconds by tenant_id and interval; what lies after `now` does not count. No observation: no entry.

        Maintenance is unknown here. Tenant-bound by what is asked: name only whom the caller may see.
        """
        ...

    async def totals(
        self, tenant_keys: Sequence[int], starts: Sequence[datetime], now: datetime
    ) -> dict[int, WindowTotals]:
        """The same of the windows from each of `starts` to `now`, by the numbers of tenants: the cheapest way."""
        ...

    async def heads(self, now: datetime) -> dict[int, tuple[str, float, float]]:
        """What every observed tenant is at `now`: state, since which second, the share that is down (for jobs)."""
        ...

    async def outlines(self, now: datetime) -> dict[int, Outline]:
        """Of every tenant that was ever observed, by its number (for jobs)."""
        ...

    async def marks(
        self,
        tenant: Tenant,
        instants: Sequence[datetime],
        now: datetime,
        earlier: Sequence[Interval] = (),
        *,
        coarse: Collection[date] = (),
        present: bool = False,
    ) -> Mapping[datetime, Mark]:
        """What is known at each of `instants`, for a ledger (`sla.ledger`); what lies after `now` does not count.

        Two look-ups for each. Deleted tenants have their marks as well, up to their end. `instants` are in order. Of
        `earlier`, which lies before them, the edges are looked up too to which an outage reaches back, and of the
        minutes of the days `coarse` within which they lie begin and end.
        """
        ...

    async def states(self, tenant_ids: Collection[str], now: datetime) -> dict[str, SpanState]:
        """What each tenant is now; absent before its first observation."""
        ...


class MaintenanceStore(Protocol):
    async def add(self, tenant: Tenant, planned: Maintenance, occurrences: int) -> None:
        """`occurrences`: how often it is on within 93 days at most. Raises LimitReached."""
        ...

    async def of_tenant(self, tenant: Tenant) -> list[Maintenance]:
        """What is planned, by start."""
        ...

    async def of_tenants(self, tenants: Collection[Tenant]) -> dict[str, list[Maintenance]]:
        """The same for several, by tenant_id; absent where nothing is planned."""
        ...

    async def withdrawn(self, tenant: Tenant) -> list[Withdrawn]:
        """What was taken back, oldest first."""
        ...

    async def remove(self, tenant: Tenant, maintenance_id: str, by: str, now: datetime) -> None:
        """Take a window back, past occurrences included. Raises NotFound, also for another tenant's window."""
        ...

    async def end(self, tenant: Tenant, maintenance_id: str, by: str, now: datetime) -> None:
        """No occurrence begins from `now` on. Raises NotFound, also for a window that does not recur."""
        ...

    async def approve(
        self, tenant: Tenant, maintenance_id: str, by: str, token: str | None, now: datetime
    ) -> Maintenance:
        """Let a window count that needs it; as it is then. Raises NotFound, and what `sla.exclusions.check_approval`
        does."""
        ...


class ObjectiveStore(Protocol):
    """Request-based and latency objectives. Every tenant has the defaults of `rules/objectives.yaml`."""

    async def of_tenant(self, tenant: Tenant) -> list[StoredObjective]:
        """Those in force, by name."""
        ...

    async def of_all(self, tenant_ids: Collection[str] | None = None) -> dict[str, list[StoredObjective]]:
        """The same for every live tenant or these, by tenant_id (jobs)."""
        ...

    async def put(
        self, tenant: Tenant, objectives: Sequence[Objective], now: datetime, *, others: bool = True
    ) -> list[bool]:
        """Store the tenant's own objectives, all or none; for each whether the name is new.

        `others` False: these are all of its own, the others are taken back. What is counted differently from
        before is counted anew from the raw samples. Raises Conflict when they would be too many.
        """
        ...

    async def delete(self, tenant: Tenant, name: str, now: datetime) -> None:
        """Take back the tenant's own objective; a default of that name is in force again.

        Raises NotFound, also for another tenant's; Conflict for a default.
        """
        ...

    async def sums(self, edges: Collection[tuple[int, datetime]]) -> dict[tuple[int, datetime], Counts]:
        """(objective's key, instant at a whole minute) -> everything counted before it, from some origin."""
        ...

    async def holes(self, cuts: Collection[tuple[int, datetime]]) -> dict[int, list[Hole]]:
        """By objective's key: the holes that one of the instants (objective's key, instant) cuts, and of those that
        were not counted all that end at the first of the instants or later."""
        ...

    async def promised(
        self, keys: Collection[int], instants: Sequence[datetime]
    ) -> dict[int, tuple[Promised, dict[datetime, Counts]]]:
        """Of those of these objectives that are in force, and everything counted before each instant (alerts)."""
        ...

    async def hours(self, tenant: Tenant, key: int, since: datetime, until: datetime) -> HoursOfCounts:
        """What `sums` says of every minute of `[since, until)` for one of the tenant's objectives."""
        ...

    async def series(
        self, tenant: Tenant, metrics: Collection[str]
    ) -> list[tuple[Source, str, dict[str, str]]]:
        """(source, metric, labels) of every series of these metrics that the tenant has."""
        ...

    async def statuses(self, *tenants: Tenant) -> dict[tuple[int, str], SlaStatus]:
        """(objective's key, window) -> live status as last stored; of one tenant or of all."""
        ...

    async def store_current(self, results: Mapping[int, Sequence[RatioResult]], now: datetime) -> None:
        """Store the evaluation: objective's key -> windows."""
        ...


@dataclass(frozen=True, slots=True)
class ClosedStatement:
    """A stored revision of a tenant's month, quarter or year. `changes` against the one before; None for the first.

    `document` is JSON, as it may be large; `contract` is that part of it.
    """

    revision: int
    closed_at: datetime
    digest: str
    contract: dict[str, Any]
    document: bytes
    changes: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Look:
    """When a month was looked at, and digests of what was found then: `inputs` of what every turn compares, `spans` of
    what the month follows from."""

    looked_at: datetime
    inputs: bytes
    spans: bytes


class StatementStore(Protocol):
    async def revisions(self, tenant: Tenant, month: str) -> list[ClosedStatement]:
        """Oldest first; empty when the month is not closed."""
        ...

    async def close(
        self,
        tenant: Tenant,
        month: str,
        revision: int,
        digest: str,
        document: bytes,
        changes: bytes | None,
        now: datetime,
    ) -> None:
        """Store a revision (JSON); nothing happens when another process was faster."""
        ...

    async def digests(self, tenant: Tenant, names: Collection[str]) -> dict[str, str]:
        """The digest of the newest revision of each of these (months, quarters, years) that is closed."""
        ...

    async def imported(self, tenant: Tenant) -> list[Interval]:
        """Of which stretches history was imported, in order; mostly of none."""
        ...

    async def closed_months(self) -> list[tuple[str, str]]:
        """(tenant_id, month, quarter or year) of every live tenant, for the job that looks for late changes."""
        ...

    async def looks(self) -> dict[tuple[str, str], Look]:
        """What was found of live tenants when their months were looked at last, by tenant_id and month."""
        ...

    async def note_looks(self, looks: Sequence[tuple[Tenant, str, Look]], now: datetime) -> None:
        """What was found before a month was looked at (not what is so now), for `looks`."""
        ...

    async def span_sums(self, tenants: Collection[Tenant]) -> dict[str, list[tuple[str, str]]]:
        """By tenant_id, in order: months of UTC, and of each what is another text when a span that began in it is
        another. None for who has no closed span."""
        ...
