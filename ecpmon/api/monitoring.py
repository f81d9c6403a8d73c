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
from ecpmon.api.context import CALLER
from ecpmon.api.plots import Shown, main_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import MonitoringUnavailable
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.slices import in_slices

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
_GRAIN: Final = timedelta(minutes=5)
# From so long a window on, nobody need have the 5 minutes of its first hour any more.
_LONG: Final = timedelta(days=31)
_LONG_GRAIN: Final = timedelta(hours=1)


class Asked(Query):
    """How far back, how fine, and of what; without `metric_type` of everything."""

    # `names.METRIC_TYPES`, and the keys of INTERVALS.
    metric_type: (
        Literal["cpu", "memory", "gpu", "network", "storage", "request", "response", "error", "sla", "custom"]
        | None
    ) = None
    interval: Literal["15s", "1m", "5m", "1h", "1d"] = "5m"
    hours: Annotated[float, Field(gt=0, le=MAX_HOURS, allow_inf_nan=False)] = 24.0


@routes.get(
    "/api/v1/tenants/{tenant_id}/monitoring", Permission.READ, query=Asked, answers={200: Measurements}
)
async def read(request: web.Request) -> web.Response:
    """Measurements over time: by type where a type has one metric, else by metric name; then all of each source."""
    tenant, end = await tenant_of(request), now_of(request)
    asked = read_query(request, Asked)
    step, lasting = INTERVALS[asked.interval], timedelta(hours=asked.hours)
    if lasting / step > MAX_POINTS:
        raise bad_field("interval", f"gives more than {MAX_POINTS} points per series; take a longer interval")
    start = begin_of(end, lasting)
    found = await backend_of(request).monitoring.plots(tenant, start, end, step, asked.metric_type)
    sources = defaultdict[str, Shown](Shown)
    async for plot in in_slices(found):
        sources[plot.source].add(plot)
    main, said_by = await main_of(sources, tenant.evidence_source)
    answer: Measurements = {
        "tenant_id": tenant.tenant_id,
        "time_range": {"start": start, "end": end},
        "metrics": main.metrics,
        "summary": main.summary,
        "metric_sources": said_by,
        "sources": {source: {"metrics": of.metrics, "summary": of.summary} for source, of in sources.items()},
    }
    return reply(answer)


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
