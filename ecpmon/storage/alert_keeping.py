"""Retention of alerts: what is delivered, over and old goes; what waits or stands stays."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

# Rows per statement, so that nobody waits long for a lock. A guess.
_BATCH: Final = 5_000


class AlertKeeping:
    """Serves all tenants. Monthly statements are whole in themselves and refer to nothing in here."""

    def __init__(self, database: Database, batch: int = _BATCH) -> None:
        self._database = database
        self._batch = batch
        self._sql = load("alert_keeping")

    async def forget_notifications(self, before: datetime) -> int:
        """Delete what was delivered before `before`; the number of rows."""
        return await self._forget("forget_notifications", before)

    async def forget_events(self, before: datetime) -> int:
        """Delete alerts that were over before `before`, with their notifications; the number of events."""
        return await self._forget("forget_events", before)

    async def forget_external(self, before: datetime, unresolved_before: datetime) -> int:
        """Delete what Alertmanager told us before `before`; what it never resolved: before `unresolved_before`.

        The number of rows.
        """
        return await self._forget("forget_external", before, unresolved_before)

    async def forget_queues(self, before: datetime) -> None:
        """Drop the paces and troubles of receivers for whom there was nothing since `before`."""
        sql = load("outbox")
        await self._database.execute(sql["forget_paces"], before)
        await self._database.execute(sql["forget_troubles"], before)

    async def _forget(self, query: str, *arguments: Any) -> int:
        total = 0
        while done := int(await self._database.fetchval(self._sql[query], *arguments, self._batch)):
            total += done
        return total
