"""WebSockets: live metrics, the same with SLA figures, and alerts (api.md §8)."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import web

from ecpmon.api.auth import session_of
from ecpmon.api.common import backend_of, now_of, percent, stored_tenant, tenant_of, worked_out_for
from ecpmon.api.context import CONTEXT, Backend
from ecpmon.api.conversing import Conversation
from ecpmon.api.events import message_of_event
from ecpmon.api.frames import Line
from ecpmon.api.live import Subscription
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.sockets import close, open_socket
from ecpmon.api.subscriptions import only_ping, take
from ecpmon.errors import EcpError, TenantNotFound
from ecpmon.model.alerts import RuleStatus
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.service import Clock
from ecpmon.sla import sums
from ecpmon.sla.maintenance import effort
from ecpmon.sla.terms import terms_of

routes = Routes()
_log = structlog.get_logger(__name__)
SEED_WINDOW: Final = timedelta(minutes=5)
RECENT_EVENTS: Final = 1_000
SLA_WINDOW: Final = ("24h",)
REALTIME_METRICS: Final = frozenset({"cpu", "memory", "network_rps", "response_time", "error_rate", "up"})


async def refuse(request: web.Request, code: int, reason: str) -> web.WebSocketResponse:
    """Accept the upgrade, then close with a code that a browser can see."""
    socket = await open_socket(request)
    await close(socket, request, code, reason)
    return socket


async def close_all(app: web.Application) -> None:
    """The server stops: every socket is closed with 1001."""
    context = app[CONTEXT]
    for backend in (context.production, context.demo):
        if backend is not None:
            backend.hub.close()


@routes.socket("/ws/monitoring/{tenant_id}", Permission.READ)
async def monitoring(request: web.Request) -> web.WebSocketResponse:
    """Live metrics of a tenant; a change of its availability is told at once."""
    return await _metrics_socket(request, Subscription(None), figured=False)


@routes.socket("/api/v1/simulator/realtime/{tenant_id}", Permission.READ)
async def realtime(request: web.Request) -> web.WebSocketResponse:
    """Live metrics with the SLA figures of the last 24 hours."""
    return await _metrics_socket(request, Subscription(REALTIME_METRICS), figured=True)


async def _metrics_socket(
    request: web.Request, subscription: Subscription, *, figured: bool
) -> web.WebSocketResponse:
    tenant = await tenant_of(request)
    backend, session = backend_of(request), session_of(request, tenant.key, tenant.tenant_id)
    with backend.hub.watch(session, subscription, figured=figured) as (feed, watcher):
        await _still_there(request, tenant)
        async with feed.seeding:  # of sockets that open together one asks
            if not feed.seeded:
                now = now_of(request)
                feed.seed(await backend.monitoring.latest(tenant, now - SEED_WINDOW, now))
        if figured:
            ask = partial(_sla_figures, backend, request.app[CONTEXT].clock, tenant)
            feed.figured.figures = partial(feed.figures.get, tenant.key, ask)
        broadcast = feed.figured if figured else feed.live
        socket = await open_socket(request)
        await broadcast.open(watcher, Line(request.transport))
        told = partial(broadcast.subscribed, watcher)
        talk = Conversation(request, socket, session, watcher, partial(take, subscription), told)
        ending = await talk.hold()
        broadcast.leave(watcher)
        await talk.close(*ending)
        return socket


async def _still_there(request: web.Request, tenant: Tenant) -> None:
    """The tenant may have been deleted, and made anew, before we could be told so. Raises TenantNotFound."""
    if (await stored_tenant(request)).key != tenant.key:
        raise TenantNotFound(tenant.tenant_id)


async def _sla_figures(backend: Backend, clock: Clock, tenant: Tenant) -> dict[str, Any] | None:
    """`sla_data` of the messages; None: not known right now, and the metrics go on."""
    now = clock.now()
    try:
        planned = await backend.maintenance.of_tenant(tenant)
        terms = await worked_out_for(
            backend, tenant, effort(planned), terms_of, tenant, planned, now, backend.intervals
        )
        asked = {tenant.tenant_id: sums.intervals_for(now, terms, SLA_WINDOW)}
        tallies = await backend.window_sums.tallies(asked, now)
        before = await backend.availability.statuses(tenant)
    except EcpError as error:
        _log.warning("sla_figures_not_told", tenant=tenant.tenant_id, error=error.message)
        return None
    [found] = sums.standing(
        tallies.get(tenant.tenant_id, {}), now, tenant.sla_target.fraction, before, terms, SLA_WINDOW
    )
    return {
        "availability": percent(found.availability),
        "status": found.status.value,
        "uptime_percentage": percent(found.availability),
        "downtime_minutes": found.tally.down / 60,
    }


@routes.socket("/ws/alerts/{tenant_id}", Permission.READ)
async def alerts(request: web.Request) -> web.WebSocketResponse:
    """Alerts of a tenant: first what is firing, then every change."""
    tenant = await tenant_of(request)
    backend, session = backend_of(request), session_of(request, tenant.key, tenant.tenant_id)
    with backend.hub.listen(session) as (broadcast, listener):
        await _still_there(request, tenant)
        listener.begin_with(map(message_of_event, await _firing(backend, tenant)))
        socket = await open_socket(request)
        await broadcast.open(listener, Line(request.transport))
        talk = Conversation(request, socket, session, listener, only_ping)
        ending = await talk.hold()
        broadcast.leave(listener)
        await talk.close(*ending)
        return socket


async def _firing(backend: Backend, tenant: Tenant) -> list[AlertEvent]:
    """The events by which the rules that are firing began to."""
    firing = {r.alert_id for r in await backend.alerts.rules(tenant) if r.state.status is RuleStatus.FIRING}
    recent = await backend.alerts.recent_events(tenant, RECENT_EVENTS) if firing else []
    return [e for e in reversed(recent) if e.alert_id in firing and e.to_state == "firing"]
