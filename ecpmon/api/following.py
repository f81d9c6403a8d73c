"""Following a deployment: its row is read once for everybody who follows it, and each new step told to all of them.

Invariants: while somebody follows, one task reads the row, from every 0.25 s after a step to every 2 s. Whoever comes
is told what the others were told last, and then every step. After the last step each is closed normally, once it has
that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from aiohttp import WSCloseCode
from pydantic import Field

from ecpmon.api.alert_broadcast import AlertBroadcast, AlertListener
from ecpmon.api.deployment_phases import Phase, Standing, phase_of, standing_of
from ecpmon.api.frames import Line
from ecpmon.errors import EcpError
from ecpmon.model.deployments import DeploymentRecord
from ecpmon.openapi.declaring import TypedDict

FOLLOW_SECONDS: Final = 0.25
SLOWEST_SECONDS: Final = 2.0
Ask = Callable[[], Awaitable[DeploymentRecord]]
# Its id, and its tenant's number.
DeploymentKey = tuple[str, int]


def key_of(record: DeploymentRecord) -> DeploymentKey:
    return record.deployment_id, record.tenant


class DeploymentStep(TypedDict):
    """Sent at once, and with each step until the deployment is over."""

    deployment_id: str
    status: Standing
    progress: Annotated[int, Field(description="Percent.", ge=0, le=100)]
    phase: Phase
    message: str


def step_of(record: DeploymentRecord) -> DeploymentStep:
    return {
        "deployment_id": record.deployment_id,
        "status": standing_of(record),
        "progress": record.progress,
        "phase": phase_of(record),
        "message": record.message,
    }


class StepBroadcast(AlertBroadcast):
    """Of one deployment. `ask` reads its row again; `record` is how it is known now."""

    def __init__(self, record: DeploymentRecord, ask: Ask, patience: float, bound: int) -> None:
        super().__init__(patience, bound)
        self.key = key_of(record)
        self._ask = ask
        self._told = step_of(record)
        self._over = record.status.value if record.status.is_final else None
        self._asking: asyncio.Task[None] | None = None

    def join(self, listener: AlertListener) -> None:
        super().join(listener)
        listener.begin_with([self._told])

    def open(self, listener: AlertListener, line: Line) -> None:
        super().open(listener, line)
        if self._asking is None and self._over is None:
            self._asking = asyncio.create_task(self._read(), name="deployment")

    def leave(self, listener: AlertListener) -> None:
        super().leave(listener)
        if not self.listeners and self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _read(self) -> None:
        """Until the deployment is over, or cannot be read."""
        wait = FOLLOW_SECONDS
        while self._over is None:
            await asyncio.sleep(wait)
            wait = min(SLOWEST_SECONDS, wait * 1.25)
            try:
                record = await self._ask()
            except EcpError:
                self._end(WSCloseCode.TRY_AGAIN_LATER, "not known right now; ask again")
                return
            if (step := step_of(record)) != self._told:
                self._told, wait = step, FOLLOW_SECONDS
                self.tell(step)
            if record.status.is_final:
                self._over = record.status.value
                self.wake()

    def _end(self, code: int, reason: str) -> None:
        self._asking = None  # nobody who leaves now is to end the task that is calling
        for listener in list(self.listeners):
            listener.close(code, reason)

    async def _turn(self) -> None:
        await super()._turn()
        for listener in list(self.listeners):
            self._part_with(listener)

    async def _catch_up(self, listener: AlertListener, line: Line) -> bool:
        done = await super()._catch_up(listener, line)
        self._part_with(listener)
        return done

    def _part_with(self, listener: AlertListener) -> None:
        if self._over is not None and not listener.unsent and not self._waiting:
            listener.close(WSCloseCode.OK, self._over)
