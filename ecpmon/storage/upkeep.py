"""Rollups and retention: exact after late data, because every changed bucket is marked where it was changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ecpmon.storage.database import Database, wrap_errors
from ecpmon.storage.queries import load

_BATCH = 500
_FAR_FUTURE = timedelta(days=36_500)


class Upkeep:
    """Maintains the rollup tiers and drops what retention has ended. Not tenant-bound: it serves all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("monitoring")

    async def roll_up(self, now: datetime, *, everything: bool = False) -> int:
        """Recompute up to one batch of marked 5-minute buckets and their hours; the number of buckets done.

        The bucket being written is left until it is over, unless `everything`. Call until it returns 0.
        """
        before = now + _FAR_FUTURE if everything else now - timedelta(minutes=5)
        async with self._database.transaction() as connection:
            with wrap_errors():
                rows = await connection.fetch(self._sql["take_dirty"], before, _BATCH)
                if not rows:
                    return 0
                tenants, buckets = [r["tenant"] for r in rows], [r["bucket"] for r in rows]
                low, high = min(buckets), max(buckets) + timedelta(minutes=5)
                await connection.execute(self._sql["roll_5m"], tenants, buckets, low, high)
                hour = timedelta(hours=1)
                low -= timedelta(seconds=low.timestamp() % 3600)
                await connection.execute(self._sql["roll_1h"], tenants, buckets, low, high + hour)
                return len(rows)

    async def backlog(self) -> int:
        """Marked buckets not yet rolled up."""
        row = await self._database.fetchrow(self._sql["rollups_pending"])
        return int(row["marks"])

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

    async def retain(self, limits: Mapping[str, datetime]) -> None:
        """Drop whole chunks older than `limits[relation]` (`frames`, `pull_attempts`, `rollup_5m`, `rollup_1h`)."""
        for relation, older_than in limits.items():
            if relation == "availability_spans":
                await self._database.execute(self._sql["drop_spans"], older_than)
            else:
                await self._database.fetch(self._sql["drop_chunks"], relation, older_than)
