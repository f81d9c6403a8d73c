"""`ports.FaultLog` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.faults import Fault
from ecpmon.ports.quarantine import Culprit
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# Troubles that are no further apart are one stretch.
JOINED: Final = timedelta(minutes=5)


class PgFaultLog:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("faults")

    async def note(
        self, source: Source, troubles: Mapping[Culprit, str], first: datetime, last: datetime
    ) -> None:
        names, subjects = [name for name, _ in troubles], [subject for _, subject in troubles]
        await self._database.execute(
            self._sql["note"], source.value, names, subjects, list(troubles.values()), first, last, JOINED
        )

    async def of_tenant(self, tenant: Tenant, since: datetime) -> list[Fault]:
        rows = await self._database.fetch(self._sql["of_tenant"], tenant.key, since)
        return [Fault(**dict(row)) for row in rows]

    async def forget(self, before: datetime) -> None:
        """Drop what ended before."""
        await self._database.execute(self._sql["forget"], before)
