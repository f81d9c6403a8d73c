"""From a commit to an evaluation: rules of a tenant are evaluated when its data arrives, not at the next tick."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import structlog

from ecpmon.alerts.engine import AlertEngine
from ecpmon.errors import EcpError
from ecpmon.jobs import Leadership
from ecpmon.ports.leading import as_leader
from ecpmon.ports.service import Clock

_log = structlog.get_logger(__name__)


class AlertTrigger:
    """Collects what has changed and has it evaluated, one round at a time of each kind; rounds coalesce under load.

    Rules about samples do not wait for those about timelines: when many tenants' timelines change at once, as after a
    silence of all, a round of these takes seconds.

    What is forgotten here (a crash, a database that is away) the next tick of the alert job evaluates. A leader
    evaluates in its own name, any other process in nobody's, and the engine's store takes nothing that is old.
    """

    def __init__(self, engine: AlertEngine, clock: Clock, lease: Leadership) -> None:
        self._samples = _Rounds("samples", engine, clock, lease)
        self._timelines = _Rounds("timelines", engine, clock, lease)

    def notice(self, touched: Iterable[str], changed: Iterable[str]) -> None:
        """Called after every commit, here or of another process: tenants with new samples, and those whose
        availability changed."""
        self._samples.notice(touched)
        self._timelines.notice(changed)

    async def settled(self) -> None:
        """Wait until everything noticed so far has been evaluated (tests)."""
        for rounds in (self._samples, self._timelines):
            await rounds.idle.wait()

    def start(self) -> None:
        for rounds in (self._samples, self._timelines):
            rounds.start()

    async def stop(self) -> None:
        for rounds in (self._samples, self._timelines):
            await rounds.stop()


class _Rounds:
    """Rounds of one kind: `samples` leaves out the rules that only read the timeline, `timelines` evaluates all."""

    def __init__(self, kind: str, engine: AlertEngine, clock: Clock, lease: Leadership) -> None:
        self._kind = kind
        self._engine = engine
        self._clock = clock
        self._lease = lease
        self._names: set[str] = set()
        self._wake = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self._task: asyncio.Task[None] | None = None

    def notice(self, names: Iterable[str]) -> None:
        self._names.update(names)
        if self._names:
            self.idle.clear()
            self._wake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"alert-trigger {self._kind}")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            names, self._names = sorted(self._names), set()
            try:
                with as_leader(self._lease.claim if self._lease.held else None):
                    await self._engine.evaluate_tenants(
                        names, self._clock.now(), sla=self._kind == "timelines"
                    )
            except EcpError as error:
                _log.warning("evaluation_postponed", error=error.message)
            except Exception:  # noqa: BLE001 - a bug here must not end event-driven alerting; it is logged
                _log.exception("evaluation_failed")
            if not self._wake.is_set():
                self.idle.set()
