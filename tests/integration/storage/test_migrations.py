"""Migrations: applied once, in order, by one process at a time, and never silently changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ecpmon.storage.database import Database
from ecpmon.storage.migrations import (
    Migration,
    MigrationError,
    discover,
    is_current,
    migrate,
    pending,
    statements,
)


async def test_two_processes_at_once_apply_everything_once(make_database: Callable[[], str]) -> None:
    dsn = make_database()
    counts = await asyncio.gather(*(migrate(Database(dsn)) for _ in range(3)))
    assert sorted(counts) == [0, 0, len(discover())]
    database = Database(dsn)
    assert await is_current(database)
    await database.close()


async def test_a_database_without_migrations_is_not_current(make_database: Callable[[], str]) -> None:
    database = Database(make_database())
    assert not await is_current(database)
    await database.close()


async def test_a_no_transaction_file_may_create_indexes_concurrently(
    make_database: Callable[[], str],
) -> None:
    database = Database(make_database())
    files = [
        Migration(1, "table", "CREATE TABLE t (a int);"),
        Migration(2, "index", "-- ecpmon: no-transaction\nCREATE INDEX CONCURRENTLY t_a ON t (a);\n"),
    ]
    assert await migrate(database, files) == 2
    assert await database.fetchval("SELECT to_regclass('t_a') IS NOT NULL")
    await database.close()


async def test_a_failing_file_leaves_nothing_behind(make_database: Callable[[], str]) -> None:
    database = Database(make_database())
    with pytest.raises(Exception, match="division by zero"):
        await migrate(database, [Migration(1, "bad", "CREATE TABLE t (a int); SELECT 1/0;")])
    assert await database.fetchval("SELECT to_regclass('t') IS NULL")
    await database.close()


def test_an_edited_file_is_refused() -> None:
    known = [Migration(1, "a", "SELECT 1")]
    with pytest.raises(MigrationError, match="was changed after"):
        pending(known, {1: "another checksum"})


def test_a_database_newer_than_the_release_is_refused() -> None:
    with pytest.raises(MigrationError, match="install the newer release"):
        pending([Migration(1, "a", "SELECT 1")], {1: Migration(1, "a", "SELECT 1").checksum, 2: "x"})


def test_numbers_must_run_without_gaps(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1")
    (tmp_path / "0003_c.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="without gaps"):
        discover(tmp_path)


def test_statements_are_split_at_line_ends_only() -> None:
    assert statements("-- ecpmon: no-transaction\nSELECT ';';\nSELECT 2;\n") == [
        "-- ecpmon: no-transaction\nSELECT ';'",
        "SELECT 2",
    ]
