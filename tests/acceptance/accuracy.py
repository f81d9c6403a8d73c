"""How far the SLA engine is from the truth, in seconds. Used by an acceptance test and by bench/accuracy.py.

The simulator knows when each tenant was down. A scenario breaks tenants at instants that do not fall on the
collection grid, blinds the service, kills the simulator, steps the clock, sends late, doubled and shuffled
data, enters maintenance afterwards, and crosses a DST change; then every window is compared with the truth.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from ecpmon.model.maintenance import Interval
from tests.acceptance.rows import WINDOWS, Row, row_of
from tests.acceptance.world import INTERVAL, World

POLLED = ("polled-1", "polled-2")
PUSHED = "pushed-1"


class Scenario:
    """Drives a world through everything that can go wrong. `minutes` of simulated time."""

    def __init__(self, world: World, minutes: int, seed: int) -> None:
        self.world = world
        self.minutes = minutes
        self.random = random.Random(seed)
        self.pushed: list[tuple[datetime, bool]] = []
        self.maintenance: list[tuple[str, Interval]] = []
        self.offset = 0.0

    async def run(self) -> list[Row]:
        await self._prepare()
        events = [
            self._outage, self._flap, self._blind, self._simulator_dies, self._clock_steps, self._maintenance,
            self._doubled, self._outage, self._database_outage,
        ]  # fmt: skip
        share = self.minutes * 60 / len(events)
        for event in events:
            began = self.world.clock.now()
            await event()
            used = (self.world.clock.now() - began).total_seconds()
            if used < share:
                await self._pass(share - used)
        await self._push_history()
        return [row for name in (*POLLED, PUSHED) for row in await self._compare(name)]

    async def _prepare(self) -> None:
        zone = {"time_zone": "Europe/Berlin"}
        for name in POLLED:
            await self.world.add_tenant(name, **zone)
        await self.world.add_tenant(PUSHED, deploy=False, push_interval=60, **zone)
        await self._pass(60)
        self.first_push = self.world.clock.now()
        self.pushed.append((self.first_push, False))

    async def _pass(self, seconds: float) -> None:
        """Time passes in intervals, with a pull at the end of each."""
        if self.offset:
            await self.world.advance_clocks(round(INTERVAL - self.offset, 3))
            self.offset = 0.0
            await self.world.pull()
        await self.world.advance(round(seconds / INTERVAL) * INTERVAL, tick=False, pull=True)

    async def _off_grid(self) -> None:
        """Go on to somewhere between two pulls; the grid of the pulls stays."""
        step = round(self.random.uniform(0.1, INTERVAL - self.offset - 0.1), 3)
        self.offset += step
        await self.world.advance_clocks(step)

    async def _break(self, name: str, seconds: float) -> None:
        body = {"failure_type": "full_outage", "duration_seconds": seconds}
        await self.world.sim("POST", f"/api/v1/failures/{name}", body)

    async def _outage(self) -> None:
        for name in POLLED:
            await self._off_grid()
            await self._break(name, round(self.random.uniform(60, 200), 3))
        start = self.world.clock.now() + timedelta(seconds=self.random.uniform(0, 5))
        self.pushed += [(start, True), (start + timedelta(seconds=self.random.uniform(5, 50)), False)]
        await self._pass(240)

    async def _flap(self) -> None:
        for _ in range(3):
            await self._off_grid()
            await self._break(POLLED[0], round(self.random.uniform(12, 25), 3))
            await self._pass(60)

    async def _blind(self) -> None:
        """The service is down while a tenant breaks and recovers: a gap, not a guess."""
        await self._off_grid()
        await self.world.stop_service()
        await self._break(POLLED[1], 30.5)
        await self.world.advance_clocks(90)
        await self.world.start_service()
        await self._pass(30)

    async def _simulator_dies(self) -> None:
        await self.world.kill_simulator()
        for _ in range(8):
            self.world.clock.advance(INTERVAL)
            await self.world.pull()
        await self.world.start_simulator()
        await self.world.sim("POST", "/api/v1/clock/advance", {"to": self.world.clock.now().isoformat()})
        await self._pass(30)

    async def _clock_steps(self) -> None:
        """Our clock goes back a minute and forward again; the source's own timestamps stay right."""
        self.world.clock.advance(-60)
        await self._pass(30)
        self.world.clock.advance(60)
        await self._pass(30)

    async def _maintenance(self) -> None:
        now = self.world.clock.now()
        window = Interval(now - timedelta(seconds=200), now - timedelta(seconds=100))
        for name in (*POLLED, PUSHED):
            body = {"start": window.start.isoformat(), "end": window.end.isoformat(), "reason": "accuracy"}
            await self.world.call("POST", f"/api/v1/tenants/{name}/maintenance", body, 201)
            self.maintenance.append((name, window))
        await self._pass(30)

    async def _doubled(self) -> None:
        """Everything raw comes once more, shuffled."""
        from ecpmon.model.ingest import Batch
        from ecpmon.model.samples import Frame, Sample, SeriesKey, Source

        rows = await self.world.runtime.database.fetch(
            "SELECT tenant_id, timestamp, metric_value FROM monitoring_data WHERE metric_name = 'up'"
            " AND data_source = 'simulator'"
        )
        frames = [
            Frame(
                r["tenant_id"],
                Source.SIMULATOR,
                r["timestamp"],
                (Sample(SeriesKey("sla", "up"), r["metric_value"]),),
            )
            for r in rows
        ]
        self.random.shuffle(frames)
        for index in range(0, len(frames), 97):
            await self.world.runtime.writer.write(Batch(tuple(frames[index : index + 97])))

    async def _database_outage(self) -> None:
        """Nothing reaches the database for half a minute: pulls wait, and no gap comes of it."""
        store, commit = self.world.runtime.ingest, self.world.runtime.ingest.commit
        from ecpmon.errors import DatabaseUnavailable

        async def away(*_: object) -> Any:
            raise DatabaseUnavailable("away")

        store.commit = away  # type: ignore[method-assign]
        try:
            await self._pass(30)
        finally:
            store.commit = commit  # type: ignore[method-assign]
        await self._pass(10)

    async def _push_history(self) -> None:
        """The pushing tenant's transitions and a beat every 20 s, late, shuffled and partly twice."""
        now = self.world.clock.now()
        beats = int((now - self.first_push).total_seconds() // 20)
        points = {at: down for at, down in self.pushed if at <= now}
        for n in range(beats + 1):
            at = self.first_push + timedelta(seconds=20 * n)
            points.setdefault(at, self._state_at(at))
        entries = [
            {"timestamp": at.isoformat(), "metrics": {"up": 0 if d else 1}} for at, d in points.items()
        ]
        entries += self.random.sample(entries, len(entries) // 3)
        self.random.shuffle(entries)
        for index in range(0, len(entries), 50):
            await self.world.call(
                "POST", f"/api/v1/tenants/{PUSHED}/monitoring", entries[index : index + 50], 202
            )

    def _state_at(self, at: datetime) -> bool:
        return [down for when, down in sorted(self.pushed) if when <= at][-1]

    async def _truth(self, name: str) -> list[Interval]:
        """When the tenant really was down."""
        now = self.world.clock.now()
        if name == PUSHED:
            return pushed_down(self.pushed, now)
        return down_intervals(await self.world.truth(name), now)

    async def _compare(self, name: str) -> list[Row]:
        tenant = await self.world.runtime.tenants.get(name)
        now = self.world.clock.now()
        start = now - timedelta(days=40)
        spans = await self.world.runtime.availability.timeline(tenant, start, now, reasons=True)
        truth, off = await self._truth(name), [i for n, i in self.maintenance if n == name]
        document = await self.world.call("GET", f"/api/v1/tenants/{name}/sla?windows={','.join(WINDOWS)}")
        return [row_of(name, window, spans, truth, off, now) for window in document["windows"]]


def down_intervals(document: dict[str, Any], now: datetime) -> list[Interval]:
    """When a tenant was down, of the simulator's truth."""
    return [
        Interval(datetime.fromisoformat(i["start"]), datetime.fromisoformat(i["end"]) if i["end"] else now)
        for i in document["intervals"]
        if i["state"] == "down"
    ]


def pushed_down(changes: Iterable[tuple[datetime, bool]], now: datetime) -> list[Interval]:
    """When a tenant was down whose state changed at these instants (True: went down)."""
    pairs = itertools.pairwise([*sorted(changes), (now, False)])
    return [Interval(at, until) for (at, down), (until, _) in pairs if down]
