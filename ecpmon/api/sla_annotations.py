"""What a timeline is drawn with: time that nobody measured, by reason, and time that was left out, by category."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from ecpmon.api.answers.sla import Annotations, ShownExclusion, ShownGap
from ecpmon.api.common import apart, backend_of, bad_field, long_turn, minutes, now_of, tenant_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import QueryTime
from ecpmon.errors import LimitReached
from ecpmon.model.availability import GapReason, Span
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.ports.sla import PackedSpans
from ecpmon.sla.maintenance import exclude, occurrences
from ecpmon.sla.spans import clip
from ecpmon.sla.terms import off_between
from ecpmon.wire import dumps

routes = Routes()
LONGEST: Final = timedelta(days=100)
# What lies nearer together than that part of the range cannot be told apart in a plot.
_APART: Final = 1_000
MAX_INTERVALS: Final = 10_000


class Asked(Query):
    """From when to when, 100 days at most; absent: the last 30 days."""

    from_: Annotated[QueryTime | None, Field(alias="from")] = None
    to: QueryTime | None = None


@routes.get(
    "/api/v1/tenants/{tenant_id}/sla/annotations",
    Permission.READ,
    query=Asked,
    answers={200: Annotations},
    refuses=(LimitReached,),
)
async def of_timeline(request: web.Request) -> web.Response:
    """Gaps by their reason, and what was left out by its category, to be drawn on a timeline.

    Neighbours of one kind that no plot could tell apart, nearer than a thousandth of the range, are one.
    """
    tenant, backend, now = await tenant_of(request, with_deleted=True), backend_of(request), now_of(request)
    asked = read_query(request, Asked)
    end = min(asked.to or now, tenant.deleted_at or now, now)
    start = asked.from_ or end - timedelta(days=30)
    if not timedelta(0) < end - start <= LONGEST:
        raise bad_field("from", f"must lie before `to`, by at most {LONGEST.days} days")
    async with long_turn(request, tenant):
        spans = await backend.availability.packed(tenant, start, end, reasons=True, present=end >= now)
        planned = await backend.maintenance.of_tenant(tenant)
        body = await apart(request, tenant, _written, tenant, spans, planned, start, end)
    return web.Response(body=body, content_type="application/json")


def _written(
    tenant: Tenant, packed: PackedSpans, planned: Sequence[Maintenance], start: datetime, end: datetime
) -> bytes:
    near = (end - start) / _APART
    off = off_between(tenant, planned, start, end, MAX_INTERVALS).maintenance
    answer: Annotations = {
        "tenant_id": tenant.tenant_id,
        "from": start,
        "to": end,
        "gaps": gaps_in(exclude(clip(packed.open(), start, end), off), near),
        "exclusions": exclusions_in(planned, start, end, near),
    }
    return dumps(answer)


def gaps_in(spans: Sequence[Span], near: timedelta) -> list[ShownGap]:
    """In order. `near`: what is no further apart is one, if its reason is the same."""
    found: list[ShownGap] = []
    last: dict[str, ShownGap] = {}
    for span in spans:
        if not span.unknown_share:
            continue
        reason = span.reason or GapReason.PART_SILENT
        known = last.get(reason)
        if known is not None and span.start - known["end"] <= near:
            known["end"] = span.end
            known["minutes"] += _unknown(span)
            continue
        last[reason] = {"start": span.start, "end": span.end, "minutes": _unknown(span), "reason": reason}
        found.append(last[reason])
    return found


def _unknown(span: Span) -> float:
    return minutes(span.seconds * span.unknown_share)


def exclusions_in(
    planned: Sequence[Maintenance], start: datetime, end: datetime, near: timedelta
) -> list[ShownExclusion]:
    """What counts of each window, in order; a window's occurrences that are no further apart than `near` are one."""
    found: list[ShownExclusion] = []
    for window in planned:
        last: ShownExclusion | None = None
        for each in occurrences(window, start, end):
            if last is not None and each.start - last["end"] <= near:
                last["end"] = each.end
                continue
            last = {
                "start": each.start,
                "end": each.end,
                "category": window.category,
                "title": window.title or window.reason,
            }
            found.append(last)
    return sorted(found, key=lambda each: each["start"])
