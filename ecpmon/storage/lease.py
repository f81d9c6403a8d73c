"""Leadership: one process runs the jobs. A session advisory lock on a dedicated connection.

PostgreSQL drops the lock the moment the connection ends, so a killed leader is replaced at once.
"""

from __future__ import annotations

import contextlib
from typing import Any

import structlog

from ecpmon.errors import EcpError
from ecpmon.storage.database import Database, wrap_errors

_log = structlog.get_logger(__name__)
_LEASE = 0x65637062


class Lease:
    """Call `keep()` regularly; `held` says whether this process leads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None
        self.held = False
        self.known = False
        self._led = False

    @property
    def presumed(self) -> bool:
        """Held, or held when it was last known: nobody else could be asked to lead meanwhile."""
        return self.held or (self._led and not self.known)

    async def keep(self) -> bool:
        """Take or confirm the lease. Never raises for a database that is away: then nobody leads."""
        try:
            if self._connection is None or self._connection.is_closed():
                self.held = False
                self._connection = await self._database.dedicated(self._lost)
            with wrap_errors():
                if self.held:
                    await self._connection.fetchval("SELECT 1", timeout=2)
                else:
                    sql = "SELECT pg_try_advisory_lock($1)"
                    self.held = bool(await self._connection.fetchval(sql, _LEASE, timeout=2))
                    if self.held:
                        _log.info("lease_taken")
            self.known, self._led = True, self.held
        except EcpError as error:
            _log.warning("lease_unknown", error=error.message)
            await self.release()
            self.known = False
        return self.held

    def _lost(self) -> None:
        if self.held:
            _log.warning("lease_lost")
        self.held = self.known = False

    async def release(self) -> None:
        connection, self._connection = self._connection, None
        self.held = False
        if connection is not None:
            with contextlib.suppress(EcpError), wrap_errors():
                await connection.close(timeout=2)
            if not connection.is_closed():
                connection.terminate()  # the server did not answer: drop it on our side
