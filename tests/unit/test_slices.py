"""Long work in slices: nothing is left out, and the event loop turns in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest

from ecpmon import slices
from ecpmon.slices import OTHERS, SLICE, Slices, in_slices


async def test_the_event_loop_turns_after_every_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock on which every item takes half a slice."""
    now, turns = 0.0, 0

    def items(count: int) -> Iterator[int]:
        nonlocal now
        for number in range(count):
            now += SLICE / 2
            yield number

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(slices, "perf_counter", lambda: now)
    beside = asyncio.create_task(others())
    assert [item async for item in in_slices(items(300))] == list(range(300))
    beside.cancel()
    assert turns >= 300 / 2 - 1, "a slice ends with the item that fills it: after the second"


async def test_after_a_slice_some_turns_of_the_loop_are_others_however_many_have_long_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a clock on which every step takes a whole slice."""
    now = 0.0
    steps: list[int] = []
    monkeypatch.setattr(slices, "perf_counter", lambda: now)

    async def long_work(name: int) -> None:
        nonlocal now
        mine = Slices()
        for _ in range(5):
            now += SLICE
            await mine.pause()
            steps.append(name)

    at_work = [asyncio.create_task(long_work(name)) for name in range(7)]
    done = []
    while not all(task.done() for task in at_work):
        before = len(steps)
        await asyncio.sleep(0)
        done.append(len(steps) - before)
    slices_done = [turn for turn, count in enumerate(done) for _ in range(count)]
    assert min(b - a for a, b in pairwise(slices_done)) > OTHERS
    assert steps == [*range(7)] * 5, "each in its turn"


async def test_who_gives_up_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(slices, "perf_counter", lambda: now)
    first, second = Slices(), Slices()
    now = 1.0
    waiting = [asyncio.create_task(part.pause()) for part in (first, second)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(5):
        await waiting[1]
    assert waiting[0].cancelled()
