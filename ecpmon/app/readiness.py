"""Whether one database can be served: it answers, is up to date and stores, and the lease is known."""

from __future__ import annotations

import asyncio
from typing import Any

from ecpmon.errors import DatabaseNotWritable, EcpError
from ecpmon.storage.database import Database
from ecpmon.storage.lease import Lease
from ecpmon.storage.migrations import is_current


class Readiness:
    """`ports.Health`. Anybody may ask, so those who ask at the same time share one answer."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self._checking: asyncio.Task[dict[str, Any]] | None = None

    async def ready(self) -> dict[str, Any]:
        if self._checking is None:
            self._checking = asyncio.create_task(self._check(), name="readiness")
            self._checking.add_done_callback(self._checked)
        return await asyncio.shield(self._checking)

    def _checked(self, _: object) -> None:
        self._checking = None

    async def _check(self) -> dict[str, Any]:
        try:
            seconds = await self._database.ping()
            current = await is_current(self._database)
            writes = await self._writes()
        except EcpError as error:
            return {"ok": False, "database": error.message, "migrations": "unknown", "leadership": "unknown"}
        role = "leader" if self._lease.held else "follower"
        return {
            "ok": current and self._lease.known and writes == "ok",
            "database": "ok",
            "database_ms": round(seconds * 1000, 2),
            "writes": writes,
            "migrations": "current" if current else "pending: run `ecpmon migrate`",
            "leadership": role if self._lease.known else "unknown",
        }

    async def _writes(self) -> str:
        """`ok`, or why the database stores nothing."""
        try:
            await self._database.check_writes()
        except DatabaseNotWritable as error:
            return error.message
        return "ok"
