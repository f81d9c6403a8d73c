"""Around every request: its id, its log context, its errors, its mode, its caller, its limits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from ecpmon.api.auth import actor_of, admit, caller_key, group_of, sender_of, tenant_share
from ecpmon.api.bodies import read_body
from ecpmon.api.context import BACKEND, CALLER, CONTEXT, TENANT, ApiContext, Backend
from ecpmon.api.errors import LEFT, POLICY, error_response, http_error_response, internal_error_response
from ecpmon.api.limits import COUNTED, HELD, LARGE_BODY, LIMITS, SHARES
from ecpmon.api.origins import ORIGINS
from ecpmon.api.routing import Permission, Route, SocketQuery
from ecpmon.api.sockets import HungUp, refuse
from ecpmon.api.texts import check_address
from ecpmon.errors import BadRequest, DatabaseUnavailable, EcpError, InvalidDemoMode, Overloaded
from ecpmon.openapi.declaring import check_names, names_of
from ecpmon.ports.audit import as_actor
from ecpmon.ports.lanes import question
from ecpmon.serving import begun, failed, request_id_of

_log = structlog.get_logger(__name__)
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROUTES: Final = web.AppKey("routes", dict[Any, Route])
# What is answered by asking the simulator.
_ELSEWHERE: Final = ("/api/v1/simulator/", "/api/v1/monitoring/system", "/api/v1/operations/dashboard")
_SOCKET_CODES: Final = {401: 4401, 403: 4403, 404: 4404}
# What agents act upon as they should, of what will never do: others they send again for ever.
AGENTS_HEED: Final = (400, 401, 403, 415)
AGENTS_WAIT: Final = 5
_TRUE_FALSE: Final = {"true": True, "false": False}


def route_of(request: web.Request) -> Route | None:
    """What was declared about the handler; None for unknown paths and wrong methods."""
    return request.app[ROUTES].get(request.match_info.handler)


def demo_mode(request: web.Request, default: bool) -> bool:
    """From `X-Demo-Mode`; sockets may say `?demo=` instead. Raises InvalidDemoMode."""
    given = request.headers.get("X-Demo-Mode")
    route = route_of(request)
    if given is None and route is not None and route.socket:
        given = request.query.get("demo")
    if given is None:
        return default
    if given not in _TRUE_FALSE:
        raise InvalidDemoMode("X-Demo-Mode must be true or false", details={"given": given[:40]})
    return _TRUE_FALSE[given]


def choose_backend(request: web.Request) -> Backend:
    context = request.app[CONTEXT]
    if not demo_mode(request, context.settings.demo_mode_default):
        return context.production
    if context.demo is None:
        raise DatabaseUnavailable("there is no demo database here; set ECPMON_DEMO_DATABASE_URL")
    return context.demo


@web.middleware
async def envelope(request: web.Request, handler: Next) -> web.StreamResponse:
    """Outermost: request id, log context, every error in the one shape, metrics and debug headers."""
    begin(request)
    response = request.app[ORIGINS].preflight(request) or await _answer(request, handler)
    if _debugged(request):
        await asyncio.sleep(0)  # the driver tells of a statement in the turn after it
    return finish(request, response)


def _debugged(request: web.Request) -> bool:
    return request.headers.get("X-Debug") == "true"


def begin(request: web.Request) -> None:
    """What is written into the log from here on is about this request, and what the database is asked is counted where
    somebody wants to know."""
    # Both of them, always: the request before on this connection has left its own. `...` is none.
    tenant_id = request.match_info.get("tenant_id", ...)
    structlog.contextvars.bind_contextvars(request_id=request_id_of(request), tenant=tenant_id)
    request.app[CONTEXT].timer.start(_debugged(request))


def finish(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Count the answer for its tenant, and give it its headers."""
    _count(request, response)
    if not response.prepared:
        response.headers["X-Request-ID"] = request_id_of(request)
        _tell_limits(request, response)
        if _debugged(request):
            response.headers["X-Debug-Info"] = _debug_info(request)
    return response


def _tell_limits(request: web.Request, response: web.StreamResponse) -> None:
    """What the caller has left of what he is counted by, unless the answer says already what he lacks."""
    share = request.get(COUNTED)
    if share is not None and LEFT not in response.headers:
        requests = request.app[LIMITS].requests
        response.headers[POLICY] = requests.policy
        response.headers[LEFT] = requests.left(share, request.app[CONTEXT].clock.now())


async def _answer(request: web.Request, handler: Next) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:
        if isinstance(error, web.HTTPException) and error.status < 400:
            raise
        if begun(request):  # a second answer would be written into the first
            if not isinstance(error, ConnectionError | HungUp):
                _say(_log.error, "request_broken", path=request.path, exc_info=error)
            raise
        return await error_answer(request, error)


async def error_answer(request: web.Request, error: Exception) -> web.StreamResponse:
    """What a failed request is answered; whatever fails on the way is a fault of ours."""
    try:
        # A fault of ours that has a name, such as a statement that the database refused, concerns no caller.
        if isinstance(error, EcpError) and error.status != 500:
            return await _refusal(request, error)
        if isinstance(error, web.HTTPException):
            return http_error_response(request, error)
        _say(_log.error, "request_broken", path=request.path, exc_info=error)
        return internal_error_response(request)
    except Exception as broken:  # noqa: BLE001 - the last line of defence
        return failed(request, broken)


async def _refusal(request: web.Request, error: EcpError) -> web.StreamResponse:
    if "limit" in error.details:
        request.app[CONTEXT].telemetry.refusals.labels(error.details["limit"]).inc()
    if error.status == 429:
        limits, sender = request.app[LIMITS], sender_of(request)
        await limits.refusals.hold_back(sender)
        # Hundreds that were held back together are not answered together.
        await limits.loop.wait(sender)
    route = route_of(request)
    error = _for_sender(route, error)
    if error.status >= 500:
        _say(_log.warning, "request_failed", path=request.path, code=error.code, error=error.message)
    if route is not None and route.socket and error.status in _SOCKET_CODES and _is_upgrade(request):
        try:
            return await refuse(request, _SOCKET_CODES[error.status], error.message)
        except web.HTTPException as bad:  # it only looked like a handshake
            return http_error_response(request, bad)
    return error_response(request, error)


def _say(write: Callable[..., Any], event: str, **values: Any) -> None:
    """A line in the log; an answer does not depend on whether it can be written."""
    with contextlib.suppress(Exception):
        write(event, **values)


def _for_sender(route: Route | None, error: EcpError) -> EcpError:
    """Who gives up at any 4xx is told 503 where sending again may help, and an agent 400 where it never does."""
    if route is not None and route.agent:
        return _for_agent(error)
    if route is None or not route.drops_4xx or not error.retryable or error.status >= 500:
        return error
    return _later(error)


def _later(error: EcpError) -> EcpError:
    later = Overloaded(error.message, details=error.details)
    later.retry_after, later.limits = error.retry_after or later.retry_after, error.limits
    return later


def _for_agent(error: EcpError) -> EcpError:
    if error.retryable:
        later = error if error.status >= 500 else _later(error)
        # They wait as long as they are told, and meanwhile what they have grows.
        later.retry_after = min(later.retry_after or 1, AGENTS_WAIT)
        return later
    if error.status >= 500 or error.status in AGENTS_HEED:
        return error
    return BadRequest(error.message, details={"reason": error.code.lower(), **error.details})


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _count(request: web.Request, response: web.StreamResponse) -> None:
    tenant_id = request.match_info.get("tenant_id")
    # The request that deletes a tenant would bring its series back.
    deleted = request.method == "DELETE" and response.status == 202
    known = CALLER in request and response.status not in (401, 404)
    if tenant_id is not None and known and not deleted and _exists(request, tenant_id):
        demo = request[BACKEND].demo
        count(request.app[CONTEXT], tenant_id, request.method, response.status, demo=demo)


def count(context: ApiContext, tenant_id: str, method: str, status: int, *, demo: bool) -> None:
    """One more answer to a request for a tenant that there is."""
    if not demo:  # a demo tenant of the same name is another's
        context.telemetry.tenants.request(tenant_id, method, status)


def _exists(request: web.Request, tenant_id: str) -> bool:
    """Whether there surely is such a tenant: names that people guess must not make series.

    Not asked of the database: a refusal comes before the tenant is looked up.
    """
    caller = request[CALLER]
    granted = tenant_id in caller.names and tenant_id not in caller.former
    return TENANT in request or granted or request.app[CONTEXT].telemetry.tenants.is_live(tenant_id)


def _debug_info(request: web.Request) -> str:
    queries, milliseconds = request.app[CONTEXT].timer.read()
    route = route_of(request)
    backend = request.get(BACKEND)
    info = {
        "route": route.path if route else None,
        "mode": None if backend is None else backend.name,
        "db_ms": round(milliseconds, 3),
        "queries": queries,
    }
    return orjson.dumps(info).decode()


@web.middleware
async def gate(request: web.Request, handler: Next) -> web.StreamResponse:
    """Mode, caller, permission and rate, before any handler runs."""
    route = route_of(request)
    sender = sender_of(request)
    await request.app[LIMITS].loop.wait(sender)
    if route is None:
        return await handler(request)  # 404 or 405
    with nullcontext() if route.permission is Permission.INGEST else question(sender):
        return await _let_in(request, route, handler)


async def _let_in(request: web.Request, route: Route, handler: Next) -> web.StreamResponse:
    # What a page may send without anybody's leave; where nobody shows a token it would be done.
    open_to_pages = request.app[CONTEXT].settings.auth == "none" and request.method not in ("GET", "HEAD")
    if route.socket or open_to_pages:
        request.app[ORIGINS].check(request)
    # The process's own series are those of production tenants, whatever mode is asked for.
    scraped = route.permission is Permission.SCRAPE
    request[BACKEND] = request.app[CONTEXT].production if scraped else choose_backend(request)
    await admit(request, route)
    check_address(request)
    if request.query_string:
        _check_query(request, route)
    if route.permission is Permission.OPEN:
        return await handler(request)
    with as_actor(actor_of(request)):
        return await _within_limits(request, route, handler)


# Probes, scrapers and senders have addresses that they cannot be asked to change: what they add is left alone.
_LEFT_ALONE: Final = (Permission.OPEN, Permission.SCRAPE, Permission.INGEST)


def _check_query(request: web.Request, route: Route) -> None:
    """Of a route that reads no query string. Raises ValidationFailed: what was meant by it is not what happens."""
    if route.permission in _LEFT_ALONE or route.drops_4xx or route.contract is None:
        return
    if route.socket:
        check_names(request, names_of(SocketQuery))
    elif route.contract.query is None:
        check_names(request, frozenset())


async def _within_limits(request: web.Request, route: Route, handler: Next) -> web.StreamResponse:
    """Let the request in when its caller and its tenant have something left of what all share.

    Raises RateLimited or Overloaded. The tenant's turns and memory are not used up by callers who see all tenants.
    """
    limits, now, caller = request.app[LIMITS], request.app[CONTEXT].clock.now(), request[CALLER]
    shares = [f"caller {caller_key(request)}"]
    if tenant_id := request.match_info.get("tenant_id"):
        shares.append(tenant_share(caller, tenant_id, demo=request[BACKEND].demo))
    if route.permission is Permission.INGEST:
        limits.check_push(shares, now)
    else:
        limits.check_body(shares, now)
    request[SHARES] = tuple(shares)
    if route.socket:
        return await handler(request)
    key = group_of(caller, shares[0])
    with limits.holding(key) as request[HELD]:
        if route.permission is Permission.INGEST:
            async with limits.pushes.turn(key):
                return await handler(request)
        return await _question(request, route, key, handler)


async def _question(request: web.Request, route: Route, key: str, handler: Next) -> web.StreamResponse:
    """Whoever sends slowly, or waits for another server, keeps nobody from the few turns that questions have."""
    limits = request.app[LIMITS]
    large = False
    if request.can_read_body and request.method != "GET":
        large = len(await read_body(request)) > LARGE_BODY
    turns = limits.elsewhere if route.path.startswith(_ELSEWHERE) else limits.questions
    # Webhooks take the turn of large ones themselves.
    many = limits.large.turn(key) if large and "/webhooks/" not in route.path else nullcontext()
    async with many, turns.turn(key):
        return await handler(request)
