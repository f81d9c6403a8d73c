"""Work that would hold the event loop, done beside it: few threads, a bound, a deadline, and a turn for everybody.

Pure Python in a thread still shares the interpreter, so threads are few and one owner (a tenant) never has all of
them: what one asks for delays its own next question, not somebody else's.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar, cast

from ecpmon.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")
THREADS: Final = 2
# Waiting for one owner, and altogether: whoever comes later is told so at once.
WAITING_EACH: Final = 8
WAITING: Final = 256
PATIENCE: Final = 15.0
_RETRY_AFTER: Final = 2


@dataclass(eq=False, slots=True)
class _Task:
    work: Callable[[], Any]
    done: asyncio.Future[Any]


class Workers:
    """Runs functions in threads, for one event loop."""

    def __init__(
        self,
        threads: int = THREADS,
        waiting_each: int = WAITING_EACH,
        waiting: int = WAITING,
        patience: float = PATIENCE,
    ) -> None:
        """`patience`: seconds after which a caller is let go, whether its work has begun or not."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ecpmon-work")
        self._free = threads
        # With one thread there is nothing to keep for others.
        self._each = max(1, threads - 1)
        self._running: Counter[str] = Counter()
        self._at_work: set[asyncio.Future[Any]] = set()
        # Owners take turns in the order of this dictionary.
        self._waiting: dict[str, deque[_Task]] = {}
        self._limits = (waiting_each, waiting)
        self._patience = patience
        self._closed = False

    async def run(self, owner: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function` in a thread, when it is the owner's turn. Raises Overloaded, and what `function` raises."""
        waiting_each, waiting = self._limits
        if self._closed:
            raise _refusal("closed", "this process is stopping")
        if len(self._waiting.get(owner, ())) >= waiting_each:
            raise _refusal("owner_busy", "too much is being computed for this tenant already")
        if sum(map(len, self._waiting.values())) >= waiting:
            raise _refusal("busy", "too much is being computed here already")
        inside = contextvars.copy_context()
        task = _Task(
            partial(inside.run, function, *args, **kwargs), asyncio.get_running_loop().create_future()
        )
        self._waiting.setdefault(owner, deque()).append(task)
        self._begin()
        try:
            async with asyncio.timeout(self._patience):
                return cast("T", await task.done)
        except TimeoutError:
            if not task.done.cancelled():
                raise  # the function's own
            raise _refusal("late", "this takes too long right now") from None
        finally:
            self._forget(owner, task)

    async def close(self, patience: float = 5.0) -> None:
        """Nothing more is begun; what is at work is awaited for a while."""
        self._closed = True
        for task in [task for queue in self._waiting.values() for task in queue]:
            task.done.set_exception(_refusal("closed", "this process is stopping"))
        self._waiting.clear()
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=patience)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, owner: str, task: _Task) -> None:
        """The caller is gone: what has not begun is not begun."""
        queue = self._waiting.get(owner)
        if queue is not None and task in queue:
            queue.remove(task)
            if not queue:
                del self._waiting[owner]

    def _begin(self) -> None:
        """Give free threads to the owners whose turn it is."""
        loop = asyncio.get_running_loop()
        while self._free and (owner := self._next()) is not None:
            queue = self._waiting.pop(owner)
            task = queue.popleft()
            if queue:
                self._waiting[owner] = queue  # behind the others
            self._free -= 1
            self._running[owner] += 1
            at_work = loop.run_in_executor(self._threads, task.work)
            self._at_work.add(at_work)
            at_work.add_done_callback(partial(self._end, owner, task))

    def _next(self) -> str | None:
        return next((owner for owner in self._waiting if self._running[owner] < self._each), None)

    def _end(self, owner: str, task: _Task, at_work: asyncio.Future[Any]) -> None:
        self._at_work.discard(at_work)
        self._free += 1
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        error = asyncio.CancelledError() if at_work.cancelled() else at_work.exception()
        if not task.done.done():
            if error is None:
                task.done.set_result(at_work.result())
            else:
                task.done.set_exception(error)
        if not self._closed:
            self._begin()


class TenantWorkers:
    """`Workers` whose owners are the tenants of one database, by their number."""

    def __init__(self, workers: Workers, database: str) -> None:
        self._workers = workers
        self._database = database

    async def run(self, tenant_key: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Workers.run`."""
        return await self._workers.run(f"{self._database} {tenant_key}", function, *args, **kwargs)

    async def run_for(self, caller: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Workers.run`, for what is no single tenant's: the caller of this key is the owner."""
        return await self._workers.run(f"caller {caller}", function, *args, **kwargs)


def _refusal(limit: str, what: str) -> Overloaded:
    message = f"{what}; try again in {_RETRY_AFTER} s, or ask for less"
    refusal = Overloaded(message, details={"limit": f"workers_{limit}"})
    refusal.retry_after = _RETRY_AFTER
    return refusal
