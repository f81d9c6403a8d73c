"""From a commit to an evaluation: rules of a tenant are evaluated when its data arrives, not at the next tick."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from ecpmon.alerts.engine import AlertEngine
from ecpmon.app.rounds import Rounds
from ecpmon.errors import EcpError
from ecpmon.jobs import Leadership
from ecpmon.ports.leading import as_leader
from ecpmon.ports.service import Clock

_log = structlog.get_logger(__name__)
# Seconds between two rounds about samples: each asks the database who has changed, and commits come a hundred a second.
REST: Final = 0.02


class AlertTrigger:
    """Collects what has changed and has it evaluated, one round at a time of each kind; rounds coalesce under load.

    Rules about samples do not wait for those about timelines: when many tenants' timelines change at once, as after a
    silence of all, a round of these takes seconds.

    What is forgotten here (a crash, a database that is away) the next tick of the alert job evaluates. A leader
    evaluates in its own name, any other process in nobody's, and the engine's store takes nothing that is old.
    """

    def __init__(self, engine: AlertEngine, clock: Clock, lease: Leadership) -> None:
        self._engine = engine
        self._clock = clock
        self._lease = lease
        self._touched: set[str] = set()
        self._changed: set[str] = set()
        self._samples = Rounds("alert-trigger samples", self._of_samples, rest=REST)
        self._timelines = Rounds("alert-trigger timelines", self._of_timelines)

    def notice(self, touched: Iterable[str], changed: Iterable[str]) -> None:
        """Called after every commit, here or of another process: tenants with new samples, and those whose
        availability changed."""
        self._touched.update(touched)
        self._changed.update(changed)
        if self._touched:
            self._samples.wake()
        if self._changed:
            self._timelines.wake()

    async def settled(self) -> None:
        """Wait until everything noticed so far has been evaluated (tests)."""
        for rounds in (self._samples, self._timelines):
            await rounds.settled()

    def start(self) -> None:
        for rounds in (self._samples, self._timelines):
            rounds.start()

    async def stop(self) -> None:
        for rounds in (self._samples, self._timelines):
            await rounds.stop()

    async def _of_samples(self) -> None:
        """All rules but those that only read the timeline."""
        names, self._touched = self._touched, set()
        await self._evaluate(names, sla=False)

    async def _of_timelines(self) -> None:
        """All rules."""
        names, self._changed = self._changed, set()
        await self._evaluate(names, sla=True)

    async def _evaluate(self, names: set[str], *, sla: bool) -> None:
        try:
            with as_leader(self._lease.claim if self._lease.held else None):
                await self._engine.evaluate_tenants(sorted(names), self._clock.now(), sla=sla)
        except EcpError as error:  # not again at once: the next tick has it
            _log.warning("evaluation_postponed", error=error.message)
