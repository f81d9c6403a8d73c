"""Keeps the leadership while the service runs, has a term begun, and lets the metrics of a leader go with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ecpmon.model.leadership import RENEWAL, Claim
from ecpmon.storage.lease import Lease
from ecpmon.tasks import end
from ecpmon.telemetry import Telemetry

_log = structlog.get_logger(__name__)


class Leading:
    """Asks every `RENEWAL` seconds, apart from all jobs. `telemetry` None: a demo database, which has no gauges."""

    def __init__(self, lease: Lease, telemetry: Telemetry | None) -> None:
        self._lease = lease
        self._telemetry = telemetry
        self._task: asyncio.Task[None] | None = None
        self._on_term: Callable[[], None] = lambda: None
        self._claim: Claim | None = None
        self._ending = False

    def start(self, on_term: Callable[[], None] = lambda: None) -> None:
        """`on_term` is called whenever this process has taken over, on the event loop, and must not block."""
        self._on_term = on_term
        if self._telemetry is not None:
            self._telemetry.leader.set_function(lambda: float(self._lease.held))
            self._telemetry.stop_leading()
        self._task = asyncio.create_task(self._run(), name="leading")

    def wind_down(self) -> None:
        """Take over no more; what is held is kept until `stop`."""
        self._ending = True

    async def stop(self) -> None:
        """Give the leadership back."""
        await end(self._task)
        await self._lease.release()
        self._note()

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        while not self._ending or self._lease.presumed:
            began = now()
            try:
                await self._lease.keep()
                self._note()
            except Exception:  # noqa: BLE001 - a bug here must not end the leadership of all; it is logged
                _log.exception("leading_failed")
            await asyncio.sleep(max(RENEWAL - (now() - began), RENEWAL / 10))

    def _note(self) -> None:
        before, self._claim = self._claim, self._lease.claim
        if self._claim == before:
            return
        if before is not None and self._telemetry is not None:
            self._telemetry.stop_leading()
        if self._claim is None:
            return
        if self._telemetry is not None:
            self._telemetry.lead(self._claim.term)
        if not self._ending:
            self._on_term()
