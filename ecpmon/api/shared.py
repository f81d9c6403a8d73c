"""What many sockets ask for at about the same time is asked for once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

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
