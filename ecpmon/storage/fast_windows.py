"""Every window of every tenant from running sums: two look-ups per window, whatever its length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import Tally
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# Rows of `cumulative` by their instant: seconds eligible, down and gap.
_Sums = dict[datetime, list[float]]


class PgFastWindows:
    """`ports.WindowSums`: what `sla.windows.tally` says about the spans of `PgAvailabilityStore`, without reading them.

    Eligible time is counted from the first observation on, so it is exact as long as span retention is longer
    than the longest window. Tenants without an observation are left out.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("fast_windows")

    async def tallies(
        self, asked: Mapping[str, Collection[Interval]], now: datetime
    ) -> dict[str, dict[Interval, Tally]]:
        groups = _grouped(asked)
        instants = [_instants(intervals, now) for intervals in groups]
        rows = await self._database.fetch(
            self._sql["cumulative"],
            [t for tenants in groups.values() for t in tenants],
            [g for g, tenants in enumerate(groups.values()) for _ in tenants],
            [at for of_group in instants for at in of_group],
            [g for g, of_group in enumerate(instants) for _ in of_group],
        )
        sums: dict[str, _Sums] = defaultdict(dict)
        for tenant_id, at, *seconds in rows:
            sums[tenant_id][at] = seconds
        return {
            tenant_id: {i: _between(sums[tenant_id], i, now) for i in intervals}
            for intervals, tenants in groups.items()
            for tenant_id in tenants
            if tenant_id in sums
        }

    async def states(self, tenant_ids: Collection[str], now: datetime) -> dict[str, SpanState]:
        rows = await self._database.fetch(self._sql["states"], list(tenant_ids), now)
        return {r["tenant_id"]: SpanState(r["state"]) for r in rows}


def _grouped(asked: Mapping[str, Collection[Interval]]) -> dict[frozenset[Interval], list[str]]:
    """Tenants that ask for the same: most share their time zone and have no maintenance."""
    groups: dict[frozenset[Interval], list[str]] = defaultdict(list)
    for tenant_id, intervals in asked.items():
        groups[frozenset(intervals)].append(tenant_id)
    return groups


def _instants(intervals: Collection[Interval], now: datetime) -> list[datetime]:
    return sorted({min(at, now) for i in intervals for at in (i.start, i.end)})


def _between(sums: _Sums, interval: Interval, now: datetime) -> Tally:
    before, after = sums[min(interval.start, now)], sums[min(interval.end, now)]
    # Time is stored in microseconds, and the sums of decades still show them: rounding makes the result exact.
    eligible, down, gap = (round(b - a, 6) for a, b in zip(before, after, strict=True))
    return Tally(eligible, down, gap)
