"""Outages of a tenant: when, how long, what was wrong, what each cost (api.md §4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from ecpmon.api.common import backend_of, bad_field, long_turn, minutes, now_of, tenant_of, worked_out
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import EARLIEST, query_time
from ecpmon.compute.parcels import Sealed
from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.recovery import Recovery
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Cause, Incident
from ecpmon.ports.sla import PackedSpans
from ecpmon.sla import incidents as maths
from ecpmon.sla.maintenance import covered, effort, exclude
from ecpmon.sla.spans import clip
from ecpmon.wire import dumps, rfc3339

routes = Routes()
# Spans that are not up that are read for one answer, and outages whose cause is looked for.
MAX_CHANGES: Final = 5_000
MAX_CAUSES: Final = 300
MAX_RECOVERIES: Final = 300


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
        planned = await backend.maintenance.of_tenant(tenant)
        much, said = len(spans) + effort(planned), "from" in request.query
        found = await worked_out(
            request, tenant, much, _found, spans, planned, start, end, may_shorten=not said
        )
        causes = await _causes(request, tenant, found.newest)
        coarse = await backend.availability.coarse_days(tenant, found.start, end)
        handled = await backend.recoveries.between(tenant, found.start, end, MAX_RECOVERIES)
        body = await worked_out(
            request, tenant, much, _written, tenant.tenant_id, found, end, causes, coarse, handled,
            present=end == now,
        )  # fmt: skip
    return web.Response(body=body, content_type="application/json")


@dataclass(frozen=True, slots=True)
class _Found:
    """Outages from `start` on, and the newest ones, whose causes are looked for."""

    start: datetime
    outages: Sealed[list[Incident]]
    newest: list[Interval]
    # Seconds of which nobody knows whether there was one.
    gap: float


def _found(
    packed: PackedSpans, planned: Sequence[Maintenance], start: datetime, end: datetime, *, may_shorten: bool
) -> _Found:
    """Raises ValidationFailed, LimitReached."""
    spans = packed.troubles(start, MAX_CHANGES + 1)
    if len(spans) > MAX_CHANGES:
        start = _shortened(spans[1].start, may_shorten=may_shorten)
    counted = exclude(clip(spans, start, end), covered(planned, start, end))
    outages = maths.incidents(counted, start, end)
    gap = sum(span.seconds for span in counted if span.state is SpanState.GAP)
    return _Found(start, Sealed(outages), [Interval(o.start, o.end) for o in outages[-MAX_CAUSES:]], gap)


def _written(
    tenant_id: str,
    found: _Found,
    end: datetime,
    causes: Sequence[Cause],
    coarse: Sequence[date],
    handled: Sequence[tuple[Recovery, int]],
    *,
    present: bool,
) -> bytes:
    outages = found.outages.open()
    known = [*[Cause()] * (len(outages) - len(causes)), *causes]
    shown = [_document(i, c, i.ongoing and present) for i, c in zip(outages, known, strict=True)]
    others = _ascribe(outages, shown, handled)
    return dumps(
        {
            "tenant_id": tenant_id,
            "from": found.start,
            "to": end,
            # UTC days on which an outage begins and ends at a whole minute, because so much changed.
            "by_minute": [day.isoformat() for day in coarse],
            "incidents": shown,
            # In which there may have been more: nobody measured.
            "gap_minutes": minutes(found.gap),
            # Alerts that no measured outage belongs to: the tenant was up, or nobody measured it.
            "other_recoveries": others,
        }
    )


def _ascribe(
    outages: Sequence[Incident], shown: Sequence[dict[str, Any]], handled: Sequence[tuple[Recovery, int]]
) -> list[dict[str, Any]]:
    """Put each recovery, oldest first, to the outages that it was going on in; those of none."""
    others = []
    for recovery, joined in reversed(handled):
        said = _recovery(recovery, joined)
        first = place = bisect_left(outages, recovery.created_at, key=lambda o: o.end)
        while place < len(outages) and (
            recovery.ended_at is None or outages[place].start <= recovery.ended_at
        ):
            shown[place]["recoveries"].append(said)
            place += 1
        if place == first:
            others.append(said)
    return others


def _recovery(recovery: Recovery, joined: int) -> dict[str, Any]:
    return {
        "recovery_id": recovery.recovery_id,
        "alert_name": recovery.alert_name,
        "fingerprint": recovery.fingerprint,
        "alert_starts_at": recovery.alert_starts_at,
        "joined_alerts": joined,
        "state": recovery.state.value,
        "reason": recovery.reason.value,
        "created_at": recovery.created_at,
        "restarted_at": recovery.restarted_at,
        "escalated_at": recovery.escalated_at,
        "ended_at": recovery.ended_at,
    }


def _shortened(start: datetime, *, may_shorten: bool) -> datetime:
    """From when on there are not too many changes: for who did not say from when. Raises ValidationFailed."""
    if not may_shorten:
        message = (
            f"more than {MAX_CHANGES} changes of state since then; ask from {rfc3339(start)} on, and by parts"
        )
        refusal = bad_field("from", message)
        refusal.details["limit"] = "changes_of_state"
        raise refusal
    return start


async def _causes(request: web.Request, tenant: Tenant, outages: Sequence[Interval]) -> list[Cause]:
    """Each is a question about the samples of an outage's first minutes."""
    backend = backend_of(request)
    kept = timedelta(days=request.app[CONTEXT].settings.raw_retention_days)
    rule = backend.evidence.of(tenant.evidence_source)
    return await backend.monitoring.causes(tenant, outages, now_of(request) - kept, rule.error_rate_down_at)


def _document(incident: Incident, cause: Cause, ongoing: bool) -> dict[str, Any]:
    return {
        "start": incident.start,
        "end": None if ongoing else incident.end,
        "ongoing": ongoing,
        "duration_seconds": (incident.end - incident.start).total_seconds(),
        "down_seconds": incident.down_seconds,
        "cause": cause.shown(),
        "budget_minutes": minutes(incident.down_seconds),
        "recoveries": [],
    }
