"""Who calls, and what they may do (api.md §9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiohttp import web

from ecpmon.api.context import BACKEND, CALLER, CONTEXT
from ecpmon.api.limits import LIMITS
from ecpmon.api.routing import ROLES, Permission, Route
from ecpmon.api.sessions import Session
from ecpmon.errors import Forbidden, TenantNotFound, Unauthorized
from ecpmon.ports.audit import Actor
from ecpmon.ports.tokens import Caller
from ecpmon.serving import request_id_of

# With authentication off (development on loopback) everybody is this.
EVERYBODY: Final = Caller("anonymous", frozenset({"admin"}), None)
_NOBODY: Final = Caller("nobody", frozenset(), frozenset())
MAX_TOKEN: Final = 4096


def bearer_token(request: web.Request) -> str | None:
    """The token of the Authorization header, or of a socket's `Sec-WebSocket-Protocol: bearer, <token>`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if len(offered) == 2 and offered[0] == "bearer":
        return offered[1]
    return None


def runs_the_cluster(caller: Caller) -> bool:
    """Whether the caller may touch what all tenants share: an administrator who may see every tenant."""
    return caller.tenants is None and "admin" in caller.roles


async def identify(request: web.Request, *, limited: bool = True) -> Caller:
    """The caller. Raises Unauthorized without a valid token, DatabaseUnavailable when it cannot be checked."""
    context = request.app[CONTEXT]
    if context.settings.auth == "none":
        return EVERYBODY
    token = bearer_token(request)
    # Ours are ASCII; others, such as bytes that are not UTF-8, cannot even be hashed.
    if not token or len(token) > MAX_TOKEN or not token.isascii():
        raise Unauthorized("send `Authorization: Bearer <token>`; `ecpmon token create` makes one")
    return await _checked(request, token, limited=limited)


async def _checked(request: web.Request, token: str, *, limited: bool) -> Caller:
    """Who holds the token: who changes something is looked up, others may be known from a moment ago.

    Guessing is limited per address, and costs no query then; tokens seen before go on.

    Raises Unauthorized, RateLimited.
    """
    context, limits = request.app[CONTEXT], request.app[LIMITS]
    now = context.clock.now()
    # Questions, whose number `admit` bounds; and pushes, which are decided again where they are committed.
    from_memory = request.method == "GET" or not limited
    if from_memory and (held := request[BACKEND].tokens.held(token, now)):
        return held
    address = request.remote or ""
    known = limits.good_tokens.key_of(token)
    if known is None:
        # Counted before it is looked up, for it may be a guess and many may come together.
        limits.bad_tokens.take(address, now)
    elif limited:
        limits.requests.check(known, now)
    caller = await _find(request, token)
    if caller is None:
        limits.good_tokens.forget(token)
        raise Unauthorized("this token is unknown, expired or revoked")
    if known is None:
        limits.bad_tokens.charge(address, -1, now)
    own = share_of(caller, request)
    limits.good_tokens.remember(token, own, group_of(caller, own))
    return caller


def group_of(caller: Caller, own: str) -> str:
    """Whom turns and memory are given to: all tokens for the same tenants together, so that more tokens get no more."""
    if caller.tenants is None or caller.token is None:
        return own
    # Numbers are those of one database.
    return f"tenants {caller.token.database} {sorted(caller.tenants)}"


def sender_of(request: web.Request) -> str:
    """Whose turn of the event loop a request takes, before it is known who calls.

    A token that was good the last time stands for its tenants; everybody else is an address, so that strangers share
    one turn with each other and none with tenants. Without authentication a tenant is who its address names.
    """
    if request.app[CONTEXT].settings.auth == "none":
        return request.match_info.get("tenant_id") or f"address {request.remote}"
    token = bearer_token(request)
    group = request.app[LIMITS].good_tokens.group_of(token) if token else None
    return group or f"address {request.remote}"


async def _find(request: web.Request, secret: str) -> Caller | None:
    """A token is for the database it was made in; one for every tenant is so for the demo database's as well."""
    context, backend = request.app[CONTEXT], request[BACKEND]
    now = context.clock.now()
    caller = await backend.tokens.find(secret, now)
    if caller is None and backend.demo:
        caller = await context.production.tokens.find(secret, now)
        if caller is not None and caller.tenants is not None:
            # Its numbers are those of tenants of the production database.
            return replace(caller, tenants=frozenset(), names=frozenset(), may_create=frozenset())
    return caller


def authorise(request: web.Request, caller: Caller, route: Route) -> None:
    """Raises TenantNotFound for another's tenant (it does not exist for them), Forbidden for a lacking role.

    Without a query, so by name: whether the tenant of that name is the one that was granted, `tenant_of` decides.
    """
    tenant_id = request.match_info.get("tenant_id")
    if tenant_id is not None and not caller.may_know(tenant_id):
        raise TenantNotFound(tenant_id)
    allowed = ROLES[route.permission]
    if not caller.roles & allowed:
        raise Forbidden(f"this needs one of the roles {', '.join(sorted(allowed))}")


def caller_key(request: web.Request) -> str:
    """Whom a limit per caller counts: a token, whatever it is called and wherever it is used from; without
    authentication an address."""
    return _key(request[CALLER], request)


def _key(caller: Caller, request: web.Request) -> str:
    token = caller.token
    return f"{token.database}:{token.token_id}" if token else f"address:{request.remote}"


def actor_of(request: web.Request) -> Actor:
    """Who the audit log says it was. The address is that of whoever is connected to us: what a header says of
    another is believed of nobody."""
    caller = request[CALLER]
    return Actor(caller.name, token_of(caller), request.remote or None, request_id_of(request))


def token_of(caller: Caller) -> str | None:
    """The number of what was shown, and that of its database: `production:7`."""
    return f"{caller.token.database}:{caller.token.token_id}" if caller.token else None


def share_of(caller: Caller, request: web.Request) -> str:
    """The key of a caller's share of what all use."""
    return f"caller {_key(caller, request)}"


def session_of(request: web.Request, number: int, tenant_id: str) -> Session:
    """What a socket about a tenant is opened with."""
    roles = ROLES[Permission.READ]
    return Session(request[CALLER], caller_key(request), request[BACKEND].name, number, tenant_id, roles)


async def admit(request: web.Request, route: Route) -> None:
    """Put the caller into the request, or raise."""
    if route.permission is Permission.OPEN or (
        route.permission is Permission.SCRAPE and _may_scrape_unknown(request)
    ):
        request[CALLER] = _NOBODY
        return
    # Pushes are counted by their samples; everything else as a request, what is refused for lack of rights as well.
    limited = route.permission is not Permission.INGEST
    caller = await identify(request, limited=limited)
    if limited:
        context = request.app[CONTEXT]
        request.app[LIMITS].requests.take(share_of(caller, request), context.clock.now())
    authorise(request, caller, route)
    request[CALLER] = caller


def _may_scrape_unknown(request: web.Request) -> bool:
    """Without a token, where the settings allow it. Whoever shows one must hold it, and sees its tenants."""
    settings = request.app[CONTEXT].settings
    return settings.auth == "tokens" and settings.metrics_auth == "open" and bearer_token(request) is None
