"""Every window of every tenant from running sums: two look-ups per window, whatever its length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import Tally
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# Rows of `cumulative` by their instant: seconds eligible, down and gap.
_Sums = dict[datetime, tuple[float, float, float]]


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
        for tenant_id, at, eligible, down, gap in rows:
            sums[tenant_id][at] = (eligible, down, gap)
        found: dict[str, dict[Interval, Tally]] = {}
        for intervals, tenants in groups.items():
            edges = [(i, min(i.start, now), min(i.end, now)) for i in intervals]
            for tenant_id in tenants:
                if tenant_id in sums:
                    found[tenant_id] = _differences(sums[tenant_id], edges)
        return found

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


def _differences(sums: _Sums, edges: Sequence[tuple[Interval, datetime, datetime]]) -> dict[Interval, Tally]:
    tallies = {}
    for interval, start, end in edges:
        eligible, down, gap = sums[end]
        eligible_before, down_before, gap_before = sums[start]
        # Time is stored in microseconds, and the sums of decades still show them: rounding makes it exact.
        tallies[interval] = Tally(
            round(eligible - eligible_before, 6), round(down - down_before, 6), round(gap - gap_before, 6)
        )
    return tallies
