"""What a child's end is called, and when the next one begins."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Final

from ecpmon.watchdog import EXIT_STALLED, STALL_SIGNAL

NO_SPACE: Final = "no space left on device"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """A death within `quick_seconds` of the start is a quick one; `max_quick_deaths` in a row end it."""

    quick_seconds: float = 10.0
    max_quick_deaths: int = 5
    first_backoff: float = 0.3
    max_backoff: float = 5.0

    def backoff(self, quick_deaths: int) -> float:
        """Seconds to wait before the next start."""
        return float(min(self.max_backoff, self.first_backoff * 2 ** max(0, quick_deaths - 1)))


def explain_exit(name: str, code: int, tail: str) -> str:
    """One sentence about a child's end: the full disk, the signal or the exit code."""
    if NO_SPACE in tail.lower():
        return f"{name} stopped because the disk is full"
    if code in (EXIT_STALLED, -STALL_SIGNAL):
        return f"{name} was ended by its watchdog: its event loop stood still, and its log says where"
    if code < 0:
        return f"{name} was killed ({signal.Signals(-code).name})"
    return f"{name} ended with exit code {code}"
