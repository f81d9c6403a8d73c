"""The composition root: settings become a running service, started and stopped in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from ecpmon.api.application import create_api
from ecpmon.api.context import ApiContext, Backend, DebugTimer
from ecpmon.api.hints import Hints
from ecpmon.api.hub import Hub
from ecpmon.api.machine import MachineMetrics, machine_api
from ecpmon.api.session_check import SECONDS as CHECK_SECONDS
from ecpmon.api.session_check import SessionCheck
from ecpmon.api.sessions import Admissions, SocketLimits
from ecpmon.app.backend import BackendRuntime
from ecpmon.app.canary import LoopCanary
from ecpmon.app.socketfeed import SocketFeed
from ecpmon.collectors.rules import load_sli_rules
from ecpmon.compute import Hands
from ecpmon.compute.processes import Processes
from ecpmon.compute.threads import Threads
from ecpmon.jobs import Job
from ecpmon.ledger import Ledger
from ecpmon.model.roles import Role
from ecpmon.ports.service import Clock
from ecpmon.serving import check_settings
from ecpmon.settings import Settings
from ecpmon.storage.sessions import QueryStats, query_stats
from ecpmon.telemetry import Telemetry
from ecpmon.workers import Workers

# How often it is looked whether the keys of an issuer are to be fetched.
ISSUER_SECONDS = 10.0
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
    telemetry, rules = Telemetry(lambda: the_clock.now().timestamp()), load_sli_rules()
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
    asked = [Job("sockets", CHECK_SECONDS, check.run_once, everywhere=True)]
    issuer = None
    if settings.oidc_issuer and role.answers:
        from ecpmon.app.signed import desk_of, issuer_of

        issuer = issuer_of(settings, session, the_clock, telemetry)
        asked.append(Job("issuer", ISSUER_SECONDS, issuer.refresh, everywhere=True))
    feeds: list[SocketFeed] = []

    def runtime(url: str, *, demo: bool) -> tuple[BackendRuntime, Backend]:
        hub = Hub(admissions=admissions, now=the_clock.now)
        made = BackendRuntime(
            url, settings=settings, clock=the_clock, rules=rules, telemetry=telemetry, session=session,
            workers=workers, threads=threads, demo=demo, on_commit=hub.samples_committed, on_event=hub.alert,
            more_jobs=() if demo or not role.answers else asked, role=role,
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
        signed=desk_of(settings, issuer, runtimes[0]) if issuer else None,
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
    if issuer:
        app.on_shutdown.append(lambda _: issuer.close())
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
        hints=Hints(runtime.monitoring),
        evidence=runtime.evidence,
        availability=runtime.availability,
        window_sums=runtime.window_sums,
        maintenance=runtime.maintenance,
        exclusions=runtime.exclusions,
        current=runtime.current,
        contracts=runtime.contracts,
        objectives=runtime.objective_store,
        statements=runtime.statements,
        statement_mail=runtime.statement_mail,
        status_pages=runtime.status_pages,
        intervals=runtime.intervals,
        alerts=runtime.alerts,
        deliveries=runtime.deliveries,
        rule_desk=runtime.rule_desk,
        silences=runtime.silences,
        acknowledgements=runtime.acknowledgements,
        acknowledging=runtime.acknowledging,
        webhook_keys=runtime.webhook_keys,
        external_alerts=runtime.external_alerts,
        recoveries=runtime.recoverer,
        deployments=runtime.deployments,
        audit=runtime.audit,
        quarantine=runtime.quarantine,
        faults=runtime.faults,
        profiles=runtime.profiles,
        operations=runtime.operations,
        operating=runtime.operating,
        health=runtime.readiness,
        hub=hub,
        simulator=runtime.simulator,
        workers=runtime.workers,
        threads=runtime.threads,
        on_tenant_created=runtime.newcomers.welcome,
        on_objectives_changed=runtime.objective_rules.settle,
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
