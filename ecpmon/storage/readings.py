"""What series said, as counting stretches again needs it: in them, before them and after them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ecpmon.sla.counters import MINUTE, is_count, minute_of
from ecpmon.slices import in_slices
from ecpmon.storage.counted import Counted, Stretch

# stretch -> series -> its readings, oldest first.
Read = dict[int, dict[int, list[tuple[datetime, float]]]]


class Readings:
    """Within one transaction; `sql`: the queries of slots, `by_tenant`: the objectives that are counted."""

    def __init__(
        self, connection: Any, sql: Mapping[str, str], by_tenant: Mapping[int, Sequence[Counted]]
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._by_tenant = by_tenant

    async def of(self, stretches: Sequence[Stretch]) -> Read:
        """What was read in these, and of each series the last before."""
        if not stretches:
            return {}
        starts = [s.start - max(c.voices.reach for c in self._by_tenant[s.tenant]) for s in stretches]
        series = sorted({x for cs in self._by_tenant.values() for c in cs for x in c.series})
        rows = await self._connection.fetch(
            self._sql["readings"],
            [s.tenant for s in stretches],
            starts,
            [s.end for s in stretches],
            series,
            min(starts),
            max(s.end for s in stretches),
        )
        found: dict[int, dict[int, list[tuple[datetime, float]]]] = defaultdict(dict)
        orphans: list[tuple[int, Stretch]] = []
        async for r in in_slices(rows):
            stretch = stretches[r["n"] - 1]
            found[stretch.number][r["series"]] = list(zip(r["at"], r["values"], strict=True))
            if not any(at < stretch.start and is_count(v) for at, v in found[stretch.number][r["series"]]):
                orphans.append((r["series"], stretch))
        for (number, name), before in (await self._bases(orphans)).items():
            found[number][name].insert(0, before)
        return found

    async def following(
        self, work: Sequence[tuple[int, datetime, datetime]], stretches: Sequence[Stretch], readings: Read
    ) -> list[Stretch]:
        """The minute of each series' next reading beyond the stretches: its increase starts somewhere else now."""
        asked: list[tuple[int, Stretch]] = []
        for stretch in stretches:
            marked = max(b for t, _, b in work if t == stretch.tenant and stretch.start < b <= stretch.end)
            for name, found in readings[stretch.number].items():
                # A reading after what is marked is the next one, and counted again with its stretch.
                if stretch.start <= found[-1][0] < marked:
                    asked.append((name, stretch))
        if not asked:
            return []
        rows = await self._connection.fetch(
            self._sql["after"],
            [name for name, _ in asked],
            [s.tenant for _, s in asked],
            [s.end for _, s in asked],
        )
        owner = {name: s.tenant for name, s in asked}
        minutes = {(owner[r["series"]], minute_of(r["ts"])) for r in rows}
        fresh = [
            (tenant, at)
            for tenant, at in sorted(minutes)
            if not any(s.tenant == tenant and s.start <= at < s.end for s in stretches)
        ]
        return [Stretch(len(stretches) + n, t, at, at + MINUTE) for n, (t, at) in enumerate(fresh, start=1)]

    async def _bases(
        self, orphans: Sequence[tuple[int, Stretch]]
    ) -> dict[tuple[int, int], tuple[datetime, float]]:
        """(stretch, series) -> the last reading before the stretch, however old."""
        if not orphans:
            return {}
        rows = await self._connection.fetch(
            self._sql["before"],
            [name for name, _ in orphans],
            [s.tenant for _, s in orphans],
            [s.start for _, s in orphans],
        )
        found: dict[tuple[int, int], tuple[datetime, float]] = {}
        for r in rows:
            for name, stretch in orphans:
                if name == r["series"] and stretch.start == r["at"]:
                    found[stretch.number, name] = (r["ts"], r["value"])
        return found
