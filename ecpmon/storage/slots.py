"""Keeping the minutes of counted objectives in step with the frames: whatever a mark covers is counted again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any, Final

from ecpmon.model.objectives import Counts, Hole
from ecpmon.model.samples import Source
from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.sla.counters import (
    COUNTING,
    MINUTE,
    MINUTES,
    NOTHING,
    Sums,
    hour_of,
    minute_of,
    rewritten,
)
from ecpmon.sla.evidence import Intervals
from ecpmon.slices import in_slices
from ecpmon.storage.apart import each_apart_if_needed
from ecpmon.storage.counted import Counted, Stretch, Voices
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.lines import lines_of, sums_of
from ecpmon.storage.quarantine import Numbered, note_within
from ecpmon.storage.queries import load
from ecpmon.storage.readings import Read, Readings
from ecpmon.storage.regimes import Regime, regime_of
from ecpmon.storage.stretches import rounded_up, shares, touched

_MARKS: Final = 200
# Two of them still fit a bigint; `carry` keeps to it as well.
_MOST: Final = 4 * 10**18
_BUCKET: Final = timedelta(minutes=5)
# No clock of ours is ahead by more.
_AHEAD: Final = timedelta(days=1)
JOB: Final = "objectives"
_NOTHING: Final = ([0] * MINUTES,) * len(NOTHING.cells)
_BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), 0)


def _storable(sums: Sequence[int]) -> list[int]:
    """Within what the database can add up: one tenant's nonsense must not stop the counting of all."""
    if min(sums) >= -_MOST and max(sums) <= _MOST:
        return list(sums)
    return [max(-_MOST, min(count, _MOST)) for count in sums]


class SlotKeeper:
    """Counts marked stretches again. Not tenant-bound: it serves all."""

    def __init__(self, database: Database, intervals: Intervals) -> None:
        self._database = database
        self._intervals = intervals
        self._sql = load("slots")
        self._regimes_sql = load("ingest")["regimes"]
        # How far this turn has come with the buckets that are not over.
        self._after = _BEGINNING
        self._touched: set[int] = set()

    async def backlog(self) -> int:
        """Marks waiting."""
        return int(await self._database.fetchval(self._sql["backlog"]))

    def take_touched(self) -> set[int]:
        """The numbers of tenants of whose objectives figures have changed since the last call, as far as we did it."""
        touched, self._touched = self._touched, set()
        return touched

    async def renew(self) -> None:
        """Mark everything of objectives that were counted in an older way."""
        await self._database.execute(self._sql["count_anew"], COUNTING)

    async def refresh(self, oldest: datetime, now: datetime, *, open_buckets: bool = True) -> bool:
        """Count one batch of marks again; whether more may be waiting: call until it returns False.

        Before `oldest` the frames may be gone, and with them what was counted: those minutes stay as they are. A
        stretch that cannot be counted is quarantined, and its mark waits. With `open_buckets` those that are not over
        are counted too, and their marks stay: see `storage.marks`.
        """
        async with self._database.transaction() as connection:
            with wrap_errors():
                marks, more = await self._marks(connection, now, open_buckets)
                work, rest = shares(marks, rounded_up(oldest, _BUCKET), now + _AHEAD)
                failed: dict[Numbered, str] = {}
                named = {(t, f"{a.isoformat()}/{b.isoformat()}"): (t, a, b) for t, a, b in work}
                changed: set[int] = set()
                if named:
                    recount = partial(self._recount, connection, now, changed)
                    failed = await each_apart_if_needed(connection, JOB, named, recount)
                await note_within(connection, JOB, failed, now)
        self._touched |= changed
        if not marks and not open_buckets:
            return False
        await self._take_away([m for m in marks if _goes(m, now)], rest + [named[c] for c in failed])
        return bool(rest) or more

    async def _marks(self, connection: Any, now: datetime, open_buckets: bool) -> tuple[list[Any], bool]:
        """Marks to be counted, and whether there are more of them in this turn."""
        marks = await connection.fetch(self._sql["marks_to_work_off"], _MARKS, now)
        if marks or not open_buckets:
            return marks, bool(marks)
        marks = await connection.fetch(self._sql["open_marks"], _MARKS, now, *self._after)
        more = len(marks) == _MARKS
        self._after = (marks[-1]["starts"], marks[-1]["tenant"]) if more else _BEGINNING
        return marks, more

    async def _take_away(self, marks: Sequence[Any], back: Sequence[tuple[int, datetime, datetime]]) -> None:
        """Marks that were counted, unless somebody has raised them meanwhile; what of them is left waits."""
        columns = [[m[name] for m in marks] for name in ("tenant", "starts", "ends", "generation")]
        async with self._database.transaction() as connection:
            with wrap_errors():
                if marks:
                    await connection.execute(self._sql["unmark"], *columns)
                if back:
                    await connection.execute(self._sql["put_marks"], *map(list, zip(*back, strict=True)))
                await connection.execute(self._sql["heal_marks"])

    async def _recount(
        self,
        connection: Any,
        now: datetime,
        changed: set[int],
        work: Sequence[tuple[int, datetime, datetime]],
    ) -> None:
        """Adds to `changed` of whom something has changed that figures at `now` show."""
        objectives = await self._objectives(connection, sorted({tenant for tenant, _, _ in work}))
        by_tenant: dict[int, list[Counted]] = defaultdict(list)
        for counted in objectives:
            if counted.series:
                by_tenant[counted.tenant].append(counted)
        work = [w for w in work if w[0] in by_tenant]
        if not work:
            return
        changed.update(await self._note_parts(connection, by_tenant))
        stretches = touched(work, by_tenant)
        read = Readings(connection, self._sql, by_tenant)
        readings = await read.of(stretches)
        following = await read.following(work, stretches, readings, now)
        readings.update(await read.of(following))
        keys = await self._store(connection, [*stretches, *following], readings, read.old, by_tenant, now)
        changed.update(c.tenant for own in by_tenant.values() for c in own if c.key in keys)

    async def _note_parts(self, connection: Any, by_tenant: Mapping[int, Sequence[Counted]]) -> set[int]:
        """Whether anybody counts what is good or bad; the tenants of whom that has changed."""
        news = [c for own in by_tenant.values() for c in own if c.finds_part != c.part_known]
        if news:
            found = [c.finds_part for c in news]
            await connection.execute(self._sql["note_parts"], [c.key for c in news], found)
        return {c.tenant for c in news}

    async def _objectives(self, connection: Any, tenants: list[int]) -> list[Counted]:
        """The objectives in force, locked, with their series."""
        regimes: dict[int, list[Regime]] = defaultdict(list)
        for r in await connection.fetch(self._regimes_sql, tenants):
            regimes[r["tenant"]].append(regime_of(r))
        found = [
            self._counted(r, regimes[r["tenant"]])
            for r in await connection.fetch(self._sql["lock_objectives"], tenants)
        ]
        names = {name for c in found for name in c.names}
        by_tenant: dict[int, list[Counted]] = defaultdict(list)
        for counted in found:
            by_tenant[counted.tenant].append(counted)
        for row in await connection.fetch(self._sql["series_of"], tenants, sorted(names)):
            for counted in by_tenant[row["tenant"]]:
                counted.take(row)
        return found

    def _counted(self, row: Any, regimes: Sequence[Regime]) -> Counted:
        fixed = Source(row["indicator"]["source"]) if "source" in row["indicator"] else None
        every = {
            Source.PUSH: timedelta(seconds=row["push_interval_seconds"]),
            Source.SIMULATOR: self._intervals.simulator,
            Source.PROMETHEUS: self._intervals.prometheus,
        }
        holds = every[fixed or Source.PUSH] * STALENESS_FACTOR
        voices = Voices(regimes, fixed, holds)
        return Counted(
            row["id"], row["tenant"], row["indicator"], voices, row["holes_until"], row["part_known"],
            row["first_at"],
        )  # fmt: skip

    async def _store(
        self,
        connection: Any,
        stretches: Sequence[Stretch],
        readings: Read,
        old: Mapping[int, set[int]],
        by_tenant: Mapping[int, Sequence[Counted]],
        now: datetime,
    ) -> set[int]:
        """Which objectives' figures change by it."""
        fresh: dict[int, dict[datetime, Counts]] = defaultdict(dict)
        # Stretches may overlap.
        holes: dict[tuple[int, datetime, datetime, bool], Hole] = {}
        touched: dict[tuple[int, datetime], list[datetime]] = defaultdict(list)
        first: dict[int, datetime] = {}
        async for stretch in in_slices(stretches):
            for counted in by_tenant[stretch.tenant]:
                read = readings.get(stretch.number, {})
                found, at = counted.minutes(read, stretch, old.get(stretch.number, ()))
                fresh[counted.key].update(found.minutes)
                holes.update({(counted.key, h.start, h.end, h.told): h for h in found.holes})
                if at is not None:
                    first[counted.key] = min(at, first.get(counted.key, at))
                for hour, group in groupby(stretch.minutes, key=hour_of):
                    touched[counted.key, hour].extend(group)
        shown = await self._write(connection, fresh, touched, now)
        await self._write_holes(connection, stretches, holes, by_tenant)
        if first:
            rows = await connection.fetch(self._sql["first_seen"], list(first), list(first.values()))
            shown |= {r["id"] for r in rows}
        return shown

    async def _write(
        self,
        connection: Any,
        fresh: Mapping[int, Mapping[datetime, Counts]],
        touched: Mapping[tuple[int, datetime], Sequence[datetime]],
        now: datetime,
    ) -> set[int]:
        """Which objectives have other sums than before at `now`, or at any minute before."""
        keys = sorted(touched)
        rows = await connection.fetch(self._sql["hours"], [k for k, _ in keys], [h for _, h in keys])
        stored = {(r["objective"], r["hour"]): _sums_of(r) for r in rows}
        changed: list[tuple[Any, ...]] = []
        shown: set[int] = set()
        async for key, hour in in_slices(keys):
            old = stored.get((key, hour))
            good, total, *rest = rewritten(old, hour, touched[key, hour], fresh[key])
            new = (_storable(good), _storable(total), *rest)
            if new != old and (old is not None or any(map(any, new))):
                rare = (each if any(each) else None for each in new[3:])
                changed.append((key, hour, *lines_of(*new[:3]), *rare))
                over = (minute_of(now) - hour) // MINUTE
                if _until(new, over) != _until(old or _NOTHING, over):
                    shown.add(key)
        if not changed:
            return shown
        for name, known in (("change_hour", True), ("put_hour", False)):
            rows = [row for row in changed if (row[:2] in stored) is known]
            if rows:
                await connection.executemany(self._sql[name], rows)
        earliest: dict[int, datetime] = {}
        for key, hour, *_ in changed:
            earliest[key] = min(hour, earliest.get(key, hour))
        await connection.execute(self._sql["carry"], list(earliest), list(earliest.values()))
        return shown

    async def _write_holes(
        self,
        connection: Any,
        stretches: Sequence[Stretch],
        holes: Mapping[tuple[int, datetime, datetime, bool], Hole],
        by_tenant: Mapping[int, Sequence[Counted]],
    ) -> None:
        """The holes that end in the stretches. Most objectives have none, and cost nothing."""
        told = [
            (c.key, s.start, s.end)
            for s in stretches
            for c in by_tenant[s.tenant]
            if c.holes_until is not None and c.holes_until >= s.start
        ]
        if told:
            await connection.execute(self._sql["drop_told_holes"], *map(list, zip(*told, strict=True)))
        if not holes:
            return
        rows = [
            (key, h.start, h.end, *_storable([h.good, h.total]), h.bridged, h.told)
            for (key, *_), h in holes.items()
        ]
        await connection.execute(self._sql["put_holes"], *map(list, zip(*rows, strict=True)))
        latest: dict[int, datetime] = {}
        for key, _, end, _ in holes:
            latest[key] = max(end, latest.get(key, end))
        await connection.execute(self._sql["reach_holes"], list(latest), list(latest.values()))


def _sums_of(row: Any) -> Sums:
    """All running sums of a row of `objective_hours`."""
    return (*sums_of(row), *(row[name] or [0] * MINUTES for name in ("bridged", "resets")))


def _until(sums: Sequence[Sequence[int]], minutes: int) -> list[Sequence[int]]:
    """The sums of an hour as far as its first `minutes`."""
    return [each[: max(0, minutes)] for each in sums]


def _goes(mark: Any, now: datetime) -> bool:
    return bool(mark["ends"] - mark["starts"] > _BUCKET or mark["ends"] <= now)
