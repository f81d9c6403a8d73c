"""Status pages for a tenant's customers: who is let in, what is shown and what is not, and what strangers cost."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe

from ecpmon.wire import rfc3339
from tests.browser import browser, watched
from tests.integration.api.conftest import NOW, Service
from tests.integration.api.test_sockets import push

IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"
_INSIDE = ("secret-rule", "ecp-ai-", "patch of node", "pod", "Alice")


async def look(service: Service, address: str, **headers: str) -> tuple[int, str, Any]:
    """As a stranger: (status, text, headers)."""
    return await service.ask("GET", f"/status/{address}", who=None, **headers)


async def let_in(service: Service, name: str, **body: Any) -> tuple[int, str]:
    """A new link: its number, and the last part of its address."""
    path = f"/api/v1/tenants/{name}/status-page/links"
    status, given, headers = await service.ask("POST", path, {"label": "Acme", **body})
    assert (status, headers["Cache-Control"]) == (201, "no-store"), given
    return given["id"], given["url"].rpartition("/status/")[2]


async def publish(service: Service, name: str, public: bool = True) -> Any:
    status, body, _ = await service.ask(
        "PUT", f"/api/v1/tenants/{name}/status-page", {"public": public}, who="admin"
    )
    assert status == 200, body
    return body


async def test_who_has_a_good_link_is_let_in_and_everybody_else_is_told_the_same(service: Service) -> None:
    name, other = await service.tenant(), await service.tenant()
    await push(service, name, up=1)
    number, address = await let_in(service, name, expires_in_days=2)
    assert (await look(service, address))[0] == 200
    _, foreign = await let_in(service, other)
    withdrawn, gone = await let_in(service, name)
    path = f"/api/v1/tenants/{name}/status-page"
    assert (await service.ask("DELETE", f"{path}/links/{withdrawn}"))[0] == 204
    assert (await service.ask("DELETE", f"{path}/links/{withdrawn}"))[0] == 404
    wrong = [
        "no-such-tenant", name, gone, f"{name}.{'A' * 70}", address[:-1], address + "A", "x" * 500, "a%2fb",
        name + foreign[len(other):],
    ]  # fmt: skip
    status, first, headers = await look(service, wrong[0])
    assert status == 404
    assert (headers["Cache-Control"], "ETag" in headers) == ("no-store", False)
    for each in wrong[1:]:
        for rest in ("", "/badge.svg", "/statements/2026-02.pdf"):
            again = await look(service, each + rest)
            assert again[:2] == (404, first), each
            assert again[2].keys() == headers.keys()
    service.clock.advance(2 * 86_400)
    assert (await look(service, address))[:2] == (404, first)
    # Of a link nothing is stored that would lead there, and nothing is told.
    dump = await service.runtime.database.fetchval("SELECT string_agg(l::text, ' ') FROM status_links l")
    _, listed, _ = await service.ask("GET", path, who="viewer")
    _, audit, _ = await service.ask("GET", f"/api/v1/tenants/{name}/audit")
    for told in (dump, str(listed), str(audit)):
        assert address.partition(".")[2][30:] not in told
    assert [(each["id"], each["good"]) for each in listed["links"]] == [(withdrawn, False), (number, False)]
    actions = [(e["action"], e["subject"]) for e in audit["entries"] if "status" in e["action"]]
    assert actions[:2] == [
        ("status_link.withdrawn", f"{name} link {withdrawn}"),
        ("status_link.created", f"{name} link {withdrawn}"),
    ]
    for body in ({"label": ""}, {"label": "x", "expires_in_days": 401}, {"label": "a\nb"}, {}):
        assert (await service.ask("POST", f"{path}/links", body))[0] == 422


async def test_a_page_shows_what_was_promised_and_measured_and_nothing_of_the_inside(
    service: Service,
) -> None:
    name = await service.tenant(
        tenant_id="acme-desk", service_requirements={"callbot": 10, "chatbot": 10}, time_zone="Asia/Seoul"
    )
    entries = [
        {
            "timestamp": rfc3339(NOW + timedelta(minutes=n)),
            "metrics": {"up.callbot": 1, "up.chatbot": int(n not in range(10, 20)), "up.inner-pod-7": 1},
        }
        for n in range(31)
    ]
    service.clock.advance(1_800)
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", entries))[0] == 202
    rule = {"alert_name": "secret-rule", "condition": "cpu_usage > 80", "duration": "5m", "severity": "page"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule))[0] == 201
    planned = {
        "start": "2026-03-08T18:00:00Z", "duration": "2h", "title": "New voices", "reason": "patch of node 3",
        "approved_by": "Alice",
    }  # fmt: skip
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", planned))[0] == 201
    assert (await publish(service, name))["url"].endswith("/status/acme-desk")
    status, text, headers = await look(service, name)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    for part in ("callbot", "chatbot", "Everything is up.", "10 min", "New voices", "2026-03-09 03:00:00"):
        assert part in text, part
    for inner in _INSIDE:
        assert inner not in text, inner
    assert "2026-03-02 18:10:00" in text  # of the incident
    assert "모든 서비스가 정상입니다." in (await look(service, name, **{"Accept-Language": "ko"}))[1]
    # What a browser has is not sent again.
    assert (await look(service, name, **{"If-None-Match": headers["ETag"]}))[0] == 304
    _, svg, of_badge = await look(service, f"{name}/badge.svg?language=ko")
    assert "정상" in svg
    assert of_badge["Content-Type"] == "image/svg+xml"
    entries[-1]["metrics"] = {"up.callbot": 1, "up.chatbot": 0}
    entries[-1]["timestamp"] = rfc3339(NOW + timedelta(minutes=30, seconds=30))
    service.clock.advance(30)
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", entries[-1]))[0] == 202
    service.clock.advance(10)
    await publish(service, name)  # it is read anew
    _, text, _ = await look(service, name)
    assert "Some services are down." in text
    assert "goes on" in text
    assert (await look(service, f"{name}/badge.svg"))[2]["ETag"] != of_badge["ETag"]
    await publish(service, name, public=False)
    assert (await look(service, name))[0] == 404


async def test_strangers_cost_one_reading_together_and_forgeries_none(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, up=1)
    _, address = await let_in(service, name)
    await publish(service, name)
    # The secrets of both databases are asked for once in a process.
    await look(service, f"{name}.{'A' * 70}")

    async def queries(page: str) -> int:
        _, _, headers = await look(service, page, **{"X-Debug": "true"})
        found: int = json.loads(headers["X-Debug-Info"])["queries"]
        return found

    together = await asyncio.gather(*(queries(page) for page in (name, address) * 10))
    # A dozen statements, of one reading, with the begin and end of its snapshot.
    assert sum(together) <= 16
    for page in (name, address, f"{name}/badge.svg", f"{name}.{'A' * 70}", "no-such-tenant", address + "A"):
        assert await queries(page) == 0, page


async def test_closed_statements_are_taken_away_and_printed_once(service: Service) -> None:
    service.clock.set(datetime(2026, 2, 10, 9, 0, tzinfo=UTC))
    name = await service.tenant(push_interval=3600, push_mode="changes")
    for hour in range(3):
        await push(service, name, up=1)
        service.clock.advance(3600 * (hour + 1))
    service.clock.set(datetime(2026, 3, 5, tzinfo=UTC))
    _, told, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-02")
    assert told["state"] == "final"
    _, address = await let_in(service, name)
    _, text, _ = await look(service, address)
    assert f"{address}/statements/2026-02.pdf?language=en" in text
    url = f"{service.url}/status/{address}/statements"
    for file, media, begins in (
        ("2026-02.pdf", "application/pdf", b"%PDF"),
        ("2026-02.csv", "text/csv", b""),
    ):
        bodies = []
        for _ in range(2):
            async with service.session.get(f"{url}/{file}", headers={"X-Debug": "true"}) as answer:
                assert (answer.status, answer.content_type) == (200, media)
                assert name in answer.headers["Content-Disposition"]
                bodies.append(await answer.read())
                asked = json.loads(answer.headers["X-Debug-Info"])["queries"]
        assert bodies[0] == bodies[1]
        assert bodies[0].startswith(begins)
        assert asked == 0
    for missing in ("2026-03.pdf", "2026-02.html", "2026-02", ".pdf"):
        assert (await look(service, f"{address}/statements/{missing}"))[0] == 404


async def test_it_is_read_without_a_script_in_both_languages_on_a_narrow_screen(service: Service) -> None:
    name = await service.tenant(
        tenant_id="acme-voice",
        service_requirements={"callbot": 10, "chatbot": 10},
        push_interval=7200,
        push_mode="changes",
    )
    entries = [
        {
            "timestamp": rfc3339(NOW - timedelta(hours=hours)),
            "metrics": {"up.callbot": int(hours not in (200, 201, 320)), "up.chatbot": int(hours > 0)},
        }
        for hours in range(480, -1, -1)
        if hours not in range(100, 115)
    ]
    service.clock.advance(1_800)
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", entries))[0] == 202
    planned = {
        "start": "2026-03-08T18:00:00Z",
        "duration": "2h",
        "title": "New voices",
        "reason": "an upgrade",
    }
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", planned))[0] == 201
    await publish(service, name)
    async with browser() as chromium:
        seen = await watched(chromium, javascript=False, locale="ko-KR")
        await seen.page.goto(f"{service.url}/status/{name}")
        assert "일부 서비스에 장애가 있습니다." in await seen.page.inner_text("main")
        await seen.page.get_by_role("link", name="English").click()
        assert "Some services are down." in await seen.page.inner_text("main")
        await seen.page.locator("summary").focus()
        await seen.page.keyboard.press("Enter")
        assert "surely between" in (await seen.page.inner_text("main")).lower()
        if "ECPMON_PICTURES" in os.environ:
            await seen.page.keyboard.press("Enter")
            await seen.page.screenshot(path=IMAGES / "status-page.png", full_page=True)
        # axe is a script of its own, which a page without any cannot run.
        for scheme in ("light", "dark"):
            looked = await watched(chromium, color_scheme=scheme, bypass_csp=True)
            await looked.page.set_viewport_size({"width": 360, "height": 640})
            await looked.page.goto(f"{service.url}/status/{name}")
            found = await Axe().run(looked.page)
            assert [
                f"{v['id']}: {n['html'][:200]}" for v in found.response["violations"] for n in v["nodes"]
            ] == []
            wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not await looked.page.evaluate(wider)
            assert {url for url in looked.asked if not url.startswith(service.url)} == set()
        assert seen.complaints == []


@pytest.fixture
def service_settings() -> dict[str, Any]:
    return {"status_page_seconds": 600}
