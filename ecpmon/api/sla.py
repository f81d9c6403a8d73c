"""SLA figures: windows, timeline, incidents, the operators' summary (api.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from ecpmon.api.answers.sla import Analysis, Sla, SlaWindow, Timeline, TimelinePoint, WindowContract
from ecpmon.api.common import (
    backend_of,
    bad_field,
    certainty,
    check_name,
    is_stale,
    minutes,
    now_of,
    percent,
    reply,
    shown_state,
    tenant_of,
    worked_out,
    worked_out_for,
)
from ecpmon.api.context import CALLER, Backend
from ecpmon.api.queries import Length, Windows, duration_of
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.times import QueryTime
from ecpmon.compute.parcels import Sealed
from ecpmon.errors import LimitReached
from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Accounting, Interval, Maintenance
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus, Tally, WindowResult
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.ports.contracts import Contract, Facts
from ecpmon.ports.tokens import Caller
from ecpmon.sla import ledger
from ecpmon.sla import windows as maths
from ecpmon.sla.contracts import judged, versions_of
from ecpmon.sla.incidents import FLAP_LIMIT
from ecpmon.sla.ledger import Ledger, Question, question
from ecpmon.sla.parts import Terms
from ecpmon.sla.periods import LONGEST_WINDOW
from ecpmon.sla.terms import effort_of, off_between, terms_of
from ecpmon.wire import dumps

routes = Routes()
MAX_POINTS: Final = 2_000
# Maintenance windows in one plot or analysis: more than a year's of a tenant that has planned all it may.
MAX_INTERVALS: Final = 10_000
DEFAULT_WINDOWS: Final = ("1h", "24h", "7d", "30d", "month")


def window_document(w: WindowResult) -> SlaWindow:
    """One window as the contract shows it: percentages and minutes, unrounded."""
    left = w.budget
    return {
        "window": w.window,
        "start": w.start,
        "end": w.end,
        "availability": percent(w.availability),
        "availability_other_accounting": percent(w.availability_other_accounting),
        "bounds": {"low": percent(w.low), "high": percent(w.high)},
        "coverage": percent(w.coverage),
        "verdict": w.verdict,
        "status": w.status,
        "eligible_minutes": minutes(w.tally.eligible),
        "up_minutes": minutes(w.tally.up),
        "down_minutes": minutes(w.tally.down),
        "gap_minutes": minutes(w.tally.gap),
        "maintenance_minutes": minutes(w.tally.maintenance),
        # Outside of the service hours: neither eligible nor charged, whatever the accounting.
        "outside_minutes": minutes(w.tally.outside),
        # Of a month or a quarter that is not over: its budget and its verdict are those of the whole.
        "to_come_minutes": minutes(w.to_come),
        "error_budget": {
            "total_minutes": minutes(left.total),
            "consumed_minutes": minutes(left.consumed),
            "remaining_minutes": minutes(left.remaining),
            "remaining_percent": percent(left.remaining_fraction),
        },
        "burn_rate": w.burn_rate,
        "projected_exhaustion": w.projected_exhaustion,
        "failure_count": w.failure_count,
        "recovery_time_avg": w.recovery_time_avg,
        "time_between_failures_avg": w.time_between_failures_avg,
    }


class Asked(Query):
    """`at`: as of that instant; absent: now."""

    windows: Annotated[Windows, Field(json_schema_extra={"default": ",".join(DEFAULT_WINDOWS)})] = (
        DEFAULT_WINDOWS
    )
    at: QueryTime | None = None


def _as_of(request: web.Request, asked: Asked) -> tuple[datetime, bool]:
    """The instant asked about, and whether it is the present."""
    now = now_of(request)
    if asked.at is not None and asked.at > now:
        raise bad_field("at", "lies in the future")
    return asked.at or now, asked.at is None


@dataclass(frozen=True, slots=True)
class _Question:
    """The marks to be looked up, and what goes on from them: maintenance may be on some thousand times."""

    instants: Sequence[datetime]
    earlier: Sequence[Interval]
    rest: Sealed[tuple[Terms, Question]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A tenant and what its windows `names` are worked out from, as of `at`.

    `ends`: no window reaches further, for the tenant was deleted then.
    """

    tenant: Tenant
    planned: Sequence[Maintenance]
    question: _Question
    facts: Facts
    at: datetime
    ends: datetime | None = None


@routes.get(
    "/api/v1/tenants/{tenant_id}/sla",
    Permission.READ,
    query=Asked,
    answers={200: Sla},
    refuses=(LimitReached,),
)
async def sla(request: web.Request) -> web.Response:
    """Availability with bounds, budget, burn rate and incidents per window; `at` asks about the past."""
    check_name(request)
    asked, backend = read_query(request, Asked), backend_of(request)
    names, (at, present) = asked.windows, _as_of(request, asked)
    name, caller = request.match_info["tenant_id"], request[CALLER]
    found = await _asked_now(backend, caller, name, names, at) if present else None
    found = found or await _asked_then(request, names, at, present=present)
    return reply(await _shown(backend, found, names))


async def told(backend: Backend, caller: Caller, tenant: Tenant, asked: Asked, now: datetime) -> bytes | None:
    """As JSON, of a live tenant; None: it is asked about the past, or there is no such tenant any more."""
    if asked.at is not None:
        return None
    found = await _asked_now(backend, caller, tenant.tenant_id, asked.windows, now)
    return None if found is None else dumps(await _shown(backend, found, asked.windows))


async def _shown(backend: Backend, found: _Asked, names: Sequence[str]) -> Sla:
    tenant, facts, at = found.tenant, found.facts, found.at
    state, windows = await worked_out_for(
        backend,
        tenant,
        effort_of(tenant, found.planned),
        _windows,
        found.question.rest,
        facts.marks,
        facts.by_minute,
        at,
        tenant.sla_target.fraction,
        facts.statuses,
        names,
        found.ends,
    )
    return {
        "tenant_id": tenant.tenant_id,
        "target": float(tenant.sla_target.percent),
        # What is told of a deleted tenant is as of its end: nothing was promised after it.
        "as_of": at,
        "deleted_at": tenant.deleted_at,
        "time_zone": tenant.time_zone,
        "state": shown_state(state),
        "stale": is_stale(state),
        "maintenance_accounting": tenant.maintenance_accounting,
        # Outages with less up time than that between them are one: of `failure_count`, and of `recovery_time_avg`.
        "flap_limit_seconds": FLAP_LIMIT.total_seconds(),
        # UTC days with so many changes that only the totals of each minute are kept.
        "by_minute": [day.isoformat() for day in facts.by_minute],
        "windows": [
            {**window_document(w), "contract": contract_document(tenant, w.window, at, w.target)}
            for w in windows
        ],
    }


def _windows(
    asked: Sealed[tuple[Terms, Question]],
    marks: Mapping[datetime, Mark],
    by_minute: Sequence[date],
    at: datetime,
    target: float,
    statuses: Mapping[str, SlaStatus],
    names: Sequence[str],
    ends: datetime | None,
) -> tuple[SpanState | None, list[WindowResult]]:
    """What the tenant is at `at`, and its windows."""
    terms, question = asked.open()
    known = question.known(marks, by_minute)
    return known.state(at), ledger.standing(known, at, target, statuses, names, terms, ends)


async def _asked_now(
    backend: Backend, caller: Caller, tenant_id: str, names: Sequence[str], at: datetime
) -> _Asked | None:
    """Of the live tenant, in one round trip when nothing of it has changed; None when there is none to be seen."""
    store, among = backend.contracts, caller.tenants
    contract = store.held(tenant_id, among)
    if contract is not None:
        found = await _asked_of(backend, contract, names, at)
        if not found.facts.changed:
            return found
    contract = await store.read(tenant_id, among)
    return None if contract is None else await _asked_of(backend, contract, names, at)


async def _asked_of(backend: Backend, contract: Contract, names: Sequence[str], at: datetime) -> _Asked:
    asked = await _question(backend, contract.tenant, contract.planned, names, at, present=True)
    facts = await backend.contracts.facts(
        contract, asked.instants, _earliest(names, at, contract.tenant), at, asked.earlier
    )
    return _Asked(contract.tenant, contract.planned, asked, facts, at)


async def _asked_then(request: web.Request, names: Sequence[str], at: datetime, *, present: bool) -> _Asked:
    """Of the past, or of a deleted tenant."""
    tenant, backend = await tenant_of(request, with_deleted=True), backend_of(request)
    ends = tenant.deleted_at if tenant.deleted_at is not None and tenant.deleted_at <= at else None
    at = ends or at
    if not present:
        tenant = await backend.tenants.as_of(tenant, at)
    planned = await backend.maintenance.of_tenant(tenant)
    asked = await _question(backend, tenant, planned, names, at, present=present)
    # As is known by now: a change that was seen just after the instant may have been one of the time before.
    now = now_of(request)
    days = await backend.availability.coarse_days(tenant, _earliest(names, at, tenant), at)
    marks = await backend.window_sums.marks(
        tenant, asked.instants, now, asked.earlier, coarse=days, present=present
    )
    statuses = await backend.availability.statuses(tenant) if present else {}
    return _Asked(tenant, planned, asked, Facts(marks, statuses, days, changed=False), at, ends)


async def windows_under(
    request: web.Request,
    tenant: Tenant,
    planned: Sequence[Maintenance],
    names: Sequence[str],
    now: datetime,
) -> list[WindowResult]:
    """The tenant's windows as they would be if `planned` were all that is planned. Raises LimitReached."""
    # Not remembered: nobody else will ask about it.
    backend, much = backend_of(request), effort_of(tenant, planned)
    asked = await _question(backend, tenant, planned, names, now, present=False)
    days = await backend.availability.coarse_days(tenant, _earliest(names, now, tenant), now)
    marks = await backend.window_sums.marks(
        tenant, asked.instants, now, asked.earlier, coarse=days, present=True
    )
    statuses, target = await backend.availability.statuses(tenant), tenant.sla_target.fraction
    _, found = await worked_out(
        request, tenant, much, _windows, asked.rest, marks, days, now, target, statuses, names, None
    )
    return found


async def _question(
    backend: Backend,
    tenant: Tenant,
    planned: Sequence[Maintenance],
    names: Sequence[str],
    at: datetime,
    *,
    present: bool,
) -> _Question:
    much = effort_of(tenant, planned)
    return await worked_out_for(backend, tenant, much, _asked, tenant, planned, at, names, present=present)


def _asked(
    tenant: Tenant,
    planned: Sequence[Maintenance],
    at: datetime,
    names: Sequence[str],
    *,
    present: bool,
) -> _Question:
    terms = terms_of(tenant, planned, at, present=present)
    found = question(at, terms, names)
    return _Question(found.instants, found.earlier, Sealed((terms, found)))


def _earliest(names: Sequence[str], at: datetime, tenant: Tenant) -> datetime:
    return min(judged(name, at, tenant.contract_versions)[0].period.start for name in names)


def contract_document(tenant: Tenant, window: str, at: datetime, target: float) -> WindowContract:
    """Which versions of the contract judge a window; `target` (a fraction) is that of all of them together."""
    by = versions_of(tenant, window, at)
    return {
        "versions": [version.version for version in by],
        "target": float(by[0].sla_target.percent) if len(by) == 1 else percent(target),
        "valid_from": by[-1].valid_from,
    }


class PlotAsked(Query):
    """`step`: the width of what each point is about. With `from` the plot begins there, whatever `window` says."""

    window: Length = "30d"
    step: Length = "1h"
    from_: Annotated[QueryTime | None, Field(alias="from")] = None
    to: Annotated[QueryTime | None, Field(description="Absent: now.")] = None


@routes.get(
    "/api/v1/tenants/{tenant_id}/sla/timeline",
    Permission.READ,
    query=PlotAsked,
    answers={200: Timeline},
    refuses=(LimitReached,),
)
async def timeline(request: web.Request) -> web.Response:
    """Availability over time, for a plot."""
    tenant, backend, now = await tenant_of(request, with_deleted=True), backend_of(request), now_of(request)
    query = read_query(request, PlotAsked)
    plot = _plot(query, min(now, tenant.deleted_at or now))
    planned = await backend.maintenance.of_tenant(tenant)
    much = effort_of(tenant, planned) + plot.count
    asked = await worked_out(request, tenant, much, _of_steps, tenant, planned, plot)
    marks = await backend.window_sums.marks(tenant, asked.instants, plot.as_of, present=True)
    shown: Timeline = {
        "tenant_id": tenant.tenant_id,
        "window": query.window,
        "step": query.step,
        "from": plot.start,
        "to": plot.end,
        "points": [],
    }
    as_up = tenant.maintenance_accounting is Accounting.COUNT_AS_UP
    body = await worked_out(request, tenant, much, _plotted, asked.rest, marks, plot, as_up, shown)
    return web.Response(body=body, content_type="application/json")


@dataclass(frozen=True, slots=True)
class _Plot:
    """`as_of`: up to when the tenant is known; `end` may lie before."""

    start: datetime
    end: datetime
    width: timedelta
    as_of: datetime

    @property
    def count(self) -> int:
        return -(-(self.end - self.start) // self.width)

    @property
    def steps(self) -> list[datetime]:
        return [self.start + self.width * i for i in range(self.count)]


def _plot(query: PlotAsked, as_of: datetime) -> _Plot:
    """Raises ValidationFailed naming the field."""
    width, end = duration_of(query.step), min(query.to or as_of, as_of)
    start = query.from_ or end - duration_of(query.window)
    if start >= end:
        raise bad_field("from", "must lie before `to`")
    if width > end - start:
        raise bad_field("step", "is longer than the window")
    # The first step begins before the window, unless the clock is at a multiple of the width.
    if (end - start) / width > MAX_POINTS - 1:
        raise bad_field("step", f"gives more than {MAX_POINTS} points; take a longer step")
    # Steps start at multiples of their width, so that a plot does not shimmer.
    start -= timedelta(seconds=start.timestamp() % width.total_seconds())
    return _Plot(start, end, width, as_of)


def _of_steps(tenant: Tenant, planned: Sequence[Maintenance], plot: _Plot) -> _Question:
    off = off_between(tenant, planned, plot.start, plot.end, MAX_INTERVALS)
    terms = Terms(off.maintenance, outside=off.outside)
    found = question(plot.as_of, terms, (), [*plot.steps, plot.end])
    return _Question(found.instants, found.earlier, Sealed((terms, found)))


def _plotted(
    asked: Sealed[tuple[Terms, Question]],
    marks: Mapping[datetime, Mark],
    plot: _Plot,
    as_up: bool,
    shown: Timeline,
) -> bytes:
    _, found = asked.open()
    known = Ledger(marks.__getitem__, found.maintenance, found.outside)
    points = [_plot_point(a, known.tally(a, b), as_up) for a, b in pairwise([*plot.steps, plot.end])]
    answer: Timeline = {**shown, "points": points}
    return dumps(answer)


def _plot_point(start: datetime, seconds: Tally, as_up: bool) -> TimelinePoint:
    seconds = seconds.counting_maintenance_as_up() if as_up else seconds
    coverage = seconds.measured / seconds.eligible if seconds.eligible > 0 else None
    return {
        "timestamp": start,
        "availability": percent(maths.availability(seconds)),
        "coverage": percent(coverage),
        "down_minutes": minutes(seconds.down),
        "gap_minutes": minutes(seconds.gap),
        "outside_minutes": minutes(seconds.outside),
    }


class AnalysisAsked(Query):
    """A year at most."""

    period: Length = "24h"


@routes.get(
    "/api/v1/simulator/sla/{tenant_id}/analysis",
    Permission.READ,
    query=AnalysisAsked,
    answers={200: Analysis},
    refuses=(LimitReached,),
)
async def analysis(request: web.Request) -> web.Response:
    """A short analysis of one period."""
    tenant, backend, now = await tenant_of(request), backend_of(request), now_of(request)
    lasting = duration_of(read_query(request, AnalysisAsked).period)
    if lasting > timedelta(days=366):
        raise bad_field("period", "is longer than a year")
    start, planned = now - lasting, await backend.maintenance.of_tenant(tenant)
    much, target = effort_of(tenant, planned), tenant.sla_target.fraction
    asked = await worked_out(request, tenant, much, _of_period, tenant, planned, start, now)
    days = await backend.availability.coarse_days(tenant, start, now)
    marks = await backend.window_sums.marks(
        tenant, asked.instants, now, asked.earlier, coarse=days, present=True
    )
    state, found = await worked_out(
        request, tenant, much, _evaluated, asked.rest, marks, days, start, now, target
    )
    shown = percent(found.availability)
    answer: Analysis = {
        "tenant_id": tenant.tenant_id,
        "current_sla": shown,
        "target_sla": float(tenant.sla_target.percent),
        "contract": contract_document(tenant, "period", now, target),
        "status": found.status,
        "state": shown_state(state),
        **certainty(found.low, found.high, found.coverage, state),
        "verdict": found.verdict,
        "gap_minutes": minutes(found.tally.gap),
        "uptime_percentage": shown,
        "failure_count": found.failure_count,
        "recovery_time_avg": found.recovery_time_avg,
        "flap_limit_seconds": FLAP_LIMIT.total_seconds(),
    }
    return reply(answer)


def _of_period(tenant: Tenant, planned: Sequence[Maintenance], start: datetime, now: datetime) -> _Question:
    terms = terms_of(tenant, (), now)
    # From earlier on, for an outage that began before.
    off = off_between(tenant, planned, start - LONGEST_WINDOW, now, MAX_INTERVALS)
    terms = replace(terms, maintenance=off.maintenance, outside=off.outside)
    found = question(now, terms, (), (start,))
    return _Question(found.instants, found.earlier, Sealed((terms, found)))


def _evaluated(
    asked: Sealed[tuple[Terms, Question]],
    marks: Mapping[datetime, Mark],
    by_minute: Sequence[date],
    start: datetime,
    now: datetime,
    target: float,
) -> tuple[SpanState | None, WindowResult]:
    """What the tenant is at `now`, and the period."""
    terms, found = asked.open()
    known = found.known(marks, by_minute)
    return known.state(now), ledger.evaluate(known, "period", start, now, target, None, terms)
