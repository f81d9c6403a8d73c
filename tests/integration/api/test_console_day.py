"""A console that stays open for a day: 24 hours of the page's own clock, with every message that 1,000 tenants give it,
while somebody goes from page to page. What it holds is bounded, and it complains of nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from playwright.async_api import CDPSession, Page, expect

from ecpmon.wire import dumps
from tests.browser import browser, watched
from tests.integration.api.conftest import Service
from tests.integration.api.test_sockets import push
from tests.waiting import PATIENCE, until

# Five minutes of two processors with nothing else to do.
pytestmark = [pytest.mark.long, pytest.mark.demo, pytest.mark.timeout(3600)]

TENANTS = 1_000
HOURS = 24
# Within a minute each tenant's figures are others once, told in so many messages.
MESSAGES = 4
# Of the page: measured so often, and changed so often, in minutes.
MEASURED, TURNED = 60, 10
# What it may hold more at the end than once everything was looked at, of bytes and of the rest.
GROWTH = 1.1
WARM_HOURS = 4
# What a busy machine says now and then, and the page asks again.
BUSY = "status of 503"
HOP = ("Transfer-Encoding", "Content-Encoding", "Content-Length", "Connection", "Content-Type")


@dataclass
class Front:
    """Between page and service: what 1,000 tenants say is made of the rows of a few, all else is the service's."""

    service: Service
    rows: list[dict[str, Any]] = field(default_factory=list)
    fleet: set[web.WebSocketResponse] = field(default_factory=set)
    metrics: set[web.WebSocketResponse] = field(default_factory=set)
    messages: int = 0
    last: str = ""

    async def summary(self, request: web.Request) -> web.StreamResponse:
        status, told, _ = await self.service.ask("GET", "/api/v1/sla/summary")
        assert status == 200, told
        real = told["tenants"]
        if not self.rows:
            self.rows = real + [
                {**real[n % len(real)], "tenant_id": f"many-{n}", "name": f"many {n}"}
                for n in range(TENANTS - len(real))
            ]
        return web.json_response({**told, "tenants": self.rows})

    def socket(self, places: set[web.WebSocketResponse]) -> Callable[[web.Request], Any]:
        async def listen(request: web.Request) -> web.WebSocketResponse:
            place = web.WebSocketResponse(protocols=("bearer",))
            await place.prepare(request)
            places.add(place)
            try:
                async for _ in place:
                    pass
            finally:
                places.discard(place)
            return place

        return listen

    async def relayed(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        async with self.service.session.request(
            request.method, self.service.url + request.raw_path, headers=headers, data=await request.read()
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name not in HOP}
            kept["Content-Type"] = answer.headers.get("Content-Type", "application/octet-stream")
            return web.Response(body=await answer.read(), status=answer.status, headers=kept)

    async def tell_a_minute(self, minute: int) -> None:
        """Each row once, with other figures; some go down and up. Of one tenant's metrics as many messages."""
        for turn in range(MESSAGES):
            at = (self.service.clock.now() + timedelta(seconds=60 / MESSAGES * turn)).isoformat()
            rows = [self._changed(n, minute) for n in range(turn, TENANTS, MESSAGES)]
            told = {"as_of": at, "away": False, "gone": [], "tenants": rows}
            await self._say(self.fleet, told)
            metrics = {"up": 1, "cpu_usage": (minute * 7 + turn) % 100, "response_time": 20 + turn}
            await self._say(self.metrics, {"timestamp": at, "metrics": metrics})
            self.messages, self.last = self.messages + 1, at

    def _changed(self, n: int, minute: int) -> dict[str, Any]:
        row = self.rows[n]
        down = (n + minute) % 97 == 0
        row["state"] = "down" if down else "up"
        row["burn_rate"] = {**row["burn_rate"], "1h": (n * minute) % 31 / 10}
        row["error_budget"] = {**row["error_budget"], "remaining_percent": (n + minute) % 101}
        return row

    async def _say(self, places: set[web.WebSocketResponse], told: dict[str, Any]) -> None:
        text = dumps(told)
        await asyncio.gather(
            *(place.send_frame(text, WSMsgType.TEXT) for place in list(places) if not place.closed)
        )


@asynccontextmanager
async def fronting(service: Service, port: int) -> AsyncIterator[Front]:
    front = Front(service)
    app = web.Application()
    app.router.add_get("/ws/fleet", front.socket(front.fleet))
    app.router.add_get("/ws/monitoring/{name}", front.socket(front.metrics))
    app.router.add_get("/api/v1/sla/summary", front.summary)
    app.router.add_route("*", "/{path:.*}", front.relayed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield front


async def test_a_day_with_a_thousand_tenants_leaves_nothing_behind(
    service: Service, free_port: Callable[[], int]
) -> None:
    names = [await service.tenant() for _ in range(3)]
    for name in names:
        await push(service, name, up=1, cpu_usage=40)
    await service.runtime.jobs._turn("rolling_sla")
    async with browser() as chromium, fronting(service, port := free_port()) as front:
        shown = await watched(chromium)
        page = shown.page
        expect.set_options(timeout=PATIENCE * 1000)
        await page.clock.install(time=service.clock.now())
        await page.goto(f"http://127.0.0.1:{port}/ui/en.json")
        await page.evaluate("token => sessionStorage.setItem('ecpmon.token', token)", service.tokens["admin"])
        await page.goto(f"http://127.0.0.1:{port}/")
        await expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", str(TENANTS + 1))
        wire = await page.context.new_cdp_session(page)
        await wire.send("Performance.enable")
        held: list[dict[str, float]] = []
        for minute in range(HOURS * 60):
            if minute % TURNED == 0:
                await _taken(page, front.last)
                await _look(page, names, minute // TURNED)
            service.clock.advance(60)
            await front.tell_a_minute(minute)
            await page.clock.run_for(60_000)
            if (minute + 1) % MEASURED == 0:
                await _taken(page, front.last)
                held.append(await _held(page, wire))
                print(minute + 1, held[-1], flush=True)
                assert [said for said in shown.complaints if BUSY not in said] == []
        assert front.messages == HOURS * 60 * MESSAGES
        warm, end = held[WARM_HOURS:-4], held[-4:]
        for kind in held[0]:
            most, now = max(each[kind] for each in warm), max(each[kind] for each in end)
            assert now <= GROWTH * most, (kind, [each[kind] for each in held])


async def _look(page: Page, names: list[str], turn: int) -> None:
    """One of them, another time of it, what is measured of it, and all tenants again: six turns an hour."""
    name = names[turn // 6 % len(names)]
    match turn % 6:
        case 1 | 3:
            await page.evaluate("name => (location.hash = `#/tenants/${name}`)", name)
            await page.get_by_role("figure").first.wait_for()
        case 2:
            await page.get_by_role("button", name=("7 days", "30 days", "90 days")[turn // 6 % 3]).click()
        case 4:
            await page.get_by_role("link", name="Metrics").click()
            await page.get_by_role("button", name="Live").click()
        case _:
            await page.evaluate("location.hash = '#/'")
            await page.get_by_role("table").first.wait_for()


async def _taken(page: Page, last: str) -> None:
    """The page knows what was told last."""
    known = "import('/ui/fleet_store.js').then(store => store.asOf.peek())"

    async def there() -> bool:
        return not last or bool(await page.evaluate(known) == last)

    await until(there, f"what was told at {last} is known")


async def _held(page: Page, wire: CDPSession) -> dict[str, float]:
    """What is held after everything that nobody needs was collected, on the page of all tenants."""
    await wire.send("HeapProfiler.collectGarbage")
    told = await wire.send("Performance.getMetrics")
    named = {each["name"]: each["value"] for each in told["metrics"]}
    return {name: named[name] for name in ("JSHeapUsedSize", "Nodes", "JSEventListeners", "Documents")}
