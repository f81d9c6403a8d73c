"""Outages of a tenant: when, how long, what was wrong, what each cost (api.md §4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from ecpmon.api.answers.incidents import IncidentRecovery, Incidents, ShownIncident
from ecpmon.api.common import backend_of, bad_field, long_turn, minutes, now_of, tenant_of, worked_out
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import EARLIEST, QueryTime
from ecpmon.compute.parcels import Sealed
from ecpmon.errors import LimitReached
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.recovery import Recovery
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Cause, Incident
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.ports.sla import PackedSpans
from ecpmon.sla import incidents as maths
from ecpmon.sla.ledger import Question, question
from ecpmon.sla.maintenance import exclude
from ecpmon.sla.parts import Terms
from ecpmon.sla.spans import clip
from ecpmon.sla.terms import effort_of, off_between
from ecpmon.wire import dumps, rfc3339

routes = Routes()
# Spans that are not up that are read for one answer, and outages whose cause is looked for.
MAX_CHANGES: Final = 5_000
MAX_CAUSES: Final = 300
MAX_RECOVERIES: Final = 300
# An outage that ends then is over for who asks a moment later.
_INSTANT: Final = timedelta(microseconds=1)


class Asked(Query):
    """From when to when; absent: the last 30 days."""

    from_: Annotated[QueryTime | None, Field(alias="from")] = None
    to: QueryTime | None = None


@routes.get(
    "/api/v1/tenants/{tenant_id}/incidents",
    Permission.READ,
    query=Asked,
    answers={200: Incidents},
    refuses=(LimitReached,),
)
async def incidents(request: web.Request) -> web.Response:
    """Outages: when, how long, what was wrong as far as it is known, and what each cost."""
    tenant, backend, now = await tenant_of(request, with_deleted=True), backend_of(request), now_of(request)
    asked = read_query(request, Asked)
    end = min(asked.to or tenant.deleted_at or now, now)
    start = asked.from_ or max(end - timedelta(days=30), EARLIEST)
    if start >= end:
        raise bad_field("from", "must lie before `to`")
    async with long_turn(request, tenant):
        whole = await backend.availability.reach(tenant, start, end, now)
        spans = await backend.availability.troubles(
            tenant, whole.start, whole.end, MAX_CHANGES + 1, present=whole.end >= now
        )
        planned = await backend.maintenance.of_tenant(tenant)
        much, free = len(spans) + effort_of(tenant, planned), asked.from_ is None
        found = await worked_out(
            request, tenant, much, _found, tenant, spans, planned, start, end, whole, may_shorten=free
        )
        causes = await _causes(request, tenant, found.newest)
        coarse = await backend.availability.coarse_days(tenant, found.start, end)
        first, recovery = found.first, None
        if found.is_cut:
            first = (await backend.availability.reach(tenant, first, first, now)).start
            if found.over_at is not None:
                recovery = await _down_time(request, tenant, planned, Interval(first, found.over_at))
        handled = await backend.recoveries.between(tenant, first, end, MAX_RECOVERIES)
        body = await worked_out(
            request, tenant, much, _written, tenant, found, first, end, causes, coarse, handled, recovery
        )
    return web.Response(body=body, content_type="application/json")


@dataclass(frozen=True, slots=True)
class _Found:
    """Outages from `start` on, and the newest, whose causes are looked for.

    The first of them may have begun before, at `first`; or before that, if it `is_cut` because too much changed.
    """

    start: datetime
    first: datetime
    outages: Sealed[list[Incident]]
    newest: list[Interval]
    # Seconds of which nobody knows whether there was one.
    gap: float
    is_cut: bool
    # When the first of them ended, if it has.
    over_at: datetime | None


def _found(
    tenant: Tenant,
    packed: PackedSpans,
    planned: Sequence[Maintenance],
    start: datetime,
    end: datetime,
    whole: Interval,
    *,
    may_shorten: bool,
) -> _Found:
    """Raises ValidationFailed, LimitReached."""
    spans = packed.troubles(whole.start, MAX_CHANGES + 1)
    if too_many := len(spans) > MAX_CHANGES:
        spans = spans[1:]
        if spans[0].start > start:
            start = _shortened(spans[0].start, may_shorten=may_shorten)
    off = off_between(tenant, planned, whole.start, whole.end).maintenance
    outages = maths.incidents(spans, start, end, off, whole.end)
    gap = sum(s.gap_seconds for s in exclude(clip(spans, start, end), off))
    first = min([start, *(o.start for o in outages[:1])])
    newest = [Interval(o.start, o.end) for o in outages[-MAX_CAUSES:]]
    over_at = next((None if o.ongoing else o.end for o in outages), None)
    is_cut = too_many and first == spans[0].start
    return _Found(start, first, Sealed(outages), newest, gap, is_cut, over_at)


async def _down_time(
    request: web.Request, tenant: Tenant, planned: Sequence[Maintenance], outage: Interval
) -> float:
    """Seconds of down time, outside of what is taken out, of an outage of which not all is read: from running sums."""
    until = outage.end + _INSTANT
    much = effort_of(tenant, planned)
    asked = await worked_out(request, tenant, much, _asked, tenant, planned, outage.start, until)
    marks = await backend_of(request).window_sums.marks(tenant, asked.instants, until, asked.earlier)
    return await worked_out(request, tenant, much, _summed, asked, marks, outage.start, until)


def _asked(tenant: Tenant, planned: Sequence[Maintenance], start: datetime, until: datetime) -> Question:
    off = off_between(tenant, planned, start, until)
    return question(until, Terms(off.maintenance, outside=off.outside), (), (start,))


def _summed(asked: Question, marks: Mapping[datetime, Mark], start: datetime, until: datetime) -> float:
    return asked.known(marks).outages(start, until).seconds


def _written(
    tenant: Tenant,
    found: _Found,
    first: datetime,
    end: datetime,
    causes: Sequence[Cause],
    coarse: Sequence[date],
    handled: Sequence[tuple[Recovery, int]],
    recovery: float | None,
) -> bytes:
    outages = found.outages.open()
    known = [*[Cause()] * (len(outages) - len(causes)), *causes]
    gone = tenant.deleted_at is not None
    shown = [_document(i, c, gone=gone) for i, c in zip(outages, known, strict=True)]
    if shown and first < found.first == outages[0].start:
        # Of what lies that far back only the begin was read, and its sums.
        shown[0]["start"] = first
        shown[0]["duration_seconds"] = (outages[0].end - first).total_seconds()
        shown[0]["recovery_seconds"] = recovery
    others = _ascribe(outages, shown, handled)
    answer: Incidents = {
        "tenant_id": tenant.tenant_id,
        "from": found.start,
        "to": end,
        # Outages with less up time than that between them are one.
        "flap_limit_seconds": maths.FLAP_LIMIT.total_seconds(),
        # UTC days on which an outage begins and ends at a whole minute, because so much changed.
        "by_minute": [day.isoformat() for day in coarse],
        "incidents": shown,
        # In which there may have been more: nobody measured.
        "gap_minutes": minutes(found.gap),
        # Alerts that no measured outage belongs to: the tenant was up, or nobody measured it.
        "other_recoveries": others,
    }
    return dumps(answer)


def _ascribe(
    outages: Sequence[Incident], shown: Sequence[ShownIncident], handled: Sequence[tuple[Recovery, int]]
) -> list[IncidentRecovery]:
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


def _recovery(recovery: Recovery, joined: int) -> IncidentRecovery:
    return {
        "recovery_id": recovery.recovery_id,
        "alert_name": recovery.alert_name,
        "fingerprint": recovery.fingerprint,
        "alert_starts_at": recovery.alert_starts_at,
        "joined_alerts": joined,
        "state": recovery.state,
        "reason": recovery.reason,
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


def _document(incident: Incident, cause: Cause, *, gone: bool) -> ShownIncident:
    """Start and end are the incident's own, `down_seconds` and the budget are what lies within the range asked about.

    `gone`: the tenant was deleted, so that what was going on then is over, but nothing recovered.
    """
    ongoing = incident.ongoing and not gone
    return {
        "start": incident.start,
        "end": None if ongoing else incident.end,
        "ongoing": ongoing,
        "duration_seconds": (incident.end - incident.start).total_seconds(),
        "counted": {"start": incident.counted.start, "end": incident.counted.end},
        "down_seconds": incident.down_seconds,
        # Down time of the whole incident, outside of maintenance and whatever share was down.
        "recovery_seconds": None if incident.ongoing else incident.recovery_seconds,
        "cause": cause.shown(),
        "budget_minutes": minutes(incident.down_seconds),
        "recoveries": [],
    }
