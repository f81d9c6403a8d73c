"""Work that is begun when somebody says that there is some."""

from __future__ import annotations

import asyncio

import pytest

from ecpmon.app.rounds import Rounds
from ecpmon.errors import DatabaseUnavailable
from tests.waiting import until


class Work:
    """Counts rounds. `outcomes`: what the next ones come to; `open`: a round goes on."""

    def __init__(self, *outcomes: Exception) -> None:
        self.outcomes = list(outcomes)
        self.open = asyncio.Event()
        self.open.set()
        self.begun = self.ended = self.at_once = 0

    async def turn(self) -> None:
        self.begun += 1
        self.at_once = max(self.at_once, self.begun - self.ended)
        await self.open.wait()
        self.ended += 1
        if self.outcomes:
            raise self.outcomes.pop(0)

    async def has_ended(self, times: int) -> None:
        async def holds() -> bool:
            return self.ended >= times

        await until(holds, f"{times} rounds have ended")


async def test_what_is_said_during_a_round_begins_one_more_which_does_not_overlap_it() -> None:
    work = Work()
    work.open.clear()
    rounds = Rounds("test", work.turn)
    rounds.start()
    rounds.wake()

    async def begun() -> bool:
        return work.begun == 1

    await until(begun, "the first round is under way")
    for _ in range(5):
        rounds.wake()
    await asyncio.sleep(0)
    assert work.begun == 1
    work.open.set()
    await work.has_ended(2)
    await rounds.stop()
    assert (work.begun, work.at_once) == (2, 1)


async def test_nobody_who_was_not_woken_has_a_round() -> None:
    work = Work()
    rounds = Rounds("test", work.turn)
    await rounds.stop()
    rounds.start()
    for _ in range(10):
        await asyncio.sleep(0)
    await rounds.stop()
    assert work.begun == 0


async def test_what_failed_for_now_is_done_again_and_a_bug_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecpmon.app.rounds.RETRY_SECONDS", 0.0)
    work = Work(DatabaseUnavailable("away"), DatabaseUnavailable("still away"), KeyError("a bug"))
    rounds = Rounds("test", work.turn)
    rounds.start()
    rounds.wake()
    await work.has_ended(3)
    for _ in range(10):
        await asyncio.sleep(0)
    assert work.begun == 3
    rounds.wake()
    await work.has_ended(4)
    await rounds.stop()
