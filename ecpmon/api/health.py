"""Operations: alive, ready, metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, cast

from aiohttp import web
from pydantic import Field

from ecpmon.api.common import now_of, reply, seen_tenants
from ecpmon.api.context import CONTEXT
from ecpmon.api.exposition import PAGES, send
from ecpmon.api.routing import Permission, Routes
from ecpmon.openapi.declaring import Json, Text, TypedDict

routes = Routes()


class Alive(TypedDict):
    status: Literal["ok"]
    timestamp: datetime
    leadership: Annotated[str, Field(description="Who leads, as far as that is known.", examples=["leader"])]


class SourceState(TypedDict):
    """How the newest pull went."""

    at: datetime
    outcome: Annotated[str, Field(examples=["ok"])]
    detail: str | None


class Component(TypedDict):
    """One database and what serves it; of one that does not answer only the first four are told."""

    ok: bool
    database: Annotated[str, Field(examples=["ok"])]
    migrations: Annotated[str, Field(examples=["current"])]
    leadership: Annotated[str, Field(examples=["leader"])]
    database_ms: NotRequired[float]
    writes: NotRequired[Annotated[str, Field(description="`ok`, or why nothing is stored.", examples=["ok"])]]
    disk: NotRequired[
        Annotated[
            str, Field(description="`ok`, or how little is free where the database is.", examples=["ok"])
        ]
    ]
    sources: NotRequired[Annotated[Mapping[str, SourceState], Field(examples=[{}])]]


class IssuerState(TypedDict):
    """The issuer of signed tokens; that it is away makes nobody less ready who holds another token."""

    ok: Literal[True]
    issuer: Annotated[str, Field(examples=["https://id.example.com"])]
    answers: bool
    keys: int
    fetched_at: datetime | None
    error: str | None


class Components(TypedDict):
    production: Component
    demo: NotRequired[Component]
    oidc: NotRequired[IssuerState]


class Ready(TypedDict):
    ready: bool
    components: Components


@routes.get("/health", Permission.OPEN, answers={200: Alive})
async def health(request: web.Request) -> web.Response:
    """The process is alive; and who leads, as far as that can be told at once."""
    context = request.app[CONTEXT]
    leadership = await context.production.health.leadership()
    alive: Alive = {"status": "ok", "timestamp": context.clock.now(), "leadership": leadership}
    return reply(alive)


@routes.get(
    "/ready",
    Permission.OPEN,
    answers={
        200: Ready,
        503: Json(Ready, description="Not ready; or the error of a request for the demo database."),
    },
)
async def ready(request: web.Request) -> web.Response:
    """Database, migrations and scheduler leadership; 503 until all are well."""
    context = request.app[CONTEXT]
    components: dict[str, Any] = {"production": await context.production.health.ready()}
    if context.demo is not None:
        components["demo"] = await context.demo.health.ready()
    if context.signed is not None:
        components["oidc"] = context.signed.told()
    ok = all(c["ok"] for c in components.values())
    headers = None if ok else {"Retry-After": "2"}
    told: Ready = {"ready": ok, "components": cast(Components, components)}
    return reply(told, 200 if ok else 503, headers)


@routes.get(
    "/metrics",
    Permission.SCRAPE,
    answers={200: Text("text/plain", headers=("Vary",), example="ecp_active_tenants_total 3\n")},
)
async def metrics(request: web.Request) -> web.StreamResponse:
    """Prometheus text exposition of ecpmon itself and of the SLA of the tenants that the caller may see."""
    seen = await seen_tenants(request)
    page = await request.app[PAGES].get(None if seen is None else frozenset(seen), now_of(request))
    return await send(request, page)
