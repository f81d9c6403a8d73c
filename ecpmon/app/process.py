"""One process that serves: from its settings until it is asked to stop."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from ecpmon.app import MACHINE, RUNTIMES, computing, create_app
from ecpmon.app.late import load_late
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.collectors.rules import load_sli_rules
from ecpmon.compute import Hands
from ecpmon.local.machine import socket_of
from ecpmon.local.service_manager import ServiceManager, report
from ecpmon.logs import configure_logging
from ecpmon.serving import Runner, check_settings, raise_file_limit, stop_on_signals
from ecpmon.settings import Settings
from ecpmon.statements.terms import load_terms
from ecpmon.storage.queries import files, load
from ecpmon.tasks import end
from ecpmon.watchdog import Watchdog

_log = structlog.get_logger(__name__)
SWITCH_SECONDS: Final = 0.0001
# Kubernetes kills after 30 s; the default of aiohttp is 60.
SHUTDOWN_SECONDS: Final = 13.0
# Objects more than were freed, after which young garbage is looked for.
GARBAGE: Final = 10_000


async def _create_watched(settings: Settings, hands: Hands | None) -> web.Application:
    """The application with a watchdog over it, which is the last to go."""
    app = await create_app(settings, hands=hands)
    if settings.watchdog_seconds:
        app.cleanup_ctx.insert(0, _watched(settings.watchdog_seconds))
    return app


def _watched(seconds: float) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        watchdog = Watchdog(asyncio.get_running_loop(), seconds)
        watchdog.start()
        yield
        watchdog.stop()

    return context


def run(settings: Settings, manager: ServiceManager | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C. `manager` is told when we are ready, and that we are alive."""
    check_settings(settings)
    # Before there is a thread, a loop or a connection. A worker answers nobody: it has them for the mail it composes.
    needs_hands = settings.role != "worker" or settings.smtp_host is not None
    hands = computing.processes(settings) if needs_hands else None
    stream = configure_logging(settings)
    raise_file_limit()
    _log.info("starting", host=settings.host, port=settings.port, auth=settings.auth)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(settings, hands, manager or ServiceManager()))
    finally:
        stream.close()


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed (`pip install 'ecpmon[fast]'`), else Python's own."""
    try:
        made: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    except ImportError:
        return asyncio.new_event_loop()
    return made


def read_ahead() -> None:
    """What every process reads of our own files, for those that are forked from this one."""
    load_sli_rules()
    load_terms()
    load_objectives()
    for file in files():
        load(file)
    with suppress(ImportError):
        importlib.import_module("uvloop")


def settle() -> None:
    """Shorten what holds the event loop for nothing.

    What has been made by now stays: full collections need not look at it again and again, for 40 ms with nothing but
    our modules.
    """
    gc.collect()
    gc.freeze()
    # Requests under way are some thousand objects: to look through them at every 700th costs a push a twentieth.
    gc.set_threshold(GARBAGE, 10, 10)
    # The loop waits so long at most for a thread that computes.
    sys.setswitchinterval(SWITCH_SECONDS)


async def _serve(settings: Settings, hands: Hands | None, manager: ServiceManager) -> None:
    stopped = asyncio.Event()
    stop_on_signals(stopped)
    runner = Runner(
        await _create_watched(settings, hands), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    try:
        await runner.setup()
        settle()
        if settings.role != "worker" or settings.run_dir is None:
            # Fronts share a port; a worker that is watched has no need of one.
            shared = settings.role == "front" or None
            await web.TCPSite(runner, settings.host, settings.port, reuse_port=shared).start()
        late = asyncio.create_task(load_late(), name="late-imports") if settings.role != "worker" else None
        reports = asyncio.create_task(report(manager, lambda: _is_ready(runner.app)), name="service-manager")
        async with _told_to_neighbours(runner.app, settings.run_dir):
            await stopped.wait()
        await end(reports)
        manager.stopping()
        await end(late)
    finally:
        await runner.cleanup()


async def _is_ready(app: web.Application) -> bool:
    """As `/ready` has it, without the issuer, which makes nobody less ready."""
    return all([(await runtime.readiness.ready())["ok"] for runtime in app[RUNTIMES]])


@asynccontextmanager
async def _told_to_neighbours(app: web.Application, run_dir: Path | None) -> AsyncIterator[None]:
    """Meanwhile the other processes of the machine can ask us."""
    if run_dir is None:
        yield
        return
    runner = web.AppRunner(app[MACHINE], access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.UnixSite(runner, socket_of(run_dir, os.getpid())).start()
        yield
    finally:
        await runner.cleanup()
