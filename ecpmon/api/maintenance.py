"""Planned maintenance (api.md §4). Every figure is computed from it when asked, so past minutes follow at once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from ecpmon.api.alerts import seconds_of
from ecpmon.api.common import apart, backend_of, bad_field, now_of, read_model, reply, tenant_of, worked_out
from ecpmon.api.context import CALLER
from ecpmon.api.routing import ROLES, Permission, Routes
from ecpmon.api.times import is_skipped, time_of
from ecpmon.model.maintenance import Maintenance
from ecpmon.sla.maintenance import check, densest, effort, occurrences, zone
from ecpmon.wire import dumps

routes = Routes()
SHOWN_AHEAD: Final = timedelta(days=90)


class MaintenanceBody(BaseModel):
    """One-off: `start` and `end` or `duration`. Recurring: `start`, `duration` and `rrule` (RFC 5545)."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    start: StrictStr
    end: StrictStr | None = None
    duration: StrictStr | None = None
    rrule: Annotated[StrictStr, Field(min_length=1, max_length=500)] | None = None
    time_zone: Annotated[StrictStr, Field(max_length=60)] | None = None
    title: Annotated[StrictStr, Field(max_length=200)] = ""
    reason: Annotated[StrictStr, Field(min_length=1, max_length=1000)]
    # Who agreed to it, for example somebody of the customer's; statements name them. Absent: the caller.
    approved_by: Annotated[StrictStr, Field(pattern=r"\S", max_length=200)] | None = None


def _planned(body: MaintenanceBody, zone_name: str, by: str, now: datetime) -> Maintenance:
    local = zone(zone_name)
    start = time_of(body.start, "start", local)
    if body.rrule is not None and is_skipped(body.start, local):
        raise bad_field("start", f"the clock skips this time in {zone_name}; a rule needs one that there is")
    if (body.end is None) == (body.duration is None):
        raise bad_field("end", "give either end or duration")
    duration = (
        time_of(body.end, "end", local) - start
        if body.end is not None
        else timedelta(seconds=seconds_of(body.duration or ""))
    )
    return Maintenance(
        str(uuid.uuid4()), start, duration, body.reason.strip(), by, now, zone_name, body.rrule, body.title,
        body.approved_by.strip() if body.approved_by else None,
    )  # fmt: skip


def document(planned: Maintenance, now: datetime) -> dict[str, Any]:
    ahead = occurrences(planned, now, now + SHOWN_AHEAD)[:10]
    return {
        "id": planned.maintenance_id,
        "title": planned.title,
        "reason": planned.reason,
        "start": planned.start,
        "end": planned.start + planned.duration,
        "duration_seconds": planned.duration.total_seconds(),
        "rrule": planned.rrule,
        "rrule_reading": None if planned.rrule is None else "rfc5545" if planned.by_rfc else "as_before",
        "time_zone": planned.time_zone,
        "ends_at": planned.until,
        "approved_by": planned.approved_by or planned.created_by,
        "created_by": planned.created_by,
        "created_at": planned.created_at,
        "next_occurrences": [{"start": i.start, "end": i.end} for i in ahead],
    }


@routes.get("/api/v1/tenants/{tenant_id}/maintenance", Permission.READ)
async def list_maintenance(request: web.Request) -> web.Response:
    """Planned windows, with what lies ahead of each."""
    tenant, now = await tenant_of(request), now_of(request)
    found = await backend_of(request).maintenance.of_tenant(tenant)
    body = await worked_out(request, tenant, effort(found), _list, tenant.tenant_id, found, now)
    return web.Response(body=body, content_type="application/json")


def _list(tenant_id: str, planned: Sequence[Maintenance], now: datetime) -> bytes:
    return dumps({"tenant_id": tenant_id, "maintenance": [document(m, now) for m in planned]})


@routes.post("/api/v1/tenants/{tenant_id}/maintenance", Permission.OPERATE)
async def add(request: web.Request) -> web.Response:
    """Plan a window, or enter a past one; what it covers is recomputed."""
    tenant, now, store = await tenant_of(request), now_of(request), backend_of(request).maintenance
    body = await read_model(request, MaintenanceBody)
    planned = _planned(body, body.time_zone or tenant.time_zone, request[CALLER].name, now)
    authorised = bool(request[CALLER].roles & ROLES[Permission.MANAGE_TENANTS])
    await store.add(tenant, planned, await apart(request, tenant, _densest, planned, now, authorised))
    return reply(document(planned, now), 201)


def _densest(planned: Maintenance, now: datetime, authorised: bool) -> int:
    """How often it is on within a quarter. Raises ValidationFailed when it cannot be meant, Forbidden as `check`."""
    check(planned, now, authorised=authorised)
    return densest(planned)


@routes.delete("/api/v1/tenants/{tenant_id}/maintenance/{maintenance_id}", Permission.OPERATE)
async def remove(request: web.Request) -> web.Response:
    """Take a window back, its past occurrences included; what it covered is recomputed.

    With `keep_past=true` a recurring window just ends: what has been stays planned.
    """
    tenant, store = await tenant_of(request), backend_of(request).maintenance
    keep_past = request.query.get("keep_past", "false")
    if keep_past not in ("true", "false"):
        raise bad_field("keep_past", "must be true or false")
    change = store.end if keep_past == "true" else store.remove
    await change(tenant, request.match_info["maintenance_id"], request[CALLER].name, now_of(request))
    return web.Response(status=204)
