"""What is stored ahead of its time is looked at when that has come."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ecpmon.app.due import Due
from tests.waiting import until


async def test_there_is_a_turn_when_a_second_has_come_and_none_before() -> None:
    turns: list[float] = []
    clock: Any = SimpleNamespace(now=lambda: datetime.now(UTC))

    async def turn() -> None:
        turns.append(clock.now().timestamp())

    due = Due(clock, turn)
    due.start()
    began = int(clock.now().timestamp())
    due.note([began + 3])
    due.note([began + 2, began + 3, began - 5, began + 10_000])

    async def over() -> bool:
        return bool(turns) and turns[-1] >= began + 3

    await until(over, "the last has had its turn")
    await due.stop()
    assert min(turns) >= began + 2
    assert len(turns) <= 2
