"""What stands before every handler: mode, caller, rate limit, permission; and sockets' way of refusing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from ecpmon.api import auth
from ecpmon.api.context import CONTEXT, ApiContext, Backend
from ecpmon.api.limits import RateLimiter
from ecpmon.api.routing import Route
from ecpmon.api.scope import REQUEST_ID, SCOPE, Scope
from ecpmon.api.sockets import close_refused, open_socket, wants_upgrade
from ecpmon.errors import (
    BadRequest,
    DatabaseUnavailable,
    EcpError,
    InvalidDemoMode,
    Overloaded,
    RateLimited,
    Unauthorized,
)
from ecpmon.ports import Caller

LIMITER: web.AppKey[RateLimiter] = web.AppKey("ecpmon_limiter", RateLimiter)
_log = structlog.get_logger(__name__)


def backend_of(request: web.Request, context: ApiContext, *, socket: bool) -> Backend:
    """The database that serves the request. Raises InvalidDemoMode, DatabaseUnavailable."""
    value = request.headers.get("X-Demo-Mode")
    if value is None and socket:
        value = request.query.get("demo")
    if value is not None and value.strip().lower() not in ("true", "false"):
        raise InvalidDemoMode("X-Demo-Mode must be true or false", details={"value": value[:100]})
    demo = context.settings.demo_mode_default if value is None else value.strip().lower() == "true"
    if not demo:
        return context.production
    if context.demo is None:
        raise DatabaseUnavailable("no demo database is configured (ECPMON_DEMO_DATABASE_URL)")
    return context.demo


async def admit(request: web.Request, route: Route) -> Scope:
    """The scope of a request that may go on. Raises what it is refused with."""
    context = request.app[CONTEXT]
    caller = await _caller(request, context, route)
    tenant_id = request.match_info.get("tenant_id") if route.tenant else None
    backend = backend_of(request, context, socket=route.socket)
    if auth.needs_caller(route, context):
        auth.authorise(route, caller, tenant_id)
    scope = Scope(context, backend, caller, request[REQUEST_ID], route, tenant_id)
    request[SCOPE] = scope
    return scope


async def _caller(request: web.Request, context: ApiContext, route: Route) -> Caller:
    """The caller, who has not asked too often. Open routes are not limited: probes must get through."""
    if not auth.needs_caller(route, context):
        return auth.NOBODY
    remote = f"address {request.remote}"
    try:
        caller = await auth.authenticate(request, context)
    except Unauthorized:
        _spend(request, remote, route)
        raise
    _spend(request, remote if caller is auth.ANYONE else f"caller {caller.name}", route)
    return caller


def _spend(request: web.Request, key: str, route: Route) -> None:
    wait = request.app[LIMITER].spend(key)
    if not wait:
        return
    # Alertmanager drops what was answered with 429 but repeats what was answered with 503.
    error = (Overloaded if route.overload_is_503 else RateLimited)("too many requests; slow down")
    error.retry_after = wait
    raise error


def guarded(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of a route."""
    return _guarded_socket(route) if route.socket else _guarded_http(route)


def _guarded_http(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def entry(request: web.Request) -> web.StreamResponse:
        scope = await admit(request, route)
        with structlog.contextvars.bound_contextvars(**_bound(scope)):
            response: web.StreamResponse = await route.handler(request, scope)
        return response

    return entry


def _bound(scope: Scope) -> dict[str, str]:
    return {"tenant": scope.tenant_id} if scope.tenant_id else {}


def _guarded_socket(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def entry(request: web.Request) -> web.StreamResponse:
        if not wants_upgrade(request):
            await (await admit(request, route)).tenant()
            raise BadRequest("this is a WebSocket; ask for an upgrade")
        # A browser's script cannot see the status of a refused upgrade, only the code of a close.
        socket = await open_socket(request)
        try:
            scope = await admit(request, route)
            with structlog.contextvars.bound_contextvars(**_bound(scope)):
                await route.handler(request, scope, socket)
        except EcpError as error:
            await close_refused(socket, request, error)
        except Exception:  # noqa: BLE001 - a bug must not leave the socket open, and must be seen
            _log.exception("socket_failed", route=route.path)
            await close_refused(socket, request, EcpError("internal error"))
        return socket

    return entry
