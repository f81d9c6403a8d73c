"""How long the event loop is held: a task that sleeps, and sees how much too late it is woken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ecpmon.tasks import end
from ecpmon.telemetry import Telemetry

EVERY: Final = 0.05
# The gauge remembers the worst of this many seconds.
REMEMBERED: Final = 60.0


class Worst:
    """The largest of the values noted in the last `seconds`; later and larger ones make earlier ones forgotten."""

    def __init__(self, seconds: float = REMEMBERED) -> None:
        self._seconds = seconds
        self._noted: deque[tuple[float, float]] = deque()

    def note(self, value: float, now: float) -> None:
        while self._noted and self._noted[-1][1] <= value:
            self._noted.pop()
        self._noted.append((now, value))
        while self._noted[0][0] < now - self._seconds:
            self._noted.popleft()

    def get(self, now: float) -> float:
        """May be called from any thread."""
        return max((value for at, value in list(self._noted) if at >= now - self._seconds), default=0.0)


class LoopCanary:
    """Measures between `start` and `stop`, both on the loop that is measured."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._worst = Worst()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        now: Callable[[], float] = asyncio.get_running_loop().time
        self._telemetry.loop_longest_lag.set_function(lambda: self._worst.get(now()))
        self._task = asyncio.create_task(self._run(now), name="loop-canary")

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self, now: Callable[[], float]) -> None:
        while True:
            due = now() + EVERY
            await asyncio.sleep(EVERY)
            lag = max(now() - due, 0.0)
            self._telemetry.loop_lag.observe(lag)
            self._worst.note(lag, now())
