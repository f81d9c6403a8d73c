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
from ecpmon.isolation import Isolation
from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus, Tally, WindowFigures
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.quarantine import ROLLING_SLA
from ecpmon.sla import sums
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import zone
from ecpmon.sla.terms import terms_of
from ecpmon.sla.windows import Terms

routes = Routes()
WINDOWS: Final = ("1h", "24h", "7d", "30d", "month")
_SEVERITY: Final = {SlaStatus.VIOLATED: 0, SlaStatus.AT_RISK: 1, SlaStatus.NO_DATA: 2, SlaStatus.MEETING: 3}

# Of a tenant: its terms, what was measured in which interval, what it is now.
_Found = tuple[Terms, Mapping[Interval, Tally], SpanState | None]
# By tenant_id: the statuses last stored, the last alert.
_Statuses = Mapping[str, Mapping[str, SlaStatus]]
_Told = Mapping[str, AlertEvent]


@routes.get("/api/v1/sla/summary", Permission.READ)
async def summary(request: web.Request) -> web.Response:
    """Every tenant the caller may see, worst first."""
    backend, now = backend_of(request), now_of(request)
    tenants = {t.tenant_id: t for t in await backend.tenants.live(among=request[CALLER].tenants)}
    # An administrator's are thousands.
    caller, apart = caller_key(request), backend.workers.run_for
    statuses = await backend.availability.statuses_of(tenants.values())
    told = await backend.alerts.last_events(tenants.values())

    async def work(names: list[str]) -> dict[str, _Found]:
        own = [tenants[name] for name in names]
        planned = await backend.maintenance.of_tenants(own)
        terms = await apart(caller, _terms, own, planned, now, backend.intervals)
        asked = await apart(caller, _asked, terms, now)
        found = await backend.window_sums.tallies(asked, now)
        states = await backend.window_sums.states(asked, now)
        return {name: (terms[name], found.get(name, {}), states.get(name)) for name in names}

    # What cannot be told of a tenant is nothing: its detail says why.
    found = await Isolation(backend.quarantine, ROLLING_SLA).survey(tenants, work)
    rows = await apart(caller, _rows, list(tenants.values()), found, statuses, told, now)
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
    found: Mapping[str, _Found],
    statuses: _Statuses,
    told: _Told,
    now: datetime,
) -> list[dict[str, Any]]:
    rows = []
    for t in tenants:
        name, target = t.tenant_id, t.sla_target.fraction
        nothing: _Found = Terms(zone=zone(t.time_zone)), {}, None
        terms, tallies, state = found.get(name, nothing)
        before = statuses.get(name, {}) if name in found else {}
        windows = sums.standing(tallies, now, target, before, terms, WINDOWS)
        rows.append(_row(t, {w.window: w for w in windows}, state, told.get(name)))
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
