"""Of each asker one question at a time; nobody waits long for his own, nor at all for another's."""

from __future__ import annotations

import asyncio

import pytest

from ecpmon.storage.askers import Askers

LONG = 60.0


async def test_who_asks_much_asks_one_thing_after_the_other() -> None:
    askers, at_once, most = Askers(LONG), 0, 0

    async def ask() -> None:
        nonlocal at_once, most
        async with askers.turn("alpha"):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1

    await asyncio.gather(*(ask() for _ in range(10)))
    assert most == 1


async def test_another_asker_does_not_wait() -> None:
    askers = Askers(LONG)
    async with asyncio.timeout(LONG / 2), askers.turn("alpha"), askers.turn("beta"):
        assert len(askers) == 2


async def test_a_long_question_holds_up_a_short_one_for_a_moment_only() -> None:
    askers = Askers(patience=0.001)
    async with asyncio.timeout(LONG), askers.turn("alpha"), askers.turn("alpha"):
        pass
    async with asyncio.timeout(LONG), askers.turn("alpha"):
        assert len(askers) == 1


async def test_nothing_is_kept_of_who_has_asked_or_given_up() -> None:
    askers = Askers(LONG)

    async def ask() -> None:
        async with askers.turn("alpha"):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(ask()) for _ in range(3)]
    while not askers._lanes or askers._lanes["alpha"].users < len(tasks):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not len(askers)
