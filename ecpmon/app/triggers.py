"""From a commit to an evaluation: rules of a tenant are evaluated when its data arrives, not at the next tick."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import structlog

from ecpmon.alerts.engine import AlertEngine
from ecpmon.errors import EcpError
from ecpmon.jobs import Leadership
from ecpmon.model.ingest import IngestResult
from ecpmon.ports.leading import as_leader
from ecpmon.ports.service import Clock

_log = structlog.get_logger(__name__)


class AlertTrigger:
    """Collects what has changed and has it evaluated, one round at a time; rounds coalesce under load.

    What is forgotten here (a crash, a database that is away) the next tick of the alert job evaluates. A leader
    evaluates in its own name, any other process in nobody's, and the engine's store takes nothing that is old.
    """

    def __init__(self, engine: AlertEngine, clock: Clock, lease: Leadership) -> None:
        self._lease = lease
        self._engine = engine
        self._clock = clock
        self._touched: set[str] = set()
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def notice(self, result: IngestResult) -> None:
        """Called after every commit."""
        self.notice_names((f.tenant_id for f in result.frames), (c.tenant_id for c in result.changes))

    def notice_names(self, touched: Iterable[str], changed: Iterable[str]) -> None:
        """The same, of another process's commit: tenants with new samples, and those whose availability changed."""
        self._touched.update(touched)
        self._changed.update(changed)
        if self._touched or self._changed:
            self._idle.clear()
            self._wake.set()

    async def settled(self) -> None:
        """Wait until everything noticed so far has been evaluated (tests)."""
        await self._idle.wait()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="alert-trigger")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            touched, changed = self._touched - self._changed, self._changed
            self._touched, self._changed = set(), set()
            try:
                with as_leader(self._lease.claim if self._lease.held else None):
                    await self._evaluate(touched, changed)
            except EcpError as error:
                _log.warning("evaluation_postponed", error=error.message)
            except Exception:  # noqa: BLE001 - a bug here must not end event-driven alerting; it is logged
                _log.exception("evaluation_failed")
            if not self._wake.is_set():
                self._idle.set()

    async def _evaluate(self, touched: set[str], changed: set[str]) -> None:
        now = self._clock.now()
        if changed:
            await self._engine.evaluate_tenants(sorted(changed), now, sla=True)
        if touched:
            await self._engine.evaluate_tenants(sorted(touched), now, sla=False)
