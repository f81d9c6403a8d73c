"""Planned maintenance (api.md §4). Every figure is computed from it when asked, so past minutes follow at once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import ConfigDict, Field, StrictStr

from ecpmon.api.alerts import planned_seconds_of
from ecpmon.api.answers.common import Hint
from ecpmon.api.answers.maintenance import (
    MaintenanceList,
    Occurrence,
    PlannedMaintenance,
    PlannedStanding,
    PlannedWindow,
)
from ecpmon.api.auth import token_of
from ecpmon.api.common import apart, backend_of, bad_field, now_of, read_model, reply, tenant_of, worked_out
from ecpmon.api.context import CALLER, CONTEXT
from ecpmon.api.paths import path_uuid
from ecpmon.api.routing import ROLES, Permission, Routes
from ecpmon.api.times import is_skipped, time_of
from ecpmon.errors import Conflict, LimitReached, NotFound
from ecpmon.model.maintenance import Category, Maintenance
from ecpmon.openapi.declaring import Flag, Query, read_query
from ecpmon.ports.tokens import Caller
from ecpmon.shapes import Model
from ecpmon.sla.exclusion_rules import Rules, rules_at
from ecpmon.sla.exclusions import Lacks, agreed_by, lacks_at_first
from ecpmon.sla.maintenance import check, densest, effort, occurrences, uncounted, zone
from ecpmon.wire import dumps

routes = Routes()
SHOWN_AHEAD: Final = timedelta(days=90)


class MaintenanceBody(Model):
    """One-off: `start` and `end` or `duration`. Recurring: `start`, `duration` and `rrule` (RFC 5545)."""

    model_config = ConfigDict(extra="forbid")

    start: StrictStr
    end: StrictStr | None = None
    duration: StrictStr | None = None
    rrule: Annotated[StrictStr, Field(min_length=1, max_length=500)] | None = None
    time_zone: Annotated[StrictStr, Field(max_length=60)] | None = None
    title: Annotated[StrictStr, Field(max_length=200)] = ""
    reason: Annotated[StrictStr, Field(min_length=1, max_length=1000)]
    # Who agreed to it, for example somebody of the customer's; statements name them. Absent: the caller.
    approved_by: Annotated[StrictStr, Field(pattern=r"\S", max_length=200)] | None = None
    category: Category = Category.MAINTENANCE


def planned_of(request: web.Request, body: MaintenanceBody, zone_name: str, now: datetime) -> Maintenance:
    """What was asked for, under the rules that are usual today. Raises ValidationFailed."""
    local = zone(zone_name)
    start = time_of(body.start, "start", local)
    if body.rrule is not None and is_skipped(body.start, local):
        raise bad_field("start", f"the clock skips this time in {zone_name}; a rule needs one that there is")
    if (body.end is None) == (body.duration is None):
        raise bad_field("end", "give either end or duration")
    duration = (
        time_of(body.end, "end", local) - start
        if body.end is not None
        else timedelta(seconds=planned_seconds_of(body.duration or ""))
    )
    planned = Maintenance(
        str(uuid.uuid4()),
        start,
        duration,
        body.reason.strip(),
        request[CALLER].name,
        now,
        zone_name,
        body.rrule,
        body.title,
        body.approved_by.strip() if body.approved_by else None,
        category=body.category,
        token=token_of(request[CALLER]),
    )
    return usual_rules(request).over(planned)


def usual_rules(request: web.Request) -> Rules:
    """What exclusions need to count where the contract does not say."""
    settings = request.app[CONTEXT].settings
    notice = timedelta(hours=settings.exclusion_notice_hours)
    return Rules(settings.exclusions_need_approval, notice or None)


_LACKS: Final = {
    Lacks.APPROVAL: "it does not count until somebody else approves it: POST …/maintenance/{id}/approve",
    Lacks.NOTICE: "it begins sooner after it was entered than the notice of {hours:g} hours demands, and what does so "
    "does not count until somebody else approves it: POST …/maintenance/{id}/approve",
}


def _standing(planned: Maintenance) -> PlannedStanding:
    """Whether it counts, and what it lacks."""
    why = lacks_at_first(planned)
    hours = None if planned.notice is None else planned.notice / timedelta(hours=1)
    later = why is Lacks.NOTICE and planned.rrule is not None and planned.notice is not None
    return {
        "category": planned.category,
        "counts": why is None,
        "lacks": why,
        # Of a recurring one what begins then or later needs no approval.
        "counts_from": planned.created_at + planned.notice if later and planned.notice else None,
        "notice_hours": hours,
        "hint": None if why is None else _hint(planned, why, hours),
        "approved_by": agreed_by(planned),
        "approved_at": planned.approved_at,
        "named_approver": planned.approved_by,
    }


def _hint(planned: Maintenance, why: Lacks, hours: float | None) -> Hint:
    message = _LACKS[why].format(id=planned.maintenance_id, hours=hours)
    return {"code": why.value.upper(), "message": message}


def _ahead(planned: Maintenance, now: datetime) -> list[Occurrence]:
    """What lies ahead, with what does not count yet."""
    end = now + SHOWN_AHEAD
    found = [(i, True) for i in occurrences(planned, now, end)]
    found += [(u.interval, False) for u in uncounted(planned, now, end)]
    found.sort(key=lambda each: each[0].start)
    return [{"start": i.start, "end": i.end, "counts": counts} for i, counts in found[:10]]


def document(planned: Maintenance, now: datetime) -> PlannedMaintenance:
    return {"id": planned.maintenance_id, **window_document(planned, now)}


def window_document(planned: Maintenance, now: datetime) -> PlannedWindow:
    return {
        "title": planned.title,
        "reason": planned.reason,
        "start": planned.start,
        "end": planned.start + planned.duration,
        "duration_seconds": planned.duration.total_seconds(),
        "rrule": planned.rrule,
        "rrule_reading": None if planned.rrule is None else "rfc5545" if planned.by_rfc else "as_before",
        "time_zone": planned.time_zone,
        "ends_at": planned.until,
        **_standing(planned),
        "created_by": planned.created_by,
        "created_at": planned.created_at,
        "next_occurrences": _ahead(planned, now),
    }


@routes.get("/api/v1/tenants/{tenant_id}/maintenance", Permission.READ, answers={200: MaintenanceList})
async def list_maintenance(request: web.Request) -> web.Response:
    """Planned windows, with what lies ahead of each."""
    tenant, now = await tenant_of(request), now_of(request)
    found = await backend_of(request).maintenance.of_tenant(tenant)
    body = await worked_out(request, tenant, effort(found), _list, tenant.tenant_id, found, now)
    return web.Response(body=body, content_type="application/json")


def _list(tenant_id: str, planned: Sequence[Maintenance], now: datetime) -> bytes:
    answer: MaintenanceList = {
        "tenant_id": tenant_id,
        "maintenance": [document(m, now) for m in planned],
    }
    return dumps(answer)


@routes.post(
    "/api/v1/tenants/{tenant_id}/maintenance",
    Permission.OPERATE,
    body=MaintenanceBody,
    answers={201: PlannedMaintenance},
    refuses=(LimitReached,),
)
async def add(request: web.Request) -> web.Response:
    """Plan a window, or enter a past one; what it covers is recomputed."""
    tenant, now, store = await tenant_of(request), now_of(request), backend_of(request).maintenance
    body = await read_model(request, MaintenanceBody)
    planned = planned_of(request, body, tenant.time_zone if body.time_zone is None else body.time_zone, now)
    planned = rules_at(tenant, now, usual_rules(request)).over(planned)
    authorised = may_enter_the_past(request[CALLER])
    await store.add(tenant, planned, await apart(request, tenant, how_often, planned, now, authorised))
    return reply(document(planned, now), 201)


def may_enter_the_past(caller: Caller) -> bool:
    """Whether he may say what recurred before he said so."""
    return bool(caller.roles & ROLES[Permission.MANAGE_TENANTS])


def how_often(planned: Maintenance, now: datetime, authorised: bool) -> int:
    """How often it is on within a quarter. Raises ValidationFailed when it cannot be meant, Forbidden as `check`."""
    check(planned, now, authorised=authorised)
    return densest(planned)


@routes.post(
    "/api/v1/tenants/{tenant_id}/maintenance/{maintenance_id}/approve",
    Permission.MANAGE_TENANTS,
    answers={200: PlannedMaintenance},
    refuses=(NotFound, Conflict),
)
async def approve(request: web.Request) -> web.Response:
    """Let a window count that needs approval, or was entered too late; by somebody else than who entered it."""
    tenant, now, caller = await tenant_of(request), now_of(request), request[CALLER]
    number, store = _number(request), backend_of(request).maintenance
    return reply(document(await store.approve(tenant, number, caller.name, token_of(caller), now), now))


class Removal(Query):
    """Of a recurring window."""

    keep_past: Flag = False


@routes.delete(
    "/api/v1/tenants/{tenant_id}/maintenance/{maintenance_id}",
    Permission.OPERATE,
    query=Removal,
    answers={204: None},
    refuses=(NotFound,),
)
async def remove(request: web.Request) -> web.Response:
    """Take a window back, its past occurrences included; what it covered is recomputed.

    With `keep_past=true` a recurring window just ends: what has been stays planned.
    """
    tenant, store = await tenant_of(request), backend_of(request).maintenance
    change = store.end if read_query(request, Removal).keep_past else store.remove
    await change(tenant, _number(request), request[CALLER].name, now_of(request))
    return web.Response(status=204)


def _number(request: web.Request) -> str:
    return path_uuid(request, "maintenance_id", "there is no such maintenance")
