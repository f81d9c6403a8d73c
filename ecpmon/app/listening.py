"""Hands on what the bus says to everybody in this process whom it concerns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from ecpmon.model.bus import BusRow
from ecpmon.storage.bus import REST_SECONDS, BusReader, BusState
from ecpmon.storage.database import Database

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Called on the event loop, in order; none of it may block."""

    def rows(self, rows: Sequence[BusRow]) -> None:
        """Other processes have committed, or somebody has by hand."""
        ...

    def restart(self) -> None:
        """Rows were missed: whatever is known may be wrong."""
        ...

    def doubt(self) -> None:
        """Nothing has been heard for a second: what is known may be old."""
        ...


class Listening:
    """The reader of one database and who listens. One listener's fault is kept from the others."""

    def __init__(self, database: Database, origin: str, rest: float = REST_SECONDS) -> None:
        self._listeners: list[Listener] = []
        # Counts, for the metrics.
        self.on_restart: Callable[[], None] = lambda: None
        self.reader = BusReader(
            database,
            origin,
            on_rows=lambda rows: self._each(lambda listener: listener.rows(rows)),
            on_restart=self._restarted,
            on_doubt=lambda: self._each(lambda listener: listener.doubt()),
            rest=rest,
        )

    @property
    def hears(self) -> bool:
        return self.reader.state is BusState.LISTENING

    def _restarted(self) -> None:
        self.on_restart()
        self._each(lambda listener: listener.restart())

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def _each(self, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception:  # noqa: BLE001 - a bug in one of them; it is logged
                _log.exception("listener_failed", listener=type(listener).__name__)
