"""`/openapi.json` of the API."""

from __future__ import annotations

from aiohttp import web

from ecpmon.api.routing import Permission, Routes
from ecpmon.openapi.described import SAYS, TAKES, described

routes = Routes()


@routes.get("/openapi.json", Permission.OPEN, answers=SAYS, takes=TAKES)
async def openapi(request: web.Request) -> web.Response:
    """Every route, with what it takes and gives, as OpenAPI 3.1."""
    return await described(request)
