"""Who calls, and what they may do (api.md §9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from aiohttp import web

from ecpmon.api.addresses import PROXIES, Asking, address_of
from ecpmon.api.context import BACKEND, CALLER, CONTEXT, ApiContext, Backend
from ecpmon.api.limits import COUNTED, LIMITS
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
# Ours have none.
_SIGNED: Final = "."
# A header of HTTP may have 8,190 characters.
MAX_SIGNED_TOKEN: Final = 8_000


def bearer_token(request: Asking) -> str | None:
    """The token of the Authorization header, or of a socket's `Sec-WebSocket-Protocol: bearer, <token>`."""
    given: str = request.headers.get("Authorization", "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    protocols: str = request.headers.get("Sec-WebSocket-Protocol", "")
    offered = [p.strip() for p in protocols.split(",")]
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
    if not token or not token.isascii():
        raise Unauthorized("send `Authorization: Bearer <token>`; `ecpmon token create` makes one")
    if len(token) > (MAX_SIGNED_TOKEN if _SIGNED in token else MAX_TOKEN):
        raise Unauthorized("this token is too long", details={"reason": "too_large"})
    return await _checked(request, token, limited=limited)


async def _checked(request: web.Request, token: str, *, limited: bool) -> Caller:
    """Who holds the token: who changes something is looked up, others may be known from a moment ago.

    Guessing is limited per address, and costs no query then; tokens seen before go on. Signed ones are renewed all the
    time, and are checked without a query: they are counted when they are bad, so that nobody's guesses hold up others.

    Raises Unauthorized, RateLimited.
    """
    context, limits = request.app[CONTEXT], request.app[LIMITS]
    now = context.clock.now()
    # Questions, whose number `admit` bounds; and pushes, which are decided again where they are committed.
    from_memory = request.method == "GET" or not limited
    if from_memory and (held := held_caller(context, request[BACKEND], token, now)):
        return held
    address = address_of(request) or ""
    known, signed = limits.good_tokens.key_of(token), _SIGNED in token
    if known is None and not signed:
        # Counted before it is looked up, for it may be a guess and many may come together.
        limits.bad_tokens.take(address, now)
    elif known is not None and limited:
        limits.requests.check(known, now)
    try:
        caller = await _find(request, token)
    except Unauthorized:
        limits.good_tokens.forget(token)
        if signed:
            limits.bad_tokens.take(address, now)
        raise
    if known is None and not signed:
        limits.bad_tokens.charge(address, -1, now)
    own = share_of(caller, request, request.app)
    limits.good_tokens.remember(token, own, group_of(caller, own))
    return caller


def group_of(caller: Caller, own: str) -> str:
    """Whom turns and memory are given to: all tokens for the same tenants together, so that more tokens get no more."""
    if caller.tenants is None or (caller.token is None and caller.person is None):
        return own
    # Numbers are those of one database; signed tokens are for production's.
    database = caller.token.database if caller.token else "production"
    return f"tenants {database} {sorted(caller.tenants)}"


def sender_of(request: web.Request) -> str:
    """Whose turn of the event loop a request takes, before it is known who calls.

    A token that was good the last time stands for its tenants; everybody else is an address, so that strangers share
    one turn with each other and none with tenants. Without authentication a tenant is who its address names.
    """
    if request.app[CONTEXT].settings.auth == "none":
        return request.match_info.get("tenant_id") or f"address {address_of(request)}"
    token = bearer_token(request)
    group = request.app[LIMITS].good_tokens.group_of(token) if token else None
    return group or f"address {address_of(request)}"


def held_caller(context: ApiContext, backend: Backend, token: str, now: datetime) -> Caller | None:
    """Who showed a token that was looked up a moment ago; None: it has to be looked up."""
    if _SIGNED not in token:
        return backend.tokens.held(token, now)
    held = context.signed.held(token, now) if context.signed else None
    return _of_production(held, backend) if held else None


async def _find(request: web.Request, token: str) -> Caller:
    """A token is for the database it was made in; one for every tenant is so for the demo database's as well.

    Raises Unauthorized.
    """
    context, backend = request.app[CONTEXT], request[BACKEND]
    now = context.clock.now()
    if _SIGNED in token and context.signed is not None:
        return _of_production(await context.signed.find(token, now), backend)
    caller = await backend.tokens.find(token, now)
    if caller is None and backend.demo:
        caller = await context.production.tokens.find(token, now)
        caller = caller and _of_production(caller, backend)
    if caller is None:
        raise Unauthorized("this token is unknown, expired or revoked")
    return caller


def _of_production(caller: Caller, backend: Backend) -> Caller:
    """The holder of a token of the production database, there or in the demo's: its numbers are those of tenants of
    production."""
    if not backend.demo or caller.tenants is None:
        return caller
    return replace(caller, tenants=frozenset(), names=frozenset(), may_create=frozenset())


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
    """Whom a limit per caller counts: a token, whatever it is called and wherever it is used from; the person whom a
    signed one names, however many that one has; without authentication an address."""
    return _key(request[CALLER], request, request.app)


def _key(caller: Caller, request: Asking, app: web.Application) -> str:
    return token_of(caller) or f"address:{app[PROXIES].address_of(request)}"


def actor_of(request: web.Request) -> Actor:
    """Who the audit log says it was."""
    caller = request[CALLER]
    issuer = caller.person.issuer if caller.person else None
    return Actor(caller.name, token_of(caller), address_of(request), request_id_of(request), issuer)


def token_of(caller: Caller) -> str | None:
    """What tells the holder of this from all others: the database and number of a token, `production:7`, or whom a
    signed one names, `oidc:…`; None: nothing was shown."""
    if caller.token is not None:
        return f"{caller.token.database}:{caller.token.token_id}"
    return caller.person.key if caller.person else None


def share_of(caller: Caller, request: Asking, app: web.Application) -> str:
    """The key of a caller's share of what all use."""
    return f"caller {_key(caller, request, app)}"


def tenant_share(caller: Caller, tenant_id: str, *, demo: bool) -> str:
    """The key of a tenant's share of what all use."""
    # A token for a deleted tenant must not use up what is its successor's.
    whose = "former tenant" if tenant_id in caller.former else "tenant"
    return f"{whose} {demo} {tenant_id}"


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
        request[COUNTED] = share_of(caller, request, request.app)
        request.app[LIMITS].requests.take(request[COUNTED], context.clock.now())
    authorise(request, caller, route)
    request[CALLER] = caller


def _may_scrape_unknown(request: web.Request) -> bool:
    """Without a token, where the settings allow it. Whoever shows one must hold it, and sees its tenants."""
    settings = request.app[CONTEXT].settings
    return settings.auth == "tokens" and settings.metrics_auth == "open" and bearer_token(request) is None
