"""The leadership as a row with a term, kept over a connection of its own that no other work can hold up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import structlog

from ecpmon.errors import EcpError
from ecpmon.model.leadership import ANSWER, LEASE, Answer, Claim, Standing
from ecpmon.ports.service import steady
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

_log = structlog.get_logger(__name__)
LEADER: Final = "leader"


class Lease:
    """Call `keep()` every `RENEWAL` seconds; `held` says whether this process leads. The states: `model.leadership`."""

    def __init__(self, database: Database, role: str = LEADER, clock: Callable[[], float] = steady) -> None:
        self._database = database
        self._role = role
        self._clock = clock
        self._holder = uuid4()
        self._standing = Standing()
        self._connection: Any = None
        self._asking = asyncio.Lock()
        self._sql = load("leadership")

    @property
    def held(self) -> bool:
        """This process leads, and nobody else can."""
        return self._standing.held(self._clock())

    @property
    def known(self) -> bool:
        """Whether who leads was heard from the database a moment ago."""
        return self._standing.known(self._clock())

    @property
    def presumed(self) -> bool:
        """Held, or held when it was last known: nobody could be asked since."""
        return self._standing.presumed

    @property
    def claim(self) -> Claim | None:
        """What a leader's writes are checked by; None while somebody else is known to lead, or nobody is known."""
        term = self._standing.term
        return None if term is None else Claim(self._role, term, self._holder)

    async def keep(self) -> bool:
        """Renew the leadership, or take it over when it is free. Never raises for a database that is away."""
        async with self._asking:
            before, asked_at = self._standing, self._clock()
            try:
                row = await self._ask()
            except EcpError as error:
                _log.warning("lease_unknown", error=error.message)
                await self._disconnect()
            else:
                self._standing = before.heard(Answer(row["term"], row["mine"]), asked_at)
                self._tell(before)
        return self.held

    async def release(self) -> None:
        """Give it back, so that another takes over at once, and disconnect. After that this is as a new process."""
        async with self._asking:
            led, self._standing = self._standing.presumed, Standing()
            connection = self._connection
            if led and connection is not None and not connection.is_closed():
                try:
                    with wrap_errors():
                        await connection.execute(
                            self._sql["release"], self._role, self._holder, timeout=ANSWER
                        )
                    _log.info("lease_released")
                except EcpError as error:  # it runs out by itself
                    _log.warning("lease_not_released", error=error.message)
            # Should that be carried out late, it must not give back what is taken later.
            self._holder = uuid4()
            await self._disconnect()

    async def _ask(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.dedicated()
        with wrap_errors():
            return await self._connection.fetchrow(
                self._sql["keep"], self._role, self._holder, timedelta(seconds=LEASE), timeout=ANSWER
            )

    def _tell(self, before: Standing) -> None:
        after = self._standing
        if after.term == before.term:
            return
        if after.term is None:
            _log.warning("lease_lost", term=before.term)
        else:
            _log.info("lease_taken", term=after.term)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(EcpError), wrap_errors():
            await connection.close(timeout=ANSWER)
        if not connection.is_closed():
            connection.terminate()  # the server did not answer: drop it on our side


async def leads_somebody(database: Database, role: str = LEADER) -> bool:
    """Whether any process leads right now, as the database knows it."""
    return bool(await database.fetchval(load("leadership")["is_led"], role))
