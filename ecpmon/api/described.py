"""`/openapi.json`: made once per process, by a thread, of what the routes declare."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from ecpmon.api.contract import Json
from ecpmon.api.routing import Permission, Route, Routes
from ecpmon.wire import dumps

routes = Routes()


@dataclass(frozen=True, slots=True)
class Page:
    plain: bytes
    zipped: bytes
    etag: str


class Description:
    """The document of a table of routes; whoever asks first has it made, and all who ask meanwhile wait for it."""

    def __init__(self, table: Sequence[Route]) -> None:
        self._table = table
        self._made: asyncio.Task[Page] | None = None

    async def page(self) -> Page:
        if self._made is None or (self._made.done() and self._made.exception() is not None):
            self._made = asyncio.create_task(asyncio.to_thread(_page, self._table), name="openapi")
        return await asyncio.shield(self._made)


def _page(table: Sequence[Route]) -> Page:
    from ecpmon.api.openapi.document import document

    plain = dumps(document(table))
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    etag = f'"{hashlib.sha256(plain).hexdigest()[:16]}"'
    return Page(plain, packer.compress(plain) + packer.flush(), etag)


DESCRIPTION: Final = web.AppKey("description", Description)


@routes.get(
    "/openapi.json",
    Permission.OPEN,
    answers={200: Json(dict[str, Any], headers=("ETag", "Vary"), example={"openapi": "3.1.0"}), 304: None},
    takes=("If-None-Match",),
)
async def openapi(request: web.Request) -> web.Response:
    """Every route, with what it takes and gives, as OpenAPI 3.1."""
    page = await request.app[DESCRIPTION].page()
    headers = {"ETag": page.etag, "Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    wanted = request.headers.get("If-None-Match", "")
    if page.etag in [tag.strip().removeprefix("W/") for tag in wanted.split(",")]:
        return web.Response(status=304, headers=headers)
    body = page.plain
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers["Content-Encoding"] = page.zipped, "gzip"
    return web.Response(body=body, headers=headers, content_type="application/json")
