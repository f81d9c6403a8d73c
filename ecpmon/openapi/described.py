"""`/openapi.json` of any table of routes: made once per process, by a thread, when it is first asked for. And what it
and the pages about it (`ecpmon.pages`) answer, as their routes declare it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from ecpmon.kept import Kept
from ecpmon.openapi.declaring import Json, Text
from ecpmon.wire import dumps


class Description:
    """What `make` makes; whoever asks first has it made, and all who ask meanwhile wait for it."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make
        self._made: asyncio.Task[Kept] | None = None

    async def page(self) -> Kept:
        if self._made is None or (self._made.done() and self._made.exception() is not None):
            self._made = asyncio.create_task(asyncio.to_thread(self._page), name="openapi")
        return await asyncio.shield(self._made)

    def _page(self) -> Kept:
        return Kept.of(dumps(self._make()))


DESCRIPTION: Final = web.AppKey("description", Description)
# Of `/openapi.json`, with `takes=TAKES`.
SAYS: Final = {
    200: Json(dict[str, Any], headers=("ETag", "Vary"), example={"openapi": "3.1.0"}),
    304: None,
}
TAKES: Final = ("If-None-Match",)
# Of `/docs` and `/redoc`.
SHOWN: Final = {200: Text("text/html", headers=("Content-Security-Policy",))}
# Of `/ui/{file}`, with `takes=TAKES`.
LOADED: Final = {
    200: (
        Text("text/javascript", headers=("ETag", "Vary")),
        Text("text/css", headers=("ETag", "Vary")),
        Json(dict[str, str], headers=("ETag", "Vary"), example={"fleet": "All tenants"}),
        Text("image/png", headers=("ETag", "Vary"), binary=True),
    ),
    304: None,
}
# Its parameter.
FILE: Final = {
    "type": "string",
    "minLength": 1,
    "description": "The name of a file that a page loads.",
    "examples": ["docs.js"],
}


async def described(request: web.Request) -> web.Response:
    """The document; 304 for who has it."""
    page = await request.app[DESCRIPTION].page()
    return page.answer(request, "application/json", {"Cache-Control": "no-cache"})
