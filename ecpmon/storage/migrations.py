"""A small migration runner: ordered files, checksums, one advisory lock on a dedicated connection.

A file whose first line is `-- ecpmon: no-transaction` runs statement by statement outside a transaction (for
CREATE INDEX CONCURRENTLY and the like); every other file is one transaction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from ecpmon.errors import PermanentError
from ecpmon.resources import data_dir
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors

_FILE = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_NO_TRANSACTION = "-- ecpmon: no-transaction"
# Any constant will do, as long as it is always the same.
_LOCK = 0x6563706D
# Seconds to connect in: a server that has just started on a busy machine may take longer than a request would wait.
PATIENCE = 30.0
# Seconds one step may take, and others wait for it: some write a table of a large installation anew.
STEP = 6 * 3600.0
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP)
"""


class MigrationError(PermanentError):
    code = "MIGRATION_FAILED"
    status = 500


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def transactional(self) -> bool:
        return not self.sql.startswith(_NO_TRANSACTION)


def discover(folder: Path | None = None) -> list[Migration]:
    """The migrations of a folder in order. Raises MigrationError on misnamed, doubled or missing numbers."""
    folder = folder or data_dir("sql") / "migrations"
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: migrations are named NNNN_words.sql")
        found.append(Migration(int(match.group(1)), match.group(2), path.read_text(encoding="utf-8")))
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"{folder}: versions must run 0001, 0002, … without gaps or doubles")
    return found


def pending(known: list[Migration], applied: dict[int, str]) -> list[Migration]:
    """What is still to do. Raises MigrationError when an applied file was edited or is newer than this release."""
    newest = known[-1].version if known else 0
    if applied and max(applied) > newest:
        raise MigrationError(
            f"the database is at version {max(applied)}, this release knows {newest}: install the newer release"
        )
    for migration in known:
        if migration.version in applied and applied[migration.version] != migration.checksum:
            raise MigrationError(
                f"{migration.version:04d}_{migration.name}.sql was changed after it had been applied; "
                "restore the file and put the change into a new migration"
            )
    return [m for m in known if m.version not in applied]


def statements(sql: str) -> list[str]:
    """The statements of a no-transaction file: separated by a semicolon at the end of a line."""
    parts = re.split(r";\s*(?:\n|$)", sql)
    return [p.strip() for p in parts if re.sub(r"--.*", "", p).strip()]


async def migrate(
    database: Database,
    migrations: list[Migration] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Bring the database up to date; the number of files applied. Safe to call from several processes at once."""
    known = discover() if migrations is None else migrations
    connection = await database.dedicated(patience=PATIENCE)
    try:
        with wrap_errors():
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=STEP)
            await connection.execute(_LEDGER)
            rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
            todo = pending(known, {r["version"]: r["checksum"] for r in rows})
            for migration in todo:
                tell(f"applying {migration.version:04d}_{migration.name}")
                await _apply(connection, migration)
            return len(todo)
    finally:
        await connection.close()


async def _apply(connection: Any, migration: Migration) -> None:
    note = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)"
    values = (migration.version, migration.name, migration.checksum)
    if migration.transactional:
        async with connection.transaction():
            await connection.execute(migration.sql, timeout=STEP)
            await connection.execute(note, *values)
        return
    for statement in statements(migration.sql):
        await connection.execute(statement, timeout=STEP)
    await connection.execute(note, *values)


async def is_current(database: Database) -> bool:
    """Whether every migration of this release is applied."""
    async with database.connection() as connection:
        try:
            rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
        except asyncpg.UndefinedTableError:
            return False
    return not pending(_released(), {r["version"]: r["checksum"] for r in rows})


@cache
def _released() -> list[Migration]:
    """Those of this release, which stay as they are while it runs."""
    return discover()
