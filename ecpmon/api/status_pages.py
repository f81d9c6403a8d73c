"""Who may look at a tenant's status page: anybody, or who has a link (docs/status-pages.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.common import backend_of, now_of, read_model, reply, tenant_of
from ecpmon.api.context import CALLER, CONTEXT
from ecpmon.api.paths import path_number
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.status_reading import STATUS_PAGES
from ecpmon.errors import LimitReached, NotFound
from ecpmon.model.status_pages import StatusLink, StatusPage
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import Json, TypedDict
from ecpmon.shapes import Model

routes = Routes()
_PAGE: Final = "/api/v1/tenants/{tenant_id}/status-page"
_LINKS: Final = f"{_PAGE}/links"
# Whoever has the address is let in: it must not stay in anybody's cache.
_NO_STORE: Final = {"Cache-Control": "no-store"}
MAX_DAYS: Final = 400
# An integer of PostgreSQL.
_MOST: Final = 2**31 - 1


class StatusPageBody(Model):
    model_config = ConfigDict(extra="forbid")

    public: Annotated[StrictBool, Field(description="Anybody may look, by the tenant's name.")]


class StatusLinkBody(Model):
    model_config = ConfigDict(extra="forbid")

    label: Annotated[
        StrictStr, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")
    ]
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=MAX_DAYS)] = 90


class StatusLinkShown(TypedDict):
    """Never the link itself."""

    id: Annotated[int, Field(examples=[3])]
    label: Annotated[str, Field(examples=["Acme's service desk"])]
    created_at: datetime
    created_by: str
    expires_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    good: Annotated[bool, Field(description="It leads to the page now.")]


class StatusPageShown(TypedDict):
    tenant_id: str
    public: bool
    url: Annotated[
        str | None,
        Field(
            description="Where anybody may look.", examples=["https://sla.example.com/status/my-ai-service"]
        ),
    ]
    changed_at: datetime | None
    changed_by: str | None
    links: Annotated[list[StatusLinkShown], Field(description="Newest first.")]


class StatusLinkGiven(TypedDict):
    """Shown this once."""

    id: Annotated[int, Field(examples=[3])]
    label: Annotated[str, Field(examples=["Acme's service desk"])]
    url: Annotated[str, Field(examples=["https://sla.example.com/status/my-ai-service.AAAAAAAAAAE"])]
    expires_at: datetime


@routes.get(_PAGE, Permission.READ, answers={200: StatusPageShown})
async def describe(request: web.Request) -> web.Response:
    """Who may look at the tenant's status page."""
    tenant = await tenant_of(request)
    return reply(_shown(request, tenant, await backend_of(request).status_pages.of_tenant(tenant)))


@routes.put(_PAGE, Permission.OPERATE, body=StatusPageBody, answers={200: StatusPageShown})
async def choose(request: web.Request) -> web.Response:
    """Let anybody look at the tenant's status page, or only who has a link."""
    tenant, backend = await tenant_of(request), backend_of(request)
    body = await read_model(request, StatusPageBody)
    chosen = await backend.status_pages.set_public(tenant, body.public, request[CALLER].name, now_of(request))
    request.app[STATUS_PAGES].forget(backend, tenant.tenant_id)
    return reply(_shown(request, tenant, chosen))


@routes.post(
    _LINKS,
    Permission.OPERATE,
    body=StatusLinkBody,
    answers={201: Json(StatusLinkGiven, headers=("Cache-Control",))},
    refuses=(LimitReached,),
)
async def give_link(request: web.Request) -> web.Response:
    """A link to the tenant's status page, shown once: whoever has it may look until it is over."""
    from ecpmon.statuspages.links import Claim, made

    tenant, backend, now = await tenant_of(request), backend_of(request), now_of(request)
    body = await read_model(request, StatusLinkBody)
    # The link says it in whole seconds.
    expires_at = (now + timedelta(days=body.expires_in_days)).replace(microsecond=0)
    pages, by = request.app[STATUS_PAGES], request[CALLER].name
    key = await pages.key(backend)
    link = await backend.status_pages.add_link(tenant, body.label.strip(), expires_at, by, now)
    pages.forget(backend, tenant.tenant_id)
    address = made(key, Claim(tenant.tenant_id, tenant.key, link.number, expires_at))
    given: StatusLinkGiven = {
        "id": link.number,
        "label": link.label,
        "url": _url(request, address),
        "expires_at": link.expires_at,
    }
    return reply(given, 201, _NO_STORE)


@routes.delete(_LINKS + "/{link_id}", Permission.OPERATE, answers={204: None}, refuses=(NotFound,))
async def withdraw_link(request: web.Request) -> web.Response:
    """Take a link back: it leads nowhere from now on."""
    tenant, backend, missing = await tenant_of(request), backend_of(request), "there is no such link"
    number = path_number(request, "link_id", missing)
    if number > _MOST:
        raise NotFound(missing)
    await backend.status_pages.withdraw_link(tenant, number, request[CALLER].name, now_of(request))
    request.app[STATUS_PAGES].forget(backend, tenant.tenant_id)
    return web.Response(status=204)


def _url(request: web.Request, address: str) -> str:
    return f"{request.app[CONTEXT].settings.external_url.rstrip('/')}/status/{address}"


def _shown(request: web.Request, tenant: Tenant, page: StatusPage) -> StatusPageShown:
    now = now_of(request)
    return {
        "tenant_id": tenant.tenant_id,
        "public": page.public,
        "url": _url(request, tenant.tenant_id) if page.public else None,
        "changed_at": page.changed_at,
        "changed_by": page.changed_by,
        "links": [_link(link, now) for link in page.links],
    }


def _link(link: StatusLink, now: datetime) -> StatusLinkShown:
    return {
        "id": link.number,
        "label": link.label,
        "created_at": link.created_at,
        "created_by": link.created_by,
        "expires_at": link.expires_at,
        "withdrawn_at": link.withdrawn_at,
        "withdrawn_by": link.withdrawn_by,
        "good": link.withdrawn_at is None and now < link.expires_at,
    }
