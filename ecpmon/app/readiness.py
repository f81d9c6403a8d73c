"""Whether one database can be served: it answers, is up to date and stores; a worker also knows who leads."""

from __future__ import annotations

import asyncio
from typing import Any

from ecpmon.errors import DatabaseNotWritable, EcpError
from ecpmon.model.roles import Role
from ecpmon.storage.database import Database
from ecpmon.storage.lease import Lease, leads_somebody
from ecpmon.storage.migrations import is_current


class Readiness:
    """`ports.Health`. Anybody may ask, so those who ask at the same time share one answer."""

    def __init__(self, database: Database, lease: Lease, role: Role = Role.ALL) -> None:
        self._database = database
        self._role = role
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
            leadership = await self._leadership()
        except EcpError as error:
            return {"ok": False, "database": error.message, "migrations": "unknown", "leadership": "unknown"}
        # A front answers whether somebody works or not.
        known = self._lease.known or not self._role.works
        return {
            "ok": current and known and writes == "ok",
            "database": "ok",
            "database_ms": round(seconds * 1000, 2),
            "writes": writes,
            "migrations": "current" if current else "pending: run `ecpmon migrate`",
            "leadership": leadership,
        }

    async def _leadership(self) -> str:
        if self._role.works:
            role = "leader" if self._lease.held else "follower"
            return role if self._lease.known else "unknown"
        return "a worker leads" if await leads_somebody(self._database) else "nobody leads"

    async def _writes(self) -> str:
        """`ok`, or why the database stores nothing."""
        try:
            await self._database.check_writes()
        except DatabaseNotWritable as error:
            return error.message
        return "ok"
