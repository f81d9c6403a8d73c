"""Tokens for those who may handle them (docs/tokens.md). Who holds some tenants reaches tokens that hold no more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, cast

import structlog
from aiohttp import web
from pydantic import AfterValidator, ConfigDict, Field, StrictInt, StrictStr

from ecpmon.api.addresses import address_of
from ecpmon.api.common import backend_of, now_of, read_model, reply
from ecpmon.api.context import CALLER
from ecpmon.api.paths import path_number
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_shapes import Pagination
from ecpmon.errors import Conflict, LimitReached, NotFound
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.openapi.declaring import Json, Query, TypedDict, optional, read_query
from ecpmon.ports.tokens import Issued, NewToken, TokenInfo
from ecpmon.shapes import Model

routes = Routes()
_log = structlog.get_logger(__name__)
# A secret must not stay in anybody's cache.
_NO_STORE: Final = {"Cache-Control": "no-store"}
MAX_NAMES: Final = 1_000
LONGEST_LIFE: Final = 10 * 366 * 86_400
LONGEST_OVERLAP: Final = 7 * 86_400


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable text")
    return text


def _every_or_some(names: list[str]) -> list[str]:
    if "*" in names and len(names) > 1:
        raise ValueError('is either ["*"], every tenant, or names of tenants')
    return names


TokenStatus = Literal["active", "expired", "revoked"]
Role = Literal["viewer", "ingest", "operator", "tenant_admin", "admin"]
TenantName = Annotated[StrictStr, Field(pattern=TENANT_ID_PATTERN)]
Lifetime = Annotated[StrictInt, Field(ge=1, le=LONGEST_LIFE)]


class TokenBody(Model):
    """`tenant_access`: names of live tenants, or `["*"]`; `expires_in`: seconds, absent for as long as the asker's."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[StrictStr, Field(min_length=1, max_length=100), AfterValidator(_printable)]
    roles: Annotated[list[Role], Field(min_length=1, max_length=10)]
    tenant_access: Annotated[
        list[Annotated[StrictStr, Field(pattern=rf"^\*$|{TENANT_ID_PATTERN}")]],
        Field(max_length=MAX_NAMES),
        AfterValidator(_every_or_some),
    ]
    may_create: Annotated[list[TenantName], Field(max_length=MAX_NAMES)] = Field(default_factory=list)
    expires_in: Lifetime | None = None


class TokenRotationBody(Model):
    """`overlap_seconds`: how long the old secret still works; `expires_in`: absent, the token ends when it would."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[StrictInt, Field(ge=0, le=LONGEST_OVERLAP)] = 3_600
    expires_in: Lifetime | None = None


class Page(Query):
    skip: Annotated[int, Field(ge=0, le=10**9)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class TokenShown(TypedDict):
    """A token; its secret is shown once, to who makes or rotates it."""

    id: Annotated[int, Field(examples=[7])]
    name: Annotated[str, Field(examples=["grafana"])]
    status: TokenStatus
    roles: Annotated[Sequence[Role], Field(examples=[["viewer"]])]
    tenant_access: Annotated[
        Sequence[str],
        Field(description='Names of live tenants, or `["*"]`: every one.', examples=[["my-ai-service"]]),
    ]
    deleted_tenants: Annotated[Sequence[str], Field(description="What it held of tenants that are deleted.")]
    may_create: Sequence[str]
    lost_access: Annotated[
        Sequence[str], Field(description="Names it once held, and that never belonged to a tenant.")
    ]
    created_at: datetime
    created_by: Annotated[int | None, Field(description="The number of the token that made it.")]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    old_secret_until: Annotated[
        datetime | None, Field(description="Until then the secret before the last rotation works as well.")
    ]


class TokenPage(TypedDict):
    tokens: list[TokenShown]
    total_count: int
    pagination: Pagination


class TokenSecret(TypedDict):
    """Shown this once: what is stored is its hash."""

    id: Annotated[int, Field(examples=[7])]
    token: Annotated[str, Field(examples=["ecp_V2hhdCB5b3UgcmVhZCBoZXJlIGlzIG5vIHNlY3JldA"])]
    expires_at: datetime | None
    old_secret_until: datetime | None


_SECRET: Final = Json(TokenSecret, headers=("Cache-Control",))


@routes.get("/api/v1/tokens", Permission.ADMINISTER, query=Page, answers={200: TokenPage})
async def list_tokens(request: web.Request) -> web.Response:
    """The tokens that hold no more than the caller's own, the newest first; never their secrets."""
    query, now = read_query(request, Page), now_of(request)
    found, total = await backend_of(request).tokens.page(request[CALLER], query.skip, query.limit, now)
    page: TokenPage = {
        "tokens": [_shown(i, now) for i in found],
        "total_count": total,
        "pagination": {
            "skip": query.skip,
            "limit": query.limit,
            "has_more": query.skip + len(found) < total,
        },
    }
    return reply(page)


@routes.post(
    "/api/v1/tokens",
    Permission.ADMINISTER,
    body=TokenBody,
    answers={201: _SECRET},
    refuses=(LimitReached,),
)
async def create(request: web.Request) -> web.Response:
    """Make a token that holds no more than the caller's own. Its secret is shown this once."""
    caller, now = request[CALLER], now_of(request)
    body = await read_model(request, TokenBody)
    tenants = None if body.tenant_access == ["*"] else tuple(dict.fromkeys(body.tenant_access))
    expires_at = _end(now, body.expires_in) or caller.expires_at
    new = NewToken(body.name, frozenset(body.roles), tenants, frozenset(body.may_create), expires_at)
    issued = await backend_of(request).tokens.issue(new, caller, now)
    shown = {
        "roles": sorted(new.roles),
        "tenants": body.tenant_access[:20],
        "in_all": len(body.tenant_access),
    }
    _audit(request, "token_created", issued.token_id, **shown)
    return reply(_secret(issued), 201, _NO_STORE)


@routes.delete("/api/v1/tokens/{token_id}", Permission.ADMINISTER, answers={204: None}, refuses=(NotFound,))
async def revoke(request: web.Request) -> web.Response:
    """End a token and every secret of it now; its sockets are closed within ten seconds."""
    number = _number(request)
    await backend_of(request).tokens.revoke(number, request[CALLER], now_of(request))
    _audit(request, "token_revoked", number)
    return web.Response(status=204)


@routes.post(
    "/api/v1/tokens/{token_id}/rotate",
    Permission.ADMINISTER,
    body=optional(TokenRotationBody),
    answers={200: _SECRET},
    refuses=(NotFound, Conflict, LimitReached),
)
async def rotate(request: web.Request) -> web.Response:
    """A new secret of a token, shown this once; the old one works a while longer."""
    number, now = _number(request), now_of(request)
    body = await read_model(request, TokenRotationBody, optional=True)
    issued = await backend_of(request).tokens.rotate(
        number,
        request[CALLER],
        now,
        overlap=timedelta(seconds=body.overlap_seconds),
        expires_at=_end(now, body.expires_in),
    )
    _audit(request, "token_rotated", number, overlap_seconds=body.overlap_seconds)
    return reply(_secret(issued), headers=_NO_STORE)


def _number(request: web.Request) -> int:
    return path_number(
        request, "token_id", "tokens are named by their numbers; GET /api/v1/tokens lists them"
    )


def _end(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _audit(request: web.Request, event: str, token_id: int, **more: Any) -> None:
    caller = request[CALLER]
    by = caller.token.token_id if caller.token else None
    _log.info(event, token=token_id, by_token=by, by=caller.name, address=address_of(request), **more)


def _secret(issued: Issued) -> TokenSecret:
    return {
        "id": issued.token_id,
        "token": issued.secret,
        "expires_at": issued.expires_at,
        "old_secret_until": issued.replaces_until,
    }


def _shown(info: TokenInfo, now: datetime) -> TokenShown:
    return {
        "id": info.token_id,
        "name": info.name,
        "status": cast(TokenStatus, info.status(now)),
        "roles": cast(Sequence[Role], info.roles),
        "tenant_access": ["*"] if info.tenants is None else info.tenants,
        "deleted_tenants": info.former,
        "may_create": info.may_create,
        "lost_access": info.lost_access,
        "created_at": info.created_at,
        "created_by": info.created_by,
        "expires_at": info.expires_at,
        "revoked_at": info.revoked_at,
        "last_used_at": info.last_used_at,
        "old_secret_until": info.old_secret_until,
    }
