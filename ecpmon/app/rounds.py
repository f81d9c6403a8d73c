"""Work that is begun when somebody says that there is some: rounds that do not overlap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import structlog

from ecpmon.errors import EcpError
from ecpmon.tasks import end

_log = structlog.get_logger(__name__)
RETRY_SECONDS: Final = 1.0


class Rounds:
    """Has `turn` run after `wake` was called, from `start` to `stop`; what is said during a round begins the next.

    A round that raises EcpError is had again after `RETRY_SECONDS`: what it did not finish it must have kept. `rest`:
    seconds between two rounds, or as long as the one before took: they take half of the time at most.
    """

    def __init__(self, name: str, turn: Callable[[], Awaitable[None]], *, rest: float = 0.0) -> None:
        self._name = name
        self._turn = turn
        self._rest = rest
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._idle.clear()
        self._due.set()

    async def settled(self) -> None:
        """Wait until no round is due or under way (tests)."""
        await self._idle.wait()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            pause = await self._round()
            if not self._due.is_set():
                self._idle.set()
            await asyncio.sleep(pause)

    async def _round(self) -> float:
        """The seconds until the next may begin."""
        began = monotonic()
        try:
            await self._turn()
        except EcpError as error:
            _log.warning("round_again", round=self._name, error=error.message)
            self._due.set()
            return RETRY_SECONDS
        except Exception:  # noqa: BLE001 - a bug here must not make the rest deaf; it is logged
            _log.exception("round_failed", round=self._name)
        return max(self._rest, monotonic() - began) if self._rest else 0.0
