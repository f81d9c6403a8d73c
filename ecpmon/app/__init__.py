"""The composition root: settings become a running service, started and stopped in order."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp
import structlog
from aiohttp import web

from ecpmon.api.application import create_api
from ecpmon.api.context import ApiContext, Backend, DebugTimer
from ecpmon.api.hub import Hub
from ecpmon.api.machine import MachineMetrics, machine_api
from ecpmon.api.session_check import SECONDS as CHECK_SECONDS
from ecpmon.api.session_check import SessionCheck
from ecpmon.api.sessions import Admissions, SocketLimits
from ecpmon.app import computing
from ecpmon.app.backend import BackendRuntime
from ecpmon.app.canary import LoopCanary
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.app.socketfeed import SocketFeed
from ecpmon.collectors.rules import load_sli_rules
from ecpmon.compute import Hands
from ecpmon.compute.processes import Processes
from ecpmon.compute.threads import Threads
from ecpmon.jobs import Job
from ecpmon.ledger import Ledger
from ecpmon.local.machine import socket_of
from ecpmon.logs import configure_logging
from ecpmon.model.roles import Role
from ecpmon.ports.service import Clock
from ecpmon.serving import Runner, check_settings, raise_file_limit, stop_on_signals
from ecpmon.settings import Settings
from ecpmon.statements.terms import load_terms
from ecpmon.storage.queries import files, load
from ecpmon.storage.sessions import QueryStats, query_stats
from ecpmon.telemetry import Telemetry
from ecpmon.watchdog import Watchdog
from ecpmon.workers import Workers

_log = structlog.get_logger(__name__)
SWITCH_SECONDS = 0.0001
# Kubernetes kills after 30 s; the default of aiohttp is 60.
SHUTDOWN_SECONDS = 15.0

RUNTIMES: web.AppKey[list[BackendRuntime]] = web.AppKey("runtimes", list)
# What the other processes of the machine are answered.
MACHINE: web.AppKey[web.Application] = web.AppKey("machine", web.Application)


class SystemClock:
    """The only reader of the system's clock in a running service."""

    def now(self) -> datetime:
        return datetime.now(UTC)


async def create_app(
    settings: Settings, clock: Clock | None = None, *, run_jobs: bool = True, hands: Hands | None = None
) -> web.Application:
    """The whole service as an aiohttp application; its cleanup context starts and stops what it needs.

    With `run_jobs` False nobody turns the jobs but the caller (`app[RUNTIMES]`). `hands` compute what people ask for;
    None: threads that are given what processes would be.
    """
    check_settings(settings)
    # One process that is all, whoever else may be started by the setting's default.
    role = Role.ALL if settings.role == "supervised" else Role(settings.role)
    the_clock = clock or SystemClock()
    telemetry, rules = Telemetry(), load_sli_rules()
    session = aiohttp.ClientSession(trust_env=False)
    workers = Workers(
        hands or Threads(settings.compute_processes, as_processes=True), patience=settings.work_deadline
    )
    threads = Workers(Threads(1), patience=settings.work_deadline)
    telemetry.compute_waiting.set_function(lambda: workers.waiting)
    telemetry.compute_running.set_function(lambda: workers.running)
    if isinstance(hands, Processes):
        hands.on_end = lambda why: telemetry.compute_ended.labels(why).inc()

    admissions = _admissions(settings, telemetry)
    check = SessionCheck(the_clock, lambda over: telemetry.sockets_ended.labels(over).inc())
    sockets = Job("sockets", CHECK_SECONDS, check.run_once, everywhere=True)
    feeds: list[SocketFeed] = []

    def runtime(url: str, *, demo: bool) -> tuple[BackendRuntime, Backend]:
        hub = Hub(admissions=admissions, now=the_clock.now)
        made = BackendRuntime(
            url, settings=settings, clock=the_clock, rules=rules, telemetry=telemetry, session=session,
            workers=workers, threads=threads, demo=demo, on_commit=hub.samples_committed, on_event=hub.alert,
            more_jobs=() if demo or not role.answers else (sockets,), role=role,
        )  # fmt: skip
        backend = _backend(made, hub)
        check.add(backend)
        feeds.append(_feed(made, hub, the_clock, check))
        return made, backend

    made = [runtime(_url(settings, demo=False), demo=False)]
    if settings.demo_database_url:
        made.append(runtime(_url(settings, demo=True), demo=True))
    runtimes = [r for r, _ in made]
    context = ApiContext(
        settings=settings,
        clock=the_clock,
        production=made[0][1],
        demo=made[1][1] if len(made) > 1 else None,
        telemetry=telemetry,
        timer=DebugTimer(_start_timer, _read_timer),
    )
    machine = MachineMetrics(telemetry, settings.run_dir) if settings.run_dir else None
    expose = machine.exposition if machine else None
    rates = _ledger(settings, "rates")
    app = create_api(context, operations_only=not role.answers, expose=expose, ledger=rates)
    if machine:
        app[MACHINE] = machine_api(context, machine)
    app[RUNTIMES] = runtimes
    app.cleanup_ctx.append(
        _running(runtimes, feeds, session, (workers, threads), LoopCanary(telemetry), run_jobs)
    )
    return app


def _admissions(settings: Settings, telemetry: Telemetry) -> Admissions:
    limits = SocketLimits(
        settings.max_sockets, settings.max_sockets_per_token, settings.max_sockets_per_tenant
    )
    refused = telemetry.sockets_refused
    admissions = Admissions(limits, lambda bound: refused.labels(bound).inc(), _ledger(settings, "sockets"))
    telemetry.sockets.set_function(lambda: admissions.open)
    return admissions


def _ledger(settings: Settings, name: str) -> Ledger | None:
    """What fronts of one machine count together; None: there is only this one."""
    if settings.run_dir is None or not settings.front:
        return None
    return Ledger(settings.run_dir / f"{name}.ledger", settings.fronts, settings.front - 1)


def _url(settings: Settings, *, demo: bool) -> str:
    secret = settings.demo_database_url if demo else settings.database_url
    return secret.get_secret_value() if secret else ""


def _backend(runtime: BackendRuntime, hub: Hub) -> Backend:
    return Backend(
        demo=runtime.demo,
        tokens=runtime.tokens,
        tenants=runtime.tenants,
        directory=runtime.directory,
        writer=runtime.writer,
        monitoring=runtime.monitoring,
        evidence=runtime.evidence,
        availability=runtime.availability,
        window_sums=runtime.window_sums,
        maintenance=runtime.maintenance,
        current=runtime.current,
        contracts=runtime.contracts,
        objectives=runtime.objective_store,
        statements=runtime.statements,
        intervals=runtime.intervals,
        alerts=runtime.alerts,
        deliveries=runtime.deliveries,
        rule_desk=runtime.rule_desk,
        webhook_keys=runtime.webhook_keys,
        external_alerts=runtime.external_alerts,
        recoveries=runtime.recoverer,
        deployments=runtime.deployments,
        quarantine=runtime.quarantine,
        health=runtime.readiness,
        hub=hub,
        simulator=runtime.simulator,
        workers=runtime.workers,
        threads=runtime.threads,
        on_tenant_created=runtime.newcomers.welcome,
    )


def _feed(runtime: BackendRuntime, hub: Hub, clock: Clock, check: SessionCheck) -> SocketFeed:
    feed = SocketFeed(
        hub,
        tenants=runtime.tenants,
        monitoring=runtime.monitoring,
        availability=runtime.availability,
        alerts=runtime.alerts,
        external=runtime.external_alerts,
        clock=clock,
        check=check.run_once,
    )
    runtime.listening.add(feed)
    return feed


def _running(
    runtimes: list[BackendRuntime],
    feeds: list[SocketFeed],
    session: aiohttp.ClientSession,
    hands: Sequence[Workers],
    canary: LoopCanary,
    run_jobs: bool,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        canary.start()
        for runtime in runtimes:
            await runtime.start(run_jobs=run_jobs)
        for feed in feeds:
            feed.rounds.start()
        yield
        for feed in feeds:
            await feed.rounds.stop()
        for runtime in reversed(runtimes):
            await runtime.stop()
        for workers in hands:
            await workers.close()
        await canary.stop()
        await session.close()

    return context


def _start_timer(wanted: bool) -> None:
    query_stats.set(QueryStats() if wanted else None)


def _read_timer() -> tuple[int, float]:
    stats = query_stats.get() or QueryStats()
    return stats.queries, stats.milliseconds


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


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    check_settings(settings)
    # Before there is a thread, a loop or a connection; a worker answers nobody.
    hands = None if settings.role == "worker" else computing.processes(settings)
    stream = configure_logging(settings)
    raise_file_limit()
    _log.info("starting", host=settings.host, port=settings.port, auth=settings.auth)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(settings, hands))
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


# Objects more than were freed, after which young garbage is looked for.
GARBAGE: Final = 10_000


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


async def _serve(settings: Settings, hands: Hands | None) -> None:
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
        async with _told_to_neighbours(runner.app, settings.run_dir):
            await stopped.wait()
    finally:
        await runner.cleanup()


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
