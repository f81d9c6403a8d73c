"""The console in a real browser: live, in two languages, by keyboard and for screen readers, from here only."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from ecpmon.api.context import CONTEXT
from ecpmon.api.fleet import Look
from ecpmon.errors import DatabaseUnavailable
from tests.browser import Watched, browser, watched
from tests.integration.api.conftest import Service
from tests.integration.api.test_sockets import push
from tests.waiting import PATIENCE

UI = Path(__file__).resolve().parents[3] / "ui" / "console"


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def signed_in(chromium: Browser, service: Service, who: str = "admin") -> Watched:
    shown = await watched(chromium)
    expect.set_options(timeout=PATIENCE * 1000)
    await shown.page.goto(f"{service.url}/")
    await shown.page.get_by_label("Token").fill(service.tokens[who])
    await shown.page.get_by_role("button", name="Sign in").click()
    await shown.page.get_by_role("heading", name="All tenants").wait_for()
    return shown


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
    name = await service.tenant()
    shown = await signed_in(chromium, service)
    page = shown.page
    await page.set_viewport_size({"width": 360, "height": 640})
    row = page.get_by_role("link", name=name)
    await row.wait_for()
    await page.get_by_label("Search").focus()
    await page.keyboard.type(name)
    for _ in range(5):
        await page.keyboard.press("Tab")
        if await row.evaluate("link => link === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wider)
    assert await faults(shown) == []


async def test_it_says_since_when_nobody_answers_and_goes_on_without_a_reload(
    chromium: Browser, service: Service
) -> None:
    name = await service.tenant()
    await push(service, name, up=1)
    shown = await signed_in(chromium, service)
    page, hub = shown.page, service.app[CONTEXT].production.hub
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    await expect(row).to_contain_text("up")
    fleet = hub._fleet
    assert fleet is not None
    ask = fleet._ask

    async def away(_: object) -> Look:
        raise DatabaseUnavailable("it is away")

    fleet._ask = away
    status = page.get_by_role("status").first
    await expect(status).to_contain_text("The database does not answer")
    fleet._ask = ask
    await expect(status).to_contain_text("as of")
    # The server ends, and nobody is there for a while.
    await page.context.set_offline(True)
    for outbox, _ in hub.sessions():
        outbox.close(1001, "the server is stopping")
    await expect(status).to_contain_text("The server does not answer since")
    service.clock.advance(5)
    await push(service, name, up=0)
    await page.context.set_offline(False)
    await expect(row).to_contain_text("down")
    await expect(status).to_contain_text("as of")


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
    "does_", "of_", "failure_", "effect_", "scenario_", "clock_",
)  # fmt: skip
