"""A console that is open for a day, in a real browser: what a day tells it and asks of it, and what it holds then.

A day is a message a second about all tenants, one each 5 s about a tenant, a question a minute about everything that a
tenant's page shows, and somebody who looks at its parts. The messages are those of the hub, written to its sockets as
fast as the browser takes them; the page's clock is moved on by a minute a turn, so that its own timers do the rest.
What is held is measured by the browser after it has collected its garbage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import pytest
from playwright.async_api import CDPSession, Page, Response

from ecpmon.api.context import CONTEXT
from ecpmon.api.frames import Line
from ecpmon.wire import dumps
from tests.browser import Watched, browser, watched
from tests.integration.api.conftest import Service
from tests.integration.api.test_sockets import push
from tests.waiting import until

TENANTS = 100
MINUTES = 24 * 60
# Per minute: a message a second about all tenants, one each 5 s about one.
FLEET, LIVE = 60, 12
PARTS = (
    "overview", "metrics", "objectives", "alert_rules", "maintenance", "deployments", "statements", "sizing",
    "status_page", "audit",
)  # fmt: skip
# A look at another part, each so many minutes.
LOOKS = 5
# When what is held is measured: the first once every buffer is full and every part has been seen.
MEASURED = (60, 360, 720, 1_080, 1_440)
# What a day may add to that, in bytes and in numbers: a figure that takes a digit more, not one that is kept for ever.
MORE_BYTES, MORE_NODES, MORE_LISTENERS = 750_000, 300, 20

pytestmark = pytest.mark.long
COUNTING = """
const Own = WebSocket;
window.WebSocket = class extends Own {
  constructor(...how) {
    super(...how);
    this.addEventListener('message', () => (window.heard = (window.heard ?? 0) + 1));
  }
};
"""


@dataclass
class Open:
    """A page that is open all day; `asked`: how many answers it had."""

    shown: Watched
    wire: CDPSession
    asked: int = 0
    held: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return self.shown.page

    async def measure(self) -> None:
        """(bytes, nodes, listeners) that nothing could be taken away of."""
        for _ in range(2):
            await self.wire.send("HeapProfiler.collectGarbage")
        heap = await self.wire.send("Runtime.getHeapUsage")
        counted = await self.wire.send("Memory.getDOMCounters")
        self.held.append((int(heap["usedSize"]), counted["nodes"], counted["jsEventListeners"]))


async def test_a_day_of_messages_and_questions_leaves_nothing_behind(service: Service) -> None:
    names = [await service.tenant() for _ in range(TENANTS)]
    for name in names:
        await push(service, name, up=1)
    service.clock.advance(60)
    async with browser() as chromium:
        fleet, live, looking = [await opened(await watched(chromium), service, at) for at in (
            "", f"tenants/{names[0]}/metrics", f"tenants/{names[1]}/overview",
        )]  # fmt: skip
        await live.page.get_by_role("button", name="Live").click()
        rows = varied((await service.ask("GET", "/api/v1/sla/summary"))[1]["tenants"])
        for minute in range(1, MINUTES + 1):
            await a_minute(service, minute, names[:2], rows, (fleet, live, looking))
            if minute in MEASURED:
                for each in (fleet, live, looking):
                    await each.measure()
        heard = [await each.page.evaluate("window.heard") for each in (fleet, live, looking)]
        for each, many in zip((fleet, live, looking), heard, strict=True):
            print(each.page.url, f"{many} messages, {each.asked} answers", each.held)
        assert heard[0] >= MINUTES * FLEET
        assert heard[1] >= MINUTES * (FLEET + LIVE)
        assert live.asked >= 3 * MINUTES
        for each in (fleet, live, looking):
            grown = [last - first for first, last in zip(each.held[0], each.held[-1], strict=True)]
            assert grown <= [MORE_BYTES, grown[1], grown[2]], each.held
            assert grown[1] <= MORE_NODES, each.held
            assert grown[2] <= MORE_LISTENERS, each.held
            assert [said for said in each.shown.complaints if "401" not in said] == []


async def opened(shown: Watched, service: Service, at: str) -> Open:
    page = shown.page
    await page.clock.install()
    await page.add_init_script(COUNTING)
    await page.goto(f"{service.url}/ui/en.json")
    await page.evaluate("token => sessionStorage.setItem('ecpmon.token', token)", service.tokens["admin"])
    made = Open(shown, await page.context.new_cdp_session(page))

    def count(answer: Response) -> None:
        made.asked += "/api/v1/" in answer.url

    page.on("response", count)
    await page.goto(f"{service.url}/#/{at}")
    await page.get_by_role("heading", level=1).wait_for()
    return made


def varied(tenants: list[dict[str, Any]]) -> Iterator[bytes]:
    """Rows of the summary, for ever, each with other figures than before: places, states and alerts move."""
    for turn, row in enumerate(cycle(tenants)):
        row["burn_rate"] = {"1h": turn % 97 / 7, "24h": turn % 31 / 11}
        row["error_budget"]["remaining_percent"] = 100 - turn % 61
        row["state"] = "down" if turn % 13 == 0 else "up"
        row["last_alert"] = {"alert_name": f"a{turn % 7}", "status": "firing", "at": row["as_of"]}
        yield dumps(row)


async def a_minute(
    service: Service, minute: int, names: list[str], rows: Iterator[bytes], pages: tuple[Open, ...]
) -> None:
    service.clock.advance(60)
    for name in names:
        await push(service, name, up=0 if minute % 360 == 7 else 1, cpu_usage=40 + minute % 9)
    hub = service.app[CONTEXT].production.hub
    for second in range(FLEET):
        await written(hub._fleet, hub._fleet._message([], list(islice(rows, 3))))
        if second % (FLEET // LIVE) == 0:
            for name in names:
                live = hub._feeds[name].live
                await written(live, live._made(None, None, None))
    _, live, looking = pages
    if minute % LOOKS == 0:
        part = PARTS[minute // LOOKS % len(PARTS)]
        await looking.page.evaluate("hash => { location.hash = hash; }", f"#/tenants/{names[1]}/{part}")
    before = live.asked
    for each in pages:
        await each.page.clock.run_for(60_000)
    await until(lambda: answered(live, before), "the page asks once a minute")


async def written(broadcast: Any, frame: bytes) -> None:
    """To each of its sockets, as soon as it takes it."""
    for listener in list(broadcast.listeners):
        line: Line | None = listener.line
        assert line is not None
        while not line.free:  # the browser reads, and tells nobody when it has
            await asyncio.sleep(0.001)
        line.write(frame)
    await asyncio.sleep(0)


async def answered(page: Open, before: int) -> bool:
    return page.asked >= before + 3
