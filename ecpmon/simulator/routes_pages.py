"""Routes about the simulator itself: the document of its REST interface, pages that show it, and a kubeconfig."""

from __future__ import annotations

from aiohttp import web

from ecpmon.openapi.declaring import Text
from ecpmon.openapi.described import LOADED, SAYS, SHOWN, TAKES, described
from ecpmon.pages import asset, page
from ecpmon.simulator.kube.kubeconfig import kubeconfig as written
from ecpmon.simulator.routing import Routes

routes = Routes()
_TITLE = "ecpmon simulator"


@routes.get("/openapi.json", answers=SAYS, takes=TAKES)
async def openapi(request: web.Request) -> web.Response:
    """Every route, with what it takes and gives, as OpenAPI 3.1."""
    return await described(request)


@routes.get("/docs", answers=SHOWN)
async def docs(_: web.Request) -> web.Response:
    """Swagger UI: every route, to read and to try."""
    return page("docs", _TITLE, "openapi.json")


@routes.get("/redoc", answers=SHOWN)
async def redoc(_: web.Request) -> web.Response:
    """Redoc: every route, to read."""
    return page("redoc", _TITLE, "openapi.json")


@routes.get("/ui/{file}", answers=LOADED, takes=TAKES)
async def loaded(request: web.Request) -> web.Response:
    """A file that these pages load."""
    return await asset(request, request.match_info["file"])


@routes.get("/kubeconfig", answers={200: Text("application/yaml")})
async def kubeconfig(request: web.Request) -> web.Response:
    """For kubectl: the same cluster as a Kubernetes API."""
    text = written(f"{request.scheme}://{request.host}")
    return web.Response(text=text, content_type="application/yaml")
