"""Where the Kubernetes API hangs in the simulator's application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ecpmon.simulator.engine import Engine
from ecpmon.simulator.kube import discovery, gate, openapi, openapi_protobuf, tokens
from ecpmon.simulator.kube.answers import answered, respond
from ecpmon.simulator.kube.catalogue import CATALOGUE, Catalogue
from ecpmon.simulator.kube.custom import catalogue_of
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
    for path, make in _documents(engine):
        # The official clients ask with a slash at the end.
        add("*", f"{path}{{slash:/?}}", _reading(engine, make))
    add("*", "/apis/{group}/{version}/{rest:.+}", api.handle)

    async def stop(_: web.Application) -> None:
        hub.close()

    app.on_shutdown.append(stop)


Make = Callable[[web.Request, Wish], web.Response]


def _reading(engine: Engine, make: Make) -> Handler:
    """A GET-only handler whose failures are `Status` documents."""

    async def dispatch(request: web.Request) -> web.StreamResponse:
        await gate.admit(request, engine)
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed(request.method.lower(), request.path, "")
        accepted = request.headers.get("Accept")
        return make(request, wish_of(JSON if openapi_protobuf.is_wanted(accepted or "") else accepted))

    async def handler(request: web.Request) -> web.StreamResponse:
        return await answered(request, dispatch)

    return handler


def _root(request: web.Request, wish: Wish, served: Catalogue, *, core: bool) -> web.Response:
    if not wish.aggregated:
        document = discovery.core_versions(request.host) if core else discovery.group_list(served)
        return respond(document, wish)
    response = respond(discovery.aggregated(served, core=core, api_version=wish.aggregated), wish)
    parameters = f"g=apidiscovery.k8s.io;v={wish.aggregated};as={discovery.AGGREGATED}"
    response.headers["Content-Type"] = f"{wish.media};{parameters}"
    return response


def _version(request: web.Request, served: Catalogue) -> Document:
    group, version = request.match_info.get("group", ""), request.match_info["version"]
    return discovery.resource_list(served, group, version)


def _v3(request: web.Request, served: Catalogue) -> web.Response:
    path = request.match_info["path"].strip("/")
    return web.Response(body=openapi.v3(path, served), headers={"Content-Type": JSON})


def _v2(request: web.Request, served: Catalogue) -> web.Response:
    """In protobuf for kubectl, which takes nothing else of this one."""
    accepted = request.headers.get("Accept", "")
    if not openapi_protobuf.is_wanted(accepted):
        return web.Response(body=openapi.v2(served), headers={"Content-Type": JSON})
    media = openapi_protobuf.MEDIA
    return web.Response(body=openapi_protobuf.v2(served), headers={"Content-Type": media})


def _healthy(request: web.Request, _: Wish) -> web.Response:
    if request.match_info.get("check", "").strip("/") not in ("", "ping"):
        raise no_such_path()
    return web.Response(text="ok")


def _documents(engine: Engine) -> tuple[tuple[str, Make], ...]:
    """What is read and is no object, by path."""

    def served() -> Catalogue:
        return catalogue_of(engine.current)

    return (
        ("/version", lambda _, wish: respond(discovery.version(), wish)),
        ("/api", lambda request, wish: _root(request, wish, served(), core=True)),
        ("/apis", lambda request, wish: _root(request, wish, served(), core=False)),
        ("/api/{version:v1}", lambda request, wish: respond(_version(request, served()), wish)),
        (
            "/apis/{group}",
            lambda request, wish: respond(discovery.one_group(served(), request.match_info["group"]), wish),
        ),
        ("/apis/{group}/{version}", lambda request, wish: respond(_version(request, served()), wish)),
        ("/openapi/v3", lambda _, wish: respond(openapi.index(served()), wish)),
        ("/openapi/v3/{path:.+}", lambda request, _: _v3(request, served())),
        ("/openapi/v2", lambda request, _: _v2(request, served())),
        (
            "/.well-known/openid-configuration",
            lambda request, wish: respond(tokens.discovery(f"{request.scheme}://{request.host}"), wish),
        ),
        ("/openid/v1/jwks", lambda _, wish: respond(tokens.jwks(engine.current.seed), wish)),
        *((f"/{name}{{check:(/.*)?}}", _healthy) for name in ("healthz", "livez", "readyz")),
    )
