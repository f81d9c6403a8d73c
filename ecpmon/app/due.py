"""What was stored ahead of its time is looked at when that has come: to the second, and not at the next tick."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from ecpmon.app.rounds import Rounds
from ecpmon.model.samples import FUTURE
from ecpmon.ports.service import Clock

# Nobody's samples are taken in that are further ahead.
_MOST: Final = math.ceil(FUTURE.total_seconds()) + 1


class Due:
    """`turn` is had once for each second that was noted, from `start` to `stop`. What is lost here a tick finds."""

    def __init__(self, clock: Clock, turn: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._seconds: list[int] = []
        self._known: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.rounds = Rounds("due", turn)

    def note(self, seconds: Iterable[int]) -> None:
        """Seconds since 1970."""
        now = self._clock.now().timestamp()
        fresh = {s for s in seconds if now < s <= now + _MOST} - self._known
        for second in fresh:
            heapq.heappush(self._seconds, second)
        self._known |= fresh
        if fresh and self._seconds[0] in fresh:
            self._wait()

    def start(self) -> None:
        self.rounds.start()

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.rounds.stop()

    def _wait(self) -> None:
        """For the first of them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._seconds:
            rest = self._seconds[0] - self._clock.now().timestamp()
            self._timer = asyncio.get_running_loop().call_later(max(rest, 0.0), self._come)

    def _come(self) -> None:
        now = self._clock.now().timestamp()
        come = False
        while self._seconds and self._seconds[0] <= now:
            self._known.discard(heapq.heappop(self._seconds))
            come = True
        if come:
            self.rounds.wake()
        self._wait()
