"""The engine against the truth on real time, while every part of the stack is killed in turn.

One tenant per source of evidence. Each part is killed as an outage begins, in its middle or as it ends, and while
all are well. The simulator knows the truth of the polled tenants, the pusher that of its own.

Outages and the time between them are longer than the staleness limit, except for short flaps while nothing is
killed: what happens wholly between two observations is seen by nobody.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from ecpmon.model.maintenance import Interval
from tests.acceptance.live import PARTS, LiveStack, Pusher
from tests.acceptance.live import until as wait_until
from tests.acceptance.rows import Row

INTERVAL = 5
POLLED, SCRAPED, PUSHED = "polled-simulator", "polled-prometheus", "pushed"
SETTINGS = {"ECPMON_SIMULATOR_INTERVAL": str(INTERVAL), "ECPMON_PROMETHEUS_INTERVAL": str(INTERVAL)}
TENANTS: dict[str, dict[str, Any]] = {
    POLLED: {},
    SCRAPED: {"sli_source": "prometheus"},
    PUSHED: {"sli_source": "push", "push_interval": INTERVAL, "push_mode": "changes"},
}
OUTAGE = (15.0, 35.0)
# When a part is killed, in seconds after the outages may begin, and how often.
MOMENTS = {
    "as it begins": ((0.0, 6.0), 1),
    "again and again": ((0.0, 12.0), 4),
    "in its middle": ((8.0, 14.0), 1),
    "as it ends": ((15.0, 38.0), 1),
}


class LiveScenario:
    """`minutes` of real time, shared by the parts. `tell` gets a line per kill."""

    def __init__(self, live: LiveStack, minutes: float, seed: int, tell: Callable[[str], None]) -> None:
        self.live = live
        self.seconds = minutes * 60
        self.random = random.Random(seed)
        self.tell = tell
        self.periods: list[tuple[str, Interval]] = []
        self.pusher = Pusher(live.api, PUSHED, every=0.5)

    async def run(self) -> list[Row]:
        """Rows per tenant: a period around each kill, then the service's own windows at the end."""
        await self._prepare()
        moments = itertools.cycle(MOMENTS)
        for part in PARTS:
            await self._turn(part, moments)
        end = datetime.now(UTC)
        await self.live.caught_up(end, TENANTS)
        await self.pusher.stop()
        return [row for name in TENANTS for row in await self._compare(name, end)]

    async def _prepare(self) -> None:
        for name, more in TENANTS.items():
            body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}, **more}
            await self.live.post("/api/v1/tenants/", body, 201)
            if name != PUSHED:
                await self.live.post(f"/api/v1/simulator/deploy/{name}", {}, 200)
        self.pusher.start()
        await wait_until(self.live.all_up, 90, "every tenant is up")
        await asyncio.sleep(3 * INTERVAL)

    async def _turn(self, part: str, moments: itertools.cycle[str]) -> None:
        until = asyncio.get_running_loop().time() + self.seconds / len(PARTS)
        async with self._period(part, "well"):
            await self._kill(part, "while all are well")
        async with self._period(part, "no kill"):
            await self._flap()
        while True:
            moment = next(moments)
            async with self._period(part, moment):
                await self._round(part, moment)
            if asyncio.get_running_loop().time() > until:
                return

    @asynccontextmanager
    async def _period(self, part: str, what: str) -> AsyncIterator[None]:
        start = datetime.now(UTC)
        yield
        await self._well()
        self.periods.append((f"{part}, {what}", Interval(start, datetime.now(UTC))))

    async def _round(self, part: str, moment: str) -> None:
        async def later() -> None:
            (least, most), times = MOMENTS[moment]
            await self._pause(least, most)
            for count in range(times):
                if count:
                    await self._pause(2, 4)  # hardly alive again
                await self._kill(part, f"during an outage, {moment}")

        await asyncio.gather(self._outage(POLLED), self._outage(SCRAPED), self._pushed_outage(), later())

    async def _kill(self, part: str, when: str) -> None:
        self.tell(f"{datetime.now(UTC):%H:%M:%S} kill -9 {part} {when}")
        await self.live.kill(part)

    async def _well(self) -> None:
        """All is up again, for longer than an observation holds."""
        await wait_until(self.live.ready, 60, "the service is ready")
        await wait_until(self.live.all_up, 90, "every tenant is up again")
        await asyncio.sleep(3 * INTERVAL)

    async def _pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self.random.uniform(least, most))

    async def _outage(self, name: str, lasting: tuple[float, float] = OUTAGE) -> None:
        await self._pause(0, INTERVAL)
        seconds = round(self.random.uniform(*lasting), 3)
        await self.live.break_tenant(name, seconds)
        await asyncio.sleep(seconds)

    async def _pushed_outage(self) -> None:
        await self._pause(0, INTERVAL)
        for _ in range(3):
            self.pusher.turn(down=True)
            await self._pause(0.1, 8)
            self.pusher.turn(down=False)
            await self._pause(0.1, 3)

    async def _flap(self) -> None:
        short = (1.5 * INTERVAL, 2 * INTERVAL)
        for _ in range(2):
            await asyncio.gather(
                self._outage(POLLED, short), self._outage(SCRAPED, short), self._pushed_outage()
            )
            await asyncio.sleep(2 * INTERVAL)

    async def _compare(self, name: str, end: datetime) -> list[Row]:
        known = self.pusher.truth(end) if name == PUSHED else await self.live.truth(name, end)
        periods = await self.live.compare_periods(name, self.periods, known)
        return periods + await self.live.compare(name, end, known)
