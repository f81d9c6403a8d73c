"""What series said, as counting stretches again needs it: in them, before them and after them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ecpmon.sla.counters import MINUTE, minute_of
from ecpmon.sla.growth import is_count
from ecpmon.slices import in_slices
from ecpmon.storage.counted import Counted, Stretch
from ecpmon.storage.stretches import merged, rounded_up

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
        # Of a stretch: series that were there before, though no reading is left that says how far they were.
        self.old: dict[int, set[int]] = defaultdict(set)

    def _from(self, stretch: Stretch) -> datetime:
        """From when on every reading of a stretch is needed (`sla.births`, `sla.growth`)."""
        return stretch.start - 5 * self._reach(stretch)

    def _reach(self, stretch: Stretch) -> timedelta:
        return max(c.voices.reach for c in self._by_tenant[stretch.tenant])

    async def of(self, stretches: Sequence[Stretch]) -> Read:
        """What was read in these and as long before as matters, and of each series the last before where it does."""
        if not stretches:
            return {}
        starts = [self._from(s) for s in stretches]
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
        async for r in in_slices(rows):
            found[stretches[r["n"] - 1].number][r["series"]] = list(zip(r["at"], r["values"], strict=True))
        orphans = [(name, s) for s in stretches for name in self._orphans(s, found[s.number])]
        for (number, name), before in (await self._bases(orphans)).items():
            found[number].setdefault(name, []).insert(0, before)
        return found

    def _orphans(self, stretch: Stretch, read: Mapping[int, Sequence[tuple[datetime, float]]]) -> set[int]:
        """Counters of which the last reading before is needed: those first read in the stretch or shortly before it,
        and all of an objective whose total was not read for a while, as what held then has to be known."""
        counters = {x for c in self._by_tenant[stretch.tenant] for x in c.counters}
        found = {
            name
            for name in counters & read.keys()
            if not any(at < stretch.start and is_count(v) for at, v in read[name])
        }
        early = self._from(stretch) + self._reach(stretch)
        found |= {name for name in counters & read.keys() if read[name][0][0] > early}
        for counted in self._by_tenant[stretch.tenant]:
            firsts = [read[name][0][0] for name in counted.whole if name in read]
            if firsts and counted.counters and min(firsts) > early:
                found |= {n for n in counted.counters if n not in read or read[n][0][0] > early}
        return found

    async def following(
        self,
        work: Sequence[tuple[int, datetime, datetime]],
        stretches: Sequence[Stretch],
        readings: Read,
        now: datetime,
    ) -> list[Stretch]:
        """Where the next readings beyond the stretches are, twice as long as one holds: what they tell has changed.

        After a marked stretch that nothing follows for long that may be any series' reading.
        """
        asked: set[tuple[int, Stretch]] = set()
        for stretch in stretches:
            marked = max(b for t, _, b in work if t == stretch.tenant and stretch.start < b <= stretch.end)
            # A reading after what is marked is the next one, and counted again with its stretch.
            lasts = {name: found[-1][0] for name, found in readings[stretch.number].items()}
            asked |= {(name, stretch) for name, last in lasts.items() if last < marked}
            for counted in self._by_tenant[stretch.tenant] if stretch.end <= now else ():
                if all(lasts[name] < marked for name in counted.counters & lasts.keys()):
                    asked |= {(name, stretch) for name in counted.counters}
        if not asked:
            return []
        rows = await self._connection.fetch(
            self._sql["after"],
            [name for name, _ in asked],
            [s.tenant for _, s in asked],
            [s.end for _, s in asked],
        )
        owner = dict(asked)
        ranges: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        for r in rows:
            of, at = owner[r["series"]], minute_of(r["ts"])
            end = rounded_up(r["ts"] + 2 * self._reach(of), MINUTE)
            if not any(s.tenant == of.tenant and s.start <= at and end <= s.end for s in stretches):
                ranges[of.tenant].append((at, end))
        fresh = [(t, a, b) for t, found in sorted(ranges.items()) for a, b in merged(found)]
        return [Stretch(len(stretches) + n, t, a, b) for n, (t, a, b) in enumerate(fresh, start=1)]

    async def _bases(
        self, orphans: Sequence[tuple[int, Stretch]]
    ) -> dict[tuple[int, int], tuple[datetime, float]]:
        """(stretch, series) -> the last reading before what was read for the stretch, however old."""
        if not orphans:
            return {}
        rows = await self._connection.fetch(
            self._sql["before"],
            [name for name, _ in orphans],
            [s.tenant for _, s in orphans],
            [self._from(s) for _, s in orphans],
        )
        whose: dict[tuple[int, datetime], list[Stretch]] = defaultdict(list)
        for name, stretch in orphans:
            whose[name, self._from(stretch)].append(stretch)
        found: dict[tuple[int, int], tuple[datetime, float]] = {}
        for r in rows:
            for stretch in whose[r["series"], r["at"]]:
                if r["ts"] is None:
                    self.old[stretch.number].add(r["series"])
                else:
                    found[stretch.number, r["series"]] = (r["ts"], r["value"])
        return found
