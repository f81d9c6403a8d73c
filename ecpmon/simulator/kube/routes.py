"""Where the Kubernetes API hangs in the simulator's application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ecpmon.simulator.engine import Engine
from ecpmon.simulator.kube import discovery, openapi
from ecpmon.simulator.kube.answers import answered, respond
from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.handlers import Api
from ecpmon.simulator.kube.hub import Hub
from ecpmon.simulator.kube.negotiation import JSON, Wish, wish_of
from ecpmon.simulator.kube.status import Document, method_not_allowed, no_such_path

# Core resources of the real server that we lack: their absence is told in Kubernetes' words.
_ABSENT: Final = ("bindings", "componentstatuses", "podtemplates", "watch")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_kube_routes(app: web.Application, engine: Engine) -> None:
    """Serve the Kubernetes API beside our own REST calls; ends its watches when the application stops."""
    hub = Hub(engine.current)
    engine.on_change = hub.publish
    api = Api(engine, hub)
    app.middlewares.append(api.exporters.at_addresses())
    core = [resource.plural for resource in CATALOGUE.resources("", "v1")]
    names = "|".join([*core, *_ABSENT])
    add = app.router.add_route
    add("*", f"/api/v1/{{plural:{names}}}", api.handle)
    add("*", f"/api/v1/{{plural:{names}}}/{{rest:.*}}", api.handle)
    for path, handler in _DOCUMENTS:
        add("*", f"{path}{{slash:/?}}", handler)  # the official clients ask with a slash at the end
    add("*", "/apis/{group}/{version}/{rest:.+}", api.handle)

    async def stop(_: web.Application) -> None:
        hub.close()

    app.on_shutdown.append(stop)


def _reading(make: Callable[[web.Request, Wish], web.Response]) -> Handler:
    """A GET-only handler whose failures are `Status` documents."""

    async def dispatch(request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed(request.method.lower(), request.path, "")
        return make(request, wish_of(request.headers.get("Accept")))

    async def handler(request: web.Request) -> web.StreamResponse:
        return await answered(request, dispatch)

    return handler


def _root(request: web.Request, wish: Wish, *, core: bool) -> web.Response:
    if not wish.aggregated:
        document = discovery.core_versions(request.host) if core else discovery.group_list()
        return respond(document, wish)
    response = respond(discovery.aggregated(core=core, api_version=wish.aggregated), wish)
    parameters = f"g=apidiscovery.k8s.io;v={wish.aggregated};as={discovery.AGGREGATED}"
    response.headers["Content-Type"] = f"{wish.media};{parameters}"
    return response


def _group(request: web.Request) -> Document:
    return discovery.one_group(request.match_info["group"])


def _version(request: web.Request) -> Document:
    return discovery.resource_list(request.match_info.get("group", ""), request.match_info["version"])


def _openapi(request: web.Request, _: Wish) -> web.Response:
    path = request.match_info["path"].strip("/")
    return web.Response(body=openapi.v3(path), headers={"Content-Type": JSON})


def _healthy(request: web.Request, _: Wish) -> web.Response:
    if request.match_info.get("check", "").strip("/") not in ("", "ping"):
        raise no_such_path()
    return web.Response(text="ok")


_DOCUMENTS: Final[tuple[tuple[str, Handler], ...]] = (
    ("/version", _reading(lambda _, wish: respond(discovery.version(), wish))),
    ("/api", _reading(lambda request, wish: _root(request, wish, core=True))),
    ("/apis", _reading(lambda request, wish: _root(request, wish, core=False))),
    ("/api/{version:v1}", _reading(lambda request, wish: respond(_version(request), wish))),
    ("/apis/{group}", _reading(lambda request, wish: respond(_group(request), wish))),
    ("/apis/{group}/{version}", _reading(lambda request, wish: respond(_version(request), wish))),
    ("/openapi/v3", _reading(lambda _, wish: respond(openapi.index(), wish))),
    ("/openapi/v3/{path:.+}", _reading(_openapi)),
    (
        "/openapi/v2",
        _reading(lambda _, __: web.Response(body=openapi.v2(), headers={"Content-Type": JSON})),
    ),
    *((f"/{name}{{check:(/.*)?}}", _reading(_healthy)) for name in ("healthz", "livez", "readyz")),
)
