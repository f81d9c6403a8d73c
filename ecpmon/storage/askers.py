"""Of each asker one question at a time is with the database, so that many of one are not in the way of all others.

Who has waited `PATIENCE` seconds for questions of his own asks beside them: a long one must not hold up short ones, nor
somebody wait for himself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

PATIENCE: Final = 0.1


class _Lane:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class Askers:
    """By name; nothing is kept of those who ask nothing."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._patience = patience

    def __len__(self) -> int:
        """Those who ask something."""
        return len(self._lanes)

    def turn(self, whose: str) -> Turn:
        """`async with askers.turn(whose):` around one question."""
        return Turn(self._lanes, whose, self._patience)


class Turn:
    """Of one question. A class, as this is around every statement."""

    __slots__ = ("_lane", "_lanes", "_mine", "_patience", "_whose")

    def __init__(self, lanes: dict[str, _Lane], whose: str, patience: float) -> None:
        self._lanes, self._whose, self._patience = lanes, whose, patience
        self._mine = False

    async def __aenter__(self) -> None:
        lane = self._lanes.get(self._whose)
        if lane is None:
            lane = self._lanes[self._whose] = _Lane()
        self._lane = lane
        lane.users += 1
        try:
            await self._take(lane.lock)
        except BaseException:
            await self.__aexit__()
            raise

    async def _take(self, lock: asyncio.Lock) -> None:
        if not lock.locked():
            self._mine = await lock.acquire()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                self._mine = await lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        lane = self._lane
        if self._mine:
            lane.lock.release()
        lane.users -= 1
        if not lane.users:
            del self._lanes[self._whose]
