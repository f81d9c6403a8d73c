"""The operators' summary of SLA: every tenant the caller may see, and nothing read of any other (api.md §4).

What the job of the rolling SLA found last is shown as long as it holds (`ports.current`); the rest is worked out.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final, cast

from aiohttp import web

from ecpmon.api.answers.sla import LastAlert, Summary, SummaryRow, SummaryWindow, SummaryWindows
from ecpmon.api.auth import caller_key
from ecpmon.api.common import backend_of, bounded, is_stale, minutes, now_of, percent, shown_state
from ecpmon.api.context import CALLER, Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.isolation import Isolation
from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import ContractVersion, Tenant
from ecpmon.model.windows import SlaStatus, Tally
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.current import WINDOWS, Figures, Shown
from ecpmon.ports.quarantine import ROLLING_SLA
from ecpmon.ports.roster import Standing, planned_of
from ecpmon.ports.sla import WindowTotals
from ecpmon.sla import sums
from ecpmon.sla.briefs import Brief, brief
from ecpmon.sla.contracts import versions_of
from ecpmon.sla.maintenance import touching, zone
from ecpmon.sla.parts import Terms
from ecpmon.sla.periods import Period, period
from ecpmon.sla.terms import terms_of
from ecpmon.wire import dumps, rfc3339

routes = Routes()
# Rows are alike: what more costs saves little.
_FAST: Final = 1
_NOTHING: Final = Tally(0.0, 0.0, 0.0)
_UNKNOWN: Final = dict.fromkeys(WINDOWS, Shown(SlaStatus.NO_DATA, None, None, None, None))
# A window that begins before any of ours.
_LONGEST: Final = timedelta(days=32)
_SEVERITY: Final = {SlaStatus.VIOLATED: 0, SlaStatus.AT_RISK: 1, SlaStatus.NO_DATA: 2, SlaStatus.MEETING: 3}

# Of a tenant: its figures, what it is now.
_Found = tuple[Figures, SpanState | None]
# By tenant_id: the statuses last stored, the last alert.
_Statuses = Mapping[str, Mapping[str, SlaStatus]]
_Told = Mapping[str, AlertEvent]


@routes.get("/api/v1/sla/summary", Permission.READ, answers={200: Summary})
async def summary(request: web.Request) -> web.Response:
    """Every tenant the caller may see, worst first; each with the instant at which its figures were found."""
    backend, now, caller = backend_of(request), now_of(request), caller_key(request)
    rows = await rows_of(backend, caller, request[CALLER].tenants, now)
    # An administrator's are thousands.
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    body = await backend.threads.run_for(caller, _document, rows, now, packed)
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return web.Response(body=body, content_type="application/json", headers=headers)


async def rows_of(
    backend: Backend, caller: str, allowed: Collection[int] | None, now: datetime
) -> list[Made]:
    """Of the live tenants with the numbers `allowed` (None: all) each one's row; `caller`: whose turn it is."""
    standings = {
        name: s
        for name, s in (await backend.directory.standings()).items()
        if s.tenant is not None and (allowed is None or s.tenant.key in allowed)
    }
    tenants = {name: s.tenant for name, s in standings.items() if s.tenant is not None}
    told = await backend.alerts.last_events(tenants.values())

    async def work(names: list[str]) -> dict[str, _Found]:
        found = dict(await backend.current.of({name: standings[name] for name in names}, now))
        others = {name: standings[name] for name in names if name not in found}
        return found | (await _worked_out(backend, caller, others, now) if others else {})

    # What cannot be told of a tenant is nothing: its detail says why.
    found = await Isolation(backend.quarantine, ROLLING_SLA).survey(tenants, work)
    return await backend.threads.run_for(caller, _rows, list(tenants.values()), found, told, now)


async def _worked_out(
    backend: Backend, caller: str, standings: Mapping[str, Standing], now: datetime
) -> dict[str, _Found]:
    """Of the tenants of whom nothing is known that still holds: as they are now."""
    own = {name: s.tenant for name, s in standings.items() if s.tenant is not None}
    apart = backend.threads.run_for
    statuses = await backend.availability.remembered(own.values())
    planned = {
        name: await planned_of(standings[name], tenant, backend.maintenance) for name, tenant in own.items()
    }
    terms = await apart(caller, _terms, list(own.values()), planned, now)
    calm = {
        n: t
        for n, t in own.items()
        if not terms[n].calendar and not touching(terms[n].maintenance, now - _LONGEST, now)
    }
    found: dict[str, _Found] = {}
    for name, members in _by_zone(calm).items():
        periods = [period(window, now, zone(name)) for window in WINDOWS]
        keys, starts = [t.key for t in members], [p.start for p in periods]
        totals = await backend.window_sums.totals(keys, starts, now)
        found |= await apart(caller, _of_totals, members, totals, periods, statuses, terms, now)
    others = {n: t for n, t in own.items() if n not in calm}
    return found | await _of_others(backend, caller, others, statuses, terms, now)


def _terms(
    tenants: Sequence[Tenant],
    planned: Mapping[str, Sequence[Maintenance]],
    now: datetime,
) -> dict[str, Terms]:
    return {t.tenant_id: terms_of(t, planned.get(t.tenant_id, ()), now) for t in tenants}


def _by_zone(tenants: Mapping[str, Tenant]) -> dict[str, list[Tenant]]:
    """Their months begin at the same instant."""
    found: dict[str, list[Tenant]] = defaultdict(list)
    for tenant in tenants.values():
        found[tenant.time_zone].append(tenant)
    return found


def _of_totals(
    tenants: Sequence[Tenant],
    totals: Mapping[int, WindowTotals],
    periods: Sequence[Period],
    statuses: _Statuses,
    terms: Mapping[str, Terms],
    now: datetime,
) -> dict[str, _Found]:
    """Of tenants without maintenance in any window and with one version for all, who share their periods."""
    found: dict[str, _Found] = {}
    for t in tenants:
        of, before, target = totals.get(t.key), statuses.get(t.tenant_id, {}), t.sla_target.fraction
        windows = {}
        for place, (name, asked) in enumerate(zip(WINDOWS, periods, strict=True)):
            seconds = _NOTHING if of is None else of.tally(place)
            ends = asked.end if asked.end > now else None
            windows[name] = brief(seconds, now, target, before.get(name), terms[t.tenant_id], ends)
        state = None if of is None else of.state if of.expires > now else SpanState.GAP
        found[t.tenant_id] = (_figures(windows, now), state)
    return found


async def _of_others(
    backend: Backend,
    caller: str,
    tenants: Mapping[str, Tenant],
    statuses: _Statuses,
    terms: Mapping[str, Terms],
    now: datetime,
) -> dict[str, _Found]:
    """The same with maintenance, which is taken out by its own totals."""
    if not tenants:
        return {}
    apart = backend.threads.run_for
    own = {name: terms[name] for name in tenants}
    asked = await apart(caller, _asked, own, now)
    tallies = await backend.window_sums.tallies(asked, now)
    states = await backend.window_sums.states(asked, now)
    windows = await apart(caller, _with_maintenance, tenants, tallies, statuses, own, now)
    return {name: (_figures(windows[name], now), states.get(name)) for name in tenants}


def _figures(windows: Mapping[str, Brief], now: datetime) -> Figures:
    shown = {
        name: Shown(
            w.status, w.availability, w.coverage, w.burn_rate, w.budget.remaining_fraction, w.low, w.high
        )
        for name, w in windows.items()
    }
    return Figures(now, shown, windows["30d"].budget.remaining)


def _asked(terms: Mapping[str, Terms], now: datetime) -> dict[str, set[Interval]]:
    return {name: sums.intervals_for(now, contract, WINDOWS) for name, contract in terms.items()}


def _with_maintenance(
    tenants: Mapping[str, Tenant],
    tallies: Mapping[str, Mapping[Interval, Tally]],
    statuses: _Statuses,
    terms: Mapping[str, Terms],
    now: datetime,
) -> dict[str, dict[str, Brief]]:
    return {
        name: {
            window: brief(
                sums.totals(tallies.get(name, {}), part.start, now, part.terms),
                now,
                part.target,
                statuses.get(name, {}).get(window),
                part.terms,
                part.end if part.end > now else None,
            )
            for window in WINDOWS
            # A month is judged as a whole.
            for [part] in [terms[name].parts(window, now, tenant.sla_target.fraction)]
        }
        for name, tenant in tenants.items()
    }


# The tenant, its state and its last alert; the place of its row, and the row.
_Place = tuple[int, float, str]
Made = tuple[Tenant, SpanState | None, AlertEvent | None, _Place, bytes]


def _rows(tenants: Sequence[Tenant], found: Mapping[str, _Found], told: _Told, now: datetime) -> list[Made]:
    """Each a `SummaryRow`, written once, and again when something in it has changed."""
    nothing = Figures(now, _UNKNOWN, 0.0)
    return [_made(t, *found.get(t.tenant_id, (nothing, None)), told.get(t.tenant_id)) for t in tenants]


def _document(rows: list[Made], now: datetime, packed: bool) -> bytes:
    """A `Summary`, worst first; `packed`: as gzip."""
    rows.sort(key=itemgetter(3))
    told = b'{"as_of":"%s","tenants":[%s]}' % (rfc3339(now).encode(), b",".join(row for *_, row in rows))
    return gzip.compress(told, _FAST, mtime=0) if packed else told


def _made(tenant: Tenant, figures: Figures, state: SpanState | None, last_alert: AlertEvent | None) -> Made:
    kept = cast("Made | None", figures.made)
    if kept is not None and kept[:3] == (tenant, state, last_alert):
        return kept
    place, row = _row(tenant, figures, state, last_alert)
    made = tenant, state, last_alert, place, dumps(row)
    if figures.windows is not _UNKNOWN:
        figures.made = made
    return made


def _row(
    tenant: Tenant, figures: Figures, state: SpanState | None, last_alert: AlertEvent | None
) -> tuple[_Place, SummaryRow]:
    """The row and its place: by status, then by budget left, then by name."""
    month = figures.windows["30d"]
    left = percent(month.left)
    place = (_SEVERITY[month.status], left if left is not None else 100.0, tenant.tenant_id)
    return place, {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "tenant_status": tenant.status,
        "target": float(tenant.sla_target.percent),
        "state": shown_state(state),
        "stale": is_stale(state),
        "status": month.status,
        "as_of": figures.as_of,
        "windows": cast(
            "SummaryWindows",  # its keys are WINDOWS
            {
                name: _summary_window(w, versions_of(tenant, name, figures.as_of))
                for name, w in figures.windows.items()
            },
        ),
        "error_budget": {"remaining_minutes": minutes(figures.remaining), "remaining_percent": left},
        "burn_rate": {"1h": figures.windows["1h"].burn_rate, "24h": figures.windows["24h"].burn_rate},
        "last_alert": _last_alert(last_alert),
    }


def _summary_window(w: Shown, versions: Sequence[ContractVersion]) -> SummaryWindow:
    return {
        "contract_versions": [version.version for version in versions],
        "availability": percent(w.availability),
        **bounded(w.low, w.high, w.coverage),
        "status": w.status,
        "budget_remaining_percent": percent(w.left),
        "burn_rate": w.burn_rate,
    }


def _last_alert(event: AlertEvent | None) -> LastAlert | None:
    if event is None:
        return None
    firing = event.to_state == "firing"
    return {"alert_name": event.alert_name, "status": "firing" if firing else "resolved", "at": event.at}
