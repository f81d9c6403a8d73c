"""How far the SLA engine is from the truth, in seconds. Used by an acceptance test and by bench/accuracy.py.

The simulator knows when each tenant was down. A scenario breaks tenants at instants that do not fall on the
collection grid, blinds the service, kills the simulator, steps the clock, sends late, doubled and shuffled
data, enters maintenance afterwards, and crosses a DST change; then every window is compared with the truth. Beside the
polled tenants and one that pushes its changes there are one that is looked at by its own agent and one by two, one that
Prometheus scrapes, with two series of one counter for a while, one whose sender is ahead of its time, and one whose
services have weights, of which one is silent for a while.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import STALENESS_FACTOR
from tests.acceptance.rows import WINDOWS, CountRow, Row, Share, count_row_of, count_table, row_of, table
from tests.acceptance.scrapes import Scrapes, scrapes_from, serving
from tests.acceptance.world import INTERVAL, World

POLLED = ("polled-1", "polled-2")
PUSHED = "pushed-1"
SAMPLED = "sampled-1"
SCRAPED = "scraped-1"
# Two agents, each of which looks at one service of it; the other one's service is always well.
AGENTS = "agents-1"
# The same with weights; the other agent is silent for a while, in which its service is down.
WEIGHED = "weighed-1"
WEIGHTS: Final = {"callbot": 1.0, "chatbot": 3.0}
AHEAD = "ahead-1"
# Between the samples of an agent.
EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class Measured:
    rows: list[Row]
    counts: list[CountRow]

    def tables(self) -> str:
        return f"{table(self.rows)}\n\n{count_table(self.counts)}"


async def measured(
    dsn: str, folder: Path, free_port: Callable[[], int], start: datetime, minutes: int, seed: int
) -> Measured:
    """What one run in a world of its own has found."""
    scrapes = scrapes_from(start, SCRAPED)
    async with (
        serving(scrapes, free_port) as url,
        World(dsn, folder, free_port, start, prometheus_url=url) as world,
    ):
        return await Scenario(world, scrapes, minutes, seed).run()


class Scenario:
    """Drives a world through everything that can go wrong. `minutes` of simulated time."""

    def __init__(self, world: World, scrapes: Scrapes, minutes: int, seed: int) -> None:
        self.world = world
        self.scrapes = scrapes
        self.minutes = minutes
        self.random = random.Random(seed)
        self.pushed: list[tuple[datetime, bool]] = []
        self.sampled: list[tuple[datetime, bool]] = []
        self.ahead: list[tuple[datetime, bool]] = []
        self.before_its_time: list[Row] = []
        self.maintenance: list[tuple[str, Interval]] = []
        self.offset = 0.0

    async def run(self) -> Measured:
        await self._prepare()
        events = [
            self._outage, self._flap, self._blind, self._simulator_dies, self._clock_steps, self._maintenance,
            self._doubled, self._outage, self._two_series, self._ahead_of_its_time, self._database_outage,
        ]  # fmt: skip
        share = self.minutes * 60 / len(events)
        for event in events:
            began = self.world.clock.now()
            await event()
            used = (self.world.clock.now() - began).total_seconds()
            if used < share:
                await self._pass(share - used)
        await self._push_history()
        await self._push_samples()
        names = (*POLLED, PUSHED, SAMPLED, AGENTS, WEIGHED, SCRAPED, AHEAD)
        rows = [*self.before_its_time, *[row for name in names for row in await self._compare(name)]]
        return Measured(rows, await self._count(SCRAPED))

    async def _prepare(self) -> None:
        zone = {"time_zone": "Europe/Berlin"}
        for name in POLLED:
            await self.world.add_tenant(name, **zone)
        await self.world.add_tenant(PUSHED, deploy=False, push_interval=60, push_mode="changes", **zone)
        await self.world.add_tenant(SAMPLED, deploy=False, push_interval=EVERY, **zone)
        await self.world.add_tenant(AGENTS, deploy=False, push_interval=EVERY, **zone)
        weighed = {"push_interval": EVERY, "component_weights": WEIGHTS, **zone}
        await self.world.add_tenant(WEIGHED, deploy=False, **weighed)
        await self.world.add_tenant(AHEAD, deploy=False, push_interval=3600, push_mode="changes", **zone)
        await self.world.add_tenant(SCRAPED, deploy=False, sli_source="prometheus", **zone)
        await self._pass(60)
        self.first_push = self.world.clock.now()
        self.pushed.append((self.first_push, False))
        self.sampled.append((self.first_push, False))
        await self._push(AHEAD, {self.first_push: False})
        self.ahead.append((self.first_push, False))

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
        # What is shorter than the time between two looks may go unseen.
        self.sampled += [(start, True), (start + timedelta(seconds=self.random.uniform(EVERY, 90)), False)]
        self.scrapes.changes += [
            (start, True),
            (start + timedelta(seconds=self.random.uniform(70, 130)), False),
        ]
        await self._pass(240)

    async def _two_series(self) -> None:
        """A rollout: two pods count for two minutes, and the labels that are kept do not tell them apart."""
        start = self.world.clock.now()
        self.scrapes.doubled.append(Interval(start, start + timedelta(seconds=120)))
        down = start + timedelta(seconds=self.random.uniform(20, 40))
        self.scrapes.changes += [(down, True), (down + timedelta(seconds=self.random.uniform(40, 60)), False)]
        await self._pass(180)

    async def _ahead_of_its_time(self) -> None:
        """Samples from a sender who says what will be, as far ahead as is accepted: nothing is so before its time."""
        start = self.world.clock.now() + timedelta(seconds=self.random.uniform(200, 240))
        changes = [(start, True), (start + timedelta(seconds=self.random.uniform(20, 40)), False)]
        await self._push(AHEAD, dict(changes))
        rows = await self._compare(AHEAD)
        self.before_its_time = [replace(row, tenant=f"{AHEAD}, before its time") for row in rows]
        self.ahead += changes
        await self._pass(300)

    async def _push(self, name: str, states: dict[datetime, bool], metric: str = "up") -> None:
        """`states`: down?"""
        entries = [
            {"timestamp": at.isoformat(), "metrics": {metric: 0 if d else 1}} for at, d in states.items()
        ]
        await self.world.call("POST", f"/api/v1/tenants/{name}/monitoring", entries, 202)

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
            points.setdefault(at, _state_at(self.pushed, at))
        entries = [
            {"timestamp": at.isoformat(), "metrics": {"up": 0 if d else 1}} for at, d in points.items()
        ]
        entries += self.random.sample(entries, len(entries) // 3)
        self.random.shuffle(entries)
        for index in range(0, len(entries), 50):
            await self.world.call(
                "POST", f"/api/v1/tenants/{PUSHED}/monitoring", entries[index : index + 50], 202
            )

    async def _push_samples(self) -> None:
        """What an agent found that looked every 20 s; all of it late."""
        beats = int((self.world.clock.now() - self.first_push).total_seconds() // EVERY)
        instants = [self.first_push + timedelta(seconds=EVERY * n) for n in range(beats + 1)]
        for index in range(0, len(instants), 50):
            part = instants[index : index + 50]
            await self._push(SAMPLED, {at: _state_at(self.sampled, at) for at in part})
            await self._push(AGENTS, {at: _state_at(self.sampled, at) for at in part}, "up.callbot")
            # The other agent looks five seconds later.
            others = {
                later: False for at in part if (later := at + timedelta(seconds=5)) <= self.world.clock.now()
            }
            await self._push(AGENTS, others, "up.chatbot")
            await self._push(WEIGHED, {at: _state_at(self.sampled, at) for at in part}, "up.callbot")
            if heard := {at: down for at, down in others.items() if not self._is_silent(at)}:
                await self._push(WEIGHED, heard, "up.chatbot")

    def _is_silent(self, at: datetime) -> bool:
        """Whether the second agent of the tenant with weights says nothing then."""
        return timedelta(seconds=600) < at - self.first_push < timedelta(seconds=800)

    def _shares(self, now: datetime) -> list[Share]:
        """Of the tenant with weights: what its services really were, and when they were not looked at."""
        looks = itertools.count(5, EVERY)
        found = [
            self.first_push + timedelta(seconds=n) for n in itertools.takewhile(lambda n: n < 1200, looks)
        ]
        heard = [at for at in found if not self._is_silent(at)]
        [(last, back)] = [
            (a, b)
            for a, b in itertools.pairwise(heard)
            if b - a > timedelta(seconds=STALENESS_FACTOR * EVERY)
        ]
        blind = [
            Interval(self.first_push, heard[0]),
            Interval(last + timedelta(seconds=STALENESS_FACTOR * EVERY), back),
        ]
        down = Interval(last + timedelta(seconds=90), last + timedelta(seconds=150))
        whole = sum(WEIGHTS.values())
        truth = pushed_down([change for change in self.sampled if change[0] < now], now)
        return [
            Share(WEIGHTS["callbot"] / whole, truth, []),
            Share(WEIGHTS["chatbot"] / whole, [down], blind),
        ]

    async def _truth(self, name: str) -> list[Interval]:
        """When the tenant really was down."""
        now = self.world.clock.now()
        told = {
            PUSHED: self.pushed,
            SAMPLED: self.sampled,
            AGENTS: self.sampled,
            WEIGHED: self.sampled,
            AHEAD: self.ahead,
            SCRAPED: self.scrapes.changes,
        }
        if name in told:
            return pushed_down([change for change in told[name] if change[0] < now], now)
        return down_intervals(await self.world.truth(name), now)

    async def _compare(self, name: str) -> list[Row]:
        tenant = await self.world.runtime.tenants.get(name)
        # What was told ahead of its time is taken in by a job when that has come.
        await self.world.runtime.work.keeping.take_in_hand_made()
        now = self.world.clock.now()
        start = now - timedelta(days=40)
        spans = await self.world.runtime.availability.timeline(tenant, start, now, reasons=True)
        truth, off = await self._truth(name), [i for n, i in self.maintenance if n == name]
        document = await self.world.call("GET", f"/api/v1/tenants/{name}/sla?windows={','.join(WINDOWS)}")
        shares = self._shares(now) if name == WEIGHED else []
        return [row_of(name, window, spans, truth, off, now, shares) for window in document["windows"]]

    async def _count(self, name: str) -> list[CountRow]:
        """The requests of the scraped tenant that failed; all of them long ago."""
        await self._pass(120)
        await self.world.runtime.work.objectives.roll()
        path = f"/api/v1/tenants/{name}/objectives/requests/status?windows={','.join(WINDOWS)}"
        document = await self.world.call("GET", path)
        return [self._count_row(name, window) for window in document["windows"]]

    def _count_row(self, name: str, window: dict[str, Any]) -> CountRow:
        start, end = (datetime.fromisoformat(window[edge]).timestamp() for edge in ("start", "end"))
        return count_row_of(name, window, self.scrapes.failed(end) - self.scrapes.failed(start))


def _state_at(changes: Iterable[tuple[datetime, bool]], at: datetime) -> bool:
    return [down for when, down in sorted(changes) if when <= at][-1]


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
