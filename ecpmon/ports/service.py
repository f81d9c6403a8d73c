"""Clocks and health."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Protocol


class Clock(Protocol):
    """The only way to learn the time."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


def steady() -> float:
    """Seconds on a clock that never steps back and goes on while the machine sleeps, where there is one.

    For what one may rely on for a while: on the other clocks a sleep takes no time.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Health(Protocol):
    async def ready(self) -> dict[str, Any]:
        """Component -> state for `/ready`; `ok` is False while any of them is not."""
        ...

    async def leadership(self) -> str:
        """Who leads, for `/health`: within a moment, and `unknown` when that cannot be told by then."""
        ...
