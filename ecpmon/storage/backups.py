"""What a database holds, told so that two can be compared; the databases beside it; and which backups there are.

Of every table the number of its rows is told, and the sum of their hashes: it does not hang on the order in which rows
lie, and needs no memory. Rows are taken as text in UTC, so two servers of one major version tell the same.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

import asyncpg

from ecpmon.errors import PermanentError
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

# Reading a large database takes its time.
PATIENCE: Final = 6 * 3600.0
CONNECT: Final = 30.0
# What every server has beside the databases of people.
BESIDE: Final = "postgres"
_SETTINGS: Final = {
    "application_name": "ecpmon backup",
    "timezone": "UTC",
    "datestyle": "ISO",
    "jit": "off",
    "extra_float_digits": "1",
    "search_path": "public",
    # It stands in a transaction while a program dumps what that sees.
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
}
_TOLD: Final = (
    "SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text AS digest"
)
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class BackupRefused(PermanentError):
    code = "BACKUP_REFUSED"
    status = 409


@dataclass(frozen=True, slots=True)
class Table:
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Contents:
    """Of one database at one instant. `roles`: those whose names stand in a dump of it."""

    database: str
    postgres: int
    timescale: str
    taken_at: datetime
    tables: dict[str, Table]
    views: dict[str, str]
    roles: list[str]

    def as_document(self) -> dict[str, Any]:
        return {**asdict(self), "taken_at": self.taken_at.isoformat()}

    @classmethod
    def of_document(cls, told: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError and ValueError."""
        tables = {name: Table(int(t["rows"]), str(t["digest"])) for name, t in told["tables"].items()}
        return cls(
            **{**told, "taken_at": datetime.fromisoformat(told["taken_at"]), "tables": tables},
        )

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def differences(one: Contents, other: Contents) -> list[str]:
    """What is not the same, in words; empty: they hold the same."""
    found = []
    for name in sorted(one.tables.keys() | other.tables.keys()):
        mine, theirs = one.tables.get(name), other.tables.get(name)
        if mine is None or theirs is None:
            found.append(f"{name} is in one of them only")
        elif mine.rows != theirs.rows:
            found.append(f"{name} has {mine.rows} rows in one and {theirs.rows} in the other")
        elif mine.digest != theirs.digest:
            found.append(f"{name} has other rows")
    for name in sorted(one.views.keys() | other.views.keys()):
        if one.views.get(name) != other.views.get(name):
            found.append(f"the view {name} is another one")
    return found


@asynccontextmanager
async def read(url: str) -> AsyncIterator[tuple[Contents, str]]:
    """What a database holds now, and the snapshot by which others may read the same until the end.

    Raises EcpError.
    """
    connection = await _connect(url)
    try:
        with wrap_errors():
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            about = await connection.fetchrow(load("backups")["about"])
            yield await _contents(connection, about), about["snapshot"]
            await transaction.rollback()
    finally:
        await connection.close(timeout=CONNECT)


async def contents(url: str) -> Contents:
    async with read(url) as (found, _):
        return found


async def _contents(connection: Any, about: Any) -> Contents:
    queries = load("backups")
    if about["timescale"] is None:
        raise BackupRefused(f"{about['database']} has no TimescaleDB: it is not a database of ecpmon")
    tables = {}
    for row in await connection.fetch(queries["relations"]):
        counted = await connection.fetchrow(
            f"{_TOLD} FROM {row['name']} t",  # as the server has quoted it
            timeout=PATIENCE,
        )
        tables[row["name"]] = Table(counted["rows"], counted["digest"])
    views = {row["name"]: row["text"] for row in await connection.fetch(queries["views"])}
    roles = [row["name"] for row in await connection.fetch(queries["grantees"])]
    return Contents(
        about["database"], about["postgres"], about["timescale"], about["taken_at"], tables, views, roles
    )


async def _connect(url: str, database: str | None = None) -> Any:
    with wrap_errors():
        return await asyncpg.connect(
            url,
            database=database,
            timeout=CONNECT,
            command_timeout=PATIENCE,
            server_settings=_SETTINGS | ({"search_path": "pg_catalog"} if database else {}),
        )


class Beside:
    """The databases of a server, seen from the one that everybody has. Names are ours, and checked."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Beside]:
        """Raises EcpError, also for what is refused inside."""
        connection = await _connect(url, BESIDE)
        try:
            with wrap_errors():
                yield cls(connection)
        finally:
            await connection.close(timeout=CONNECT)

    async def exists(self, name: str) -> bool:
        return bool(
            await self._connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name
            )
        )

    async def make(self, name: str, owner: str | None = None) -> None:
        """`owner`: whose it is; None: ours."""
        of = f" OWNER {_checked(owner)}" if owner else ""
        await self._connection.execute(f"CREATE DATABASE {_checked(name)}{of} TEMPLATE template0")

    async def drop(self, name: str) -> None:
        await self._connection.execute(f"DROP DATABASE IF EXISTS {_checked(name)} WITH (FORCE)")

    async def rename(self, name: str, new: str) -> None:
        """Whoever is connected to it is sent away, and can connect again when it has its new name."""
        old, new = _checked(name), _checked(new)
        await self._connection.execute(f"ALTER DATABASE {old} ALLOW_CONNECTIONS false")
        try:
            # Waits until they are gone, ten seconds at most for each.
            await self._connection.fetch(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", name
            )
            await self._connection.execute(f"ALTER DATABASE {old} RENAME TO {new}")
            old = new
        finally:
            await self._connection.execute(f"ALTER DATABASE {old} ALLOW_CONNECTIONS true")

    async def ensure_roles(self, names: list[str]) -> list[str]:
        """Make those that are not there, for nobody to log in as; which these were."""
        known = {row[0] for row in await self._connection.fetch("SELECT rolname FROM pg_roles")}
        missing = [name for name in names if name not in known]
        for name in missing:
            await self._connection.execute(f"CREATE ROLE {_checked(name)} NOLOGIN")
        return missing


def _checked(name: str) -> str:
    """Raises BackupRefused."""
    if not _NAME.fullmatch(name):
        raise BackupRefused(
            f"{name!r} is no name that is taken here: small letters, digits and _, 63 at most"
        )
    return name


async def prepare(url: str, *, restoring: bool) -> None:
    """Before and after a dump is restored into a database that nobody uses, as TimescaleDB wants it."""
    connection = await _connect(url)
    try:
        with wrap_errors():
            if restoring:
                if not await connection.fetchval(
                    "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
                ):
                    raise BackupRefused(
                        "a TimescaleDB is restored by a superuser only; name one by ECPMON_BACKUP_SUPERUSER_URL"
                    )
                await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            await connection.execute(f"SELECT timescaledb_{'pre' if restoring else 'post'}_restore()")
            if not restoring:
                await connection.execute("ANALYZE")
    finally:
        await connection.close(timeout=CONNECT)


async def is_empty(url: str) -> bool:
    """Whether it holds no table of anybody."""
    connection = await _connect(url)
    try:
        with wrap_errors():
            return not await connection.fetch(load("backups")["relations"])
    finally:
        await connection.close(timeout=CONNECT)


class Backups:
    """Which there are, as the database knows them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(
        self, file: str, taken_at: datetime, ended_at: datetime, size: int, sha256: str, *, verified: bool
    ) -> None:
        await self._database.execute(
            load("backups")["note"], taken_at, file, ended_at, size, sha256, verified
        )

    async def last_good(self) -> datetime | None:
        """The instant that the newest one holds which was restored to see that it can be."""
        found: datetime | None = await self._database.fetchval(load("backups")["last_good"])
        return found
