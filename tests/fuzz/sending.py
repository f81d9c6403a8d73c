"""How much is sent at length, and that it is told: the end of `make test-long` names what was cut short."""

from __future__ import annotations

import time
from typing import Final

# The property of a report that says how much was sent.
SENT: Final = "sent"
# Seconds after which one route is sent no more, so that the whole has an end on any machine.
LONGEST: Final = 20.0


class Sender:
    """Counts what is sent. `longest`: seconds after which there is no more to send; None: it has no end."""

    def __init__(self, longest: float | None = None) -> None:
        self._until = None if longest is None else time.monotonic() + longest
        self.sent = 0

    def goes_on(self) -> bool:
        """Whether one more is to be sent, which counts."""
        if self._until is not None and time.monotonic() > self._until:
            return False
        self.sent += 1
        return True

    def told(self, most: int) -> str:
        """For `record_property(SENT, …)`."""
        return f"{self.sent} of {most}"
