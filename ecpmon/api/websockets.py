"""WebSockets: live metrics, the same with SLA figures, and alerts (api.md §8)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import WSCloseCode, web

from ecpmon.api.answers.live import (
    AlertMessage,
    FleetChanges,
    LiveMetrics,
    Ping,
    Pong,
    RealtimeMetrics,
    SlaFigures,
    Unsubscribe,
    WithoutEffect,
)
from ecpmon.api.auth import session_of
from ecpmon.api.common import (
    backend_of,
    certainty,
    now_of,
    percent,
    stored_tenant,
    tenant_of,
    worked_out_for,
)
from ecpmon.api.connections import CLOSE_GRACE
from ecpmon.api.context import CONTEXT, Backend
from ecpmon.api.events import message_of_event
from ecpmon.api.feeds import WINDOW
from ecpmon.api.fleet import FLEET, Look
from ecpmon.api.live import Subscription
from ecpmon.api.places import Listening, Overseeing, Watching
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.sessions import ALL_TENANTS
from ecpmon.api.sockets import given_back_on_error, hears_korean, opened
from ecpmon.api.subscriptions import Subscribe, only_ping, take
from ecpmon.api.summary import rows_of
from ecpmon.errors import EcpError, MonitoringUnavailable, TenantNotFound
from ecpmon.model.alerts import RuleState, RuleStatus
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.service import Clock
from ecpmon.sla import sums
from ecpmon.sla.terms import effort_of, terms_of

routes = Routes()
_log = structlog.get_logger(__name__)
RECENT_EVENTS: Final = 1_000
SLA_WINDOW: Final = ("24h",)
REALTIME_METRICS: Final = frozenset({"cpu", "memory", "network_rps", "response_time", "error_rate", "up"})


async def close_all(app: web.Application) -> None:
    """The server stops: every socket is closed with 1001, and waited for as long as one has to take leave."""
    context = app[CONTEXT]
    hubs = [backend.hub for backend in (context.production, context.demo) if backend is not None]
    for hub in hubs:
        hub.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_GRACE + 1):
            for hub in hubs:
                await hub.empty()


@routes.socket(
    "/ws/monitoring/{tenant_id}",
    Permission.READ,
    hears=(Subscribe, Unsubscribe, Ping),
    says=(LiveMetrics, Pong),
    refuses=(MonitoringUnavailable,),
)
async def monitoring(request: web.Request) -> web.StreamResponse:
    """Live metrics of a tenant; a change of its availability is told at once."""
    return await _metrics_socket(request, Subscription(None), figured=False)


@routes.socket(
    "/api/v1/simulator/realtime/{tenant_id}",
    Permission.READ,
    hears=(Subscribe, Unsubscribe, Ping),
    says=(RealtimeMetrics, Pong),
    refuses=(MonitoringUnavailable,),
)
async def realtime(request: web.Request) -> web.StreamResponse:
    """Live metrics with the SLA figures of the last 24 hours."""
    return await _metrics_socket(request, Subscription(REALTIME_METRICS), figured=True)


async def _metrics_socket(
    request: web.Request, subscription: Subscription, *, figured: bool
) -> web.StreamResponse:
    tenant = await tenant_of(request)
    backend, session = backend_of(request), session_of(request, tenant.key, tenant.tenant_id)
    if not backend.operating.current.real_time:
        raise MonitoringUnavailable("live metrics are switched off in the settings (realTimeMonitoring)")
    place = backend.hub.watch(session, subscription, figured=figured)
    with given_back_on_error(place):
        await _still_there(request, tenant)
        place.feed.evidence(tenant.evidence_source)
        async with place.feed.seeding:  # of sockets that open together one asks
            if not place.feed.seeded:
                now = now_of(request)
                latest = await backend.monitoring.latest(tenant, now - WINDOW, now)
                place.feed.seed(latest, await backend.monitoring.coming(tenant, now))
        if figured:
            ask = partial(_sla_figures, backend, request.app[CONTEXT].clock, tenant)
            place.broadcast.figures = partial(place.feed.figures.get, tenant.key, ask)
        return await opened(request, place, _subscribing)


def _subscribing(place: Watching, message: Any) -> Pong | None:
    answer = take(place.outbox.subscription, message)
    if answer is None:
        place.broadcast.subscribed(place.outbox)
    return answer


async def _still_there(request: web.Request, tenant: Tenant) -> None:
    """The tenant may have been deleted, and made anew, before we could be told so. Raises TenantNotFound."""
    if (await stored_tenant(request)).key != tenant.key:
        raise TenantNotFound(tenant.tenant_id)


async def _sla_figures(backend: Backend, clock: Clock, tenant: Tenant) -> SlaFigures | None:
    """`sla_data` of the messages; None: not known right now, and the metrics go on."""
    now = clock.now()
    try:
        planned = await backend.maintenance.of_tenant(tenant)
        terms = await worked_out_for(
            backend, tenant, effort_of(tenant, planned), terms_of, tenant, planned, now
        )
        asked = {tenant.tenant_id: sums.intervals_for(now, terms, SLA_WINDOW)}
        tallies = await backend.window_sums.tallies(asked, now)
        states = await backend.window_sums.states([tenant.tenant_id], now)
        before = await backend.availability.statuses(tenant)
    except EcpError as error:
        _log.warning("sla_figures_not_told", tenant=tenant.tenant_id, error=error.message)
        return None
    [found] = sums.standing(
        tallies.get(tenant.tenant_id, {}), now, tenant.sla_target.fraction, before, terms, SLA_WINDOW
    )
    return {
        "availability": percent(found.availability),
        **certainty(found.low, found.high, found.coverage, states.get(tenant.tenant_id)),
        "status": found.status,
        "uptime_percentage": percent(found.availability),
        "downtime_minutes": found.tally.down / 60,
    }


@routes.socket(
    "/ws/alerts/{tenant_id}",
    Permission.READ,
    hears=(Ping, WithoutEffect),
    says=(AlertMessage, Pong),
    closes={
        WSCloseCode.TRY_AGAIN_LATER: "alerts may have been missed: connect again, and be told what fires"
    },
)
async def alerts(request: web.Request) -> web.StreamResponse:
    """Alerts of a tenant: first what is firing, then every change. `Accept-Language` says in which language."""
    tenant = await tenant_of(request)
    backend, session = backend_of(request), session_of(request, tenant.key, tenant.tenant_id)
    place = backend.hub.listen(session, korean=hears_korean(request))
    with given_back_on_error(place):
        await _still_there(request, tenant)
        place.outbox.begin_with(map(message_of_event, await _firing(backend, tenant)))
        return await opened(request, place, _pinging)


@routes.socket("/ws/fleet", Permission.READ, hears=(Ping, WithoutEffect), says=(FleetChanges, Pong))
async def fleet(request: web.Request) -> web.StreamResponse:
    """All tenants that the caller may see: each row of the summary that changes, within two seconds.

    Open it first, and ask for the summary then: so no change is missed.
    """
    backend, clock = backend_of(request), request.app[CONTEXT].clock

    async def ask(numbers: Collection[int] | None) -> Look:
        now = clock.now()
        return Look(
            now, {t.key: (t.tenant_id, row) for t, *_, row in await rows_of(backend, FLEET, numbers, now)}
        )

    place = backend.hub.oversee(session_of(request, ALL_TENANTS, ""), ask)
    with given_back_on_error(place):
        await place.broadcast.begin()
        return await opened(request, place, _pinging)


def _pinging(_: Listening | Overseeing, message: Any) -> Pong | None:
    return only_ping(message)


async def _firing(backend: Backend, tenant: Tenant) -> list[AlertEvent]:
    """The events by which the rules that are firing began to, and of those that flap the newest."""
    standing = [r for r in await backend.alerts.rules(tenant) if _is_open(r.state)]
    firing, flapping = (
        {r.alert_id for r in standing if r.state.flapping is flaps} for flaps in (False, True)
    )
    recent = await backend.alerts.recent_events(tenant, RECENT_EVENTS) if standing else []
    newest = {e.alert_id: e.event_id for e in reversed(recent) if e.alert_id in flapping}
    return [
        e
        for e in reversed(recent)
        if (e.alert_id in firing and e.to_state == "firing") or newest.get(e.alert_id) == e.event_id
    ]


def _is_open(state: RuleState) -> bool:
    return state.status is RuleStatus.FIRING or state.flapping
