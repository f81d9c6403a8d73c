"""Evaluating many tenants fairly: a few at a time, each by itself, and who takes long rests, so that others come.

Each kind of turn has lanes and lines of its own: a short one does not stand in line behind a thousand of another kind,
nor behind its own tenant's among them. Where two kinds move the same rule at once, the store takes one of them.
Tenants whose last turn took long share lanes of their own, so that many of them take no lane from the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

import structlog

_log = structlog.get_logger(__name__)
LANES: Final = 4
SLOW_LANES: Final = 2
# A turn of more than this many seconds is followed by a rest that makes it a fifth of the tenant's time.
LONG: Final = 1.0
REST: Final = 4.0
LONGEST_REST: Final = 60.0

# What a tenant's turn does; told whether it had to wait, so that what was read before is old.
Turn = Callable[[bool], Awaitable[int]]


class Lanes:
    """One turn of a kind per tenant at a time. `patience`: seconds that `run` waits for the slow; None: for all."""

    def __init__(self, lanes: int = LANES, patience: float | None = None) -> None:
        self.patience = patience
        self._lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(lanes))
        self._slow_lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(SLOW_LANES)
        )
        # Whose last turn of a kind took long.
        self._slow: set[tuple[str, str]] = set()
        self._lines: dict[tuple[str, str], asyncio.Lock] = {}
        self._users: Counter[tuple[str, str]] = Counter()
        self._waiting: set[tuple[str, str]] = set()
        self._rests_until: dict[str, float] = {}
        self._tasks: set[asyncio.Task[int]] = set()

    async def run(self, turns: Mapping[str, Turn], kind: str) -> int:
        """Each tenant's turn of this kind; the sum of what those that ended in time gave.

        One that is late goes on, and holds up nobody but its own tenant; while one of a kind waits for its tenant's
        line, another of that kind is not needed. Raises what the turns that ended raised.
        """
        tasks = [asyncio.create_task(self._turn(name, kind, turn)) for name, turn in turns.items()]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not tasks:
            return 0
        done, late = await asyncio.wait(tasks, timeout=self.patience)
        for task in late:
            task.add_done_callback(_tell)
        errors = [error for task in done if (error := task.exception()) is not None]
        if errors:
            raise errors[0]
        return sum(task.result() for task in done)

    async def stop(self) -> None:
        """What is late is late for good."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _turn(self, name: str, kind: str, turn: Turn) -> int:
        if (name, kind) in self._waiting:
            return 0  # who waits will see what we would
        async with AsyncExitStack() as held:
            with self._mark((name, kind)):
                waited = await held.enter_async_context(self._line((name, kind)))
                waited |= await self._rest(name)
            return await self._timed(name, kind, turn, waited)

    @contextmanager
    def _mark(self, waiting: tuple[str, str]) -> Iterator[None]:
        self._waiting.add(waiting)
        try:
            yield
        finally:
            self._waiting.discard(waiting)

    @asynccontextmanager
    async def _line(self, own: tuple[str, str]) -> AsyncIterator[bool]:
        """The tenant's own of a kind; whether somebody was before us."""
        line = self._lines.setdefault(own, asyncio.Lock())
        waited = line.locked()
        self._users[own] += 1
        try:
            async with line:
                yield waited
        finally:
            self._users[own] -= 1
            if not self._users[own]:
                del self._users[own], self._lines[own]

    async def _rest(self, name: str) -> bool:
        """Whether there was any."""
        rest = self._rests_until.pop(name, 0.0) - asyncio.get_running_loop().time()
        await asyncio.sleep(max(rest, 0.0))
        return rest > 0

    async def _timed(self, name: str, kind: str, turn: Turn, waited: bool) -> int:
        now, own = asyncio.get_running_loop().time, (name, kind)
        async with (self._slow_lanes if own in self._slow else self._lanes)[kind]:
            began = now()
            try:
                return await turn(waited)
            finally:
                lasted = now() - began
                self._slow.discard(own)
                if lasted > LONG:
                    self._slow.add(own)
                    self._rests_until[name] = now() + min(lasted * REST, LONGEST_REST)


def _tell(task: asyncio.Task[int]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("late_evaluation_failed", error=str(error))
