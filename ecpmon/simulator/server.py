"""The simulator's process: routes, ticker, start and stop."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from ecpmon.openapi.described import DESCRIPTION, Description
from ecpmon.serving import Runner, stop_on_signals
from ecpmon.simulator import (
    routes_dashboard,
    routes_failures,
    routes_pages,
    routes_reading,
    routes_tenants,
    routes_time,
)
from ecpmon.simulator.engine import Engine, EngineOptions, open_engine
from ecpmon.simulator.exporters.serving import listening
from ecpmon.simulator.kube.announcing import announced
from ecpmon.simulator.kube.routes import add_kube_routes
from ecpmon.simulator.routing import DEMO_PATH, Route, add_routes
from ecpmon.simulator.snapshot import SnapshotStore
from ecpmon.simulator.web import ENGINE, errors_and_ids
from ecpmon.tasks import end

log = logging.getLogger("ecpmon.simulator")

DEFAULT_PORT: Final = 6360
MAX_BODY: Final = 4 * 1024**2
# New objects after which the youngest are looked through for what nobody holds.
_GARBAGE: Final = 10_000
# Listening on everything is listening on these as well.
_LOOPBACK: Final = ("127.0.0.1", "localhost")

# Of every cluster.
_OF_CLUSTER: Final = (
    routes_reading.routes,
    routes_tenants.routes,
    routes_failures.routes,
    routes_time.routes,
    routes_dashboard.routes,
)


def route_table() -> list[Route]:
    """Every route of the REST interface; those of the Kubernetes API are Kubernetes' own."""
    return [route for module in (*_OF_CLUSTER, routes_pages.routes) for route in module.table]


def create_app(engine: Engine, demo: Engine | None = None) -> web.Application:
    """The application around `engine`; it owns the ticker and closes the engine when it stops.

    `demo`: another cluster, which has nothing in common with the first, under `/demo`; without its Kubernetes API.
    """
    # Bodies are taken as they are: what aiohttp cannot decode would end in words of its own.
    handler_args = {"auto_decompress": False}
    app = web.Application(middlewares=[errors_and_ids], client_max_size=MAX_BODY, handler_args=handler_args)
    _add_cluster(app, engine, "")
    add_kube_routes(app, engine)
    add_routes(app, routes_pages.routes)
    app[DESCRIPTION] = Description(partial(_document, demo=demo is not None))
    if demo is not None:
        under = web.Application()
        _add_cluster(under, demo, "../")
        app.add_subapp(DEMO_PATH, under)
    return app


def _document(*, demo: bool) -> dict[str, Any]:
    from ecpmon.simulator.openapi import document

    return document(route_table(), demo=demo)


def _add_cluster(app: web.Application, engine: Engine, root: str) -> None:
    """The calls about one cluster, which lives as long as the application. `root`: from its page to ours."""
    app[ENGINE] = engine
    app[routes_dashboard.ROOT] = root
    add_routes(app, *_OF_CLUSTER)
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


def _settle() -> None:
    """What has been made by now stays: full collections need not look at it, 20 ms with a thousand pods."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 10, 10)


async def _listen_for_exporters(runner: web.BaseRunner, engine: Engine, port: int) -> None:
    """At loopback addresses beside the one that was asked for; not every system has them."""
    for address in listening(engine.current):
        try:
            await web.TCPSite(runner, address, port).start()
        except OSError as error:
            log.warning("exporters answer through the API server's proxies alone: %s", error)
            return


async def _listen_by_tls(runner: web.BaseRunner, host: str, port: int, folder: Path) -> None:
    from ecpmon.simulator.tls import context_of

    context = await asyncio.to_thread(context_of, folder, host)
    await web.TCPSite(runner, host, port, ssl_context=context).start()
    log.info("and on https://%s:%s, by a certificate that signs itself", host, port)


async def serve(
    host: str,
    port: int,
    state_dir: Path | str,
    *,
    seed: int = 1,
    speed: float = 1.0,
    manual_clock: bool = False,
    nodes: int = 4,
    tls_port: int | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or cancellation; the state is kept in `state_dir`. `tls_port`: the same by TLS there.

    Raises StateUnusable when the folder cannot be used and OSError when the port is taken.
    """
    options = EngineOptions(seed, speed, manual_clock, nodes)
    engine, demo = _open(Path(state_dir), options), _open(Path(state_dir) / "demo", options)
    runner = Runner(create_app(engine, demo), access_log=None, shutdown_timeout=5.0)
    stopped = asyncio.Event()
    try:
        await runner.setup()
        await engine.command(lambda state: (announced(state, port), None))
        await web.TCPSite(runner, host, port).start()
        if host in _LOOPBACK:
            await _listen_for_exporters(runner, engine, port)
        if tls_port is not None:
            await _listen_by_tls(runner, host, tls_port, Path(state_dir))
        stop_on_signals(stopped)
        _settle()
        log.info("simulator listens on http://%s:%s (docs at /docs)", host, port)
        await stopped.wait()
    finally:
        await runner.cleanup()
