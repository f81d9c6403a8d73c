"""Three fronts and two workers, some of them killed and frozen: every change is judged once and told once.

What is counted: the events that the rule should have, and the notifications that a receiver got, by their ids. Delivery
is at least once, so one that was under way when its worker was killed may come again under its id, and no other.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ecpmon.storage.database import Database
from tests.integration.serving import Serving, serving
from tests.integration.test_machine import ask_process, machine, of_role, push, send, tenant
from tests.waiting import until

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
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield receiver
    await runner.cleanup()


@dataclass
class World:
    """`watched`: fronts and a worker; `spare`: another worker."""

    watched: Serving
    spare: Serving
    database: Database
    receiver: Receiver

    async def leader(self) -> int | None:
        """The process that leads."""
        if (await self.spare.get("/ready"))[1]["components"]["production"]["leadership"] == "leader":
            return self.spare.process.pid
        for pid in of_role(self.watched.process.pid, "worker"):
            told = await ask_process(self.watched.process.pid, pid)
            if told is not None and told["leadership"] == "leader":
                return pid
        return None

    async def events(self) -> list[str]:
        rows = await self.database.fetch(
            "SELECT to_state FROM alert_events WHERE alert_name = 'hot' AND from_state <> to_state ORDER BY event_id"
        )
        return [row["to_state"] for row in rows]


@asynccontextmanager
async def world(make_migrated: Callable[[], str], free_port: Callable[[], int]) -> AsyncIterator[World]:
    dsn, loopback = make_migrated(), {"ECPMON_WEBHOOK_ALLOW_LOOPBACK": "true"}
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(free_port()))
        watched = await stack.enter_async_context(machine(dsn, free_port(), fronts=3, **loopback))
        worker = {"ECPMON_ROLE": "worker", **loopback}
        spare = await stack.enter_async_context(serving(dsn, free_port(), **worker))
        database = Database(dsn, max_connections=2)
        stack.push_async_callback(database.close)
        await tenant(watched, "alpha")
        rule = RULE | {"actions": [{"type": "webhook", "url": receiver.url}]}
        assert (await send(watched, "POST", "/api/v1/tenants/alpha/alerts", rule))[0] == 201
        yield World(watched, spare, database, receiver)


async def turn(world: World, state: str, expected: list[str]) -> None:
    """The value crosses the threshold, over and over as a sender would say it, until it is judged and told."""
    cpu = 95.0 if state == "firing" else 5.0
    expected.append("firing" if state == "firing" else "inactive")

    async def told() -> bool:
        await push_or_again(world.watched, cpu)
        return len(await world.events()) >= len(expected) and len(world.receiver.told) >= len(expected)

    await until(told, f"{state} is judged and told")
    assert await world.events() == expected


async def push_or_again(found: Serving, cpu: float) -> None:
    """A front may be killed in the midst of it."""
    try:
        await push(found, "alpha", cpu=cpu)
    except (aiohttp.ClientError, OSError):
        await asyncio.sleep(0.1)


async def kill_leader(world: World, stack: AsyncExitStack) -> None:
    os.kill(await _leading(world), signal.SIGKILL)


async def freeze_leader(world: World, stack: AsyncExitStack) -> None:
    """It wakes when all is over: what it still writes then must not count."""
    pid = await _leading(world)
    os.kill(pid, signal.SIGSTOP)
    stack.callback(wake, pid)


def wake(pid: int) -> None:
    """On a slow machine its watcher has killed it by then."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


async def kill_front(world: World, stack: AsyncExitStack) -> None:
    os.kill(of_role(world.watched.process.pid, "front")[0], signal.SIGKILL)


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
    assert len(world.receiver.told) == len(expected)
    states = Counter(world.receiver.states.values())
    assert states == Counter("firing" if s == "firing" else "resolved" for s in expected)
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
