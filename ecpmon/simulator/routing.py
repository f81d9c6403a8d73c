"""Declaring the simulator's routes (`ecpmon.openapi.declaring`): what each takes and gives stands by its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar, Unpack

from aiohttp import web

from ecpmon.openapi.declaring import Contract, Says
from ecpmon.pathwords import add_table

# Where the cluster of demo mode is.
DEMO_PATH: Final = "/demo"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is aiohttp's. The simulator has no sockets."""

    method: str
    path: str
    handler: Handler
    summary: str
    contract: Contract
    socket: bool = False


class Routes:
    """A module's routes: `routes = Routes()`, then `@routes.get("/path", answers={200: Shape})`."""

    def __init__(self) -> None:
        self.table: list[Route] = []

    def _add(self, method: str, path: str, says: Says) -> Callable[[H], H]:
        def register(handler: H) -> H:
            summary = (handler.__doc__ or "").strip().split("\n")[0]
            self.table.append(Route(method, path, handler, summary, Contract(**says)))
            return handler

        return register

    def get(self, path: str, **says: Unpack[Says]) -> Callable[[H], H]:
        return self._add("GET", path, says)

    def post(self, path: str, **says: Unpack[Says]) -> Callable[[H], H]:
        return self._add("POST", path, says)

    def put(self, path: str, **says: Unpack[Says]) -> Callable[[H], H]:
        return self._add("PUT", path, says)

    def delete(self, path: str, **says: Unpack[Says]) -> Callable[[H], H]:
        return self._add("DELETE", path, says)


def add_routes(app: web.Application, *modules: Routes) -> None:
    """What these declare; a word of a path is no tenant's name."""
    add_table(app.router, [route for module in modules for route in module.table])
