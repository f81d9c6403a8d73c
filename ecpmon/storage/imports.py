"""How far imports have got, and what of a tenant was imported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ecpmon.storage.database import Database
from ecpmon.storage.queries import load


class PgImports:
    """Invariant: everything before an import's position is committed. What is sent twice changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("imports")

    async def begin(self, source: str, name: str, first: int, now: datetime) -> tuple[int, int]:
        """Where to go on, and how many samples are stored; `first` for one that is new, or had come to its end."""
        row = await self._database.fetchrow(self._sql["begin"], source, name[:500], first, now)
        return row["position"], row["samples"]

    async def reach(self, source: str, position: int, samples: int) -> None:
        await self._database.execute(self._sql["reach"], source, position, samples)

    async def end(self, source: str, now: datetime) -> None:
        await self._database.execute(self._sql["end"], source, now)

    async def note(self, stretches: Sequence[tuple[str, datetime, datetime]]) -> None:
        """By the names of tenants, from when to when something came."""
        if stretches:
            await self._database.execute(self._sql["note"], *map(list, zip(*stretches, strict=True)))
