"""Routes that read: metrics, truth, health."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from ecpmon.openapi.declaring import Query, Text, read_query
from ecpmon.simulator.documents import (
    all_metrics_document,
    metrics_and_truth_document,
    metrics_document,
    system_document,
    truth_document,
)
from ecpmon.simulator.exposition import CONTENT_TYPE, exposition
from ecpmon.simulator.model.commands import tenant_of
from ecpmon.simulator.routing import Routes
from ecpmon.simulator.schemas import AmongBody, Moment
from ecpmon.simulator.shapes import (
    AllMetrics,
    AllMetricsAndTruth,
    Healthy,
    SystemMetrics,
    TenantMetrics,
    Truth,
)
from ecpmon.simulator.web import answer, engine_of, read_body

routes = Routes()


@routes.get("/health", answers={200: Healthy})
async def health(_: web.Request) -> web.Response:
    """The process is alive."""
    shown: Healthy = {"status": "ok"}
    return answer(shown)


@routes.get("/api/v1/metrics", answers={200: AllMetrics})
async def all_metrics(request: web.Request) -> web.Response:
    """Numbers of every tenant."""
    return answer(all_metrics_document(await engine_of(request).view()))


@routes.get("/api/metrics", answers={200: AllMetricsAndTruth})
async def custom_metrics(request: web.Request) -> web.Response:
    """Numbers of every tenant with its availability of the last 24 hours.

    A custom API endpoint, as collectors read it.
    """
    return answer(metrics_and_truth_document(await engine_of(request).view()))


@routes.get("/api/v1/metrics/system", answers={200: SystemMetrics})
async def system_metrics(request: web.Request) -> web.Response:
    """Capacity and use of the cluster."""
    return answer(system_document(await engine_of(request).view()))


@routes.post("/api/v1/metrics/system", body=AmongBody, answers={200: SystemMetrics})
async def system_metrics_among(request: web.Request) -> web.Response:
    """The same as far as some tenants use it, as if nobody else was there."""
    body = await read_body(request, AmongBody)
    return answer(system_document(await engine_of(request).view(), frozenset(body.tenants)))


@routes.get("/api/v1/metrics/{tenant_id}", answers={200: TenantMetrics})
async def tenant_metrics(request: web.Request) -> web.Response:
    """Numbers of one tenant."""
    state = await engine_of(request).view()
    return answer(metrics_document(state, tenant_of(state, request.match_info["tenant_id"])))


class TruthAsked(Query):
    """Absent: all that is known."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None


@routes.get("/api/v1/truth/{tenant_id}", query=TruthAsked, answers={200: Truth})
async def truth(request: web.Request) -> web.Response:
    """When the tenant was up and when down, exactly."""
    asked = read_query(request, TruthAsked)
    state = await engine_of(request).view()
    tenant = tenant_of(state, request.match_info["tenant_id"])
    return answer(truth_document(state, tenant, asked.from_, asked.to))


class Scraped(Query):
    tenant_id: Annotated[str | None, Field(description="Of this tenant alone.")] = None
    service: Annotated[
        str | None, Field(description="Of this service of it alone.", examples=["callbot"])
    ] = None


@routes.get("/metrics", query=Scraped, answers={200: Text("text/plain")})
async def prometheus(request: web.Request) -> web.Response:
    """What Prometheus scrapes."""
    asked = read_query(request, Scraped)
    state = await engine_of(request).view()
    # aiohttp refuses this content type as `content_type=`: it has parameters.
    body = exposition(state, asked.tenant_id, asked.service)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
