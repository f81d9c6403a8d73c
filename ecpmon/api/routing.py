"""Declaring routes: each says who may call it, so that a test can see that none was forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from aiohttp import web

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

    `drops_4xx`: its senders do not send again what is answered with 4xx, whatever `Retry-After` says.
    """

    method: str
    path: str
    handler: Handler
    permission: Permission
    summary: str
    socket: bool = False
    drops_4xx: bool = False

    @property
    def of_tenant(self) -> bool:
        return "{tenant_id}" in self.path

    @property
    def has_head(self) -> bool:
        """`HEAD` is answered as well: what `GET` is, but for the body."""
        return self.method == "GET" and not self.socket


class Routes:
    """A module's routes: `routes = Routes()`, then `@routes.get("/path", Permission.READ)`."""

    def __init__(self) -> None:
        self.table: list[Route] = []

    def _add(
        self,
        method: str,
        path: str,
        permission: Permission,
        *,
        socket: bool = False,
        drops_4xx: bool = False,
    ) -> Callable[[H], H]:
        def register(handler: H) -> H:
            summary = (handler.__doc__ or "").strip().split("\n")[0]
            self.table.append(Route(method, path, handler, permission, summary, socket, drops_4xx))
            return handler

        return register

    def get(self, path: str, permission: Permission) -> Callable[[H], H]:
        return self._add("GET", path, permission)

    def post(self, path: str, permission: Permission, *, drops_4xx: bool = False) -> Callable[[H], H]:
        return self._add("POST", path, permission, drops_4xx=drops_4xx)

    def put(self, path: str, permission: Permission) -> Callable[[H], H]:
        return self._add("PUT", path, permission)

    def delete(self, path: str, permission: Permission) -> Callable[[H], H]:
        return self._add("DELETE", path, permission)

    def socket(self, path: str, permission: Permission) -> Callable[[H], H]:
        return self._add("GET", path, permission, socket=True)
