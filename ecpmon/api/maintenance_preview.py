"""What a window of maintenance would change, before it is planned: nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from ecpmon.api.answers.maintenance import Occurrence, PlannedWindow
from ecpmon.api.common import apart, backend_of, minutes, now_of, percent, read_model, reply, tenant_of
from ecpmon.api.context import CALLER
from ecpmon.api.maintenance import (
    MaintenanceBody,
    how_often,
    may_enter_the_past,
    planned_of,
    usual_rules,
    window_document,
)
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.sla import windows_under
from ecpmon.errors import LimitReached
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.windows import SlaStatus, Verdict, WindowResult
from ecpmon.openapi.declaring import TypedDict
from ecpmon.sla.exclusion_rules import rules_at
from ecpmon.sla.maintenance import occurrences

routes = Routes()
WINDOWS: Final = ("24h", "7d", "30d", "month", "quarter")
_BACK: Final = timedelta(days=92)
_SHOWN: Final = 10


class Effect(TypedDict):
    """Of one window, as it is or as it would be."""

    availability: float | None
    verdict: Verdict
    status: SlaStatus
    down_minutes: float
    gap_minutes: float
    maintenance_minutes: float
    budget_remaining_minutes: float


class EffectOnWindow(TypedDict):
    window: str
    before: Effect
    after: Effect


class PastOccurrences(TypedDict):
    count: int
    last: Annotated[list[Occurrence], Field(description="The newest ten of 92 days, the oldest first.")]


class MaintenancePreview(TypedDict):
    """The window as it would be planned, and the figures of today with it. `past`: what it would leave out of time
    that is over, which is what changes figures."""

    window: PlannedWindow
    past: PastOccurrences
    effects: list[EffectOnWindow]


@routes.post(
    "/api/v1/tenants/{tenant_id}/maintenance/preview",
    Permission.OPERATE,
    body=MaintenanceBody,
    answers={200: MaintenancePreview},
    refuses=(LimitReached,),
)
async def preview(request: web.Request) -> web.Response:
    """When a window would be on, and what it would change; refused as planning it would be, and nothing is stored."""
    tenant, now, backend = await tenant_of(request), now_of(request), backend_of(request)
    body = await read_model(request, MaintenanceBody)
    new = planned_of(request, body, tenant.time_zone if body.time_zone is None else body.time_zone, now)
    new = rules_at(tenant, now, usual_rules(request)).over(new)
    await apart(request, tenant, how_often, new, now, may_enter_the_past(request[CALLER]))
    known = await backend.maintenance.of_tenant(tenant)
    before = await windows_under(request, tenant, known, WINDOWS, now)
    after = await windows_under(request, tenant, [*known, new], WINDOWS, now)
    answer: MaintenancePreview = {
        "window": window_document(new, now),
        "past": await apart(request, tenant, _past, new, now),
        "effects": _effects(before, after),
    }
    return reply(answer)


def _past(planned: Maintenance, now: datetime) -> PastOccurrences:
    found = occurrences(planned, now - _BACK, now)
    return {
        "count": len(found),
        "last": [{"start": i.start, "end": i.end, "counts": True} for i in found[-_SHOWN:]],
    }


def _effects(before: Sequence[WindowResult], after: Sequence[WindowResult]) -> list[EffectOnWindow]:
    return [
        {"window": a.window, "before": _effect(a), "after": _effect(b)}
        for a, b in zip(before, after, strict=True)
    ]


def _effect(w: WindowResult) -> Effect:
    return {
        "availability": percent(w.availability),
        "verdict": w.verdict,
        "status": w.status,
        "down_minutes": minutes(w.tally.down),
        "gap_minutes": minutes(w.tally.gap),
        "maintenance_minutes": minutes(w.tally.maintenance),
        "budget_remaining_minutes": minutes(w.budget.remaining),
    }
