"""Long work on the event loop in slices, so that others have their turn in between.

An answer takes a dozen turns of its loop. If each of ten who have long work did a slice in every turn, an answer would
be late by a dozen times ten slices. So, per loop:

- Who has used up a slice waits behind all others who have.
- In one turn of the loop at most one of them goes on, and in none of the `OTHERS` turns after it.

So an answer of `n` turns is later by `n / (1 + OTHERS)` slices at most, however many have long work; a turn in which
nobody does anything takes some microseconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
# Seconds that one slice may last.
SLICE: Final = 0.001
# Turns of the loop that belong to others after each slice.
OTHERS: Final = 3


class Slices:
    """`await slices.pause()` between steps gives the loop to others once a slice has been used up."""

    def __init__(self) -> None:
        self._until = perf_counter() + SLICE

    def over(self) -> bool:
        """Whether the slice has been used up."""
        return perf_counter() >= self._until

    async def pause(self) -> None:
        if self.over():
            await _queue_of(asyncio.get_running_loop()).wait()
            self._until = perf_counter() + SLICE

    async def give_way(self) -> None:
        """One turn for the others, before whoever has long work: for a commit, which everybody waits for."""
        if self.over():
            await asyncio.sleep(0)
            self._until = perf_counter() + SLICE


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """`items` one by one; the loop turns after every SLICE that the work on them took."""
    slices = Slices()
    for item in items:
        yield item
        if (
            slices.over()
        ):  # `pause` would ask as well, in a coroutine of its own: twice the time for each of thousands
            await slices.pause()


def few(items: Sequence[T], at_once: int) -> Iterator[Sequence[T]]:
    """`items` in parts of `at_once`, for steps that are worth looking at the clock."""
    for first in range(0, len(items), at_once):
        yield items[first : first + at_once]


class _Queue:
    """Those of one loop who have used up a slice, in the order in which they have."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turns = 0

    async def wait(self) -> None:
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.append(mine)
        if len(self._waiting) == 1:
            loop.call_soon(self._turn)
        await mine

    def _turn(self) -> None:
        """Called once per turn of the loop while somebody waits."""
        self._turns += 1
        while self._waiting and self._turns > OTHERS:
            first = self._waiting.popleft()
            if not first.done():  # it may have been cancelled meanwhile
                first.set_result(None)
                self._turns = 0
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)


_QUEUES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue]] = WeakKeyDictionary()


def _queue_of(loop: asyncio.AbstractEventLoop) -> _Queue:
    queue = _QUEUES.get(loop)
    if queue is None:
        queue = _QUEUES[loop] = _Queue()
    return queue
