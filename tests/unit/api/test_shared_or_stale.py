"""What strangers are told is asked for once, and told on while asking fails."""

from __future__ import annotations

import asyncio

import pytest

from ecpmon.api.shared import SharedOrStale
from ecpmon.errors import DatabaseUnavailable, NotFound


class Source:
    """Counts how often it is asked; `fails`: with what."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails: Exception | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self) -> int:
        self.asked += 1
        told, fails = self.asked, self.fails
        await self.free.wait()
        if fails is not None:
            raise fails
        return told


async def test_a_hundred_who_come_at_once_and_later_are_told_one_answer() -> None:
    shared, source = SharedOrStale[int](60, 60, 10), Source()
    assert set(await asyncio.gather(*(shared.get("a", source) for _ in range(100)))) == {1}
    assert await shared.get("a", source) == 1
    shared.drop("a")
    assert await shared.get("a", source) == 2


async def test_while_asking_fails_the_last_answer_is_told_as_long_as_it_may() -> None:
    shared, source = SharedOrStale[int](0, 60, 10), Source()
    assert await shared.get("a", source) == 1
    source.fails = DatabaseUnavailable("away")
    assert await shared.get("a", source) == 1
    with pytest.raises(DatabaseUnavailable):
        await shared.get("b", source)
    source.fails = None
    assert await shared.get("a", source) == 4
    short = SharedOrStale[int](0, 0, 10)
    await short.get("a", source)
    source.fails = DatabaseUnavailable("away")
    with pytest.raises(DatabaseUnavailable):
        await short.get("a", source)
    # What will not pass is told at once.
    source.fails = NotFound("gone")
    with pytest.raises(NotFound):
        await shared.get("a", source)


async def test_an_answer_from_before_a_change_is_told_to_nobody_after_it() -> None:
    shared, source = SharedOrStale[int](60, 60, 10), Source()
    source.free.clear()
    before = asyncio.create_task(shared.get("a", source))
    await asyncio.sleep(0)
    shared.drop("a")
    after = asyncio.create_task(shared.get("a", source))
    await asyncio.sleep(0)
    source.free.set()
    assert (await before, await after) == (1, 2)
    assert await shared.get("a", source) == 2


async def test_of_too_many_the_oldest_answers_are_given_up() -> None:
    shared, source = SharedOrStale[int](60, 60, 2), Source()
    for key in "abc":
        await shared.get(key, source)
    assert await shared.get("c", source) == 3
    assert await shared.get("a", source) == 4
