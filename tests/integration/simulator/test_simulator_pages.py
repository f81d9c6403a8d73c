"""The simulator's pages in a real browser: its cluster, with failures to trigger, and `/docs` and `/redoc`, which show
its document. They load nothing from elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.server import create_app, route_table
from ecpmon.simulator.snapshot import SnapshotStore
from tests.browser import browser, watched
from tests.held import Held, path_is
from tests.waiting import PATIENCE

# Redoc's own, in the corner of its menu; the policy keeps the browser from asking for it.
LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    options = EngineOptions(seed=5, manual_clock=True)
    engines = (open_engine(SnapshotStore(tmp_path / name), options) for name in ("one", "demo"))
    async with TestServer(create_app(*engines)) as server:
        yield str(server.make_url("")).rstrip("/")


IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"
SERVICES = [{"name": "callbot", "replicas": 2}, {"name": "chatbot", "replicas": 1}]


async def test_its_pages_show_the_cluster_and_every_route_and_ask_this_server_only(url: str) -> None:
    async with browser() as chromium:
        await the_cluster_is_shown_and_broken(chromium, url)
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


async def the_cluster_is_shown_and_broken(chromium: Browser, url: str) -> None:
    expect.set_options(timeout=PATIENCE * 1000)
    async with aiohttp.ClientSession() as session:
        for base in (url, f"{url}/demo"):
            path = f"{base}/api/v1/tenants/city-helpdesk"
            async with session.put(path, json={"services": SERVICES}) as answer:
                assert answer.status == 201
        async with session.post(f"{url}/api/v1/clock/advance", json={"seconds": 60}) as answer:
            assert answer.status == 200
    shown = await watched(chromium, locale="en-US")
    page = shown.page
    await page.goto(f"{url}/")
    row = page.get_by_role("row").filter(has_text="city-helpdesk")
    await expect(row).to_contain_text("callbot 2/2")
    await expect(page.get_by_role("region", name="Nodes").get_by_role("row")).to_have_count(5)
    assert await faults(page) == []
    await row.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("city-helpdesk")
    await page.get_by_label("Failure").select_option("full_outage")
    await page.get_by_label("Seconds").fill("120")
    await page.get_by_role("button", name="Let it fail").click()
    failing = page.get_by_role("region", name="Failing now")
    await expect(failing).to_contain_text("full outage")
    await pictured(page)
    assert await faults(page) == []
    await page.get_by_label("Language").select_option("ko")
    await expect(page.get_by_role("region", name="현재 장애")).to_contain_text("전체 장애")
    await page.get_by_role("button", name="지금 모두 끝내기").click()
    await expect(page.get_by_role("region", name="현재 장애")).to_contain_text("없습니다.")
    await page.set_viewport_size({"width": 360, "height": 640})
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wider)
    # Where answers of the API link to, of the cluster of demo mode.
    await page.goto(f"{url}/demo/dashboard/city-helpdesk")
    await expect(page.get_by_role("heading", level=1)).to_have_text("city-helpdesk")
    assert page.url == f"{url}/demo/#/tenants/city-helpdesk"
    await expect(page.get_by_role("region", name="서비스")).to_contain_text("callbot")
    assert {asked for asked in shown.asked if not asked.startswith(url)} == set()
    assert shown.complaints == []


async def test_what_comes_late_is_shown_of_no_other_tenant_and_a_refusal_stays(url: str) -> None:
    expect.set_options(timeout=PATIENCE * 1000)
    async with aiohttp.ClientSession() as session:
        for name, service in (("first", "callbot"), ("second", "chatbot")):
            body = {"services": [{"name": service, "replicas": 1}]}
            async with session.put(f"{url}/api/v1/tenants/{name}", json=body) as answer:
                assert answer.status == 201
    async with browser() as chromium:
        page = (await watched(chromium, locale="en-US")).page
        await page.goto(f"{url}/")
        await page.clock.install()
        held = await Held.of(page, path_is("/api/v1/tenants/first"))
        await page.get_by_role("link", name="first").click()
        await held.came(1)
        await page.goto(f"{url}/#/tenants/second")
        services = page.get_by_role("region", name="Services")
        await expect(services).to_contain_text("chatbot")
        await held.given()
        await expect(services).to_contain_text("chatbot")
        await expect(services).not_to_contain_text("callbot")
        # Twice at once is once, and why it is refused is said until something else is tried.
        tried = await Held.of(page, path_is("/api/v1/failures/second", "POST"))
        async with (
            aiohttp.ClientSession() as session,
            session.delete(f"{url}/api/v1/tenants/second") as answer,
        ):
            assert answer.status < 300
        trigger = page.get_by_role("button", name="Let it fail")
        await trigger.evaluate("button => { button.click(); button.click(); }")
        await tried.came(1)
        await expect(trigger).to_be_disabled()
        await tried.given()
        await expect(page.get_by_role("alert").last).to_contain_text("NOT_FOUND")
        said = await page.get_by_role("alert").last.inner_text()
        await page.clock.run_for(10_000)
        # Beside what the page says of itself: that there is no such tenant any more.
        await expect(page.get_by_role("alert")).to_have_count(2)
        await expect(page.get_by_role("alert").last).to_have_text(said)
        assert len(tried.asked) == 1


async def faults(page: Page) -> list[str]:
    found = await Axe().run(page)
    return [f"{v['id']}: {n['html'][:200]}" for v in found.response["violations"] for n in v["nodes"]]


async def pictured(page: Page) -> None:
    if "ECPMON_PICTURES" in os.environ:
        await page.screenshot(path=IMAGES / "simulator.png", full_page=True)
