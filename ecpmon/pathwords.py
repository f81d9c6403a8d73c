"""Words of paths beside parameters: `/tenants/calculate-resources` is no tenant's name, whatever the method.

Invariant: a path that is declared is answered by what is declared for it, and `Allow` names exactly that, though a
parameter of the path beside it would fit as well.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, Final, Protocol

from aiohttp import web

_NAMED: Final = re.compile(r"\{\w+\}")


class Routed(Protocol):
    """A route, as far as it concerns the router. `socket`: a WebSocket, which no `HEAD` asks for."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def handler(self) -> Callable[[Any], Awaitable[web.StreamResponse]]: ...

    @property
    def socket(self) -> bool: ...


def add_table(router: web.UrlDispatcher, table: Iterable[Routed], often: Collection[str] = ()) -> None:
    """The router tries one after the other: paths that are asked for `often` come first, then those that a parameter of
    another would match. Methods of a path that follow each other are tried together. `HEAD` is answered wherever `GET`
    is, by the same handler, so under the same permission.
    """
    table = list(table)
    words = words_beside_names({route.path for route in table})

    def place(route: Routed) -> tuple[bool, bool, str]:
        first, second = route.path in often, route.path in words
        return not first, not second, route.path if first or second else ""

    for path, routes in groupby(sorted(table, key=place), key=lambda route: route.path):
        methods = set()
        for route in routes:
            for method in (
                (route.method, "HEAD") if route.method == "GET" and not route.socket else (route.method,)
            ):
                router.add_route(method, path, route.handler)
                methods.add(method)
        if path in words:
            router.add_route("*", path, partial(_refused, frozenset(methods)))


def words_beside_names(paths: Collection[str]) -> set[str]:
    """Those of which another would take a word for a parameter: `/tenants/calculate-resources` of `/tenants/{name}`."""
    known = {_NAMED.sub("{}", path) for path in paths}
    return {path for path in paths if any(other in known for other in _with_a_name(_NAMED.sub("{}", path)))}


def _with_a_name(path: str) -> Iterator[str]:
    """The path with one of its words as a parameter, each in turn."""
    parts = path.split("/")
    for number, part in enumerate(parts):
        if part not in ("", "{}"):
            yield "/".join([*parts[:number], "{}", *parts[number + 1 :]])


async def _refused(methods: frozenset[str], request: web.Request) -> web.StreamResponse:
    """What answers any other: such a path is no name of what the path beside it is about."""
    raise web.HTTPMethodNotAllowed(request.method, methods)


def allowed_instead(request: web.Request) -> Collection[str] | None:
    """The methods that the request's path has, where its own is none of them; None: it is one, or there is no path."""
    found = request.match_info
    if isinstance(found.http_exception, web.HTTPMethodNotAllowed):
        return found.http_exception.allowed_methods
    handler = found.handler
    return handler.args[0] if isinstance(handler, partial) and handler.func is _refused else None
