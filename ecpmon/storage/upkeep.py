"""Rollups and retention: exact after late data, because every changed bucket is marked where it was changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from ecpmon.storage.apart import each_apart_if_needed
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.quarantine import any_held, note_within
from ecpmon.storage.queries import load

_BATCH = 500
_BUCKET = timedelta(minutes=5)
_FAR_FUTURE = timedelta(days=36_500)


class Upkeep:
    """Maintains the rollup tiers and drops what retention has ended. Not tenant-bound: it serves all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("monitoring")
        self._crowding = load("crowding")

    async def roll_up(self, now: datetime, *, everything: bool = False) -> int:
        """Recompute up to one batch of marked 5-minute buckets and their hours; the number of marks that are gone, or
        quarantined with their bucket, because it cannot be rolled up. Call until it returns 0.

        The bucket being written is left until it is over, unless `everything`. Marks: see `storage.marks`.
        """
        before = now + _FAR_FUTURE if everything else now - _BUCKET
        async with self._database.transaction() as connection:
            with wrap_errors():
                if not await connection.fetchval(self._sql["rollups_turn"]):
                    return 0
                rows = await connection.fetch(self._sql["dirty"], before, _BATCH, now)
                marks = {(r["tenant"], r["bucket"].isoformat()): r for r in rows}
                failed: Mapping[tuple[int, str], str] = {}
                if marks:
                    roll = partial(self._roll, connection)
                    failed = await each_apart_if_needed(connection, "rollups", marks, roll)
                    await note_within(connection, "rollups", failed, now)
        return await self._take_away([m for key, m in marks.items() if key not in failed]) + len(failed)

    async def _take_away(self, marks: Sequence[Any]) -> int:
        """Marks that were worked off, unless somebody has raised them meanwhile; how many."""
        gone = (
            await self._database.fetch(
                self._sql["undirty"], *_columns(marks), [m["generation"] for m in marks]
            )
            if marks
            else ()
        )
        if await any_held(self._database, "rollups"):
            await self._database.execute(self._sql["heal_rollups"])
        return len(gone)

    async def _roll(self, connection: Any, marks: Sequence[Any]) -> None:
        tenants, buckets = _columns(marks)
        low, high = min(buckets), max(buckets) + _BUCKET
        shrunk = _columns([m for m in marks if m["shrunk"]])
        if shrunk[0]:
            await connection.execute(self._sql["clear_5m"], *shrunk)
            await connection.execute(self._sql["clear_1h"], *shrunk)
        await connection.execute(self._sql["roll_5m"], tenants, buckets, low, high)
        await connection.execute(self._sql["roll_unanswered"], tenants, buckets, low, high)
        low -= timedelta(seconds=low.timestamp() % 3600)
        await connection.execute(self._sql["roll_1h"], tenants, buckets, low, high + timedelta(hours=1))

    async def backlog(self) -> int:
        """Marked buckets not yet rolled up."""
        row = await self._database.fetchrow(self._sql["rollups_pending"])
        return int(row["marks"])

    async def crowded(self, day: date) -> int:
        """Tenants whose timeline of `day` or later is kept by the minute."""
        return int(await self._database.fetchval(self._crowding["crowded_since"], day))

    async def condense(self, before: datetime, awake: Mapping[str, timedelta]) -> None:
        """Keep of the attempts of whole days before `before` only when we were awake, an hour per row.

        `awake`: by source, for how long an attempt says that we were.
        """
        end = before - timedelta(seconds=before.timestamp() % 86_400)
        sources, holds = list(awake), list(awake.values())
        while oldest := await self._database.fetchval(self._sql["oldest_attempt"], end, sources):
            day = oldest - timedelta(seconds=oldest.timestamp() % 86_400)
            await self._database.execute(
                self._sql["condense_attempts"], day, day + timedelta(days=1), sources, holds
            )

    async def keep_bounds(self, raw_retention: timedelta) -> None:
        """Tell the database how old hand-made rows may be."""
        await self._database.execute(self._sql["keep_bounds"], raw_retention)

    async def forget_impossible(self, now: datetime) -> list[str]:
        """Take out what claims to be of a distant past or future, and marks of what is gone; whose it was."""
        rows = await self._database.fetch(self._sql["forget_impossible"], now)
        return [r["tenant_id"] or "(deleted)" for r in rows]

    async def drop_marks(self, before: datetime) -> None:
        """Drop marks of a time whose frames are gone."""
        await self._database.execute(self._sql["drop_marks"], before)

    async def forget_heard(self, before: datetime) -> None:
        """Forget which voices were expected to be heard, and not since: no timeline before is laid again."""
        await self._database.execute(load("voices")["forget_heard"], before)

    async def give_back(self, before: datetime) -> None:
        """Give the room of chunks of `frames` that were over at `before`, and are empty, back to the file system."""
        await self._database.fetchval(self._sql["give_back"], before)

    async def make_ahead(self, now: datetime) -> None:
        """Make the chunks of samples that come next.

        Who makes one in a long transaction keeps everybody else from making any, until it ends.
        """
        await self._database.fetchval(self._sql["make_ahead"], now)

    async def retain(self, limits: Mapping[str, datetime]) -> None:
        """Drop whole chunks older than `limits[relation]`: of hypertables, and of `availability_spans`."""
        for relation, older_than in limits.items():
            if relation == "availability_spans":
                await self._database.execute(self._sql["drop_spans"], older_than)
                await self._database.execute(self._crowding["forget"], older_than.date())
            else:
                await self._database.fetch(self._sql["drop_chunks"], relation, older_than)


def _columns(marks: Sequence[Any]) -> tuple[list[int], list[datetime]]:
    return [m["tenant"] for m in marks], [m["bucket"] for m in marks]
