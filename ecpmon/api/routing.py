"""The route table: every route is declared with the permission it needs (api.md §9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from ecpmon.api.scope import Scope

Handler = Callable[[web.Request, "Scope"], Awaitable[web.StreamResponse]]
SocketHandler = Callable[[web.Request, "Scope", web.WebSocketResponse], Awaitable[None]]


class Permission(StrEnum):
    """What a route asks of its caller."""

    OPEN = "open"  # nobody is asked who they are
    METRICS = "metrics"  # open, or READ when the installation asks for a token
    READ = "read"
    INGEST = "ingest"
    OPERATE = "operate"  # alerts, failures, deployments
    MANAGE = "manage"  # create, change and delete tenants


_OPERATOR: Final = frozenset({Permission.READ, Permission.METRICS, Permission.OPERATE})
ROLES: Final[dict[str, frozenset[Permission]]] = {
    "viewer": frozenset({Permission.READ, Permission.METRICS}),
    "ingest": frozenset({Permission.INGEST}),
    "operator": _OPERATOR,
    "tenant_admin": _OPERATOR | {Permission.MANAGE},
    "admin": frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Route:
    """`tenant`: the path names one in `{tenant_id}`. `socket`: a WebSocket; refusals are close codes there."""

    method: str
    path: str
    handler: Any
    permission: Permission
    tenant: bool
    socket: bool
    summary: str
    aliases: tuple[str, ...] = ()
    overload_is_503: bool = False


class Routes:
    """Collects the routes of one module."""

    def __init__(self) -> None:
        self.table: list[Route] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        permission: Permission,
        aliases: tuple[str, ...] = (),
        overload_is_503: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declare an HTTP route. Whether it is a tenant's is told by its path, so it cannot be forgotten."""

        def declare(handler: Handler) -> Handler:
            tenant = "{tenant_id}" in path
            self.table.append(
                Route(
                    method, path, handler, permission, tenant, False, _summary(handler),
                    aliases, overload_is_503,
                )
            )  # fmt: skip
            return handler

        return declare

    def socket(self, path: str, *, permission: Permission) -> Callable[[SocketHandler], SocketHandler]:
        """Declare a WebSocket of a tenant."""

        def declare(handler: SocketHandler) -> SocketHandler:
            self.table.append(Route("GET", path, handler, permission, True, True, _summary(handler)))
            return handler

        return declare


def _summary(handler: Callable[..., Any]) -> str:
    return (handler.__doc__ or handler.__name__).strip().splitlines()[0]


ROUTE_TABLE: web.AppKey[tuple[Route, ...]] = web.AppKey("ecpmon_routes", tuple)
