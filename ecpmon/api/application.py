"""The aiohttp application: every route of every module, behind the middlewares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from aiohttp import web

from ecpmon.agents.memory import Memory
from ecpmon.agents.totals import Totals
from ecpmon.api import (
    acknowledging,
    alerts,
    audit,
    backtest,
    contracts,
    deployments,
    described,
    discovery,
    evidence_profiles,
    exclusions,
    health,
    incidents,
    maintenance,
    maintenance_preview,
    manifest_preview,
    manifests,
    monitoring,
    objectives,
    operating,
    operations,
    otlp,
    pages,
    pushing,
    received_alerts,
    recommendations,
    recoveries,
    remote_write,
    silences,
    simulator,
    sla,
    sla_annotations,
    statement_mail,
    statements,
    status_pages,
    status_public,
    summary,
    tenant_deletion,
    tenant_update,
    tenants,
    tokens,
    webhook_keys,
    webhooks,
    websockets,
    whoami,
)
from ecpmon.api.addresses import PROXIES, Proxies
from ecpmon.api.agents import CHOICES, MEMORY
from ecpmon.api.context import CONTEXT, ApiContext
from ecpmon.api.direct import DirectPushes
from ecpmon.api.direct_questions import DirectQuestions
from ecpmon.api.exposition import PAGES, Expose, Pages
from ecpmon.api.heartbeats import HEARTBEATS, Heartbeats
from ecpmon.api.limits import LIMITS, Limits
from ecpmon.api.middleware import ROUTES, envelope, gate
from ecpmon.api.origins import ORIGINS, Origins
from ecpmon.api.routing import Permission, Route
from ecpmon.api.status_reading import STATUS_PAGES, StatusPages
from ecpmon.ledger import Ledger
from ecpmon.openapi.described import DESCRIPTION, Description
from ecpmon.pathwords import add_table
from ecpmon.serving import WAY, Way

_MODULES = (
    # Before the rules of alerts, one of which could have that name.
    received_alerts,
    acknowledging,
    alerts,
    audit,
    backtest,
    contracts,
    deployments,
    described,
    discovery,
    evidence_profiles,
    exclusions,
    health,
    incidents,
    maintenance,
    maintenance_preview,
    manifest_preview,
    manifests,
    monitoring,
    objectives,
    operating,
    operations,
    otlp,
    pages,
    pushing,
    recommendations,
    recoveries,
    remote_write,
    silences,
    simulator,
    sla,
    sla_annotations,
    statement_mail,
    statements,
    status_pages,
    status_public,
    summary,
    tenant_deletion,
    tenant_update,
    tenants,
    tokens,
    webhook_keys,
    webhooks,
    websockets,
    whoami,
)


def route_table() -> list[Route]:
    """Every route there is."""
    return [route for module in _MODULES for route in module.routes.table]


def _document(table: Sequence[Route]) -> dict[str, Any]:
    from ecpmon.api.openapi.document import document

    return document(table)


def create_api(
    context: ApiContext,
    *,
    operations_only: bool = False,
    expose: Expose | None = None,
    ledger: Ledger | None = None,
) -> web.Application:
    """The API around `context`. Whoever calls this starts and stops what is behind it.

    `operations_only`: health, readiness and metrics, for a process that answers nobody else. `expose` as for `Pages`,
    `ledger` as for `Limits`.
    """
    # Bodies are decoded by us (`bodies`). Who sends on after a refusal is listened to for a moment only.
    handler_args = {"auto_decompress": False, "lingering_time": 2.0}
    app = web.Application(middlewares=[envelope, gate], handler_args=handler_args)
    table = list(health.routes.table) if operations_only else route_table()
    app[CONTEXT] = context
    app[HEARTBEATS] = Heartbeats()
    app[PROXIES] = Proxies(context.settings.trusted_proxies)
    app[ORIGINS] = Origins(context.settings.cors_origins, context.settings.external_url)
    if app[ORIGINS]:
        app.on_response_prepare.append(app[ORIGINS].mark)
    app[LIMITS] = Limits(context.settings, ledger)
    app[MEMORY] = [Memory()]
    app[CHOICES] = {}
    app[otlp.TOTALS] = Totals()
    app[PAGES] = Pages(context.telemetry, timedelta(seconds=context.settings.metrics_max_age), expose)
    app[DESCRIPTION] = Description(partial(_document, table))
    app[STATUS_PAGES] = StatusPages(context)
    app[ROUTES] = {route.handler: route for route in table}
    add_table(app.router, table, {route.path for route in table if route.permission is Permission.INGEST})
    usual = context.demo if context.settings.demo_mode_default else context.production
    if usual is not None and not operations_only:
        pushes, questions = DirectPushes(app, usual), DirectQuestions(app, usual)
        app[WAY] = Way(pushes.way, {b"POST": pushes.short, b"GET ": questions.short})
    app.on_shutdown.append(websockets.close_all)
    app.on_cleanup.append(_close_pages)
    return app


async def _close_pages(app: web.Application) -> None:
    await app[PAGES].close()
