"""`/docs` and `/redoc` in a real browser: they show the document of the API, and load nothing from anywhere else."""

from __future__ import annotations

import json

import pytest

from tests.browser import Watched, browser, watched
from tests.integration.api.conftest import Service

# Redoc's own, in the corner of its menu; the policy keeps the browser from asking for it.
LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"


async def test_both_pages_show_every_route_and_load_from_here_only(service: Service) -> None:
    _, document, _ = await service.ask("GET", "/openapi.json", who=None)
    async with browser() as chromium:
        docs, redoc = await watched(chromium), await watched(chromium)
        await docs.page.goto(f"{service.url}/docs")
        await docs.page.locator(".opblock-tag-section .opblock").first.wait_for()
        await redoc.page.goto(f"{service.url}/redoc")
        await redoc.page.locator("h1").first.wait_for()
        operations = sum(len(methods.keys() & METHODS) for methods in document["paths"].values())
        assert await docs.page.locator(".opblock").count() == operations
        assert document["info"]["title"] in await redoc.page.locator("h1").first.inner_text()
        for page in (docs, redoc):
            assert {url for url in page.asked if not url.startswith(service.url)} <= {LOGO}
        assert docs.complaints == []
        assert all(LOGO in complaint for complaint in redoc.complaints)
        await _tries(docs, service)


async def _tries(docs: Watched, service: Service) -> None:
    """`Try it out` asks this server and shows what it said."""
    block = docs.page.locator(".opblock-get", has=docs.page.locator('[data-path="/health"]'))
    await block.locator(".opblock-summary-control").click()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_role("button", name="Execute").click()
    shown = block.locator(".live-responses-table .response-col_description pre code").first
    assert json.loads(await shown.inner_text())["status"] == "ok"


METHODS = {"get", "post", "put", "delete", "patch"}


async def test_what_pages_load_is_kept_and_small(service: Service) -> None:
    for name in ("swagger-ui-bundle.js", "redoc.standalone.js", "docs.js", "redoc.css"):
        async with service.session.get(f"{service.url}/ui/{name}") as answer:
            assert answer.status == 200
            # Ours may be another after an upgrade, others' has its version in the lock.
            own = name in ("docs.js", "redoc.css")
            assert answer.headers["Cache-Control"] == ("no-cache" if own else "public, max-age=3600")
            tag = answer.headers["ETag"]
            assert await answer.read()
        async with service.session.get(f"{service.url}/ui/{name}", headers={"If-None-Match": tag}) as again:
            assert again.status == 304
        for part in ("bytes=0-9", "application/json", "bytes=9-1"):
            async with service.session.get(f"{service.url}/ui/{name}", headers={"Range": part}) as whole:
                assert whole.status == 200, part


@pytest.mark.parametrize(
    "name", ["..%2fpages.py", "lock.json", "docs.html", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "x.js"]
)
async def test_no_other_file_is_given(service: Service, name: str) -> None:
    status, body, _ = await service.ask("GET", f"/ui/{name}", who=None)
    assert (status, body["error"]["code"]) == (404, "NOT_FOUND")


async def test_pages_forbid_scripts_of_others_and_frames(service: Service) -> None:
    for path in ("/docs", "/redoc", "/ui/docs.js"):
        _, _, headers = await service.ask("GET", path, who=None)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
