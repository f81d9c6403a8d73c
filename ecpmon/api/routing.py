"""Declaring routes: each says who may call it, so that a test can see that none was forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar, Unpack

from aiohttp import web
from pydantic import Field

from ecpmon.errors import EcpError
from ecpmon.openapi.declaring import Contract, Flag, Query, Says, TypedDict

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)


class Permission(StrEnum):
    OPEN = "open"  # anybody, without a token
    SCRAPE = "scrape"  # read, unless the settings leave it open
    READ = "read"
    INGEST = "ingest"
    OPERATE = "operate"  # alerts, maintenance, failures, deploy
    MANAGE_TENANTS = "manage_tenants"
    ADMINISTER = "administer"


# Which roles hold a permission (api.md §9).
ROLES: Final[dict[Permission, frozenset[str]]] = {
    Permission.OPEN: frozenset(),
    Permission.SCRAPE: frozenset({"viewer", "operator", "tenant_admin", "admin"}),
    Permission.READ: frozenset({"viewer", "operator", "tenant_admin", "admin"}),
    Permission.INGEST: frozenset({"ingest", "operator", "tenant_admin", "admin"}),
    Permission.OPERATE: frozenset({"operator", "tenant_admin", "admin"}),
    Permission.MANAGE_TENANTS: frozenset({"tenant_admin", "admin"}),
    Permission.ADMINISTER: frozenset({"admin"}),
}


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is aiohttp's; `{tenant_id}` in it makes the route a tenant's. `socket`: a WebSocket.

    `drops_4xx`: its senders do not send again what is answered with 4xx, whatever `Retry-After` says. `agent`: nor do
    those, but for 401 and 403, and what is answered with any other 4xx than 400 and 415 some of them send again for
    ever. `contract`: what it takes and gives; None: not said yet.
    """

    method: str
    path: str
    handler: Handler
    permission: Permission
    summary: str
    socket: bool = False
    drops_4xx: bool = False
    contract: Contract | None = None
    agent: bool = False

    @property
    def of_tenant(self) -> bool:
        return "{tenant_id}" in self.path


class SocketQuery(Query):
    demo: Annotated[
        Flag | None, Field(description="As `X-Demo-Mode`: a browser can set no header on a socket.")
    ] = None
    language: Annotated[
        Literal["en", "ko"] | None, Field(description="Of what is told; else `Accept-Language` says it.")
    ] = None


class SocketSays(TypedDict, total=False):
    hears: tuple[Any, ...]
    says: tuple[Any, ...]
    closes: Mapping[int, str]
    refuses: tuple[type[EcpError], ...]


class Routes:
    """A module's routes: `routes = Routes()`, then `@routes.get("/path", Permission.READ, answers={200: Page})`."""

    def __init__(self) -> None:
        self.table: list[Route] = []

    def _add(
        self,
        method: str,
        path: str,
        permission: Permission,
        contract: Contract | None,
        *,
        socket: bool = False,
        drops_4xx: bool = False,
        agent: bool = False,
    ) -> Callable[[H], H]:
        def register(handler: H) -> H:
            summary = (handler.__doc__ or "").strip().split("\n")[0]
            route = Route(method, path, handler, permission, summary, socket, drops_4xx, contract, agent)
            self.table.append(route)
            return handler

        return register

    def get(self, path: str, permission: Permission, **says: Unpack[Says]) -> Callable[[H], H]:
        return self._add("GET", path, permission, _contract(says))

    def post(
        self,
        path: str,
        permission: Permission,
        *,
        drops_4xx: bool = False,
        agent: bool = False,
        **says: Unpack[Says],
    ) -> Callable[[H], H]:
        contract = _contract(says)
        return self._add("POST", path, permission, contract, drops_4xx=drops_4xx or agent, agent=agent)

    def put(self, path: str, permission: Permission, **says: Unpack[Says]) -> Callable[[H], H]:
        return self._add("PUT", path, permission, _contract(says))

    def delete(self, path: str, permission: Permission, **says: Unpack[Says]) -> Callable[[H], H]:
        return self._add("DELETE", path, permission, _contract(says))

    def socket(self, path: str, permission: Permission, **says: Unpack[SocketSays]) -> Callable[[H], H]:
        contract = Contract({}, query=SocketQuery, **says) if says else None
        return self._add("GET", path, permission, contract, socket=True)


def _contract(says: Says) -> Contract | None:
    return Contract(**says) if "answers" in says else None
