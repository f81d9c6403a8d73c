"""One broadcaster per tenant and kind of socket: it alone writes to them, in slices, and waits for none.

Invariants: publishers only put something down and wake it. A slice ends after `SLICE_SECONDS` or `SLICE_WRITES`
writes, whichever is first: uvloop writes at the end of a turn what asyncio writes at once. A client that does not read
costs what is kept for it, which is bounded; it is let go with 1013 when it has taken nothing for `patience` seconds. A
listener is never written to once it has left.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from time import perf_counter
from typing import Final, Generic, TypeVar

import structlog
from aiohttp import WSCloseCode

from ecpmon.api.frames import Line
from ecpmon.api.outboxes import Listener

_log = structlog.get_logger(__name__)
SLICE_SECONDS: Final = 0.002
SLICE_WRITES: Final = 256
# How often it is looked whether clients that are behind have read something.
LOOK_SECONDS: Final = 0.1
STAYS_BEHIND: Final = "this consumer stays behind"
FAULT: Final = "this is a fault of the server; it has been logged"
L = TypeVar("L", bound=Listener)


class Slice:
    """`await slice_.pause()` after each write gives the others a turn when the slice is used up."""

    __slots__ = ("_until", "_writes")

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._until, self._writes = perf_counter() + SLICE_SECONDS, 0

    async def pause(self) -> None:
        self._writes += 1
        if self._writes >= SLICE_WRITES or perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._begin()


class Broadcast(ABC, Generic[L]):
    """Runs while there are listeners that are open. `patience`: seconds that a client may take nothing."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.listeners: set[L] = set()
        self._behind: set[L] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self.listeners)

    def join(self, listener: L) -> None:
        """What there is to tell is kept for it until it is open."""
        self.listeners.add(listener)

    def leave(self, listener: L) -> None:
        """Nothing is written to it from now on."""
        self.listeners.discard(listener)
        self._behind.discard(listener)
        if not self.listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    def open(self, listener: L, line: Line) -> None:
        """It can be written to, and is told what was kept for it."""
        listener.line = line
        self._is_behind(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="broadcast")
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    @abstractmethod
    async def _turn(self) -> None:
        """Tell what there is to tell."""

    @abstractmethod
    async def _catch_up(self, listener: L, line: Line) -> bool:
        """Write what was kept for it, as much as it takes; whether that was all."""

    @abstractmethod
    def _next(self) -> float | None:
        """When there is something to tell at the latest, in seconds of the loop's clock."""

    def _is_behind(self, listener: L) -> None:
        if listener not in self._behind:
            listener.behind_since = asyncio.get_running_loop().time()
            self._behind.add(listener)

    def _let_go(self, listener: L) -> None:
        listener.close(WSCloseCode.TRY_AGAIN_LATER, STAYS_BEHIND)
        self.leave(listener)

    async def _run(self) -> None:
        try:
            while True:
                await self._until_something()
                await self._turn()
                await self._look_after(list(self._behind))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would say so
            # Raising would leave sockets open that are told nothing any more.
            _log.error("broadcast_broken", exc_info=error)
            self._task = None
            for listener in list(self.listeners):
                listener.close(WSCloseCode.INTERNAL_ERROR, FAULT)
                self.leave(listener)

    async def _until_something(self) -> None:
        loop, due = asyncio.get_running_loop(), self._next()
        if self._behind:
            look = loop.time() + LOOK_SECONDS
            due = look if due is None else min(due, look)
        alarm = None if due is None else loop.call_at(due, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if alarm is not None:
            alarm.cancel()

    async def _look_after(self, behind: Iterable[L]) -> None:
        loop, slice_ = asyncio.get_running_loop(), Slice()
        for listener in behind:
            if listener not in self._behind or listener.line is None:
                continue
            if listener.line.gone:
                self.leave(listener)
            elif listener.line.free:
                listener.behind_since = loop.time()
                if await self._catch_up(listener, listener.line):
                    self._behind.discard(listener)
            elif loop.time() - (listener.behind_since or 0.0) >= self.patience:
                self._let_go(listener)
            await slice_.pause()
