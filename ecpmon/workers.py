"""Work that would hold the event loop, done beside it: few hands, a bound, a deadline, and a turn for everybody.

Hands are processes, or threads where nobody is answered (`ecpmon.compute`). They are few, and one owner (a tenant)
never has all of them: what one asks for delays its own next question, not somebody else's.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar, cast

from ecpmon.compute import Hands, refusal

P = ParamSpec("P")
T = TypeVar("T")
# Waiting for one owner, and altogether: whoever comes later is told so at once.
WAITING_EACH: Final = 8
WAITING: Final = 256
PATIENCE: Final = 15.0


@dataclass(eq=False, slots=True)
class _Task:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inside: contextvars.Context
    done: asyncio.Future[Any]


class Workers:
    """Has functions run by `hands`, for one event loop."""

    def __init__(
        self,
        hands: Hands,
        waiting_each: int = WAITING_EACH,
        waiting: int = WAITING,
        patience: float = PATIENCE,
    ) -> None:
        """`patience`: seconds after which a caller is let go, whether its work has begun or not; a process that has
        worked for so long is ended."""
        self._hands = hands
        self._free = hands.count
        # With one there is nothing to keep for others.
        self._each = max(1, hands.count - 1)
        self._running: Counter[str] = Counter()
        self._at_work: set[asyncio.Task[Any]] = set()
        # Owners take turns in the order of this dictionary.
        self._waiting: dict[str, deque[_Task]] = {}
        self._limits = (waiting_each, waiting)
        self._patience = patience
        self._closed = False

    @property
    def waiting(self) -> int:
        """Calls whose turn has not come."""
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        return len(self._at_work)

    async def run(self, owner: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function` beside the loop, when it is the owner's turn. Raises Overloaded, and what `function` raises."""
        waiting_each, waiting = self._limits
        if self._closed:
            raise refusal("closed", "this process is stopping")
        if len(self._waiting.get(owner, ())) >= waiting_each:
            raise refusal("owner_busy", "too much is being computed for this tenant already")
        if self.waiting >= waiting:
            raise refusal("busy", "too much is being computed here already")
        done = asyncio.get_running_loop().create_future()
        task = _Task(function, args, kwargs, contextvars.copy_context(), done)
        self._waiting.setdefault(owner, deque()).append(task)
        self._begin()
        try:
            async with asyncio.timeout(self._patience):
                return cast("T", await task.done)
        except TimeoutError:
            if not task.done.cancelled():
                raise  # the function's own
            raise refusal("late", "this takes too long right now") from None
        finally:
            self._forget(owner, task)

    async def close(self, patience: float = 5.0) -> None:
        """Nothing more is begun; what is at work is awaited for a while, then ended where that is possible."""
        self._closed = True
        for task in [task for queue in self._waiting.values() for task in queue]:
            task.done.set_exception(refusal("closed", "this process is stopping"))
        self._waiting.clear()
        if self._at_work:
            _, late = await asyncio.wait(self._at_work, timeout=patience)
            for work in late:
                work.cancel()
        await self._hands.close()

    def _forget(self, owner: str, task: _Task) -> None:
        """The caller is gone: what has not begun is not begun."""
        queue = self._waiting.get(owner)
        if queue is not None and task in queue:
            queue.remove(task)
            if not queue:
                del self._waiting[owner]

    def _begin(self) -> None:
        """Give free hands to the owners whose turn it is."""
        loop = asyncio.get_running_loop()
        while self._free and (owner := self._next()) is not None:
            queue = self._waiting.pop(owner)
            task = queue.popleft()
            if queue:
                self._waiting[owner] = queue  # behind the others
            self._free -= 1
            self._running[owner] += 1
            work = self._hands.work(task.function, task.args, task.kwargs, self._patience)
            at_work = loop.create_task(work, context=task.inside)
            self._at_work.add(at_work)
            at_work.add_done_callback(partial(self._end, owner, task))

    def _next(self) -> str | None:
        return next((owner for owner in self._waiting if self._running[owner] < self._each), None)

    def _end(self, owner: str, task: _Task, at_work: asyncio.Task[Any]) -> None:
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
