"""Three fronts and two workers, some of them killed and frozen: every change is judged once and told once.

What is counted: the events that the rule should have, what a socket on each front was told of them, and the
notifications that a receiver got, by their ids. Delivery is at least once, so one that was under way when its worker
was killed may come again under its id, and no other. Wherever another worker is awake, it leads within ten seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ecpmon.storage.database import Database
from tests.integration.fronts import Ears, scrape_each, series_of
from tests.integration.serving import Serving, serving
from tests.integration.terms import database_now, note_terms, own_lag, took_over_in_time
from tests.integration.test_machine import ask_process, machine, of_role, push, send, tenant
from tests.waiting import until

FRONTS = 3
RULE = {"alert_name": "hot", "condition": "cpu > 80"}


@dataclass
class Receiver:
    """Whom the rule notifies: how often each id came, and its state."""

    url: str = ""
    told: Counter[str] = field(default_factory=Counter)
    states: dict[str, str] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        number, body = request.headers["webhook-id"], await request.json()
        self.told[number] += 1
        self.states[number] = body["status"]
        return web.Response()


@asynccontextmanager
async def receiving(port: int) -> AsyncIterator[Receiver]:
    receiver, app = Receiver(f"http://127.0.0.1:{port}/"), web.Application()
    app.router.add_post("/", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield receiver
    finally:
        await runner.cleanup()


@dataclass
class World:
    """`watched`: fronts and a worker; `spare`: another worker. `led_until`: when a leader was taken away last, while
    another worker was awake."""

    watched: Serving
    spare: Serving
    database: Database
    receiver: Receiver
    ears: Ears
    lag: Callable[[], float]
    led_until: datetime | None = None

    def fronts(self) -> list[int]:
        return of_role(self.watched.process.pid, "front")

    def workers(self) -> list[int]:
        """Those that are there and not frozen."""
        found = [*of_role(self.watched.process.pid, "worker"), self.spare.process.pid]
        return [pid for pid in found if is_awake(pid)]

    async def leader(self) -> int | None:
        """The process that leads."""
        if (await self.spare.get("/ready"))[1]["components"]["production"]["leadership"] == "leader":
            return self.spare.process.pid
        for pid in of_role(self.watched.process.pid, "worker"):
            told = await ask_process(self.watched.process.pid, pid)
            if told is not None and told["leadership"] == "leader":
                return pid
        return None

    async def take_away(self, pid: int, number: signal.Signals) -> None:
        """The leader gets a signal."""
        others = set(self.workers()) - {pid}
        self.led_until = await database_now(self.database) if others else None
        os.kill(pid, number)

    async def pages(self) -> list[list[dict[str, float]]]:
        """What is shown of metrics: by each front of the machine, and by the worker beside it while there is one."""
        of_fronts = list((await scrape_each(self.watched, self.fronts())).values())
        if not is_awake(self.spare.process.pid):
            return [of_fronts]
        return [of_fronts, [series_of((await self.spare.get("/metrics"))[1])]]

    async def events(self) -> list[str]:
        rows = await self.database.fetch(
            "SELECT to_state FROM alert_events WHERE alert_name = 'hot' AND from_state <> to_state ORDER BY event_id"
        )
        return [row["to_state"] for row in rows]


def is_awake(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TtZX"
    except FileNotFoundError:
        return False


@asynccontextmanager
async def world(make_migrated: Callable[[], str], free_port: Callable[[], int]) -> AsyncIterator[World]:
    dsn = make_migrated()
    settings = {
        "ECPMON_WEBHOOK_ALLOW_LOOPBACK": "true",
        "ECPMON_METRICS_MAX_AGE": "0",
        # Every change is counted here.
        "ECPMON_FLAP_FIRINGS": "0",
    }
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(free_port()))
        watched = await stack.enter_async_context(machine(dsn, free_port(), fronts=FRONTS, **settings))
        worker = {"ECPMON_ROLE": "worker", **settings}
        spare = await stack.enter_async_context(serving(dsn, free_port(), **worker))
        database = Database(dsn, max_connections=2)
        stack.push_async_callback(database.close)
        await note_terms(database)
        await tenant(watched, "alpha")
        rule = RULE | {"actions": [{"type": "webhook", "url": receiver.url}]}
        assert (await send(watched, "POST", "/api/v1/tenants/alpha/alerts", rule))[0] == 201
        ears = Ears(watched, "/ws/alerts/alpha", lambda: of_role(watched.process.pid, "front"))
        await ears.open([])
        stack.push_async_callback(ears.close)
        lag = await stack.enter_async_context(own_lag())
        yield World(watched, spare, database, receiver, ears, lag)


async def turn(world: World, state: str, expected: list[str]) -> None:
    """The value crosses the threshold, over and over as a sender would say it, until it is judged and told.

    The receiver was told of it, and a socket on each front. Who leads by then had begun to in time.
    """
    cpu = 95.0 if state == "firing" else 5.0
    expected.append("firing" if state == "firing" else "inactive")

    async def told() -> bool:
        await push_or_again(world.watched, cpu)
        heard = world.ears.have_heard(said(expected)) and len(world.receiver.told) >= len(expected)
        return heard and len(await world.events()) >= len(expected)

    await until(told, f"{state} is judged and told")
    assert await world.events() == expected
    world.ears.check(said(expected))
    if world.led_until is not None:
        await took_over_in_time(world.database, world.led_until, world.lag())


def said(events: list[str]) -> list[str]:
    """How sockets and receivers name the states."""
    return ["firing" if state == "firing" else "resolved" for state in events]


async def push_or_again(found: Serving, cpu: float) -> None:
    """A front may be killed in the midst of it."""
    try:
        await push(found, "alpha", cpu=cpu)
    except (aiohttp.ClientError, OSError):
        await asyncio.sleep(0.1)


async def kill_leader(world: World, stack: AsyncExitStack) -> None:
    await world.take_away(await _leading(world), signal.SIGKILL)


async def freeze_leader(world: World, stack: AsyncExitStack) -> None:
    """It wakes when all is over: what it still writes then must not count."""
    pid = await _leading(world)
    await world.take_away(pid, signal.SIGSTOP)
    stack.callback(wake, pid)


def wake(pid: int) -> None:
    """On a slow machine its watcher has killed it by then."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


async def kill_front(world: World, stack: AsyncExitStack) -> None:
    victim = world.fronts()[0]
    os.kill(victim, signal.SIGKILL)

    async def is_replaced() -> bool:
        return victim not in world.fronts() and len(world.fronts()) == FRONTS

    await until(is_replaced, "another one is there")
    await world.ears.open(said(await world.events()))


async def _leading(world: World) -> int:
    found: list[int] = []

    async def leads() -> bool:
        pid = await world.leader()
        found.extend([pid] if pid is not None else [])
        return pid is not None

    await until(leads, "somebody leads")
    return found[-1]


async def check_counts(world: World, expected: list[str], killed: int) -> None:
    """Nothing more comes, nothing came under two ids, and twice only what a killed worker had under way."""
    await asyncio.sleep(2)
    assert await world.events() == expected
    world.ears.check(said(expected))
    assert len(world.receiver.told) == len(expected)
    assert Counter(world.receiver.states.values()) == Counter(said(expected))
    assert sum(world.receiver.told.values()) - len(expected) <= killed


Fault = Callable[[World, AsyncExitStack], Any]


async def test_every_change_is_judged_once_and_told_once_when_the_leader_is_killed(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    expected: list[str] = []
    async with world(make_migrated, free_port) as w, AsyncExitStack() as stack:
        await turn(w, "firing", expected)
        await kill_leader(w, stack)
        await turn(w, "resolved", expected)
        await turn(w, "firing", expected)
        await check_counts(w, expected, killed=1)


@pytest.mark.long
@pytest.mark.parametrize("first", [kill_leader, freeze_leader, kill_front])
@pytest.mark.parametrize("second", [kill_leader, freeze_leader, kill_front])
async def test_every_change_is_judged_once_and_told_once_whatever_happens(
    make_migrated: Callable[[], str], free_port: Callable[[], int], first: Fault, second: Fault
) -> None:
    expected: list[str] = []
    async with world(make_migrated, free_port) as w:
        async with AsyncExitStack() as stack:
            await turn(w, "firing", expected)
            await first(w, stack)
            await turn(w, "resolved", expected)
            if first is freeze_leader and second is freeze_leader:
                await stack.pop_all().aclose()  # of two workers one must be awake
            await second(w, stack)
            await turn(w, "firing", expected)
            await turn(w, "resolved", expected)
        await turn(w, "firing", expected)
        await check_counts(w, expected, killed=4)


# What is not shown unless somebody leads.
LEADERS = ("ecpmon_leader_term", "ecpmon_outbox_pending", "ecp_tenant_sla_")


def is_led(pages: list[dict[str, float]], term: int) -> bool:
    """All of the pages show a leader of this term, with what only leaders know."""
    return bool(pages) and all(
        page.get("ecpmon_leader_term") == term and all(any(n.startswith(g) for n in page) for g in LEADERS)
        for page in pages
    )


async def check_gauges(world: World, term: int) -> None:
    """Every front, or the other worker, comes to show one leader of this term, and nobody else shows any."""
    led: list[list[dict[str, float]]] = []

    async def shown() -> bool:
        led[:] = [pages for pages in await world.pages() if is_led(pages, term)]
        return bool(led)

    await until(shown, f"a leader of term {term} is shown")
    everything = await world.pages()
    assert sum(pages[0]["ecpmon_leader"] for pages in everything) == 1
    for pages in everything:
        for page in pages:
            assert page["ecpmon_leader"] == pages[0]["ecpmon_leader"], "fronts differ"
            if page["ecpmon_leader"] == 0:
                assert [name for name in page if name.startswith(LEADERS)] == []


async def all_follow_but_one(world: World) -> bool:
    """Who was woken, or started anew, knows that it does not lead."""
    pid = world.watched.process.pid
    told = [await ask_process(pid, worker) for worker in of_role(pid, "worker")]
    told.append((await world.spare.get("/ready"))[1]["components"]["production"])
    return sorted(ready["leadership"] for ready in told if ready) == ["follower", "leader"]


@pytest.mark.long
@pytest.mark.parametrize("fault", [kill_leader, freeze_leader])
async def test_every_front_shows_the_gauges_of_the_present_leader_and_of_no_former_one(
    make_migrated: Callable[[], str], free_port: Callable[[], int], fault: Fault
) -> None:
    async with world(make_migrated, free_port) as w:
        await push(w.watched, "alpha", cpu=5, up=1)
        term = await w.database.fetchval("SELECT term FROM leadership")
        await check_gauges(w, term)
        async with AsyncExitStack() as stack:
            await fault(w, stack)
            await check_gauges(w, term + 1)
        await until(lambda: all_follow_but_one(w), "one leads and the other follows")
        await check_gauges(w, term + 1)
        await kill_leader(w, AsyncExitStack())
        await check_gauges(w, term + 2)
        assert w.led_until is not None
        await took_over_in_time(w.database, w.led_until, w.lag())
