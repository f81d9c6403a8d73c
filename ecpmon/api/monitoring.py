"""Reading measurements (api.md §3), and the cluster as a whole."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from ecpmon.api.answers.monitoring import Measurements, System
from ecpmon.api.cluster import cluster_of
from ecpmon.api.common import (
    backend_of,
    bad_field,
    now_of,
    reply,
    seen_tenants,
    tenant_of,
)
from ecpmon.api.context import CALLER, Backend
from ecpmon.api.plots import Shown, main_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import QueryTime
from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.ports.tokens import Caller
from ecpmon.slices import in_slices
from ecpmon.wire import dumps

routes = Routes()
MAX_POINTS: Final = 11_000
INTERVALS: Final = {
    "15s": timedelta(seconds=15),
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
MAX_HOURS: Final = 25 * 31 * 24.0
# What `points` chooses from, beside INTERVALS. Of longer than a few hours rollups are read, not samples.
_STEPS: Final = tuple(
    timedelta(minutes=m) for m in (0.25, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720, 1440)
)
_RAW: Final = timedelta(hours=6)
_GRAIN: Final = timedelta(minutes=5)
# From so long a window on, nobody need have the 5 minutes of its first hour any more.
_LONG: Final = timedelta(days=31)
_LONG_GRAIN: Final = timedelta(hours=1)


class Asked(Query):
    """How far back, how fine, and of what; without `metric_type` of everything.

    With `from` it begins there, whatever `hours` says. With `points` the step is the shortest usual one that gives no
    more of them, whatever `interval` says: for a plot, about two for each of its pixels.
    """

    # `names.METRIC_TYPES`, and the keys of INTERVALS.
    metric_type: (
        Literal["cpu", "memory", "gpu", "network", "storage", "request", "response", "error", "sla", "custom"]
        | None
    ) = None
    interval: Literal["15s", "1m", "5m", "1h", "1d"] = "5m"
    hours: Annotated[float, Field(gt=0, le=MAX_HOURS, allow_inf_nan=False)] = 24.0
    from_: Annotated[QueryTime | None, Field(alias="from")] = None
    to: Annotated[QueryTime | None, Field(description="Absent: now.")] = None
    points: Annotated[int | None, Field(ge=10, le=4_000)] = None


@routes.get(
    "/api/v1/tenants/{tenant_id}/monitoring", Permission.READ, query=Asked, answers={200: Measurements}
)
async def read(request: web.Request) -> web.Response:
    """Measurements over time: by type where a type has one metric, else by metric name; then all of each source."""
    tenant, now = await tenant_of(request), now_of(request)
    asked, backend = read_query(request, Asked), backend_of(request)
    body = await told(backend, request[CALLER], tenant, asked, now)
    return web.Response(body=body, content_type="application/json")


async def told(backend: Backend, _: Caller, tenant: Tenant, asked: Asked, now: datetime) -> bytes:
    """As JSON, to a caller who may see the tenant. Raises ValidationFailed."""
    start, end, step = _range(asked, now)
    found = await backend.monitoring.plots(tenant, start, end, step, asked.metric_type)
    sources = defaultdict[str, Shown](Shown)
    async for plot in in_slices(found):
        sources[plot.source].add(plot)
    main, said_by = await main_of(sources, tenant.evidence_source)
    answer: Measurements = {
        "tenant_id": tenant.tenant_id,
        "time_range": {"start": start, "end": end},
        "step_seconds": step.total_seconds(),
        "metrics": main.metrics,
        "summary": main.summary,
        "metric_sources": said_by,
        "sources": {source: {"metrics": of.metrics, "summary": of.summary} for source, of in sources.items()},
    }
    return dumps(answer)


def _range(asked: Asked, now: datetime) -> tuple[datetime, datetime, timedelta]:
    """From when to when, and in which steps. Raises ValidationFailed naming the field."""
    end = min(asked.to or now, now)
    lasting = timedelta(hours=asked.hours) if asked.from_ is None else end - asked.from_
    if not timedelta(0) < lasting <= timedelta(hours=MAX_HOURS):
        raise bad_field("from", f"must lie before `to`, by at most {MAX_HOURS:g} hours")
    step = INTERVALS[asked.interval] if asked.points is None else step_for(lasting, asked.points)
    if lasting / step > MAX_POINTS:
        raise bad_field("interval", f"gives more than {MAX_POINTS} points per series; take a longer interval")
    return begin_of(end, lasting), end, step


def step_for(lasting: timedelta, points: int) -> timedelta:
    """The shortest usual step that gives no more points than that, or the longest there is."""
    finest = _GRAIN if lasting > _RAW else _STEPS[0]
    return next((s for s in _STEPS if s >= finest and lasting / s <= points), _STEPS[-1])


def begin_of(end: datetime, lasting: timedelta) -> datetime:
    """A whole step of the rollups, so that at every interval the same samples are looked at."""
    grain = _LONG_GRAIN if lasting > _LONG else _GRAIN
    start = end - lasting
    return start - timedelta(seconds=start.timestamp() % grain.total_seconds())


@routes.get(
    "/api/v1/monitoring/system", Permission.READ, answers={200: System}, refuses=(MonitoringUnavailable,)
)
async def system(request: web.Request) -> web.Response:
    """Capacity of the (simulated) cluster; tenants, and what is used of it, as far as the caller sees them."""
    backend, caller = backend_of(request), request[CALLER]
    page = await backend.tenants.page(allowed=caller.tenants, preset=None, status=None, skip=0, limit=1)
    if backend.simulator is None:
        raise MonitoringUnavailable("no cluster is configured here; set ECPMON_SIMULATOR_URL")
    found = await cluster_of(backend.simulator, await seen_tenants(request))
    answer: System = {**found.shown, "total_tenants": page.total, "active_tenants": page.active}
    return reply(answer)
