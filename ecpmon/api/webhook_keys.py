"""The key that signs a tenant's webhooks: given out once, replaced with an overlap (docs/webhooks.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import ConfigDict, Field

from ecpmon.alerts.webhook_keys import LONGEST_OVERLAP, KeyMetadata
from ecpmon.api.common import backend_of, now_of, read_model, reply, tenant_of
from ecpmon.api.context import CALLER
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import Conflict
from ecpmon.openapi.declaring import Json, TypedDict, optional
from ecpmon.shapes import Model

routes = Routes()
# A secret must not stay in anybody's cache.
_NO_STORE: Final = {"Cache-Control": "no-store"}


class KeyRotationBody(Model):
    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=int(LONGEST_OVERLAP.total_seconds()))] = 86_400


KeyId = Annotated[str, Field(examples=["a1b2c3d4"])]


class KeyGiven(TypedDict):
    """Shown this once."""

    tenant_id: str
    secret: Annotated[str, Field(examples=["whsec_V2hhdCB5b3UgcmVhZCBpcyBubyBzZWNyZXQ="])]
    key_id: KeyId
    generation: int
    overlap_until: Annotated[datetime | None, Field(description="An older key signs beside it until then.")]


class KeyShown(TypedDict):
    """A key that signs; never the key itself."""

    key_id: KeyId
    generation: int
    created_at: Annotated[datetime | None, Field(description="null: it signs, and nobody was given it yet.")]
    created_by: str | None
    signs_until: datetime | None


class KeysShown(TypedDict):
    tenant_id: str
    current: KeyShown
    last_rotated_at: datetime | None
    overlap_until: datetime | None
    older: list[KeyShown]


@routes.post(
    "/api/v1/tenants/{tenant_id}/webhook-key",
    Permission.OPERATE,
    body=optional(KeyRotationBody),
    answers={201: Json(KeyGiven, headers=("Cache-Control",))},
    refuses=(Conflict,),
)
async def give(request: web.Request) -> web.Response:
    """The key that signs this tenant's webhooks, shown once; asked again, a new one, beside which the old one ends."""
    tenant = await tenant_of(request)
    body = await read_model(request, KeyRotationBody, optional=True)
    overlap = timedelta(seconds=body.overlap_seconds)
    keys = backend_of(request).webhook_keys
    given = await keys.give(tenant, request[CALLER].name, now_of(request), overlap)
    document: KeyGiven = {
        "tenant_id": tenant.tenant_id,
        "secret": given.secret,
        "key_id": given.key_id,
        "generation": given.generation,
        "overlap_until": given.overlap_until,
    }
    return reply(document, 201, _NO_STORE)


@routes.get("/api/v1/tenants/{tenant_id}/webhook-key", Permission.READ, answers={200: KeysShown})
async def describe(request: web.Request) -> web.Response:
    """Which keys sign this tenant's webhooks, since when and until when; never the keys."""
    tenant = await tenant_of(request)
    current, *older = await backend_of(request).webhook_keys.describe(tenant, now_of(request))
    document: KeysShown = {
        "tenant_id": tenant.tenant_id,
        "current": _shown(current),
        "last_rotated_at": current.shown_at if current.generation else None,
        "overlap_until": max((k.signs_until for k in older if k.signs_until is not None), default=None),
        "older": [_shown(k) for k in older],
    }
    return reply(document)


def _shown(key: KeyMetadata) -> KeyShown:
    return {
        "key_id": key.key_id,
        "generation": key.generation,
        "created_at": key.shown_at,
        "created_by": key.shown_to,
        "signs_until": key.signs_until,
    }
