"""Who is still there: every connection is asked every 30 s, from one timer for all of them.

Invariants: a connection stands in one of `TICKS` groups while it is open. A turn asks one group and looks at another,
so that none of ten thousand is more than a moment's work. Whoever has said nothing for 15 s after it was asked is cut
off.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from aiohttp import web

EVERY_SECONDS: Final = 30.0
TICKS: Final = 60
# Of those ticks, so many pass between the question and the look at the answer.
PATIENCE_TICKS: Final = 30


class Asked(Protocol):
    def ask(self) -> None:
        """Ask it for a sign of life."""
        ...

    def look(self) -> None:
        """Cut it off if it has given none since."""
        ...


class Heartbeats:
    """Turns while there is anybody to ask."""

    def __init__(self) -> None:
        self._groups: list[set[Asked]] = [set() for _ in range(TICKS)]
        self._count = 0
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, one: Asked) -> int:
        """The number to give to `drop`."""
        # Whoever comes now is asked a whole round later.
        group = self._turn % TICKS
        self._groups[group].add(one)
        self._count += 1
        if self._timer is None:
            self._wait()
        return group

    def drop(self, one: Asked, group: int) -> None:
        self._groups[group].remove(one)
        self._count -= 1
        if not self._count and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS / TICKS, self._tick)

    def _tick(self) -> None:
        self._turn += 1
        self._wait()
        for one in list(self._groups[self._turn % TICKS]):
            one.ask()
        for one in list(self._groups[(self._turn - PATIENCE_TICKS) % TICKS]):
            one.look()


HEARTBEATS: Final = web.AppKey("heartbeats", Heartbeats)
