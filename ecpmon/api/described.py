"""`/openapi.json`: made once per process, by a thread, of what the routes declare."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from ecpmon.api.contract import Json
from ecpmon.api.routing import Permission, Route, Routes
from ecpmon.kept import Kept
from ecpmon.wire import dumps

routes = Routes()


class Description:
    """The document of a table of routes; whoever asks first has it made, and all who ask meanwhile wait for it."""

    def __init__(self, table: Sequence[Route]) -> None:
        self._table = table
        self._made: asyncio.Task[Kept] | None = None

    async def page(self) -> Kept:
        if self._made is None or (self._made.done() and self._made.exception() is not None):
            self._made = asyncio.create_task(asyncio.to_thread(_page, self._table), name="openapi")
        return await asyncio.shield(self._made)


def _page(table: Sequence[Route]) -> Kept:
    from ecpmon.api.openapi.document import document

    return Kept.of(dumps(document(table)))


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
    return page.answer(request, "application/json", {"Cache-Control": "no-cache"})
