"""Beta: pushes how it is, has an alert rule, and notes what it gets for it while alpha is at work."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import aiohttp
from aiohttp import web

from tests.acceptance.isolation.serving import BETA, Serving
from tests.acceptance.live import until

QUIET, LOUD = 1.0, 100.0


class Neighbour:
    """`pushes` holds (instant, status, seconds) of every push; `heard` the statuses of its notifications in order."""

    def __init__(self, serving: Serving, every: float) -> None:
        self._serving = serving
        self._every = every
        self._queue = QUIET
        self._ended = asyncio.Event()
        self.pushes: list[tuple[datetime, int | str, float]] = []
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Measures by the clock, however long its pushes take; ends with the last of them."""
        headers = self._serving.headers(BETA)
        under_way: set[asyncio.Task[None]] = set()
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=30)) as session:
            for n in itertools.count():
                if self._ended.is_set():
                    break
                task = asyncio.create_task(self._measure(session, n))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                await asyncio.sleep(self._every)
            await asyncio.gather(*under_way)

    async def _measure(self, session: aiohttp.ClientSession, n: int) -> None:
        url = f"{self._serving.url}/api/v1/tenants/{BETA}/monitoring"
        began, at = perf_counter(), datetime.now(UTC)
        metrics = {f"m{k}": n for k in range(7)} | {"up": 1, "queue_depth": self._queue}
        status = await _push(session, url, {"timestamp": at.isoformat(), "metrics": metrics})
        self.pushes.append((at, status, perf_counter() - began))

    def end(self) -> None:
        self._ended.set()

    async def alerted(self) -> float:
        """Seconds from the breach to the notification; the alert is over afterwards."""
        began = perf_counter()
        self._queue = LOUD
        async with asyncio.timeout(30):
            while await self.heard.get() != "firing":
                pass
        took = perf_counter() - began
        self._queue = QUIET
        async with asyncio.timeout(60):
            while await self.heard.get() != "resolved":
                pass
        return took

    async def hook(self, request: web.Request) -> web.Response:
        self.heard.put_nowait(json.loads(await request.read())["status"])
        return web.Response()


async def _push(session: aiohttp.ClientSession, url: str, body: Any) -> int | str:
    try:
        async with session.post(url, json=body) as answer:
            return answer.status if answer.status == 202 else f"{answer.status}: {await answer.text()}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__


@asynccontextmanager
async def neighbour(serving: Serving, port: int, every: float = 0.2) -> AsyncIterator[Neighbour]:
    """Beta at work, with a rule whose notifications come to it."""
    beta = Neighbour(serving, every)
    app = web.Application()
    app.router.add_post("/hook", beta.hook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    task = asyncio.create_task(beta.run())
    try:
        await _add_rule(serving, beta, f"http://127.0.0.1:{port}/hook")
        yield beta
    finally:
        beta.end()
        await task
        await runner.cleanup()


async def _add_rule(serving: Serving, beta: Neighbour, url: str) -> None:
    async def pushed() -> bool:
        return bool(beta.pushes)

    await until(pushed, 30, "beta pushes")  # a condition names metrics that there are
    rule = {
        "alert_name": "queue", "condition": "queue_depth > 50", "actions": [{"type": "webhook", "url": url}],
    }  # fmt: skip
    status, answer = await serving.ask("POST", f"/api/v1/tenants/{BETA}/alerts", who=BETA, json=rule)
    assert status == 201, answer
