"""Whether one database can be served: it answers, is up to date and stores; a worker also knows who leads."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from ecpmon.errors import DatabaseNotWritable, EcpError
from ecpmon.model.roles import Role
from ecpmon.storage.database import Database
from ecpmon.storage.lease import Lease, leads_somebody
from ecpmon.storage.migrations import is_current
from ecpmon.storage.queries import load
from ecpmon.storage.room import room_of

_log = structlog.get_logger(__name__)
# For so long what was heard of the leadership is told again, and for so long an answer is waited for by who only asks
# whether the process is alive.
LED_SECONDS: Final = 2.0
MOMENT_SECONDS: Final = 0.25
FIRST_SECONDS: Final = 0.25
# Pulls that /ready tells of.
_PULLED_LATELY: Final = timedelta(minutes=10)


class Readiness:
    """`ports.Health`. Anybody may ask, so those who ask at the same time share one answer."""

    def __init__(
        self, database: Database, lease: Lease, role: Role = Role.ALL, name: str = "production"
    ) -> None:
        """`name`: of the database, in the log."""
        self._database = database
        self._name = name
        self._role = role
        self._lease = lease
        self._checking: asyncio.Task[dict[str, Any]] | None = None
        self._asking: asyncio.Task[str] | None = None
        self._migrated = self._told = False
        # What a front heard last, and until when that is told.
        self._led = ("unknown", -math.inf)

    async def leadership(self) -> str:
        if self._role.works:
            return self._own_leadership()
        said, until = self._led
        if asyncio.get_running_loop().time() < until:
            return said
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_who_leads(), name="who-leads")
        asking = self._asking
        # It goes on when we do not wait any longer, and is there for who asks next.
        await asyncio.wait({asking}, timeout=MOMENT_SECONDS)
        return asking.result() if asking.done() else "unknown"

    async def _ask_who_leads(self) -> str:
        try:
            said = await self._leads_who()
        except EcpError:
            return "unknown"
        self._led = (said, asyncio.get_running_loop().time() + LED_SECONDS)
        return said

    async def _leads_who(self) -> str:
        return "a worker leads" if await leads_somebody(self._database) else "nobody leads"

    def _own_leadership(self) -> str:
        role = "leader" if self._lease.held else "follower"
        return role if self._lease.known else "unknown"

    async def first(self) -> None:
        """Ask once, for `FIRST_SECONDS` at most: who asks later need not wait for a connection, and who connects later
        does not take the processor from this one."""
        await asyncio.wait({self._under_way()}, timeout=FIRST_SECONDS)

    async def ready(self) -> dict[str, Any]:
        return await asyncio.shield(self._under_way())

    def _under_way(self) -> asyncio.Task[dict[str, Any]]:
        if self._checking is None:
            self._checking = asyncio.create_task(self._check(), name="readiness")
            self._checking.add_done_callback(self._checked)
        return self._checking

    def _checked(self, _: object) -> None:
        self._checking = None

    async def _check(self) -> dict[str, Any]:
        try:
            seconds = await self._database.ping()
            current = await is_current(self._database)
            writes = await self._writes()
            leadership = await self._known_leadership(current)
            sources = await self._sources() if current else {}
            room = await room_of(self._database)
        except EcpError as error:
            return {"ok": False, "database": error.message, "migrations": "unknown", "leadership": "unknown"}
        # A front answers whether somebody works or not.
        known = self._lease.known or not self._role.works
        return {
            "ok": current and known and writes == "ok",
            "database": "ok",
            "database_ms": round(seconds * 1000, 2),
            "writes": writes,
            # Scarce room makes nobody less ready: what is stored is stored.
            **({} if room is None else {"disk": f"scarce: {room}" if room.is_scarce else "ok"}),
            "migrations": "current" if current else "pending: run `ecpmon migrate`",
            "leadership": leadership,
            "sources": sources,
        }

    async def _sources(self) -> dict[str, Any]:
        """How the newest pull of each source went; a source that fails makes nobody less ready to answer."""
        since = datetime.now(UTC) - _PULLED_LATELY
        rows = await self._database.fetch(load("ingest")["newest_attempts"], since)
        return {r["source"]: {"at": r["ts"], "outcome": r["outcome"], "detail": r["detail"]} for r in rows}

    async def _known_leadership(self, current: bool) -> str:
        if self._role.works:
            return self._own_leadership()
        return (
            await self._leads_who() if current else "unknown"
        )  # the question may need what is not there yet

    async def tell_of_migrations(self) -> None:
        """Say in the log, once, that the database waits for migrations. Raises EcpError while it is away."""
        if self._migrated:
            return
        self._migrated = await is_current(self._database)
        if self._migrated and self._told:
            _log.info("database_migrated", database=self._name)
        elif not self._migrated and not self._told:
            _log.error("database_not_migrated", database=self._name, hint="run `ecpmon migrate`")
            self._told = True

    async def _writes(self) -> str:
        """`ok`, or why the database stores nothing."""
        try:
            await self._database.check_writes()
        except DatabaseNotWritable as error:
            return error.message
        return "ok"
