"""A service on a database that nobody has migrated says what to do, and serves when that was done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from tests.integration.serving import Serving, serving, until_ready
from tests.waiting import until

SAID = "database_not_migrated"


async def answer_of(found: Serving) -> dict[str, Any] | None:
    """What `/ready` says of the database, with a status; None while nobody listens."""
    try:
        status, answer, _ = await found.get("/ready")
    except aiohttp.ClientError:
        return None
    return {**answer["components"]["production"], "status": status}


@pytest.mark.parametrize("role", ["all", "supervised"])
async def test_the_log_says_once_that_the_database_waits_for_migrations(
    make_database: Callable[[], str], free_port: Callable[[], int], tmp_path: Path, role: str
) -> None:
    dsn, log = make_database(), tmp_path / "log"
    settings = {"ECPMON_ROLE": role, "ECPMON_FRONTS": "2"}
    with log.open("w") as stderr:
        async with serving(dsn, free_port(), stderr=stderr.fileno(), is_ready=False, **settings) as found:

            async def said() -> bool:
                return SAID in log.read_text() and await answer_of(found) is not None

            await until(said, "the log says it")
            told = await answer_of(found)
            assert told is not None
            assert (told["status"], told["migrations"]) == (503, "pending: run `ecpmon migrate`")
            database = Database(dsn)
            await migrate(database)
            await database.close()
            await until_ready(found)
    lines = [line for line in log.read_text().splitlines() if SAID in line]
    assert len(lines) == 1
    assert "production" in lines[0]
    assert "ecpmon migrate" in lines[0]
