"""Every window of every tenant from running sums: two look-ups per window, whatever its length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ecpmon.model.windows import Tally
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# Rows of `cumulative` by the position of their instant: tenant, position, seconds eligible, down and gap.
_Sums = dict[int, Any]


class PgFastWindows:
    """What `sla.windows.tally` says about the spans of `PgAvailabilityStore`, without reading the spans.

    Eligible time is counted from the first observation on, so it is exact as long as span retention is longer
    than the longest window. Tenants without an observation are left out. Not tenant-bound: it serves jobs and
    callers who may see all tenants.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("fast_windows")

    async def tallies(self, now: datetime, windows: Mapping[str, timedelta]) -> dict[str, dict[str, Tally]]:
        """Rolling windows that end at `now`: seconds by tenant and window name."""
        return await self.between(now, {name: (now - length, now) for name, length in windows.items()})

    async def between(
        self, now: datetime, periods: Mapping[str, tuple[datetime, datetime]]
    ) -> dict[str, dict[str, Tally]]:
        """Any periods `[start, end)`; what lies after `now` does not count. Seconds by tenant and period name."""
        clipped = {name: (min(start, now), min(end, now)) for name, (start, end) in periods.items()}
        instants = sorted({at for bounds in clipped.values() for at in bounds})
        # SQL counts from 1.
        position = {at: index for index, at in enumerate(instants, start=1)}
        edges = [(name, position[start], position[end]) for name, (start, end) in clipped.items()]
        rows = await self._database.fetch(self._sql["cumulative"], instants)
        sums: dict[str, _Sums] = defaultdict(dict)
        for row in rows:
            sums[row[0]][row[1]] = row
        return {tenant_id: _differences(found, edges) for tenant_id, found in sums.items()}


def _differences(sums: _Sums, edges: Sequence[tuple[str, int, int]]) -> dict[str, Tally]:
    # Time is stored in microseconds, and the sums of decades still show them: rounding makes the result exact.
    tallies: dict[str, Tally] = {}
    for name, start, end in edges:
        _, _, eligible, down, gap = sums[end]
        _, _, eligible_before, down_before, gap_before = sums[start]
        tallies[name] = Tally(
            round(eligible - eligible_before, 6),
            round(down - down_before, 6),
            round(gap - gap_before, 6),
        )
    return tallies
