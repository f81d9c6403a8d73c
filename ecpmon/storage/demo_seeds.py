"""Which tenants a demo database began with, so that none of them is made twice."""

from __future__ import annotations

from datetime import datetime

from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load


class PgDemoSeeds:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("demo_seeds")

    async def all(self) -> dict[str, bool]:
        """By tenant_id, whether it was deployed then."""
        return dict(await self._database.fetch(self._sql["all"]))

    async def made(self, tenant_id: str, now: datetime) -> None:
        await self._write("made", tenant_id, now)

    async def deployed(self, tenant_id: str, now: datetime) -> None:
        await self._write("deployed", tenant_id, now)

    async def _write(self, name: str, tenant_id: str, now: datetime) -> None:
        """In a leader's name, so in a transaction."""
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql[name], tenant_id, now)
