"""Turns of the event loop: one request of each sender begins in each."""

from __future__ import annotations

import asyncio

from ecpmon.api.fairness import LoopTurns

ALPHA, BETA = "alpha", "beta"


async def request(turns: LoopTurns, key: str, begun: list[str]) -> None:
    await turns.wait(key)
    begun.append(key)


async def all_of(requests: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*requests)


async def test_one_request_waits_behind_one_of_each_other_sender_however_many_they_send() -> None:
    turns, begun = LoopTurns(), []
    hundred = [asyncio.create_task(request(turns, ALPHA, begun)) for _ in range(100)]
    await asyncio.sleep(0)
    one = asyncio.create_task(request(turns, BETA, begun))
    await all_of([*hundred, one])
    assert begun.index(BETA) <= 3
    assert begun.count(ALPHA) == 100


async def test_who_finds_nobody_waiting_begins_at_once() -> None:
    turns = LoopTurns()
    waiting = turns.wait(ALPHA)
    try:
        waiting.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for nobody")


async def test_in_a_turn_of_the_loop_a_sender_begins_once() -> None:
    turns, begun = LoopTurns(), []
    three = [asyncio.create_task(request(turns, ALPHA, begun)) for _ in range(3)]
    seen = []
    while not all(task.done() for task in three):
        before = len(begun)
        await asyncio.sleep(0)
        seen.append(len(begun) - before)
    assert max(seen) == 1
    assert sum(seen) == 3


async def test_of_very_many_senders_some_begin_in_a_turn_and_all_in_the_end() -> None:
    turns, begun = LoopTurns(senders=8), []
    tasks = [asyncio.create_task(request(turns, str(n), begun)) for n in range(100) for _ in range(2)]
    seen = []
    while not all(task.done() for task in tasks):
        before = len(begun)
        await asyncio.sleep(0)
        seen.append(len(begun) - before)
    assert max(seen) <= 8
    # Who came first found nobody waiting; of all others nobody's second begins before everybody's first.
    assert len(set(begun[:101])) == 100


async def test_a_sender_that_has_gone_takes_no_turn() -> None:
    turns, begun = LoopTurns(), []
    tasks = [asyncio.create_task(request(turns, ALPHA, begun)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks[1:4]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == [ALPHA, ALPHA]
    assert turns.waiting == 0
    await asyncio.wait_for(request(turns, ALPHA, begun), 5)
