"""Questions may use up their own connections, and samples still find one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from ecpmon.errors import Overloaded
from ecpmon.ports.lanes import question
from ecpmon.storage import lanes as module
from ecpmon.storage.database import KEPT_FROM_QUESTIONS, Database


async def test_questions_leave_connections_to_what_must_go_on(
    migrated_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_TIMEOUT", 0.05)
    database = Database(migrated_dsn, max_connections=KEPT_FROM_QUESTIONS + 2)
    async with AsyncExitStack() as held:
        with question("somebody"):
            for _ in range(2):
                await held.enter_async_context(database.connection())
            with pytest.raises(Overloaded, match="in use"):
                await database.fetchval("SELECT 1")
        for _ in range(KEPT_FROM_QUESTIONS):
            await held.enter_async_context(database.connection())
        with pytest.raises(Overloaded, match="in use"):
            await database.fetchval("SELECT 1")
    monkeypatch.setattr(module, "QUEUE_TIMEOUT", 60)
    with question("somebody"):
        answers = await asyncio.gather(*(database.fetchval("SELECT 1") for _ in range(50)))
    assert answers == [1] * 50
    await database.close()
