"""Tokens for those who may handle them (docs/tokens.md). Who holds some tenants reaches tokens that hold no more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import structlog
from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr

from ecpmon.api.common import backend_of, now_of, query_int, read_model, reply
from ecpmon.api.context import CALLER
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import NotFound
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.ports.tokens import Issued, NewToken, TokenInfo

routes = Routes()
_log = structlog.get_logger(__name__)
# A secret must not stay in anybody's cache.
_NO_STORE: Final = {"Cache-Control": "no-store"}
MAX_NAMES: Final = 1_000
LONGEST_LIFE: Final = 10 * 366 * 86_400
LONGEST_OVERLAP: Final = 7 * 86_400
MAX_NUMBER: Final = 2**63 - 1


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable text")
    return text


def _every_or_some(names: list[str]) -> list[str]:
    if "*" in names and len(names) > 1:
        raise ValueError('is either ["*"], every tenant, or names of tenants')
    return names


Role = Literal["viewer", "ingest", "operator", "tenant_admin", "admin"]
TenantName = Annotated[StrictStr, Field(pattern=TENANT_ID_PATTERN)]
Lifetime = Annotated[StrictInt, Field(ge=1, le=LONGEST_LIFE)]


class TokenBody(BaseModel):
    """`tenant_access`: names of live tenants, or `["*"]`; `expires_in`: seconds, absent for as long as the asker's."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    name: Annotated[StrictStr, Field(min_length=1, max_length=100), AfterValidator(_printable)]
    roles: Annotated[list[Role], Field(min_length=1, max_length=10)]
    tenant_access: Annotated[
        list[Annotated[StrictStr, Field(pattern=rf"^\*$|{TENANT_ID_PATTERN}")]],
        Field(max_length=MAX_NAMES),
        AfterValidator(_every_or_some),
    ]
    may_create: Annotated[list[TenantName], Field(max_length=MAX_NAMES)] = Field(default_factory=list)
    expires_in: Lifetime | None = None


class RotationBody(BaseModel):
    """`overlap_seconds`: how long the old secret still works; `expires_in`: absent, the token ends when it would."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    overlap_seconds: Annotated[StrictInt, Field(ge=0, le=LONGEST_OVERLAP)] = 3_600
    expires_in: Lifetime | None = None


@routes.get("/api/v1/tokens", Permission.ADMINISTER)
async def list_tokens(request: web.Request) -> web.Response:
    """The tokens that hold no more than the caller's own, the newest first; never their secrets."""
    skip, limit = query_int(request, "skip", 0, 0, 10**9), query_int(request, "limit", 100, 1, 1000)
    now = now_of(request)
    found, total = await backend_of(request).tokens.page(request[CALLER], skip, limit, now)
    more = {"skip": skip, "limit": limit, "has_more": skip + len(found) < total}
    return reply({"tokens": [_shown(i, now) for i in found], "total_count": total, "pagination": more})


@routes.post("/api/v1/tokens", Permission.ADMINISTER)
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


@routes.delete("/api/v1/tokens/{token_id}", Permission.ADMINISTER)
async def revoke(request: web.Request) -> web.Response:
    """End a token and every secret of it now; its sockets are closed within ten seconds."""
    number = _number(request)
    await backend_of(request).tokens.revoke(number, request[CALLER], now_of(request))
    _audit(request, "token_revoked", number)
    return web.Response(status=204)


@routes.post("/api/v1/tokens/{token_id}/rotate", Permission.ADMINISTER)
async def rotate(request: web.Request) -> web.Response:
    """A new secret of a token, shown this once; the old one works a while longer."""
    number, now = _number(request), now_of(request)
    body = await read_model(request, RotationBody, optional=True)
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
    """The token named in the path. Raises NotFound for what cannot be one."""
    text = request.match_info["token_id"]
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or int(text) > MAX_NUMBER:
        raise NotFound("tokens are named by their numbers; GET /api/v1/tokens lists them")
    return int(text)


def _end(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _audit(request: web.Request, event: str, token_id: int, **more: Any) -> None:
    caller = request[CALLER]
    by = caller.token.token_id if caller.token else None
    _log.info(event, token=token_id, by_token=by, by=caller.name, address=request.remote, **more)


def _secret(issued: Issued) -> dict[str, Any]:
    return {
        "id": issued.token_id,
        "token": issued.secret,
        "expires_at": issued.expires_at,
        "old_secret_until": issued.replaces_until,
    }


def _shown(info: TokenInfo, now: datetime) -> dict[str, Any]:
    return {
        "id": info.token_id,
        "name": info.name,
        "status": info.status(now),
        "roles": info.roles,
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
