"""`ports.Operating` on PostgreSQL: read at the start, when the bus tells of a change, and now and then.

Invariants: `current` is what some commit left, and never older than what `change` has returned, unless the database is
another one (`forget`); `apply` is called with whatever becomes `current`, before anybody sees that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import structlog
from pydantic import ValidationError

from ecpmon.errors import EcpError
from ecpmon.model.operating import OperatingSettings, Stored, read
from ecpmon.ports.audit import acting
from ecpmon.storage.audit import changes, record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load
from ecpmon.wire import storable

_log = structlog.get_logger(__name__)
_MOST_NAME: Final = 200
FIRST_SECONDS: Final = 0.25


class PgOperating:
    """`base`: what counts where nothing is set."""

    def __init__(self, database: Database, base: OperatingSettings) -> None:
        self._database = database
        self._sql = load("operating")
        # Of what counts here; -1: nothing was read yet.
        self.version = -1
        self._started_with: OperatingSettings | None = None
        self.base = base
        self.current = base
        # Called with what counts from now on; must not block and not fail.
        self.apply: Callable[[OperatingSettings], None] = lambda _: None

    @property
    def began(self) -> bool:
        """Whether anything was read yet."""
        return self._started_with is not None

    @property
    def started_with(self) -> OperatingSettings:
        return self._started_with or self.current

    async def stored(self) -> Stored:
        row = await self._database.fetchrow(self._sql["read"])
        return _stored(row)

    def forget(self) -> None:
        """What is stored may be anything by now."""
        self.version = -1

    async def first(self) -> None:
        """Read it once, for `FIRST_SECONDS` at most: it goes on meanwhile, and somebody asks again."""
        await asyncio.wait({asyncio.create_task(self._try(), name="settings")}, timeout=FIRST_SECONDS)

    async def _try(self) -> None:
        try:
            await self.refresh()
        except EcpError as error:
            _log.warning("settings_not_read", error=error.message)

    async def refresh(self) -> None:
        """Let what is stored count. Raises DatabaseUnavailable."""
        self._take(await self.stored())

    async def change(self, change: OperatingSettings, now: datetime) -> Stored:
        async with self._database.transaction() as connection:
            with wrap_errors():
                before = _stored(await connection.fetchrow(self._sql["lock"]))
                made = before.settings.changed(change)
                was, becomes = changes(before.settings.fields(), made.fields())
                if was == becomes:
                    return before
                name = storable(acting.get().name)[:_MOST_NAME]
                document = made.model_dump(exclude_none=True)
                version = await connection.fetchval(self._sql["put"], document, now, name)
                await record(connection, now, "settings.changed", "settings", before=was, after=becomes)
        stored = Stored(made, version, now, name)
        self._take(stored)
        return stored

    def _take(self, stored: Stored) -> None:
        if stored.version <= self.version:
            return
        current = stored.settings.over(self.base)
        self.apply(current)
        self._started_with = self._started_with or current
        self.version, self.current = stored.version, current


def _stored(row: Any) -> Stored:
    """What somebody wrote by hand and is none of it counts as nothing."""
    if row is None:
        return Stored(OperatingSettings.model_construct())
    try:
        settings = read(row["document"])
    except ValidationError as error:
        _log.error("row_unreadable", what="operating settings", errors=error.error_count())
        settings = OperatingSettings.model_construct()
    return Stored(settings, row["version"], row["changed_at"], row["changed_by"])
