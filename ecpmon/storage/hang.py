"""Notices a database that hangs: connected, but silent. A dead one says so by itself, a slow one answers a probe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from ecpmon.errors import DatabaseUnavailable
from ecpmon.tasks import end

_log = structlog.get_logger(__name__)

# Together less than the second within which a caller is to know (data-and-sla.md §2).
STALL_SECONDS = 0.25
PROBE_SECONDS = 0.7
SLICES = 7


class HangWatch:
    """`with watch.busy():` around every use of a connection.

    One that lasts longer than STALL_SECONDS has the server probed, again and again while it lasts. `probe` is one
    round trip on a connection of its own; any answer, a refusal too, shows that the server is only slow. Silence
    for PROBE_SECONDS is a hang: `hung` is called, which ends the probe as well, and `busy` raises
    DatabaseUnavailable until a probe is answered.
    """

    def __init__(self, probe: Callable[[], Coroutine[Any, Any, None]], hung: Callable[[], None]) -> None:
        self._probe = probe
        self._hung = hung
        self._silent = False
        self._stalled = 0
        self._task: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises DatabaseUnavailable while the server is silent."""
        if self._silent:
            raise DatabaseUnavailable("the database hangs; try again shortly")

    def busy(self) -> Busy:
        """Raises as `check` does when it is entered."""
        return Busy(self)

    def stalled(self) -> None:
        """One more use lasts long; `went_on` belongs to it."""
        self._stalled += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="database-hang-watch")

    def went_on(self) -> None:
        self._stalled -= 1

    async def close(self) -> None:
        await end(self._task)

    async def _watch(self) -> None:
        while self._stalled or self._silent:
            asked = asyncio.create_task(self._probe(), name="database-probe")
            try:
                self._note(silent=not await _ends(asked))
                if self._silent:
                    self._hung()
                    # Ended by that, or still connecting, and then the first to hear from the server.
                    await asyncio.wait({asked})
            finally:
                await _ended(asked)
            if not self._silent:
                await asyncio.sleep(STALL_SECONDS)

    def _note(self, *, silent: bool) -> None:
        if silent and not self._silent:
            _log.error("database_hangs", silent_seconds=PROBE_SECONDS)
        elif self._silent and not silent:
            _log.info("database_answers_again")
        self._silent = silent


class Busy:
    """One use of a connection. A class, as this is around every statement."""

    __slots__ = ("_stalled", "_timer", "_watch")

    def __init__(self, watch: HangWatch) -> None:
        self._watch = watch
        self._stalled = False

    def __enter__(self) -> None:
        self._watch.check()
        self._timer = asyncio.get_running_loop().call_later(STALL_SECONDS, self._stall)

    def _stall(self) -> None:
        self._stalled = True
        self._watch.stalled()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._stalled:
            self._watch.went_on()


async def _ends(asked: asyncio.Task[None]) -> bool:
    """Whether the probe ends within PROBE_SECONDS, in whatever way.

    In slices: time in which our own loop stood still is not the server's silence, and uses up one slice at most.
    """
    for _ in range(SLICES):
        await asyncio.wait({asked}, timeout=PROBE_SECONDS / SLICES)
        if asked.done():
            return True
    return False


async def _ended(asked: asyncio.Task[None]) -> None:
    asked.cancel()
    await asyncio.wait({asked})
    if not asked.cancelled():
        asked.exception()  # an answer like any other
