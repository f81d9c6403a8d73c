"""What the hub holds of each socket."""

from __future__ import annotations

from collections.abc import Callable

from ecpmon.api.frames import Line


class Outbox:
    """A socket that can be asked to end. `on_close` is called when it is; None: there is no connection to end yet."""

    __slots__ = ("close_code", "close_reason", "closed", "on_close")

    def __init__(self) -> None:
        self.closed = False
        self.close_code = 1000
        self.close_reason = ""
        self.on_close: Callable[[], None] | None = None

    def close(self, code: int, reason: str) -> None:
        """Ask its connection to say goodbye; the first code stands."""
        if not self.closed:
            self.closed = True
            self.close_code, self.close_reason = code, reason
            if self.on_close is not None:
                self.on_close()


class Listener(Outbox):
    """One that is told what all of a tenant's are told. `line` None: it is not open yet, and what comes is kept."""

    __slots__ = ("behind_since", "line")

    def __init__(self) -> None:
        super().__init__()
        self.line: Line | None = None
        # Since when the client has not taken what is kept for it; seconds of the loop's clock.
        self.behind_since: float | None = None
