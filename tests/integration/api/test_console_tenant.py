"""The parts of a tenant's page in a real browser: what each shows, in two languages, and to whom it offers what."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import Watched, browser, watched
from tests.integration.api.conftest import Service
from tests.integration.api.test_console import faults, pictured, sign_in, signed_in
from tests.integration.api.test_deploy_gate import Young
from tests.integration.api.test_sockets import push
from tests.integration.api.test_statements import a_march, report

pytestmark = pytest.mark.demo

PARTS = (
    "Metrics", "Objectives", "Alert rules", "Planned maintenance", "Deployments", "Monthly statements", "Right-sizing",
    "Status page",
)  # fmt: skip


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def lived(service: Service, **more: Any) -> str:
    """A tenant with an outage, a gap, maintenance and a deployment, all of it today."""
    name = await service.tenant(**more)
    path = f"/api/v1/tenants/{name}"
    begin = service.clock.now() - timedelta(hours=6)
    down, gap = range(60, 75), range(150, 200)
    body = [
        {
            "timestamp": (begin + timedelta(minutes=n)).isoformat(),
            "metrics": {"up": 0 if n in down else 1, "cpu_usage": 40 + n % 9},
        }
        for n in range(360)
        if n not in gap
    ]
    status, answer, _ = await service.ask("POST", f"{path}/monitoring", body)
    assert status == 202, answer
    window = {
        "start": (begin + timedelta(hours=4)).isoformat(),
        "duration": "20m",
        "reason": "database upgrade",
    }
    told = {"status": "completed", "deployed_at": (begin + timedelta(minutes=55)).isoformat()}
    objective = {"kind": "latency", "target": 0.95, "threshold_ms": 200, "display_name": "Answers in time"}
    for method, more, said in (
        ("POST", "maintenance", window), ("POST", "deployment-status", told), ("PUT", "objectives/latency", objective),
    ):  # fmt: skip
        status, answer, _ = await service.ask(method, f"{path}/{more}", said)
        assert status < 300, answer
    return name


async def opened(shown: Watched, service: Service, name: str) -> Page:
    await shown.page.goto(f"{service.url}/#/tenants/{name}")
    await expect(shown.page.get_by_role("heading", level=1)).to_contain_text(name.partition("/")[0])
    return shown.page


async def test_every_part_of_a_tenant_is_there_for_everybody(chromium: Browser, service: Service) -> None:
    name = await lived(service, time_zone="Asia/Seoul")
    shown = await signed_in(chromium, service, "viewer")
    page = await opened(shown, service, name)
    # What happened stands on the timeline: outage, gap by its reason, what was left out, a deployment.
    legend = page.get_by_role("figure").first.locator(".legend")
    for said in ("down", "unknown: we did not ask", "left out", "deployment"):
        await expect(legend).to_contain_text(said)
    await expect(page.get_by_role("figure", name="Error budget, 24 hours")).to_be_visible()
    assert await faults(shown) == []
    await its_plots_are_read_by_keyboard(page)
    # A zoom asks anew.
    async with page.expect_request(lambda r: "/sla/timeline?from=" in r.url):
        await page.get_by_role("button", name="Zoom in").click()
    await all_times_are_in_the_zone_that_is_chosen(page)
    for part in PARTS:
        await (
            page.get_by_role("navigation", name="Parts of the tenant").get_by_role("link", name=part).click()
        )
        await expect(page.locator("main").get_by_role("heading", level=2).first).to_be_visible()
        assert await faults(shown) == [], part
    await page.get_by_role("link", name="Metrics").click()
    await page.get_by_role("button", name="Live").click()
    await expect(page.get_by_role("figure", name="cpu")).to_be_visible()
    await what_is_told_twice_or_between_parts_no_line(page)
    await what_cannot_be_pressed_is_seen_to_be_so(page)
    await what_is_small_is_not_told_as_nothing(page)
    # A viewer is offered no change, and no audit.
    assert await page.get_by_role("link", name="Audit").count() == 0
    await page.get_by_role("link", name="Alert rules").click()
    await expect(page.get_by_role("region", name="Alert rules")).to_be_visible()
    assert await page.get_by_role("heading", name="New rule").count() == 0
    await page.get_by_role("combobox", name="Language").select_option("ko")
    await expect(page.get_by_role("region", name="경보 규칙")).to_be_visible()
    await page.get_by_role("link", name="개요").click()
    await page.get_by_role("button", name="24시간").click()
    await expect(page.get_by_role("figure").first).to_contain_text("알 수 없음: 수집기 중단")
    assert {url for url in shown.asked if not url.startswith(service.url)} == set()


async def test_a_failure_is_seen_at_once_however_late_the_list_of_all_tenants_is(
    chromium: Browser, service: Service
) -> None:
    """Between two looks at all tenants lies ten times what one takes: more than 2 s on a busy server."""
    name = await service.tenant()
    await push(service, name, up=1)
    shown = await watched(chromium)
    # A list that is never told again.
    await shown.page.route_web_socket(re.compile("/ws/fleet"), lambda _: None)
    await sign_in(shown, service)
    page = await opened(shown, service, name)
    state = page.locator("main .mark").first
    for up, said in ((0, "down"), (1, "up")):
        service.clock.advance(60)
        await push(service, name, up=up)
        await expect(state).to_contain_text(said)


async def all_times_are_in_the_zone_that_is_chosen(page: Page) -> None:
    """What was zoomed into, and as of when it is, as well as all the rest."""
    said = [page.get_by_role("group", name="Shown span").get_by_role("status"), page.locator("p.since")]
    before = [await each.inner_text() for each in said]
    zone = page.get_by_role("combobox", name="Times in")
    await zone.select_option("tenant")
    for each, text in zip(said, before, strict=True):
        await expect(each).not_to_have_text(text)
    await zone.select_option("viewer")
    assert [await each.inner_text() for each in said] == before


async def what_is_told_twice_or_between_parts_no_line(page: Page) -> None:
    """The same instant is told again until something new is measured, and a change of state before its turn."""
    drawn = await page.evaluate(
        """async () => {
          const { withNewest } = await import('/ui/tenant_store.js');
          const { withGaps } = await import('/ui/metrics.js');
          const told = [0, 0, 60, 60, 120, 130, 180, 600];
          const message = (at) => ({ timestamp: new Date(1000 * at).toISOString(), metrics: { up: 1 } });
          const recent = told.reduce((known, at) => withNewest(known, message(at)), []);
          return withGaps([recent.map(({ at }) => at), recent.map(({ metrics }) => metrics.up)]);
        }"""
    )
    assert drawn == [[0, 60, 120, 130, 180, 240, 600], [1, 1, 1, 1, 1, None, 1]]


async def what_cannot_be_pressed_is_seen_to_be_so(page: Page) -> None:
    await page.locator("summary").filter(has_text="As a table").first.click()
    newer = page.get_by_role("button", name="Newer").first
    await expect(newer).to_be_disabled()
    look = "of => { const { color, opacity } = getComputedStyle(of); return `${color} ${opacity}`; }"
    assert await newer.evaluate(look) != await page.get_by_role("button", name="Live").evaluate(look)


async def what_is_small_is_not_told_as_nothing(page: Page) -> None:
    told = await page.evaluate(
        """async () => {
          const { exact, graded } = await import('/ui/words.js');
          const marks = [[0.0002, 0.0002], [0.0004, 0.0002], [99.75, 0.25], [4e11, 1e11]];
          return [exact(0.00081), exact(1234.5), ...marks.map((each) => graded(...each))];
        }"""
    )
    assert told == ["0.00081", "1,234.5", "0.0002", "0.0004", "99.75", "400,000,000,000"]


async def its_plots_are_read_by_keyboard(page: Page) -> None:
    """The cursor says its time and what is drawn there, and what lies behind it."""
    plot = page.get_by_role("slider", name="Availability over time")
    await plot.focus()
    assert await plot.get_attribute("aria-valuenow") == await plot.get_attribute("aria-valuemax")
    newest = await plot.get_attribute("aria-valuetext")
    await page.keyboard.press("ArrowLeft")
    await expect(plot).not_to_have_attribute("aria-valuetext", newest or "")
    # The legend under it shows the same as for a mouse.
    await expect(page.get_by_role("figure").first.locator(".u-legend").first).to_contain_text("99")
    said = set()
    await page.keyboard.press("End")
    for _ in range(300):
        told = await plot.get_attribute("aria-valuetext") or ""
        said |= {word for word in ("Availability 100 %", "no value", "left out", "down") if word in told}
        await page.keyboard.press("ArrowLeft")
    assert said == {"Availability 100 %", "no value", "left out", "down"}
    await page.keyboard.press("Home")
    await expect(plot).to_have_attribute("aria-valuenow", "1")
    await page.keyboard.press("Shift+ArrowRight")
    await expect(plot).not_to_have_attribute("aria-valuenow", "2")
    async with page.expect_request(lambda r: "/sla/timeline?from=" in r.url):
        await page.keyboard.press("+")


async def test_what_is_planned_is_tried_before_it_is_saved(chromium: Browser, service: Service) -> None:
    name = await lived(service)
    shown = await signed_in(chromium, service)
    page = await opened(shown, service, name)
    await expect(page.get_by_role("figure", name="Error budget, 24 hours")).to_be_visible()
    await expect(page.get_by_role("figure").first.locator(".legend")).to_contain_text("deployment")
    await pictured(shown, "tenant")
    await page.get_by_role("link", name="Alert rules").click()
    await page.get_by_label("Alert", exact=True).fill("it is down")
    await page.get_by_role("textbox", name="Condition").fill("up < 1")
    save = page.get_by_role("button", name="Save")
    await expect(save).to_be_disabled()
    await page.get_by_role("button", name="Try on the past").click()
    await expect(page.get_by_role("figure", name="What the rule would have done")).to_be_visible()
    await expect(page.get_by_role("region", name="Outages and what it would have told")).not_to_contain_text(
        "never"
    )
    assert await faults(shown) == []
    await pictured(shown, "rule")
    await save.click()
    await expect(page.get_by_role("region", name="Alert rules")).to_contain_text("it is down")
    await rules_are_changed(service, shown, name)

    await page.get_by_role("link", name="Planned maintenance").click()
    start = service.clock.now() - timedelta(hours=5)
    await page.get_by_label("Start (in").fill(start.strftime("%Y-%m-%dT%H:%M"))
    await page.get_by_label("Duration").fill("15m")
    await page.get_by_label("Reason").fill("the outage was planned")
    await page.get_by_role("button", name="Preview").click()
    changes = page.get_by_role("region", name="What it changes")
    await expect(changes.get_by_role("row", name="24 hours")).to_contain_text("15 min → 0 min")
    assert await faults(shown) == []
    await pictured(shown, "maintenance")
    await save.click()
    await expect(page.get_by_role("region", name="Planned maintenance")).to_contain_text(
        "the outage was planned"
    )
    # It was read before by who wrote it: the audit says so.
    await page.get_by_role("link", name="Audit").click()
    await expect(page.get_by_role("region", name="Audit")).to_contain_text("maintenance.")
    assert await faults(shown) == []
    assert [said for said in shown.complaints if "401 (Unauthorized)" not in said] == []


async def test_what_is_wrong_stands_at_its_field_in_both_languages(
    chromium: Browser, service: Service
) -> None:
    name = await service.tenant()
    await push(service, name, up=1)
    shown = await signed_in(chromium, service)
    page = await opened(shown, service, f"{name}/maintenance")
    await page.get_by_label("Start (in").fill("2026-03-03T01:00")
    await page.get_by_label("Duration").fill("soon")
    await page.get_by_role("button", name="Preview").click()
    assert (await wrong(page)).keys() == {"reason"}
    await page.get_by_label("Reason").fill("a new database")
    await page.get_by_role("button", name="Preview").click()
    await said_of(page, "duration")
    # Who has pressed it is still there, and may press it again.
    await expect(page.get_by_role("button", name="Preview")).to_be_focused()
    assert await faults(shown) == []
    await page.get_by_label("Duration").fill("2h")
    await page.get_by_role("combobox", name="Language", exact=True).select_option("ko")
    await page.get_by_label("또는 규칙").fill("FREQ=SOMETIMES")
    await page.get_by_role("button", name="미리 보기").click()
    await said_of(page, "rrule")
    told = await wrong(page)
    assert all(HANGUL.search(said) for said in told.values()), told

    await page.goto(f"{service.url}/#/tenants/{name}/alert_rules")
    await page.get_by_role("textbox", name="조건").fill("cpu >")
    await page.get_by_role("button", name="과거로 시험").click()
    await said_of(page, "condition")
    await page.get_by_role("textbox", name="조건").fill("up < 1")
    await page.get_by_label("지속 시간").fill("soon")
    await page.get_by_role("button", name="과거로 시험").click()
    await said_of(page, "duration")
    await page.get_by_label("지속 시간").fill("5m")
    await page.get_by_label("경보", exact=True).fill("it is down")
    await page.get_by_role("button", name="웹훅 추가").click()
    await page.get_by_role("textbox", name="웹훅").fill("no address")
    # What was typed outlives a reload of the tab.
    await page.reload()
    await expect(page.get_by_role("textbox", name="웹훅")).to_have_value("no address")
    await page.get_by_role("button", name="과거로 시험").click()
    await expect(page.get_by_role("figure")).to_be_visible()
    await page.get_by_role("button", name="저장").click()
    await expect(page.locator("label:has([aria-invalid])")).to_contain_text("웹훅")
    told = await wrong(page)
    assert all(HANGUL.search(said) for said in told.values()), told
    assert await faults(shown) == []
    await page.get_by_role("button", name="로그아웃").click()
    assert await page.evaluate("Object.keys(sessionStorage).filter(key => key.includes('typed'))") == []


HANGUL = re.compile("[가-힣]")


async def wrong(page: Page) -> dict[str, str]:
    """What is said at each field of a form that is not as it should be."""
    bad = page.locator("label:has([aria-invalid])")
    await expect(bad).not_to_have_count(0)
    return {
        await each.locator("[aria-invalid]").get_attribute("name") or "": await each.locator(
            ".trouble"
        ).inner_text()
        for each in await bad.all()
    }


async def said_of(page: Page, field: str) -> None:
    """Of this one and of no other."""
    await expect(page.locator(f"label:has([aria-invalid][name={field}]) .trouble")).not_to_be_empty()
    assert (await wrong(page)).keys() == {field}


async def rules_are_changed(service: Service, shown: Watched, name: str) -> None:
    """One's own, after it was tried anew; those of an objective, which are tried on what was counted for it."""
    page = shown.page
    await page.get_by_role("button", name="Change it is down").click()
    await expect(page.get_by_role("heading", name="Change it is down")).to_be_focused()
    save = page.get_by_role("button", name="Save")
    await page.get_by_label("Severity").select_option("critical")
    await expect(save).to_be_enabled()  # it decides as before
    await page.get_by_role("textbox", name="Condition").fill("up < 0.5")
    await expect(save).to_be_disabled()
    await page.get_by_role("button", name="Add: Webhook").click()
    await page.get_by_role("textbox", name="Webhook").fill("https://hooks.example.com/sla")
    await page.get_by_label("Headers").fill("Authorization: Bearer secret")
    await page.get_by_role("button", name="Try on the past").click()
    await expect(page.get_by_role("figure", name="What the rule would have done")).to_be_visible()
    assert await faults(shown) == []
    await save.click()
    await expect(page.get_by_role("heading", name="New rule")).to_be_visible()
    rule = await rule_called(service, name, "it is down")
    assert (rule["condition"], rule["severity"]) == ("up < 0.5", "critical")
    assert [a["headers"] for a in rule["actions"]] == [{"Authorization": "***"}]
    # Its secret stays when something else is changed.
    await page.get_by_role("button", name="Change it is down").click()
    await page.get_by_label("Severity").select_option("info")
    await save.click()
    await expect(page.get_by_role("heading", name="New rule")).to_be_visible()
    assert (await rule_called(service, name, "it is down"))["actions"] == rule["actions"]

    # About an objective that wants no alerts yet.
    path = f"/api/v1/tenants/{name}/objectives/latency"
    _, objective, _ = await service.ask("GET", path)
    await service.ask("PUT", path, {**objective, "alerts": False})
    await page.reload()
    about = page.get_by_role("combobox", name="About", exact=True)
    await about.select_option(label="Answers in time: burns fast (page)")
    await expect(page.get_by_text("saving turns all of its rules on")).to_be_visible()
    await expect(save).to_be_disabled()
    await page.get_by_role("button", name="Try on the past").click()
    await expect(page.get_by_role("figure", name="What the rule would have done")).to_be_visible()
    await expect(page.get_by_text("It would have fired 0 times.")).to_be_visible()
    await page.get_by_role("button", name="Add: E-mail").click()
    await page.get_by_role("textbox", name="E-mail").fill("oncall@example.com")
    assert await faults(shown) == []
    await save.click()
    region = page.get_by_role("region", name="Alert rules")
    await expect(region).to_contain_text("slo_latency_burn_rate_page")
    rule = await rule_called(service, name, "slo_latency_burn_rate_page")
    assert (rule["policy"], rule["objective"]) == ("page", "latency")
    assert rule["actions"] == [{"type": "email", "recipients": ["oncall@example.com"]}]


async def rule_called(service: Service, name: str, alert_name: str) -> Any:
    _, told, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts")
    return next(rule for rule in told["alerts"] if rule["alert_name"] == alert_name)


async def test_links_of_the_status_page_are_given_shown_once_and_withdrawn(
    chromium: Browser, service: Service
) -> None:
    name = await service.tenant()
    shown = await signed_in(chromium, service)
    page = shown.page
    page.on("dialog", lambda dialog: dialog.accept())
    await opened(shown, service, f"{name}/status_page")
    await page.get_by_label("For whom it is").fill("Acme's service desk")
    await page.get_by_label("Days until it ends").fill("2")
    await page.get_by_role("button", name="Make a link").click()
    given = await page.get_by_label("Link", exact=True).input_value()
    links = page.get_by_role("region", name="Links")
    await expect(links.get_by_role("row").filter(has_text="Acme's service desk")).to_contain_text("good")
    assert await faults(shown) == []
    secret = f"/status/{given.rpartition('/status/')[2]}"
    assert (await service.ask("GET", secret, who=None))[0] == 200
    # Whoever comes back does not see it again.
    await page.get_by_role("link", name="Overview").click()
    await page.get_by_role("link", name="Status page").click()
    await expect(links).to_contain_text("Acme's service desk")
    assert given not in await page.content()
    await page.get_by_role("button", name="Withdraw: Acme's service desk").click()
    await expect(links).to_contain_text("withdrawn")
    assert (await service.ask("GET", secret, who=None))[0] == 404
    await page.get_by_role("button", name="Let anybody look").click()
    await expect(page.get_by_role("link", name=f"/status/{name}")).to_be_visible()
    assert (await service.ask("GET", f"/status/{name}", who=None))[0] == 200
    await page.get_by_role("button", name="Only by links").click()
    await expect(page.get_by_text("Only who has a link may look at it.")).to_be_visible()
    await page.get_by_role("combobox", name="Language", exact=True).select_option("ko")
    await expect(page.get_by_role("heading", name="새 링크")).to_be_visible()
    # A viewer sees who may look, and gives nobody a link.
    looking = await signed_in(chromium, service, "viewer")
    await opened(looking, service, f"{name}/status_page")
    await expect(looking.page.get_by_role("region", name="Links")).to_contain_text("withdrawn")
    assert await looking.page.get_by_role("button", name="Make a link").count() == 0
    assert await looking.page.get_by_role("button", name="Let anybody look").count() == 0


async def test_a_restated_month_shows_its_revisions_and_what_each_changed(
    chromium: Browser, service: Service
) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    await report(service, name)
    window = {"start": "2026-03-10T01:00:00Z", "duration": "4h", "reason": "approved by the customer"}
    await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", window)
    shown = await signed_in(chromium, service)
    page = await opened(shown, service, f"{name}/statements")
    await page.get_by_role("link", name="2026-03").click()
    assert page.url.endswith(f"#/tenants/{name}/statements/2026-03")
    changed = page.get_by_role("region", name="Difference").get_by_role("row").filter(has_text="Verdict")
    await expect(changed).to_contain_text("breachedmet")
    await expect(page.get_by_role("link", name="Revision 2")).to_have_attribute("aria-current", "page")
    assert await faults(shown) == []
    await pictured(shown, "statement")
    await page.get_by_role("link", name="Revision 1").click()
    assert page.url.endswith(f"#/tenants/{name}/statements/2026-03/1")
    await expect(page.locator("dl")).to_contain_text("breached")
    await expect(changed).to_have_count(0)
    # Each has an address, that of a quarter too.
    await page.goto(f"{service.url}/#/tenants/{name}/statements/2026-03/2")
    await expect(changed).to_contain_text("breachedmet")
    await page.get_by_role("link", name="2026-Q1").click()
    await expect(page.get_by_role("heading", name="2026-Q1")).to_be_visible()
    await expect(page.locator("dl")).to_contain_text("met")
    await page.get_by_role("combobox", name="Language", exact=True).select_option("ko")
    await page.goto(f"{service.url}/#/tenants/{name}/statements/2026-03")
    await expect(page.get_by_role("region", name="차이")).to_contain_text("판정")


async def test_a_deployment_is_followed_and_the_gate_says_why(chromium: Browser, service: Service) -> None:
    young = await Young.made(service)
    shown = await signed_in(chromium, service)
    page = shown.page
    await page.get_by_role("button", name="Production").click()
    await expect(page.get_by_text("no customer is behind it")).to_be_visible()
    assert await page.title() == "[DEMO] ecpmon"
    page.on("dialog", lambda dialog: dialog.accept())
    await page.goto(f"{service.url}/#{young.path.removeprefix('/api/v1')}/deployments")
    await page.get_by_role("button", name="Deploy", exact=True).click()
    await expect(page.get_by_role("region", name="Deployments")).to_contain_text("completed")
    await expect(page.get_by_role("status").filter(has_text="100 %")).to_be_visible()
    await young.live(120, up=0)
    await page.get_by_role("button", name="Deploy", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text(
        "The gate refuses: the error budget of 30 days is spent."
    )
    assert await faults(shown) == []
