"""The console at `/`, the pages about the API itself (`/docs`, Swagger UI, and `/redoc`), and the files they load."""

from __future__ import annotations

from aiohttp import web

from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.openapi.described import LOADED, SHOWN, TAKES

routes = Routes()
_TITLE = "ecpmon API"


@routes.get("/", Permission.OPEN, answers=SHOWN)
async def console(request: web.Request) -> web.Response:
    """The console: what a browser shows of all this. It asks this API, with the token that is typed into it."""
    from ecpmon.pages import console

    signed = request.app[CONTEXT].signed
    # Who signs in there comes back with a code, for which the page asks the issuer for a token.
    return console(None if signed is None or signed.endpoints is None else signed.endpoints.token)


@routes.get("/docs", Permission.OPEN, answers=SHOWN)
async def docs(_: web.Request) -> web.Response:
    """Swagger UI: every route, to read and to try."""
    from ecpmon.pages import page

    return page("docs", _TITLE, "openapi.json")


@routes.get("/redoc", Permission.OPEN, answers=SHOWN)
async def redoc(_: web.Request) -> web.Response:
    """Redoc: every route, to read."""
    from ecpmon.pages import page

    return page("redoc", _TITLE, "openapi.json")


@routes.get("/ui/{file}", Permission.OPEN, answers=LOADED, takes=TAKES)
async def loaded(request: web.Request) -> web.Response:
    """A file that these pages load."""
    from ecpmon.pages import asset

    return await asset(request, request.match_info["file"])
