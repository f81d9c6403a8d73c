"""Status pages as customers see them: the page, a badge, and statements to take away. Nobody shows a token here."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from ecpmon.api.addresses import address_of
from ecpmon.api.common import backend_of, now_of
from ecpmon.api.context import CONTEXT
from ecpmon.api.errors import speaks_korean
from ecpmon.api.limits import LIMITS
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.status_reading import MOST_FILES, STATUS_PAGES, Page
from ecpmon.errors import Overloaded, RateLimited
from ecpmon.kept import Kept
from ecpmon.model.status_pages import ClosedPeriod
from ecpmon.model.tenants import Language
from ecpmon.openapi.declaring import Query, Text
from ecpmon.statements.look import Look
from ecpmon.statements.service import Told
from ecpmon.statements.shapes import printed

routes = Routes()
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # The address is what lets one in: no other site is told it.
    "Referrer-Policy": "no-referrer",
}
_VARY: Final = "Accept-Encoding, Accept-Language"
_TYPES: Final = {"pdf": "application/pdf", "csv": "text/csv"}


class StatusAsked(Query):
    language: Annotated[
        Literal["en", "ko"] | None, Field(description="Absent: what `Accept-Language` prefers.")
    ] = None


_NONE: Final = Text("text/html", headers=("Content-Security-Policy",), description="There is no such page.")
_CACHED: Final = ("ETag", "Vary")
_TAKES: Final = ("If-None-Match",)
_REFUSES: Final = (RateLimited, Overloaded)


@routes.get(
    "/status/{page}",
    Permission.OPEN,
    query=StatusAsked,
    answers={
        200: Text("text/html", headers=(*_CACHED, "Content-Security-Policy")),
        304: None,
        404: _NONE,
    },
    refuses=_REFUSES,
    takes=_TAKES,
)
async def status_page(request: web.Request) -> web.Response:
    """A tenant's status page, for its customers: public, or reached by a link."""
    page, language = await _found(request), _language(request)
    if page is None:
        return _no_page(language)
    shown = await _drawn(page, "page", language, request.match_info["page"])
    return _told(request, page, shown, "text/html", seconds=10)


@routes.get(
    "/status/{page}/badge.svg",
    Permission.OPEN,
    query=StatusAsked,
    answers={200: Text("image/svg+xml", headers=_CACHED), 304: None, 404: _NONE},
    refuses=_REFUSES,
    takes=_TAKES,
)
async def badge(request: web.Request) -> web.Response:
    """A small picture of a tenant's status, in words."""
    page, language = await _found(request), _language(request)
    if page is None:
        return _no_page(language)
    shown = await _drawn(page, "badge", language, "")
    return _told(request, page, shown, "image/svg+xml", seconds=30)


@routes.get(
    "/status/{page}/statements/{statement}",
    Permission.OPEN,
    query=StatusAsked,
    answers={
        200: (Text("application/pdf", headers=_CACHED, binary=True), Text("text/csv", headers=_CACHED)),
        304: None,
        404: _NONE,
    },
    refuses=_REFUSES,
    takes=_TAKES,
)
async def status_statement(request: web.Request) -> web.Response:
    """The newest revision of a closed statement."""
    page, language = await _found(request), _language(request)
    name, _, form = request.match_info["statement"].rpartition(".")
    period = None if page is None else next((p for p in page.facts.periods if p.name == name), None)
    if page is None or period is None or form not in _TYPES:
        return _no_page(language)
    shown = await _file(request, page, period, form, language)
    if shown is None:
        return _no_page(language)
    response = _told(request, page, shown, _TYPES[form], seconds=600)
    file = f"sla-{page.tenant.tenant_id}-{name}.{form}"
    response.headers["Content-Disposition"] = f'attachment; filename="{file}"'
    return response


async def _found(request: web.Request) -> Page | None:
    """Raises RateLimited for an address that asks too often, DatabaseUnavailable."""
    now = now_of(request)
    request.app[LIMITS].requests.take(f"stranger {address_of(request)}", now)
    return await request.app[STATUS_PAGES].find(request.match_info["page"], backend_of(request), now)


def _language(request: web.Request) -> Language:
    chosen = request.query.get("language")
    if chosen in ("en", "ko"):
        return Language(chosen)
    return Language.KO if speaks_korean(request) else Language.EN


def _no_page(language: Language) -> web.Response:
    """The same for whatever is wrong with an address: it tells nobody which tenants there are."""
    from ecpmon.statuspages.page import unknown

    headers = {**_HEADERS, "Cache-Control": "no-store", "Vary": "Accept-Language"}
    return web.Response(status=404, text=unknown(language), content_type="text/html", headers=headers)


async def _drawn(page: Page, kind: str, language: Language, address: str) -> Kept:
    """Once for all who ask for it while the reading holds."""
    key = kind, language, address
    if key not in page.made:
        page.made[key] = await asyncio.to_thread(_draw, page, kind, language, address)
    return page.made[key]


def _draw(page: Page, kind: str, language: Language, address: str) -> Kept:
    from ecpmon.statuspages import badge
    from ecpmon.statuspages import page as html
    from ecpmon.statuspages.words import Words

    if kind == "badge":
        return Kept.of(badge.badge(page.reading.name, page.reading.standing, Words(language)).encode())
    return Kept.of(html.page(page.reading, language, address, public=page.facts.public).encode())


def _told(request: web.Request, page: Page, shown: Kept, media_type: str, *, seconds: int) -> web.Response:
    """What a link leads to is kept by the browser alone."""
    whose = "public" if page.facts.public else "private"
    headers = {**_HEADERS, "Cache-Control": f"{whose}, max-age={seconds}"}
    response = shown.answer(request, media_type, headers)
    response.headers["Vary"] = _VARY
    return response


async def _file(
    request: web.Request, page: Page, period: ClosedPeriod, form: str, language: Language
) -> Kept | None:
    """Printed once: a revision does not change. Of all strangers one at a time. Raises Overloaded, RateLimited."""
    files = request.app[STATUS_PAGES].files
    key = page.backend.demo, page.tenant.key, period.name, period.revision, form, language
    if key not in files:
        told = await page.backend.statements.stored(page.tenant, period.name, period.revision)
        if told is None:
            return None
        async with request.app[LIMITS].long.turn("strangers"):
            if key not in files:
                files[key] = await _printed(request, page, told, form, language)
        while len(files) > MOST_FILES:
            files.popitem(last=False)
    files.move_to_end(key)
    return files[key]


async def _printed(request: web.Request, page: Page, told: Told, form: str, language: Language) -> Kept:
    look = Look.of(request.app[CONTEXT].settings, language)
    body = await page.backend.workers.run(page.tenant.key, _print, told, form, look)
    return await asyncio.to_thread(Kept.of, body)


def _print(told: Told, form: str, look: Look) -> bytes:
    return printed(told.data(), form, look)
