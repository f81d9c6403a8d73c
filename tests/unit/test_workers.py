"""Work beside the event loop: bounded, in turns, with a deadline, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from ecpmon.compute.threads import Threads
from ecpmon.errors import Overloaded, ValidationFailed
from ecpmon.workers import Workers
from tests.waiting import PATIENCE


class Gate:
    """Work that begins, says so, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._open = threading.Event()
        self._lock = threading.Lock()

    def work(self, name: str) -> str:
        with self._lock:
            self.begun.append(name)
        assert self._open.wait(PATIENCE)
        return name

    def open(self) -> None:
        self._open.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.begun) < count:
                await asyncio.sleep(0.001)


async def turn() -> None:
    """Let everything that waits get as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_results_errors_and_the_context_of_the_caller_come_through() -> None:
    said = contextvars.ContextVar("said", default="")
    workers = Workers(Threads())
    said.set("by the caller")
    assert await workers.run("t", said.get) == "by the caller"

    def refuse() -> None:
        raise ValidationFailed("no")

    def expire() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(ValidationFailed):
        await workers.run("t", refuse)
    with pytest.raises(TimeoutError, match="of its own"):
        await workers.run("t", expire)
    await workers.close()


async def test_one_owner_never_has_all_threads() -> None:
    workers, gate = Workers(Threads(2)), Gate()
    greedy = [asyncio.create_task(workers.run("greedy", gate.work, "greedy")) for _ in range(5)]
    await gate.until(1)
    # Five wait for one tenant; another's comes at once.
    modest = asyncio.create_task(workers.run("modest", gate.work, "modest"))
    await gate.until(2)
    assert sorted(gate.begun) == ["greedy", "modest"]
    gate.open()
    assert await asyncio.gather(modest, *greedy) == ["modest", *["greedy"] * 5]
    await workers.close()


async def test_owners_take_turns_whoever_asked_more_often() -> None:
    workers, gate = Workers(Threads(1)), Gate()
    first = asyncio.create_task(workers.run("other", gate.work, "other"))
    await gate.until(1)
    many = [asyncio.create_task(workers.run("many", gate.work, "many")) for _ in range(6)]
    await turn()
    few = asyncio.create_task(workers.run("few", gate.work, "few"))
    await turn()
    gate.open()
    await asyncio.gather(first, few, *many)
    # One of the many was there before; the second had to let the few pass.
    assert gate.begun.index("few") == 2
    await workers.close()


async def test_too_much_of_one_owner_and_too_much_altogether_is_refused_at_once() -> None:
    workers, gate = Workers(Threads(1), waiting_each=2, waiting=3), Gate()
    held = [asyncio.create_task(workers.run("a", gate.work, "a"))]
    await gate.until(1)
    held += [asyncio.create_task(workers.run("a", gate.work, "a")) for _ in range(2)]
    await turn()
    with pytest.raises(Overloaded) as own:
        await workers.run("a", gate.work, "a")
    held.append(asyncio.create_task(workers.run("b", gate.work, "b")))
    await turn()
    with pytest.raises(Overloaded) as others:
        await workers.run("c", gate.work, "c")
    found = (own.value.details["limit"], others.value.details["limit"])
    assert found == ("workers_owner_busy", "workers_busy")
    assert own.value.status == 503
    assert own.value.retry_after
    gate.open()
    await asyncio.gather(*held)
    await workers.close()


async def test_who_waits_too_long_is_let_go_and_work_that_has_not_begun_is_not_begun() -> None:
    workers, gate = Workers(Threads(1), patience=0.05), Gate()
    begun = asyncio.create_task(workers.run("a", gate.work, "begun"))
    await gate.until(1)
    with pytest.raises(Overloaded, match="too long"):
        await workers.run("a", gate.work, "never")
    with pytest.raises(Overloaded):
        await begun
    gate.open()
    await workers.close()
    assert gate.begun == ["begun"]


async def test_a_caller_that_goes_away_leaves_nothing_behind() -> None:
    workers, gate = Workers(Threads(1)), Gate()
    first = asyncio.create_task(workers.run("a", gate.work, "first"))
    await gate.until(1)
    gone = asyncio.create_task(workers.run("a", gate.work, "gone"))
    await turn()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    gate.open()
    assert await first == "first"
    assert await workers.run("a", gate.work, "after") == "after"
    assert gate.begun == ["first", "after"]
    await workers.close()


async def test_the_loop_turns_while_work_is_done() -> None:
    workers, turns, over = Workers(Threads()), 0, threading.Event()

    def compute() -> int:
        # Pure Python, as our arithmetic is, until the loop has turned often enough.
        count = 0
        while not over.is_set():
            count += 1
        return count

    computing = asyncio.create_task(workers.run("t", compute))
    async with asyncio.timeout(PATIENCE):
        while turns < 200:
            await asyncio.sleep(0)
            turns += 1
    over.set()
    assert await computing > 0
    await workers.close()


async def test_whoever_waits_when_the_process_stops_is_told_so() -> None:
    workers, gate = Workers(Threads(1)), Gate()
    first = asyncio.create_task(workers.run("a", gate.work, "first"))
    await gate.until(1)
    waiting = asyncio.create_task(workers.run("a", gate.work, "waiting"))
    await turn()
    closing = asyncio.create_task(workers.close())
    with pytest.raises(Overloaded, match="stopping"):
        await waiting
    gate.open()
    assert await first == "first"
    await closing
    with pytest.raises(Overloaded, match="stopping"):
        await workers.run("a", gate.work, "late")
