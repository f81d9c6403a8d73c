"""A database that answers but stores nothing: its disk is full, or it has become read-only.

Such a database looks well to a `SELECT 1`. So what it refused is remembered for a while, and a probe has it write a
megabyte: the spill of a sort, which needs no table, no WAL and no right beyond that to ask.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import asyncpg
import structlog

from ecpmon.errors import DatabaseNotWritable

_log = structlog.get_logger(__name__)

# So long after a refusal nothing is expected of the database, whatever the probe says: tables, WAL and temporary files
# may lie on different disks.
HOLD_SECONDS: Final = 5.0
# Who asks more often gets the last answer.
PROBE_SECONDS: Final = 2.0

_PROBE: Final = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only, max(length(t)) AS spilled
FROM (SELECT repeat('x', 1000) || n AS t FROM generate_series(1, 1024) AS n ORDER BY n DESC OFFSET 0) AS sorted
"""
_DISK_FULL: Final = "the disk of the database is full; free some space there, then it goes on by itself"
_FAILING: Final = "the disk of the database fails to write; look at the log of the database"
_READ_ONLY: Final = "the database is read-only: a standby, or set so by somebody"
# PostgreSQL knows EFBIG and EROFS by no code of their own; these are its functions that write files.
_WRITING: Final = frozenset(
    {
        "mdextend", "mdzeroextend", "mdwrite", "mdwritev", "mdtruncate", "BufFileDumpBuffer", "FileFallocate",
        "XLogWrite", "XLogFileInit", "XLogFileInitInternal", "write_relmap_file", "SlruReportIOError",
    }
)  # fmt: skip


def refusal_of(error: asyncpg.PostgresError) -> DatabaseNotWritable | None:
    """The error of ours when this one says that nothing can be stored, whoever asks and whatever it is."""
    if isinstance(error, asyncpg.exceptions.DiskFullError):
        return DatabaseNotWritable(_DISK_FULL, "disk_full")
    if isinstance(error, asyncpg.exceptions.ReadOnlySQLTransactionError):
        return DatabaseNotWritable(_READ_ONLY, "read_only")
    writing = getattr(error, "server_source_function", None) in _WRITING
    if writing or isinstance(error, asyncpg.exceptions.PostgresIOError):
        return DatabaseNotWritable(_FAILING, "disk_failing")
    return None


class WriteWatch:
    """What is known about whether one database takes writes."""

    def __init__(self) -> None:
        self._refusal: DatabaseNotWritable | None = None
        self._refused_at = self._probed_at = float("-inf")

    def refused(self, error: DatabaseNotWritable) -> None:
        """A statement was refused, or a probe."""
        if self._refusal is None:
            _log.error("database_stores_nothing", reason=error.reason, error=error.message)
        self._refusal = error
        self._refused_at = _now()

    def check(self) -> bool:
        """Whether it is time for a probe. Raises what was refused not long ago."""
        if self._refusal is not None and _now() < self._refused_at + HOLD_SECONDS:
            raise DatabaseNotWritable(self._refusal.message, self._refusal.reason)
        return self._refusal is not None or _now() >= self._probed_at + PROBE_SECONDS

    def passed(self) -> None:
        """The probe was written."""
        if self._refusal is not None:
            _log.info("database_stores_again")
        self._refusal, self._probed_at = None, _now()


async def probe(connection: Any) -> None:
    """Have the server write about a megabyte, for 3 ms of its time. Raises DatabaseNotWritable, asyncpg's errors."""
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL work_mem = '64kB'")
            row = await connection.fetchrow(_PROBE)
    except asyncpg.exceptions.ConfigurationLimitExceededError:
        return  # this role may not spill (temp_file_limit): its tables say what they can take
    if row["read_only"]:
        raise DatabaseNotWritable(_READ_ONLY, "read_only")


def _now() -> float:
    return asyncio.get_running_loop().time()
