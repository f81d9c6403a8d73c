"""What many ask for at about the same time is asked for once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from time import monotonic
from typing import Any, Generic, TypeVar

from ecpmon.errors import TemporaryError

T = TypeVar("T")


class Shared(Generic[T]):
    """Answers by key, each good for `seconds`; whoever comes while one is under way waits for that one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: dict[Hashable, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer or error of the newest `ask` for `key`, which may be another's."""
        task = self._answers.get(key)
        if task is None:
            task = self._answers[key] = asyncio.create_task(ask())
            task.add_done_callback(lambda done: self._answered(key, done))
        # Who stops waiting takes nothing from the others.
        return await asyncio.shield(task)

    def _answered(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if task.cancelled() or task.exception() is not None:
            del self._answers[key]
        else:
            asyncio.get_running_loop().call_later(self._seconds, self._answers.pop, key, None)


class SharedOrStale(Generic[T]):
    """The same, and while asking fails for a time the last answer goes on being told, for `stale` seconds at most.

    The oldest of more than `most` answers are given up.
    """

    def __init__(self, seconds: float, stale: float, most: int) -> None:
        self._seconds = seconds
        self._stale = stale
        self._most = most
        # When it was given, until when nobody is asked again, and the answer.
        self._answers: OrderedDict[Hashable, tuple[float, float, T]] = OrderedDict()
        self._asking: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Raises what `ask` raised, unless there is an answer that may be told instead."""
        known = self._answers.get(key)
        if known is not None and monotonic() < known[1]:
            return known[2]
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(ask())
            task.add_done_callback(lambda done: self._asked(key, done))
        try:
            return await asyncio.shield(task)
        except TemporaryError:
            if known is None or monotonic() > known[0] + self._stale:
                raise
            return known[2]

    def _asked(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._asking.get(key) is not task:  # dropped meanwhile: it may tell of before
            return
        del self._asking[key]
        now = monotonic()
        if not task.cancelled() and task.exception() is None:
            self._answers[key] = now, now + self._seconds, task.result()
            self._answers.move_to_end(key)
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        elif (known := self._answers.get(key)) is not None:
            # Not again with everybody who comes.
            self._answers[key] = known[0], now + self._seconds, known[2]

    def drop(self, key: Hashable) -> None:
        """What was answered holds no more, not even what is being answered now."""
        self._answers.pop(key, None)
        self._asking.pop(key, None)
