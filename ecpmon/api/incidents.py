"""Outages of a tenant: when, how long, what was wrong, what each cost (api.md §4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from ecpmon.api.common import apart, backend_of, bad_field, long_turn, minutes, now_of, tenant_of, worked_out
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import EARLIEST, query_time
from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Cause, Incident
from ecpmon.sla import incidents as maths
from ecpmon.sla.maintenance import covered, exclude
from ecpmon.sla.spans import clip
from ecpmon.wire import dumps, rfc3339

routes = Routes()
# Spans that are not up that are read for one answer, and outages whose cause is looked for.
MAX_CHANGES: Final = 5_000
MAX_CAUSES: Final = 300


@routes.get("/api/v1/tenants/{tenant_id}/incidents", Permission.READ)
async def incidents(request: web.Request) -> web.Response:
    """Outages: when, how long, what was wrong as far as it is known, and what each cost."""
    tenant, backend, now = await tenant_of(request, with_deleted=True), backend_of(request), now_of(request)
    end = min(query_time(request, "to", now), now)
    start = query_time(request, "from", max(end - timedelta(days=30), EARLIEST))
    if start >= end:
        raise bad_field("from", "must lie before `to`")
    async with long_turn(request, tenant):
        spans = await backend.availability.troubles(tenant, start, end, MAX_CHANGES + 1)
        if len(spans) > MAX_CHANGES:
            start = _shortened(request, spans[1].start)
        planned = await backend.maintenance.of_tenant(tenant)

        def found() -> list[Incident]:
            return maths.incidents(exclude(clip(spans, start, end), covered(planned, start, end)), start, end)

        outages = await apart(request, tenant, found)
        causes = await _causes(request, tenant, outages)
        coarse = await backend.availability.coarse_days(tenant, start, end)

    def written() -> bytes:
        shown = [_document(i, c, i.ongoing and end == now) for i, c in zip(outages, causes, strict=True)]
        return dumps(
            {
                "tenant_id": tenant.tenant_id,
                "from": start,
                "to": end,
                # UTC days on which an outage begins and ends at a whole minute, because so much changed.
                "by_minute": [day.isoformat() for day in coarse],
                "incidents": shown,
            }
        )

    body = await worked_out(request, tenant, len(outages), written)
    return web.Response(body=body, content_type="application/json")


def _shortened(request: web.Request, start: datetime) -> datetime:
    """From when on there are not too many changes: for who did not say from when. Raises ValidationFailed."""
    if "from" in request.query:
        message = (
            f"more than {MAX_CHANGES} changes of state since then; ask from {rfc3339(start)} on, and by parts"
        )
        refusal = bad_field("from", message)
        refusal.details["limit"] = "changes_of_state"
        raise refusal
    return start


async def _causes(request: web.Request, tenant: Tenant, outages: Sequence[Incident]) -> list[Cause]:
    """Of the newest ones: each is a question about the samples of its first minutes."""
    unasked = [Cause()] * max(len(outages) - MAX_CAUSES, 0)
    return [*unasked, *await _known_causes(request, tenant, outages[len(unasked) :])]


async def _known_causes(request: web.Request, tenant: Tenant, outages: Sequence[Incident]) -> list[Cause]:
    backend = backend_of(request)
    kept = timedelta(days=request.app[CONTEXT].settings.raw_retention_days)
    rule = backend.evidence.of(tenant.evidence_source)
    whole = [Interval(o.start, o.end) for o in outages]
    return await backend.monitoring.causes(tenant, whole, now_of(request) - kept, rule.error_rate_down_at)


def _document(incident: Incident, cause: Cause, ongoing: bool) -> dict[str, Any]:
    return {
        "start": incident.start,
        "end": None if ongoing else incident.end,
        "ongoing": ongoing,
        "duration_seconds": (incident.end - incident.start).total_seconds(),
        "down_seconds": incident.down_seconds,
        "cause": cause.shown(),
        "budget_minutes": minutes(incident.down_seconds),
    }
