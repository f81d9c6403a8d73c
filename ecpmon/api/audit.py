"""Reading who changed what (docs/audit.md): of one tenant, or of all that the caller holds."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import backend_of, bad_field, reply, tenant_of
from ecpmon.api.context import CALLER
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import EARLIEST, LATEST, QueryTime
from ecpmon.openapi.declaring import Query, TypedDict, read_query
from ecpmon.ports.audit import AuditPage, AuditRow, Place, Sought

routes = Routes()
_PLACE: Final = re.compile(rb"([0-9]{1,17})\.([0-9]{1,19})")
MAX_NUMBER: Final = 2**63 - 1
_A_MICROSECOND: Final = timedelta(microseconds=1)


class AuditQuery(Query):
    actor: Annotated[
        str | None, Field(max_length=200, description="By this one alone.", examples=["kim@example.com"])
    ] = None
    action: Annotated[
        str | None, Field(max_length=100, description="This alone.", examples=["tenant.changed"])
    ] = None
    from_: Annotated[QueryTime | None, Field(alias="from", description="From then on.")] = None
    to: Annotated[QueryTime | None, Field(description="Before then.")] = None
    limit: Annotated[int, Field(ge=1, le=200, description="Entries at most.")] = 50
    cursor: Annotated[
        str | None, Field(max_length=100, description="The `next_cursor` of the page before.")
    ] = None


class AuditEntry(TypedDict):
    """Who changed what."""

    id: int
    at: datetime
    actor: Annotated[
        str, Field(description="The name of the token, or the `sub` of a signed one.", examples=["kim"])
    ]
    issuer: Annotated[
        str | None, Field(description="Who signed the token; null: it was one of our own, or none.")
    ]
    token: Annotated[
        str | None, Field(description="Its database and number, or `oidc:…`.", examples=["production:7"])
    ]
    address: Annotated[str | None, Field(description="Where from.", examples=["192.0.2.7"])]
    request_id: Annotated[str | None, Field(description="The `X-Request-ID` of the answer.")]
    tenant_id: Annotated[str | None, Field(description="null: of no single tenant.", examples=["acme"])]
    action: Annotated[str, Field(examples=["tenant.changed"])]
    subject: Annotated[str, Field(examples=["acme"])]
    before: Annotated[dict[str, Any] | None, Field(description="null: there was nothing.")]
    after: Annotated[dict[str, Any] | None, Field(description="null: there is nothing any more.")]


class AuditEntries(TypedDict):
    """The newest first."""

    entries: list[AuditEntry]
    next_cursor: Annotated[
        str | None,
        Field(
            description="For the next page; null: this is the last one. A page may hold few entries, or none."
        ),
    ]


@routes.get("/api/v1/audit", Permission.ADMINISTER, query=AuditQuery, answers={200: AuditEntries})
async def everything(request: web.Request) -> web.Response:
    """Who changed what, the newest first.

    Who holds every tenant sees all of it, others what is about tenants of theirs, deleted ones too.
    """
    return await _page(request, request[CALLER].tenants)


@routes.get(
    "/api/v1/tenants/{tenant_id}/audit",
    Permission.MANAGE_TENANTS,
    query=AuditQuery,
    answers={200: AuditEntries},
)
async def of_tenant(request: web.Request) -> web.Response:
    """Who changed what about one tenant, the newest first; of a deleted one as well."""
    tenant = await tenant_of(request, with_deleted=True)
    return await _page(request, {tenant.key})


async def _page(request: web.Request, tenants: Collection[int] | None) -> web.Response:
    query = read_query(request, AuditQuery)
    since, until = query.from_ or EARLIEST, query.to or LATEST
    if since >= until:
        raise bad_field("from", "must lie before `to`")
    before: Place = (until, 0)  # what was written at `to` itself is not before it
    if query.cursor is not None:
        before = min(before, _place(query.cursor))
    sought = Sought(before, since, tenants, query.actor, query.action)
    return reply(_shown(await backend_of(request).audit.page(sought, query.limit)))


def _shown(page: AuditPage) -> AuditEntries:
    return {
        "entries": [_entry(row) for row in page.rows],
        "next_cursor": None if page.rest is None else _cursor(page.rest),
    }


def _entry(row: AuditRow) -> AuditEntry:
    return {
        "id": row.number,
        "at": row.at,
        "actor": row.actor,
        "issuer": row.issuer,
        "token": row.token,
        "address": row.address,
        "request_id": row.request_id,
        "tenant_id": row.tenant_id,
        "action": row.action,
        "subject": row.subject,
        "before": None if row.before is None else dict(row.before),
        "after": None if row.after is None else dict(row.after),
    }


def _cursor(place: Place) -> str:
    """In letters that need no escapes; nobody has to know what they say."""
    at, number = place
    return urlsafe_b64encode(b"%d.%d" % ((at - EARLIEST) // _A_MICROSECOND, number)).rstrip(b"=").decode()


def _place(cursor: str) -> Place:
    """Raises ValidationFailed."""
    try:
        match = _PLACE.fullmatch(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        match = None
    if match is None or int(match[2]) > MAX_NUMBER:
        raise bad_field("cursor", "is none that was given out; take the `next_cursor` of a page")
    at = EARLIEST + timedelta(microseconds=int(match[1]))
    if at > LATEST:
        raise bad_field("cursor", "is none that was given out; take the `next_cursor` of a page")
    return at.astimezone(UTC), int(match[2])
