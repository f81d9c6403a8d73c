"""Of each asker one question at a time is with the database, so that many of one are not in the way of all others.

Who has waited `PATIENCE` seconds for questions of his own asks beside them: a long one must not hold up short ones, nor
somebody wait for himself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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

    @asynccontextmanager
    async def turn(self, whose: str) -> AsyncIterator[None]:
        """Around one question."""
        lane = self._lanes.setdefault(whose, _Lane())
        lane.users += 1
        mine = False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience if lane.lock.locked() else None):
                    mine = await lane.lock.acquire()
            yield
        finally:
            if mine:
                lane.lock.release()
            lane.users -= 1
            if not lane.users:
                del self._lanes[whose]
