"""The simulator's `/docs` and `/redoc` in a real browser: they show its document, and load nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.server import create_app, route_table
from ecpmon.simulator.snapshot import SnapshotStore
from tests.browser import browser, watched

# Redoc's own, in the corner of its menu; the policy keeps the browser from asking for it.
LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    options = EngineOptions(seed=5, manual_clock=True)
    engines = (open_engine(SnapshotStore(tmp_path / name), options) for name in ("one", "demo"))
    async with TestServer(create_app(*engines)) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_its_pages_show_every_route_and_ask_this_server_only(url: str) -> None:
    async with browser() as chromium:
        docs, redoc = await watched(chromium), await watched(chromium)
        await docs.page.goto(f"{url}/docs")
        await docs.page.locator(".opblock-tag-section .opblock").first.wait_for()
        await redoc.page.goto(f"{url}/redoc")
        await redoc.page.locator("h1").first.wait_for()
        assert await docs.page.locator(".opblock").count() == len(route_table())
        assert "ecpmon simulator" in await redoc.page.locator("h1").first.inner_text()
        for page in (docs, redoc):
            assert {asked for asked in page.asked if not asked.startswith(url)} <= {LOGO}
        assert docs.complaints == []
        block = docs.page.locator(".opblock-get", has=docs.page.locator('[data-path="/api/v1/clock"]'))
        await block.locator(".opblock-summary-control").click()
        await block.get_by_role("button", name="Try it out").click()
        await block.get_by_role("button", name="Execute").click()
        shown = block.locator(".live-responses-table .response-col_description pre code").first
        assert json.loads(await shown.inner_text())["mode"] == "manual"
