"""WebSockets: live metrics, the same with SLA figures, and alerts (api.md §8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from aiohttp import web

from ecpmon.api.auth import session_of
from ecpmon.api.common import backend_of, now_of, percent, tenant_of, worked_out
from ecpmon.api.context import CONTEXT, Backend
from ecpmon.api.conversing import Conversation
from ecpmon.api.entries import Slices
from ecpmon.api.events import message_of_event
from ecpmon.api.hub import ChangeOutbox, Feed
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.sockets import close, open_socket, send
from ecpmon.api.subscriptions import Subscription, only_ping
from ecpmon.errors import DatabaseUnavailable, Overloaded, TenantNotFound
from ecpmon.model.alerts import RuleStatus
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent
from ecpmon.sla import sums
from ecpmon.sla.maintenance import effort
from ecpmon.sla.terms import terms_of

routes = Routes()
SEED_WINDOW: Final = timedelta(minutes=5)
RECENT_EVENTS: Final = 1_000
SLA_WINDOW: Final = ("24h",)
# Seconds without another message about metrics, but for a change of state: a short and a long message.
SHORT_REST: Final = 0.1
LONG_REST: Final = 1.0
SHORT_MESSAGE: Final = 50  # metrics
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
    return await _metrics_socket(request, Subscription(None), with_sla=False)


@routes.socket("/api/v1/simulator/realtime/{tenant_id}", Permission.READ)
async def realtime(request: web.Request) -> web.WebSocketResponse:
    """Live metrics with the SLA figures of the last 24 hours."""
    return await _metrics_socket(request, Subscription(REALTIME_METRICS), with_sla=True)


async def _metrics_socket(
    request: web.Request, subscription: Subscription, *, with_sla: bool
) -> web.WebSocketResponse:
    tenant = await tenant_of(request)
    backend, session = backend_of(request), session_of(request, tenant.key, tenant.tenant_id)
    with backend.hub.watch(session) as (feed, outbox):
        await _still_there(request, tenant)
        async with feed.seeding:  # of sockets that open together one asks
            if not feed.seeded:
                now = now_of(request)
                feed.seed(await backend.monitoring.latest(tenant, now - SEED_WINDOW, now))
        socket = await open_socket(request)
        talk = Conversation(request, socket, session, outbox, subscription.take)

        async def compose(state: str | None) -> dict[str, Any]:
            message = metrics_message(feed, subscription, state, request)
            if with_sla:
                message["sla_data"] = await feed.figures.get(tenant.key, partial(_sla_data, request, tenant))
            return message

        def rest() -> float:
            wanted = subscription.metrics
            size = feed.size if wanted is None else len(wanted)
            return SHORT_REST if size <= SHORT_MESSAGE else LONG_REST

        await talk.hold(_send_metrics(socket, outbox, subscription, talk.changed, compose, rest, talk.limit))
        return socket


async def _still_there(request: web.Request, tenant: Tenant) -> None:
    """The tenant may have been deleted, and made anew, before we could be told so. Raises TenantNotFound."""
    if (await tenant_of(request)).key != tenant.key:
        raise TenantNotFound(tenant.tenant_id)


def metrics_message(
    feed: Feed, subscription: Subscription, state: str | None, request: web.Request
) -> dict[str, Any]:
    """The newest values; with `state` it is the message about a change and `up` is part of it in any case."""
    metrics = feed.values(subscription.metrics)
    message = {"timestamp": feed.newest() or now_of(request), "tenant_id": feed.tenant_id, "metrics": metrics}
    if state is not None:
        metrics["up"] = 1.0 if state == "up" else 0.0
        message["state"] = state
    return message


async def _send_metrics(
    socket: web.WebSocketResponse,
    outbox: ChangeOutbox,
    subscription: Subscription,
    changed: asyncio.Event,
    compose: Callable[[str | None], Awaitable[dict[str, Any]]],
    rest: Callable[[], float],
    limit: float,
) -> None:
    """A message now, then one per interval; a state change is told at once, new subscriptions after the rest."""
    states: list[str | None] = [None]
    while True:
        for state in states:
            await send(socket, await compose(state), limit)
        states = await _next_states(outbox, subscription, changed, rest())


async def _first_of(*events: asyncio.Event, timeout: float | None) -> None:
    waits = {asyncio.ensure_future(event.wait()) for event in events}
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _next_states(
    outbox: ChangeOutbox, subscription: Subscription, changed: asyncio.Event, rest: float
) -> list[str | None]:
    """Wait for a state change or, once `rest` seconds are over, for the next interval or a new subscription."""
    await _first_of(outbox.wake, timeout=rest)
    if not outbox.wake.is_set():
        interval = subscription.interval
        await _first_of(outbox.wake, changed, timeout=None if interval is None else max(0.0, interval - rest))
    resubscribed = changed.is_set()
    changed.clear()
    found: list[str | None] = [change.state.value for change in outbox.take()]
    if found:
        return found
    # Silence was asked for: the interval never ends, and only changes are told.
    return [None] if subscription.interval is not None or not resubscribed else []


async def _sla_data(request: web.Request, tenant: Tenant) -> dict[str, Any] | None:
    now, backend = now_of(request), backend_of(request)
    try:
        planned = await backend.maintenance.of_tenant(tenant)
        terms = await worked_out(
            request, tenant, effort(planned), terms_of, tenant, planned, now, backend.intervals
        )
        asked = {tenant.tenant_id: sums.intervals_for(now, terms, SLA_WINDOW)}
        tallies = await backend.window_sums.tallies(asked, now)
        before = await backend.availability.statuses(tenant)
    except (DatabaseUnavailable, Overloaded):
        return None  # not known right now; the metrics go on
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
    with backend.hub.listen(session) as outbox:
        await _still_there(request, tenant)
        firing = await _firing(backend, tenant)
        socket = await open_socket(request)

        async def sending() -> None:
            slices = Slices()
            for event in firing:
                await send(socket, message_of_event(event), backend.hub.send_timeout)
                await slices.pause()
            while True:
                await outbox.wake.wait()
                for message in outbox.take():
                    await send(socket, message, backend.hub.send_timeout)
                    await slices.pause()

        await Conversation(request, socket, session, outbox, only_ping).hold(sending())
        return socket


async def _firing(backend: Backend, tenant: Tenant) -> list[AlertEvent]:
    """The events by which the rules that are firing began to."""
    firing = {r.alert_id for r in await backend.alerts.rules(tenant) if r.state.status is RuleStatus.FIRING}
    recent = await backend.alerts.recent_events(tenant, RECENT_EVENTS) if firing else []
    return [e for e in reversed(recent) if e.alert_id in firing and e.to_state == "firing"]
