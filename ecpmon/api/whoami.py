"""How people sign in, who is calling, and what they may do: for a page that offers nobody what would be refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, cast

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, now_of, reply
from ecpmon.api.context import CALLER, CONTEXT, ApiContext
from ecpmon.api.routing import ROLES, Permission, Routes
from ecpmon.openapi.declaring import TypedDict
from ecpmon.ports.tokens import Caller

routes = Routes()
Held = Literal["scrape", "read", "ingest", "operate", "manage_tenants", "administer"]


class WhoAmI(TypedDict):
    """`permissions` are what routes ask for (`x-permission`); each of the caller's tenants may be asked about."""

    name: Annotated[str, Field(description="Of the token, or the `sub` of a signed one.", examples=["kim"])]
    roles: Annotated[Sequence[str], Field(examples=[["operator"]])]
    permissions: list[Held]
    every_tenant: Annotated[bool, Field(description="Whether it holds every tenant.")]
    expires_at: Annotated[datetime | None, Field(description="When the token ends; null: it does not.")]
    expires_in: Annotated[
        float | None, Field(description="Seconds until then, for whose clock is another.", examples=[3600.0])
    ]
    demo: Annotated[bool, Field(description="Whether this is the demo database.")]


class OidcShown(TypedDict):
    """What a browser needs to sign in by authorisation code with PKCE, as a public client."""

    issuer: str
    client_id: str
    scope: str
    audience: Annotated[str, Field(description="What `aud` of the token that is shown here must name.")]
    authorization_endpoint: str
    token_endpoint: str


class SignInShown(TypedDict):
    """`oidc` null: with a token alone, or the issuer has not answered yet."""

    tokens: Annotated[bool, Field(description="Whether a token is asked for at all.")]
    oidc: OidcShown | None


@routes.get("/api/v1/sign-in", Permission.OPEN, answers={200: SignInShown})
async def sign_in(request: web.Request) -> web.Response:
    """How people sign in here."""
    context = request.app[CONTEXT]
    shown: SignInShown = {"tokens": context.settings.auth == "tokens", "oidc": _oidc(context)}
    return reply(shown)


def _oidc(context: ApiContext) -> OidcShown | None:
    settings = context.settings
    found = context.signed.endpoints if context.signed else None
    if found is None or settings.oidc_client_id is None:
        return None
    return {
        "issuer": settings.oidc_issuer or "",
        "client_id": settings.oidc_client_id,
        "scope": settings.oidc_scope,
        "audience": settings.oidc_audience or "",
        "authorization_endpoint": found.authorization,
        "token_endpoint": found.token,
    }


@routes.get("/api/v1/session", Permission.READ, answers={200: WhoAmI})
async def session(request: web.Request) -> web.Response:
    """Who the token of this request names, and what it may do."""
    caller = request[CALLER]
    end = caller.expires_at
    shown: WhoAmI = {
        "name": caller.name,
        "roles": sorted(caller.roles),
        "permissions": permissions_of(caller),
        "every_tenant": caller.tenants is None,
        "expires_at": end,
        "expires_in": None if end is None else (end - now_of(request)).total_seconds(),
        "demo": backend_of(request).demo,
    }
    return reply(shown)


def permissions_of(caller: Caller) -> list[Held]:
    found = [each.value for each in Permission if each is not Permission.OPEN and caller.roles & ROLES[each]]
    return cast("list[Held]", found)
