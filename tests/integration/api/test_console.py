"""The console in a real browser: live, in two languages, by keyboard and for screen readers, from here only."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect
from pydantic import SecretStr

from ecpmon.api.context import CONTEXT
from ecpmon.local.relay import Relay
from tests.browser import Watched, browser, watched
from tests.integration.api.conftest import Service, another
from tests.integration.api.test_sockets import push
from tests.waiting import PATIENCE

UI = Path(__file__).resolve().parents[3] / "ui" / "console"


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def signed_in(chromium: Browser, service: Service, who: str = "admin") -> Watched:
    shown = await watched(chromium)
    await sign_in(shown, service, who)
    return shown


async def sign_in(shown: Watched, service: Service, who: str = "admin") -> None:
    expect.set_options(timeout=PATIENCE * 1000)
    await shown.page.goto(f"{service.url}/")
    await shown.page.get_by_label("Token").fill(service.tokens[who])
    await shown.page.get_by_role("button", name="Sign in").click()
    await shown.page.get_by_role("heading", name="All tenants").wait_for()


async def faults(shown: Watched) -> list[str]:
    """What axe finds wrong for those who do not look, or not with eyes alone."""
    found = await Axe().run(shown.page)
    return [f"{v['id']}: {n['html'][:200]}" for v in found.response["violations"] for n in v["nodes"]]


async def pictured(shown: Watched, name: str) -> None:
    """`ECPMON_PICTURES=1` keeps what is seen, for the README; nothing is compared with it."""
    if "ECPMON_PICTURES" in os.environ:
        await shown.page.screenshot(
            path=UI.parents[1] / "docs" / "images" / f"console-{name}.png", full_page=True
        )


async def test_a_person_signs_in_sees_a_failure_at_once_and_looks_into_it(
    chromium: Browser, service: Service
) -> None:
    name, *others = [await service.tenant() for _ in range(4)]
    for each in (name, *others[:2]):
        await push(service, each, up=1, cpu_usage=40)
    shown = await signed_in(chromium, service)
    page = shown.page
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    await expect(row).to_contain_text("up")
    service.clock.advance(60)
    await push(service, name, up=0, cpu_usage=90)
    await expect(row).to_contain_text("down")
    assert await faults(shown) == []
    await pictured(shown, "fleet")
    await page.get_by_role("combobox", name="Colours").select_option("dark")
    assert await faults(shown) == []

    await page.get_by_role("combobox", name="Language").select_option("ko")
    await expect(page.get_by_role("heading", level=1)).to_have_text("전체 테넌트")
    await expect(row).to_contain_text("장애")
    await page.get_by_role("combobox", name="언어").select_option("en")

    service.clock.advance(30)
    await push(service, name, up=0, cpu_usage=91)
    await row.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    await expect(page.get_by_role("figure").first).to_be_visible()
    await expect(page.get_by_role("region", name="Incidents")).to_contain_text("goes on")
    # What is drawn can be read as well: a minute of the outage.
    await page.get_by_text("As a table").first.click()
    newest = page.get_by_role("region", name="As a table").first.get_by_role("row").nth(1)
    await expect(newest.get_by_role("cell").first).to_have_text("0")
    assert await faults(shown) == []
    assert {url for url in shown.asked if not url.startswith(service.url)} == set()
    # That it was asked whether one is needed before there was a token.
    assert [said for said in shown.complaints if "401 (Unauthorized)" not in said] == []


async def test_it_is_used_by_keyboard_on_a_narrow_screen(chromium: Browser, service: Service) -> None:
    name = await service.tenant(tenant_id="narrow" + "x" * 50)
    shown = await signed_in(chromium, service)
    page = shown.page
    await page.set_viewport_size({"width": 360, "height": 640})
    row = page.get_by_role("link", name=name)
    await row.wait_for()
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wider)
    await page.get_by_label("Search").focus()
    await page.keyboard.type(name)
    for _ in range(5):
        await page.keyboard.press("Tab")
        if await row.evaluate("link => link === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    assert not await page.evaluate(wider)
    assert await faults(shown) == []
    # An address that was typed wrong is a tenant that is not there, and the page goes on.
    await page.goto(f"{service.url}/#/tenants/%")
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("%")
    await expect(page.get_by_role("alert").first).to_be_visible()


async def test_what_is_not_there_or_not_for_this_person_is_said_and_asked_for_once(
    chromium: Browser, service: Service
) -> None:
    mine, other = await service.tenant(), await service.tenant()
    await service.token("guest", ["operator"], [mine])
    shown = await signed_in(chromium, service, "guest")
    page = shown.page
    await page.clock.install()
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(urlsplit(socket.url).path))
    for name in (other, "nowhere"):
        async with page.expect_websocket(lambda each: "/ws/monitoring/" in each.url) as found:
            await page.goto(f"{service.url}/#/tenants/{name}")
        socket = await found.value
        await expect(page.get_by_role("alert").first).to_contain_text("TENANT_NOT_FOUND")
        assert socket.is_closed() or await socket.wait_for_event("close")
        await page.clock.fast_forward(30_000)
        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        assert opened.count(f"/ws/monitoring/{name}") == 1
        assert await page.get_by_role("navigation", name="Parts of the tenant").count() == 0
        assert await faults(shown) == []


async def test_it_says_since_when_nobody_answers_and_goes_on_without_a_reload(
    chromium: Browser, service: Service, free_port: Callable[[], int]
) -> None:
    """A front of its own, which reaches its database by way of a relay: that goes away first, then the front itself."""
    name = await service.tenant()
    await push(service, name, up=1)
    url = urlsplit(service.app[CONTEXT].settings.database_url.get_secret_value())
    relay, port = Relay(there := free_port(), url.port or 5432), free_port()
    through = {
        "database_url": SecretStr(
            url._replace(netloc=url.netloc.replace(f":{url.port}", f":{there}")).geturl()
        )
    }
    await relay.start()
    try:
        async with another(service, port, **through) as first:
            shown = await signed_in(chromium, first)
            page = shown.page
            row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
            await expect(row).to_contain_text("up")
            await page.evaluate("window.isSame = true")
            status = page.get_by_role("status").first
            await relay.stop()
            await expect(status).to_contain_text("The database does not answer")
            service.clock.advance(5)
            await push(service, name, up=0)
            await expect(row).to_contain_text("up")
            assert await faults(shown) == []
            await relay.start()
            await expect(row).to_contain_text("down")
            await expect(status).to_contain_text("as of")
        await expect(status).to_contain_text("The server does not answer since")
        service.clock.advance(5)
        await push(service, name, up=1)
        async with another(service, port, **through):
            await expect(row).to_contain_text("up")
            await expect(status).to_contain_text("as of")
            assert await page.evaluate("window.isSame")
            await page.close()
    finally:
        await relay.stop()


async def test_who_may_see_nothing_is_shown_nothing_and_a_bad_token_is_refused(
    chromium: Browser, service: Service
) -> None:
    name, other = await service.tenant(), await service.tenant()
    await service.token("narrow", ["viewer"], [other])
    shown = await signed_in(chromium, service, "narrow")
    await expect(shown.page.get_by_role("row").filter(has_text=other)).to_be_visible()
    assert await shown.page.get_by_role("row").filter(has_text=name).count() == 0
    await shown.page.get_by_role("button", name="Sign out").click()
    await shown.page.get_by_label("Token").fill("ecp_nobody")
    await shown.page.get_by_role("button", name="Sign in").click()
    await expect(shown.page.get_by_role("alert")).to_contain_text("UNAUTHORIZED")


def test_both_languages_say_the_same_things() -> None:
    english, korean = (json.loads((UI / f"{name}.json").read_text()) for name in ("en", "ko"))
    assert english.keys() == korean.keys()
    said = " ".join(file.read_text() for file in UI.glob("*.js"))
    unsaid = [key for key in english if f"'{key}'" not in said and not key.startswith(SPOKEN)]
    assert unsaid == []


# Keys that are put together of what the API says, and the parts of a tenant's page.
SPOKEN = (
    "window_", "verdict_", "category_", "kind_", "standing_", "gate_", "severity_", "repeats_", "statement_",
    "objective_", "objectives", "overview", "up", "down", "gap", "unknown", "firing", "pending", "inactive", "resolved",
    "does_", "of_", "failure_", "effect_", "scenario_", "clock_", "figure_", "policy_", "status_page", "link_",
    "needs_approval", "late_notice", "phase_",
)  # fmt: skip
