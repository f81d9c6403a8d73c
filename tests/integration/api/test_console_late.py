"""What comes late to the console: an older answer takes the place of no newer one, and nothing away from who types, has
sent once or has gone elsewhere. Answers are held back on purpose, whole, and given when the page knows better."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser import Watched, browser
from tests.held import Held, path_is
from tests.integration.api.conftest import Service
from tests.integration.api.test_console import signed_in
from tests.integration.api.test_console_tenant import lived, opened
from tests.integration.api.test_deploy_gate import Young
from tests.integration.api.test_sockets import push
from tests.waiting import until

pytestmark = pytest.mark.demo


@pytest.fixture
async def shown(service: Service) -> AsyncIterator[Watched]:
    async with browser() as chromium:
        yield await signed_in(chromium, service)


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


async def test_an_older_answer_takes_the_place_of_no_newer_one(shown: Watched, service: Service) -> None:
    await a_summary_is_no_news_and_never_of_another_database(shown, service)
    await a_moment_later(shown, service)
    await what_stands_on_a_page_is_of_one_question_whatever_comes_first(shown, service)
    await a_moment_later(shown, service)
    await sentences_are_in_the_language_of_now(shown, service)


async def a_moment_later(shown: Watched, service: Service) -> None:
    """Nothing is held any more, and what the token may ask for in a second was not used up."""
    await shown.page.unroute_all()
    service.clock.advance(10)


async def a_summary_is_no_news_and_never_of_another_database(shown: Watched, service: Service) -> None:
    page, name = shown.page, await service.tenant()
    demo = (await Young.made(service)).path.rpartition("/")[2]
    await push(service, name, up=1)
    await expect(row_of(page, name)).to_contain_text("up")
    summaries = path_is("/sla/summary")
    of_demo = await Held.of(page, lambda r: summaries(r) and r.headers["x-demo-mode"] == "true")
    await page.get_by_role("button", name="Production").click()
    await of_demo.came(1)
    await page.get_by_role("button", name="Demo").click()
    await expect(row_of(page, name)).to_contain_text("up")
    for at in range(len(of_demo.asked)):
        await of_demo.given(at)
    assert await row_of(page, demo).count() == 0
    await expect(row_of(page, name)).to_contain_text("up")
    # Of one database: the first is held while a later one, and what happens since, is shown.
    await page.unroute_all()
    first = await Held.of(page, summaries, most=1)
    await page.reload()
    await first.came(1)
    service.clock.advance(5)
    await push(service, name, up=0)
    await expect(row_of(page, name)).to_contain_text("down")
    await first.given()
    await expect(row_of(page, name)).to_contain_text("down")


async def what_stands_on_a_page_is_of_one_question_whatever_comes_first(
    shown: Watched, service: Service
) -> None:
    page, name = shown.page, await lived(service)
    held = {end: await Held.of(page, path_is(end)) for end in (f"/{name}", f"/{name}/sla")}
    await page.goto(f"{service.url}/#/tenants/{name}")
    for each in held.values():
        await each.came(1)
    # Chosen before anything is known; what comes then is taken all the same.
    await page.get_by_role("button", name="7 days").click()
    for each in held.values():
        for at in range(len(each.asked)):
            await each.given(at)
    await expect(page.get_by_role("figure", name="Error budget, 7 days")).to_be_visible()
    await page.unroute_all()
    timeline = await Held.of(page, lambda r: "/sla/timeline" in r.url and "window=30d" in r.url)
    await page.get_by_role("button", name="30 days").click()
    await timeline.came(1)
    await expect(page.get_by_role("button", name="Zoom in")).to_be_disabled()
    assert await page.get_by_role("figure", name="Error budget, 30 days").count() == 0
    await expect(page.get_by_role("figure", name="Error budget, 7 days")).to_be_visible()
    await page.get_by_role("button", name="24 hours").click()
    await expect(page.get_by_role("figure", name="Error budget, 24 hours")).to_be_visible()
    await timeline.given()
    await expect(page.get_by_role("figure", name="Error budget, 24 hours")).to_be_visible()
    assert await page.get_by_role("figure", name="Error budget, 30 days").count() == 0
    # Two steps of a range are two, though nothing was drawn in between.
    zooms = await Held.of(page, lambda r: "/sla/timeline?from=" in r.url)
    for n in (1, 2):
        await page.get_by_role("button", name="Zoom in").click()
        await zooms.came(n)
    assert [round(hours_of(request.url)) for request in zooms.asked] == [12, 6]


def hours_of(url: str) -> float:
    begin, end = (datetime.fromisoformat(parse_qs(urlsplit(url).query)[name][0]) for name in ("from", "to"))
    return (end - begin).total_seconds() / 3600


async def sentences_are_in_the_language_of_now(shown: Watched, service: Service) -> None:
    page, name = shown.page, await lived(service)
    path = f"/api/v1/tenants/{name}/recommendations?days=7"
    english, korean = [
        (await service.ask("GET", path, **{"Accept-Language": language}))[1]["services"][0]
        for language in ("en", "ko")
    ]
    said = [(each["reasons"] + each["caveats"])[0] for each in (english, korean)]
    assert said[0] != said[1]
    advice = path_is("/recommendations")
    held = await Held.of(page, lambda r: advice(r) and r.headers["accept-language"] == "en")
    await opened(shown, service, f"{name}/sizing")
    await held.came(1)
    await page.get_by_role("combobox", name="Language", exact=True).select_option("ko")
    await expect(page.get_by_role("main")).to_contain_text(said[1])
    await held.given()
    await expect(page.get_by_role("main")).to_contain_text(said[1])
    await expect(page.get_by_role("main")).not_to_contain_text(said[0])


async def test_what_is_typed_while_an_answer_is_on_its_way_is_kept_and_what_is_sent_is_sent_once(
    shown: Watched, service: Service
) -> None:
    name = await service.tenant()
    shown.page.on("dialog", lambda dialog: dialog.accept())
    await a_preview_of_other_fields_saves_nothing(shown, service, name)
    await a_moment_later(shown, service)
    await a_form_stays_while_another_rule_is_removed(shown, service, name)
    await a_moment_later(shown, service)
    await two_clicks_are_one(shown, service, name)


async def a_preview_of_other_fields_saves_nothing(shown: Watched, service: Service, name: str) -> None:
    page = shown.page
    await opened(shown, service, f"{name}/maintenance")
    await page.get_by_label("Start (in").fill("2026-04-01T01:00")
    await page.get_by_label("Duration").fill("15m")
    await page.get_by_label("Reason").fill("an upgrade")
    previews = await Held.of(page, path_is("/maintenance/preview", "POST"))
    await page.get_by_role("button", name="Preview").click()
    await previews.came(1)
    await page.get_by_label("Duration").fill("20m")
    await previews.given()
    # It was of the quarter of an hour, and may not be saved for twenty minutes.
    await expect(page.get_by_label("Duration")).to_have_value("20m")
    await expect(page.get_by_role("button", name="Save")).to_be_disabled()
    assert await page.get_by_role("region", name="What it changes").count() == 0
    await page.unroute_all()
    await page.get_by_role("button", name="Preview").click()
    saved = await Held.of(page, path_is("/maintenance", "POST"))
    await page.get_by_role("button", name="Save").click()
    await saved.came(1)
    await expect(page.get_by_label("Reason")).to_be_disabled()
    await saved.given()
    await expect(page.get_by_label("Reason")).to_be_enabled()
    await expect(page.get_by_label("Reason")).to_have_value("")
    await page.unroute_all()


async def a_form_stays_while_another_rule_is_removed(shown: Watched, service: Service, name: str) -> None:
    page, path = shown.page, f"/api/v1/tenants/{name}/alerts"
    rule = {"alert_name": "old", "condition": "up < 1", "duration": "0s", "severity": "info", "actions": []}
    assert (await service.ask("POST", path, rule))[0] == 201
    await page.get_by_role("link", name="Alert rules").click()
    removed = await Held.of(page, lambda r: r.method == "DELETE")
    await page.get_by_role("button", name="Remove old").click()
    await removed.came(1)
    await page.get_by_label("Alert", exact=True).fill("half written")
    await removed.given()
    await expect(page.get_by_role("button", name="Remove old")).to_have_count(0)
    await expect(page.get_by_label("Alert", exact=True)).to_have_value("half written")
    # Who is refused is where they were.
    tried = page.get_by_role("textbox", name="Condition")
    await tried.fill("no condition")
    await page.unroute_all()
    await page.get_by_role("button", name="Try on the past").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(tried).to_have_value("no condition")


async def two_clicks_are_one(shown: Watched, service: Service, name: str) -> None:
    page = shown.page
    await opened(shown, service, f"{name}/status_page")
    await page.get_by_label("For whom it is").fill("the desk")
    made = await Held.of(page, path_is("/status-page/links", "POST"))
    twice = "button => { button.click(); button.click(); }"
    await page.get_by_role("button", name="Make a link").evaluate(twice)
    await made.came(1)
    await page.get_by_label("For whom it is").evaluate("field => field.form.requestSubmit()")
    await made.given()
    await expect(page.get_by_role("region", name="Links").get_by_role("row")).to_have_count(2)
    acted = await Held.of(page, path_is("/status-page", "PUT"))
    await page.get_by_role("button", name="Let anybody look").evaluate(twice)
    await acted.came(1)
    await expect(page.get_by_role("button", name="Let anybody look")).to_be_disabled()
    await acted.given()
    await expect(page.get_by_text("Anybody may look at it:")).to_be_visible()
    assert (len(made.asked), len(acted.asked)) == (1, 1)
    await page.get_by_role("link", name="Change").click()
    await page.get_by_label("Description").fill("of the city")
    stored = await Held.of(page, lambda r: r.method == "PUT")
    await page.get_by_role("button", name="Save").evaluate(twice)
    await stored.came(1)
    await stored.given()
    await expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    assert len(stored.asked) == 1
    assert await page.get_by_role("alert").count() == 0


async def test_who_has_gone_elsewhere_is_not_fetched_back_and_what_did_not_come_is_asked_for_again(
    shown: Watched, service: Service
) -> None:
    page = shown.page
    await page.get_by_role("link", name="New tenant").click()
    await page.get_by_label("Identifier").fill("acme-late")
    await page.get_by_label("Name", exact=True).fill("Acme")
    made = await Held.of(page, path_is("/api/v1/tenants/", "POST"))
    await page.get_by_role("button", name="Create").click()
    await made.came(1)
    await page.get_by_role("link", name="← All tenants").click()
    await expect(page.get_by_role("heading", name="All tenants")).to_be_visible()
    await made.given()
    await expect(row_of(page, "Acme")).to_be_visible()
    assert page.url == f"{service.url}/#/"
    await a_part_that_did_not_come_is_asked_for_again(shown, service)


async def a_part_that_did_not_come_is_asked_for_again(shown: Watched, service: Service) -> None:
    page = shown.page
    await page.clock.install()
    failures = []

    async def fail(route: Route) -> None:
        failures.append(route.request.url)
        await (route.abort() if len(failures) == 1 else route.continue_())

    await page.route("**/ui/audit.js", fail)
    await opened(shown, service, "acme-late/audit")
    await until(lambda: failed(failures), "it is asked for")
    await page.clock.run_for(3_000)
    await expect(page.get_by_role("region", name="Audit")).to_be_visible()


async def failed(failures: list[str]) -> bool:
    return bool(failures)
