"""What the hub holds of each socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ecpmon.api.frames import Line


class Outbox:
    """A socket that can be asked to end."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.close_code = 1000
        self.close_reason = ""
        self.on_close: Callable[[], object] = lambda: None

    def close(self, code: int, reason: str) -> None:
        """Ask the socket's own task to close it; the first code stands."""
        if not self.closed.is_set():
            self.close_code, self.close_reason = code, reason
            self.closed.set()
            self.on_close()


class Listener(Outbox):
    """One that is told what all of a tenant's are told. `line` None: it is not open yet, and what comes is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.line: Line | None = None
        # Since when the client has not taken what is kept for it; seconds of the loop's clock.
        self.behind_since: float | None = None
