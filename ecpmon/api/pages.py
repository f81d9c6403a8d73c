"""The pages about the API itself: `/docs` (Swagger UI), `/redoc`, and the files they load."""

from __future__ import annotations

from aiohttp import web

from ecpmon.api.contract import Text
from ecpmon.api.routing import Permission, Routes

routes = Routes()
_TITLE = "ecpmon API"
_SHOWN = {200: Text("text/html", headers=("Content-Security-Policy",))}
_LOADED = (
    Text("text/javascript", headers=("ETag", "Vary")),
    Text("text/css", headers=("ETag", "Vary")),
    Text("image/png", headers=("ETag", "Vary"), binary=True),
)


@routes.get("/docs", Permission.OPEN, answers=_SHOWN)
async def docs(_: web.Request) -> web.Response:
    """Swagger UI: every route, to read and to try."""
    from ecpmon.pages import page

    return page("docs", _TITLE, "openapi.json")


@routes.get("/redoc", Permission.OPEN, answers=_SHOWN)
async def redoc(_: web.Request) -> web.Response:
    """Redoc: every route, to read."""
    from ecpmon.pages import page

    return page("redoc", _TITLE, "openapi.json")


@routes.get("/ui/{file}", Permission.OPEN, answers={200: _LOADED, 304: None}, takes=("If-None-Match",))
async def loaded(request: web.Request) -> web.Response:
    """A file that these pages load."""
    from ecpmon.pages import asset

    return await asset(request, request.match_info["file"])
