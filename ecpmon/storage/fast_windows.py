"""Every window of every tenant from running sums: two look-ups per window, whatever its length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import Tally
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# What `cumulative` says of one tenant by the place of the instant: seconds eligible, down and gap.
_Sums = dict[int, tuple[float, float, float]]


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
        members = [(t, g) for g, tenants in enumerate(groups.values()) for t in tenants]
        looked_up = [(at, g) for g, of_group in enumerate(instants) for at in of_group]
        rows = await self._database.fetch(self._sql["cumulative"], *_columns(members), *_columns(looked_up))
        sums: dict[int, _Sums] = defaultdict(dict)
        for place, instant, eligible, down, gap in rows:
            sums[place][instant] = (eligible, down, gap)
        places = {(g, at): number for number, (at, g) in enumerate(looked_up, 1)}
        edges = [
            [(i, places[g, min(i.start, now)], places[g, min(i.end, now)]) for i in intervals]
            for g, intervals in enumerate(groups)
        ]
        return {
            members[place - 1][0]: _differences(found, edges[members[place - 1][1]])
            for place, found in sums.items()
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


def _columns(pairs: Sequence[tuple[Any, int]]) -> tuple[list[Any], list[int]]:
    return [value for value, _ in pairs], [group for _, group in pairs]


def _differences(sums: _Sums, edges: Sequence[tuple[Interval, int, int]]) -> dict[Interval, Tally]:
    tallies = {}
    for interval, start, end in edges:
        eligible, down, gap = sums[end]
        eligible_before, down_before, gap_before = sums[start]
        # Time is stored in microseconds, and the sums of decades still show them: rounding makes it exact.
        tallies[interval] = Tally(
            round(eligible - eligible_before, 6), round(down - down_before, 6), round(gap - gap_before, 6)
        )
    return tallies
