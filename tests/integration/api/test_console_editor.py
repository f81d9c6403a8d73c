"""Making and changing a tenant in the console: sized while it is typed, checked at its lines, saved as a merge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, Route, expect

from ecpmon.orchestrator.catalogue import default_catalogue
from tests.browser import browser
from tests.integration.api.conftest import Service
from tests.integration.api.test_console import faults, pictured, signed_in
from tests.waiting import until

UI = Path(__file__).resolve().parents[3] / "ui" / "console"


async def detail(service: Service, name: str) -> Any:
    return (await service.ask("GET", f"/api/v1/tenants/{name}"))[1]


async def test_a_tenant_is_made_and_changed_while_its_size_and_cost_are_told(service: Service) -> None:
    async with browser() as chromium:
        shown = await signed_in(chromium, service)
        page = shown.page
        await page.get_by_role("link", name="New tenant").click()
        await page.get_by_label("Identifier").fill("acme-typed")
        await page.get_by_label("Name", exact=True).fill("Acme")
        needs = page.get_by_role("region", name="What it needs")
        await expect(needs).to_contain_text("/month")
        small = await needs.text_content() or ""
        await page.get_by_label("Sessions").fill("60")
        await expect(needs).not_to_have_text(small)
        await expect(needs.get_by_role("columnheader")).not_to_have_count(2)
        assert await faults(shown) == []
        await pictured(shown, "new-tenant")
        # What cannot be is said at its field, and the last size stays.
        await page.get_by_label("Availability promised").fill("120%")
        await expect(page.get_by_role("alert").first).to_contain_text("VALIDATION_FAILED")
        await page.get_by_label("Availability promised").fill("99.9%")
        await page.get_by_label("Language of statements").select_option("en")
        await what_is_typed_outlives_a_reload(page)
        await a_service_that_is_there_twice_is_refused(page)
        await what_would_be_deployed_is_shown(page)
        assert await faults(shown) == []
        assert (await service.ask("GET", "/api/v1/tenants/acme-typed"))[0] == 404
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("acme-typed")
        made = await detail(service, "acme-typed")
        assert (made["service_requirements"], made["language"]) == ({"callbot": 60}, "en")
        await page.get_by_role("link", name="New tenant").click()
        await expect(page.get_by_label("Identifier")).to_have_value("")

        await page.goto(f"{service.url}/#/tenants/acme-typed/change")
        await a_change_is_merged(service, page)
        await findings_stand_at_their_line(page)
        await what_is_typed_is_previewed(service, page)
        assert await faults(shown) == []
        await page.get_by_role("combobox", name="Language", exact=True).select_option("ko")
        await expect(page.get_by_role("button", name="저장")).to_be_visible()
        await page.set_viewport_size({"width": 360, "height": 640})
        wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await page.evaluate(wider)


async def what_is_typed_outlives_a_reload(page: Page) -> None:
    await page.reload()
    await expect(page.get_by_label("Identifier")).to_have_value("acme-typed")
    await expect(page.get_by_label("Sessions")).to_have_value("60")
    await expect(page.get_by_label("Language of statements")).to_have_value("en")


async def test_what_is_typed_into_a_manifest_is_replaced_by_no_answer_that_comes_late(
    service: Service,
) -> None:
    name = await service.tenant()
    async with browser() as chromium:
        shown = await signed_in(chromium, service)
        page = shown.page
        held: list[Route] = []
        await page.route(f"**/tenants/{name}/manifest", lambda route: held.append(route))
        await page.goto(f"{service.url}/#/tenants/{name}/change")
        area = page.get_by_role("textbox", name="Manifest")
        await area.fill("kind: Mine")
        await until(lambda: asked(held, 1), "the manifest is asked for")
        async with page.expect_response(f"**/tenants/{name}/manifest"):
            await held[0].continue_()
        newer = page.get_by_role("button", name="Show the newer manifest")
        await newer.click()
        await expect(area).to_have_value(re.compile("kind: Deployment"))
        await expect(newer).to_have_count(0)
        # Of two answers the one that was asked for last counts, whichever comes first.
        for description in ("first", "second"):
            await page.get_by_label("Description").fill(description)
            await page.get_by_role("button", name="Save").click()
            await expect(page.get_by_role("button", name="Save")).to_be_enabled()
            await until(lambda n=2 + (description == "second"): asked(held, n), "it is asked for again")  # type: ignore[misc]
        await held[2].fulfill(body="kind: Second")
        await expect(area).to_have_value("kind: Second")
        await held[1].fulfill(body="kind: First")
        await expect(page.get_by_label("Description")).to_have_value("second")
        await expect(area).to_have_value("kind: Second")
        assert await faults(shown) == []


async def asked(held: list[Route], times: int) -> bool:
    return len(held) == times


async def what_would_be_deployed_is_shown(page: Page) -> None:
    """Of a tenant that is not stored: its objects, and what validation says of them."""
    await page.get_by_role("button", name="Show the manifest").click()
    area = page.get_by_role("textbox", name="Manifest")
    await expect(area).to_have_value(re.compile("namespace: ecp-ai-acme-typed"))
    await expect(page.get_by_role("status").filter(has_text="Valid")).to_be_visible()
    await page.get_by_label("Sessions").fill("61")
    await expect(page.get_by_role("status").filter(has_text="the manifest of before")).to_be_visible()
    await page.get_by_label("Sessions").fill("60")


async def what_is_typed_is_previewed(service: Service, page: Page) -> None:
    before = await detail(service, "acme-typed")
    await page.get_by_role("button", name="Add a service").click()
    await service_field(page, 1).fill("advisor")
    await page.get_by_role("button", name="Show the manifest").click()
    await expect(page.get_by_role("textbox", name="Manifest")).to_have_value(re.compile("name: advisor"))
    assert await detail(service, "acme-typed") == before
    await page.get_by_role("button", name="Remove advisor").click()


async def a_change_is_merged(service: Service, page: Page) -> None:
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Acme")
    # Somebody else changes it meanwhile.
    body = {"description": "of the city"}
    assert (await service.ask("PUT", "/api/v1/tenants/acme-typed", body))[0] == 200
    await page.get_by_role("button", name="Add a service").click()
    await service_field(page, 1).fill("chatbot")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert").first).to_contain_text("CONFLICT")
    await page.get_by_role("button", name="Try again").click()
    # What was written stays written, over what is stored by now.
    await expect(page.get_by_label("Description")).to_have_value("of the city")
    await expect(service_field(page, 1)).to_have_value("chatbot")
    await page.get_by_role("button", name="Save").click()
    changed = page.get_by_role("region", name="What a deployment would change")
    await expect(changed).to_contain_text("chatbot")
    now = await detail(service, "acme-typed")
    assert now["service_requirements"] == {"callbot": 60, "chatbot": 10}
    assert now["description"] == "of the city"
    await page.get_by_role("button", name="Remove chatbot").click()
    await page.get_by_role("button", name="Save").click()
    await expect(changed).to_contain_text("is removed")
    assert (await detail(service, "acme-typed"))["service_requirements"] == {"callbot": 60}


async def a_service_that_is_there_twice_is_refused(page: Page) -> None:
    """Of one name there is one number of sessions: neither of two is left out unsaid."""
    await page.get_by_role("button", name="Add a service").click()
    await service_field(page, 1).fill("callbot")
    await page.get_by_role("button", name="Create").click()
    why = await service_field(page, 1).evaluate("box => box.validationMessage")
    assert why == "callbot is there already"
    await service_field(page, 1).fill("chatbot")
    assert await service_field(page, 1).evaluate("box => box.validationMessage") == ""
    await page.get_by_role("button", name="Remove chatbot").click()


def service_field(page: Page, place: int) -> Locator:
    return page.get_by_label("Service", exact=True).nth(place)


async def findings_stand_at_their_line(page: Page) -> None:
    area = page.get_by_role("textbox", name="Manifest")
    await expect(area).to_have_value(re.compile("kind: Deployment"))
    await expect(area).not_to_have_value(re.compile("chatbot"))
    text = await area.input_value()
    lines = text.replace("  replicas: 1", "  replicas: one", 1)
    line = lines.split("\n").index("  replicas: one") + 1
    await area.fill(lines)
    await page.get_by_role("button", name="Check").click()
    finding = page.get_by_role("listitem").filter(has_text="spec.replicas").first
    await expect(finding.locator(".meant")).to_contain_text(f"{line} ▶   replicas: one")
    await finding.get_by_role("button", name=f"Go to line {line}").click()
    chosen = await area.evaluate("box => box.value.slice(box.selectionStart, box.selectionEnd)")
    assert chosen == "  replicas: one"


def test_the_services_that_are_suggested_are_those_of_the_catalogue() -> None:
    suggested = (UI / "editor.js").read_text().partition("const SERVICES = [")[2].partition("]")[0]
    assert {name.strip(" '") for name in suggested.split(",")} == set(default_catalogue().services)
