"""The parts of a tenant's page in a real browser: what each shows, in two languages, and to whom it offers what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import Watched, browser
from tests.integration.api.conftest import Service
from tests.integration.api.test_console import faults, pictured, signed_in
from tests.integration.api.test_deploy_gate import Young
from tests.integration.api.test_statements import a_march, report

PARTS = (
    "Metrics", "Objectives", "Alert rules", "Planned maintenance", "Deployments", "Monthly statements", "Right-sizing",
)  # fmt: skip


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def lived(service: Service) -> str:
    """A tenant with an outage, a gap, maintenance and a deployment, all of it today."""
    name = await service.tenant()
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
    name = await lived(service)
    shown = await signed_in(chromium, service, "viewer")
    page = await opened(shown, service, name)
    # What happened stands on the timeline: outage, gap by its reason, what was left out, a deployment.
    legend = page.get_by_role("figure").first.locator(".legend")
    for said in ("down", "unknown: we did not ask", "left out", "deployment"):
        await expect(legend).to_contain_text(said)
    await expect(page.get_by_role("figure", name="Error budget, 24 hours")).to_be_visible()
    assert await faults(shown) == []
    # A zoom asks anew.
    async with page.expect_request(lambda r: "/sla/timeline?from=" in r.url):
        await page.get_by_role("button", name="Zoom in").click()
    for part in PARTS:
        await (
            page.get_by_role("navigation", name="Parts of the tenant").get_by_role("link", name=part).click()
        )
        await expect(page.locator("main").get_by_role("heading", level=2).first).to_be_visible()
        assert await faults(shown) == [], part
    await page.get_by_role("link", name="Metrics").click()
    await page.get_by_role("button", name="Live").click()
    await expect(page.get_by_role("figure", name="cpu")).to_be_visible()
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


async def test_what_is_planned_is_tried_before_it_is_saved(chromium: Browser, service: Service) -> None:
    name = await lived(service)
    shown = await signed_in(chromium, service)
    page = await opened(shown, service, name)
    await expect(page.get_by_role("figure", name="Error budget, 24 hours")).to_be_visible()
    await expect(page.get_by_role("figure").first.locator(".legend")).to_contain_text("deployment")
    await pictured(shown, "tenant")
    await page.get_by_role("link", name="Alert rules").click()
    await page.get_by_label("Alert", exact=True).fill("it is down")
    await page.get_by_label("Condition").fill("up < 1")
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
    await page.get_by_role("combobox", name="Month").select_option("2026-03")
    changed = page.get_by_role("region", name="Difference").get_by_role("row").filter(has_text="verdict")
    await expect(changed).to_contain_text("breachedmet")
    await expect(page.get_by_role("button", name="Revision 2")).to_have_attribute("aria-pressed", "true")
    assert await faults(shown) == []
    await pictured(shown, "statement")
    await page.get_by_role("button", name="Revision 1").click()
    await expect(page.locator("dl")).to_contain_text("breached")
    await expect(changed).to_have_count(0)


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
