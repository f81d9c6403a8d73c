"""The simulator's process: routes, ticker, start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ecpmon.serving import Runner, stop_on_signals
from ecpmon.simulator import routes_reading, routes_tenants, routes_time
from ecpmon.simulator.engine import Engine, EngineOptions, open_engine
from ecpmon.simulator.kube.routes import add_kube_routes
from ecpmon.simulator.snapshot import SnapshotStore
from ecpmon.simulator.web import ENGINE, errors_and_ids
from ecpmon.tasks import end

log = logging.getLogger("ecpmon.simulator")

DEFAULT_PORT: Final = 6360
MAX_BODY: Final = 4 * 1024**2
DEMO_PATH: Final = "/demo"

_ROUTES: Final[tuple[tuple[str, str, Handler, str], ...]] = (
    ("GET", "/health", routes_reading.health, "the process is alive"),
    (
        "GET",
        "/metrics",
        routes_reading.prometheus,
        "Prometheus text exposition; ?tenant_id=&service= of one tenant, of one service of it",
    ),
    (
        "GET",
        "/api/metrics",
        routes_reading.custom_metrics,
        "numbers of every tenant with its availability of the last 24 hours: a custom API endpoint",
    ),
    ("GET", "/api/v1/tenants", routes_tenants.list_all, "all tenants"),
    ("GET", "/api/v1/tenants/{tenant_id}", routes_tenants.get_one, "services, pods and why they wait"),
    (
        "PUT",
        "/api/v1/tenants/{tenant_id}",
        routes_tenants.put_one,
        "deploy: {services:[{name, replicas, cpu_millicores, memory_mib, gpu, sessions, startup_seconds?}]}",
    ),
    ("DELETE", "/api/v1/tenants/{tenant_id}", routes_tenants.delete_one, "remove the tenant and its truth"),
    ("GET", "/api/v1/metrics", routes_reading.all_metrics, "numbers of every tenant"),
    ("GET", "/api/v1/metrics/system", routes_reading.system_metrics, "capacity and use of the cluster"),
    (
        "POST",
        "/api/v1/metrics/system",
        routes_reading.system_metrics_among,
        "the same as far as some tenants use it: {tenants}",
    ),
    ("GET", "/api/v1/metrics/{tenant_id}", routes_reading.tenant_metrics, "numbers of one tenant"),
    (
        "POST",
        "/api/v1/tenants/{tenant_id}/restart",
        routes_tenants.post_restart,
        "new pods for every service, rolled in: {restarted_at}; the same time again changes nothing",
    ),
    ("POST", "/api/v1/external-metrics", routes_tenants.post_external, "{tenant_id, source, metrics}"),
    ("GET", "/api/v1/failures/types", routes_tenants.failure_types, "what can go wrong"),
    ("GET", "/api/v1/failures/{tenant_id}", routes_tenants.list_failures, "active and scheduled failures"),
    (
        "POST",
        "/api/v1/failures/{tenant_id}",
        routes_tenants.post_failure,
        "{failure_type, duration_seconds?, severity?, target_service?, reach?}; with reach `tenant` nothing that "
        "tenants share is touched",
    ),
    (
        "DELETE",
        "/api/v1/failures/{tenant_id}",
        routes_tenants.delete_failures,
        "end all of them now; ?reach=",
    ),
    ("GET", "/api/v1/scenarios", routes_tenants.list_scenarios, "timed failures that ship with us"),
    (
        "POST",
        "/api/v1/scenarios/{tenant_id}",
        routes_tenants.post_scenario,
        "{scenario} or {steps:[{at, failure_type, duration?, severity?, target_service?}]}, reach?; seconds from now",
    ),
    ("GET", "/api/v1/truth/{tenant_id}", routes_reading.truth, "exact up and down intervals; ?from=&to="),
    ("GET", "/api/v1/clock", routes_time.get_clock, "simulated time"),
    ("POST", "/api/v1/clock/advance", routes_time.advance, "manual clock: {seconds} or {to}"),
    ("POST", "/api/v1/clock/set", routes_time.set_now, "manual clock, before any tenant: {to}"),
    (
        "POST",
        "/api/v1/history",
        routes_time.history,
        "NDJSON of the past, and its truth: {duration_seconds, interval_seconds, tenants, end?}",
    ),
)


def create_app(engine: Engine, demo: Engine | None = None) -> web.Application:
    """The application around `engine`; it owns the ticker and closes the engine when it stops.

    `demo`: another cluster, which has nothing in common with the first, under `/demo`; without its Kubernetes API.
    """
    # Bodies are taken as they are: what aiohttp cannot decode would end in words of its own.
    handler_args = {"auto_decompress": False}
    app = web.Application(middlewares=[errors_and_ids], client_max_size=MAX_BODY, handler_args=handler_args)
    _add_cluster(app, engine)
    add_kube_routes(app, engine)
    if demo is not None:
        under = web.Application()
        _add_cluster(under, demo)
        app.add_subapp(DEMO_PATH, under)
    endpoints = [(method, path, summary) for method, path, _, summary in _ROUTES]
    endpoints += [
        ("GET", "/kubeconfig", "for kubectl: the same cluster as a Kubernetes API"),
        ("*", "/api/v1/{pods,nodes,namespaces,…}, /apis/…", "the Kubernetes API"),
    ]
    page = routes_reading.docs_page([("GET", "/docs", "this page"), *endpoints])

    async def docs(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    app.router.add_get("/docs", docs)
    return app


def _add_cluster(app: web.Application, engine: Engine) -> None:
    """The calls about one cluster, which lives as long as the application."""
    app[ENGINE] = engine
    for method, path, handler, _ in _ROUTES:
        app.router.add_route(method, path, handler)
    app.cleanup_ctx.append(_ticking)


async def _ticking(app: web.Application) -> AsyncIterator[None]:
    ticker = asyncio.create_task(app[ENGINE].run(), name="simulator-ticker")
    yield
    await end(ticker)
    await app[ENGINE].close()


def _open(state_dir: Path, options: EngineOptions) -> Engine:
    """The cluster that the folder keeps. Raises StateUnusable."""
    store = SnapshotStore(state_dir)
    try:
        return open_engine(store, options)
    except BaseException:
        store.close()
        raise


async def serve(
    host: str,
    port: int,
    state_dir: Path | str,
    *,
    seed: int = 1,
    speed: float = 1.0,
    manual_clock: bool = False,
    nodes: int = 4,
) -> None:
    """Serve until SIGTERM, SIGINT or cancellation; the state is kept in `state_dir`.

    Raises StateUnusable when the folder cannot be used and OSError when the port is taken.
    """
    options = EngineOptions(seed, speed, manual_clock, nodes)
    engine, demo = _open(Path(state_dir), options), _open(Path(state_dir) / "demo", options)
    runner = Runner(create_app(engine, demo), access_log=None, shutdown_timeout=5.0)
    stopped = asyncio.Event()
    try:
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        stop_on_signals(stopped)
        log.info("simulator listens on http://%s:%s (docs at /docs)", host, port)
        await stopped.wait()
    finally:
        await runner.cleanup()
