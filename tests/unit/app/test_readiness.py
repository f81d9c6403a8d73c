"""What `/health` says about who leads: at once, whatever the database does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ecpmon.app import readiness
from ecpmon.app.readiness import Readiness
from ecpmon.errors import DatabaseUnavailable
from ecpmon.model.roles import Role


class FakeDatabase:
    """Answers `led` once it may; counts the questions."""

    def __init__(self, led: bool | Exception) -> None:
        self.led = led
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0

    async def fetchval(self, *_: object) -> bool:
        self.asked += 1
        await self.answers.wait()
        if isinstance(self.led, Exception):
            raise self.led
        return self.led


class FakeLease:
    def __init__(self, *, held: bool, known: bool) -> None:
        self.held, self.known = held, known


def front(database: FakeDatabase) -> Readiness:
    unused: Any = None
    found: Any = database
    return Readiness(found, unused, Role.FRONT)


@pytest.mark.parametrize(
    ("led", "said"),
    [(True, "a worker leads"), (False, "nobody leads"), (DatabaseUnavailable("away"), "unknown")],
)
async def test_a_front_says_whether_a_worker_leads(led: bool | Exception, said: str) -> None:
    assert await front(FakeDatabase(led)).leadership() == said


async def test_the_database_is_asked_once_however_many_ask_and_again_when_that_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "LED_SECONDS", 60.0)
    database = FakeDatabase(True)
    asked = front(database)
    assert await asyncio.gather(*(asked.leadership() for _ in range(20))) == ["a worker leads"] * 20
    assert database.asked == 1
    monkeypatch.setattr(readiness, "LED_SECONDS", 0.0)
    old, database.led = front(database), False
    assert [await old.leadership(), await old.leadership()] == ["nobody leads"] * 2
    assert database.asked == 3


async def test_a_database_that_hangs_is_not_waited_for_and_its_answer_is_there_for_who_asks_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "MOMENT_SECONDS", 0.01)
    monkeypatch.setattr(readiness, "LED_SECONDS", 60.0)
    database = FakeDatabase(True)
    database.answers.clear()
    asked = front(database)
    assert [await asked.leadership(), await asked.leadership()] == ["unknown"] * 2
    assert database.asked == 1
    database.answers.set()
    await asyncio.sleep(0)  # the answer arrives
    await asyncio.sleep(0)
    assert await asked.leadership() == "a worker leads"
    assert database.asked == 1


@pytest.mark.parametrize(
    ("lease", "said"),
    [
        (FakeLease(held=True, known=True), "leader"),
        (FakeLease(held=False, known=True), "follower"),
        (FakeLease(held=False, known=False), "unknown"),
    ],
)
async def test_a_worker_knows_by_itself(lease: Any, said: str) -> None:
    unused: Any = None
    assert await Readiness(unused, lease, Role.WORKER).leadership() == said


class Answering(FakeDatabase):
    """A whole database, as far as readiness asks."""

    async def ping(self) -> float:
        await self.fetchval()
        return 0.001


async def test_the_first_check_is_waited_for_so_that_a_connection_is_there() -> None:
    database = Answering(DatabaseUnavailable("away"))
    asked = front(database)
    await asked.first()
    assert database.asked == 1
    assert (await asked.ready())["ok"] is False


async def test_a_start_does_not_wait_for_a_database_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FIRST_SECONDS", 0.01)
    database = Answering(DatabaseUnavailable("away"))
    database.answers.clear()
    asked = front(database)
    async with asyncio.timeout(10):
        await asked.first()
    database.answers.set()
    assert (await asked.ready())["database"] == "away"
    assert database.asked == 1
