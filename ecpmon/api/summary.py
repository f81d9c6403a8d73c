"""The operators' summary of SLA: every tenant the caller may see, and nothing read of any other (api.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from ecpmon.api.auth import caller_key
from ecpmon.api.common import backend_of, minutes, now_of, percent, reply
from ecpmon.api.context import CALLER
from ecpmon.api.routing import Permission, Routes
from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus, Tally, WindowFigures
from ecpmon.ports.alerts import AlertEvent
from ecpmon.sla import sums
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.terms import terms_of
from ecpmon.sla.windows import Terms

routes = Routes()
WINDOWS: Final = ("1h", "24h", "7d", "30d", "month")
_SEVERITY: Final = {SlaStatus.VIOLATED: 0, SlaStatus.AT_RISK: 1, SlaStatus.NO_DATA: 2, SlaStatus.MEETING: 3}

# By tenant_id: what was measured in which interval, what it is now, the statuses last stored, the last alert.
_Tallies = Mapping[str, Mapping[Interval, Tally]]
_States = Mapping[str, SpanState]
_Statuses = Mapping[str, Mapping[str, SlaStatus]]
_Told = Mapping[str, AlertEvent]


@routes.get("/api/v1/sla/summary", Permission.READ)
async def summary(request: web.Request) -> web.Response:
    """Every tenant the caller may see, worst first."""
    backend, now = backend_of(request), now_of(request)
    tenants = await backend.tenants.live(among=request[CALLER].tenants)
    planned = await backend.maintenance.of_tenants(tenants)
    # An administrator's are thousands.
    caller, apart = caller_key(request), backend.workers.run_for
    terms = await apart(caller, _terms, tenants, planned, now, backend.intervals)
    asked = await apart(caller, _asked, terms, now)
    found = await backend.window_sums.tallies(asked, now)
    states = await backend.window_sums.states(asked, now)
    statuses = await backend.availability.statuses_of(tenants)
    told = await backend.alerts.last_events(tenants)
    rows = await apart(caller, _rows, tenants, terms, found, states, statuses, told, now)
    return reply({"as_of": now, "tenants": rows})


def _terms(
    tenants: Sequence[Tenant],
    planned: Mapping[str, Sequence[Maintenance]],
    now: datetime,
    intervals: Intervals,
) -> dict[str, Terms]:
    return {t.tenant_id: terms_of(t, planned.get(t.tenant_id, ()), now, intervals) for t in tenants}


def _asked(terms: Mapping[str, Terms], now: datetime) -> dict[str, set[Interval]]:
    return {name: sums.intervals_for(now, contract, WINDOWS) for name, contract in terms.items()}


def _rows(
    tenants: Sequence[Tenant],
    terms: Mapping[str, Terms],
    found: _Tallies,
    states: _States,
    statuses: _Statuses,
    told: _Told,
    now: datetime,
) -> list[dict[str, Any]]:
    rows = []
    for t in tenants:
        name, target = t.tenant_id, t.sla_target.fraction
        windows = sums.standing(
            found.get(name, {}), now, target, statuses.get(name, {}), terms[name], WINDOWS
        )
        rows.append(_row(t, {w.window: w for w in windows}, states.get(name), told.get(name)))
    rows.sort(key=lambda r: r[0])
    return [row for _, row in rows]


def _row(
    tenant: Tenant, found: Mapping[str, WindowFigures], state: SpanState | None, told: AlertEvent | None
) -> tuple[tuple[int, float, str], dict[str, Any]]:
    """The row and its place: by status, then by budget left, then by name."""
    month = found["30d"]
    left = percent(month.budget.remaining_fraction)
    place = (_SEVERITY[month.status], left if left is not None else 100.0, tenant.tenant_id)
    return place, {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "tenant_status": tenant.status.value,
        "target": float(tenant.sla_target.percent),
        "state": state.value if state else "none",
        "status": month.status.value,
        "windows": {name: _summary_window(w) for name, w in found.items()},
        "error_budget": {"remaining_minutes": minutes(month.budget.remaining), "remaining_percent": left},
        "burn_rate": {name: found[name].burn_rate for name in ("1h", "24h")},
        "last_alert": _last_alert(told),
    }


def _summary_window(w: WindowFigures) -> dict[str, Any]:
    return {
        "availability": percent(w.availability),
        "status": w.status.value,
        "coverage": percent(w.coverage),
        "budget_remaining_percent": percent(w.budget.remaining_fraction),
        "burn_rate": w.burn_rate,
    }


def _last_alert(event: AlertEvent | None) -> dict[str, Any] | None:
    if event is None:
        return None
    status = "firing" if event.to_state == "firing" else "resolved"
    return {"alert_name": event.alert_name, "status": status, "at": event.at}
