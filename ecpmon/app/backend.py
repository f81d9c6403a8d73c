"""Everything that serves one database: stores, writer, alert engine, delivery, collectors and jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import aiohttp
import structlog

from ecpmon.alerts.desk import RuleDesk
from ecpmon.alerts.engine import AlertEngine
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.reading import FactsReader
from ecpmon.alerts.screen import Screen
from ecpmon.alerts.webhook_keys import WebhookKeys
from ecpmon.app.closing import StatementClosing
from ecpmon.app.delivery import Delivery
from ecpmon.app.deploying import make_deployments
from ecpmon.app.keeping import AlertRetention, SampleKeeping
from ecpmon.app.leading import Leading
from ecpmon.app.listening import Listening
from ecpmon.app.memoryfeed import MemoryFeed
from ecpmon.app.objectives import Objectives, Surroundings
from ecpmon.app.pulling import Pulling
from ecpmon.app.readiness import Readiness
from ecpmon.app.recovery import make_recoverer
from ecpmon.app.rolling import RollingSla
from ecpmon.app.triggers import AlertTrigger
from ecpmon.app.workfeed import WorkFeed
from ecpmon.collectors.rules import SliRules
from ecpmon.errors import EcpError
from ecpmon.isolation import Isolation
from ecpmon.jobs import Job, Jobs
from ecpmon.model.alerts import Action, WebhookAction
from ecpmon.model.delivery import FanOut, Pace
from ecpmon.model.ingest import IngestResult
from ecpmon.model.roles import Role
from ecpmon.model.samples import Source, whole_values
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.deployers.simulator import SimulatorDeployer
from ecpmon.orchestrator.recovery import RecoveryPolicy
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.orchestrator import Restarter
from ecpmon.ports.quarantine import ROLLING_SLA
from ecpmon.ports.service import Clock
from ecpmon.settings import Settings
from ecpmon.sla.evidence import Intervals
from ecpmon.statements.service import StatementService
from ecpmon.statements.terms import load_terms
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.bus import BusKeeping, BusWriter, new_origin
from ecpmon.storage.contracts import PgContracts
from ecpmon.storage.database import Database
from ecpmon.storage.deliveries import PgDeliveries
from ecpmon.storage.external_alerts import PgExternalAlertStore
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.lease import Lease
from ecpmon.storage.maintenance import MaintenanceBounds, PgMaintenanceStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.outbox import PgOutbox
from ecpmon.storage.quarantine import PgQuarantine
from ecpmon.storage.recovery import PgRecoveryStore
from ecpmon.storage.roster import PgRoster
from ecpmon.storage.statements import PgStatementStore
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.tokens import PgTokenStore
from ecpmon.storage.webhook_keys import PgWebhookKeyStore
from ecpmon.storage.writer import GroupWriter
from ecpmon.telemetry import Telemetry
from ecpmon.tenantseries import USAGE_METRICS
from ecpmon.workers import TenantWorkers, Workers

_log = structlog.get_logger(__name__)
# Seconds that a round of evaluations waits for tenants whose rules take long.
EVALUATION_PATIENCE: Final = 1.0
JOB_PATIENCE: Final = 60.0


class BackendRuntime:
    """One database and what runs on it. `demo`: it only takes pushes. `role`: which part of it runs here.

    `on_commit` and `on_event` tell the sockets; both are called on the event loop and must not block.
    """

    def __init__(
        self,
        url: str,
        *,
        settings: Settings,
        clock: Clock,
        rules: SliRules,
        telemetry: Telemetry,
        session: aiohttp.ClientSession,
        workers: Workers,
        demo: bool,
        on_commit: Callable[[IngestResult], None],
        on_event: Callable[[AlertEvent], None],
        more_jobs: Sequence[Job] = (),
        role: Role = Role.ALL,
    ) -> None:
        self.settings = settings
        self.role = role
        self.clock = clock
        self.demo = demo
        self.telemetry = telemetry
        name = "demo" if demo else "live"
        self.workers = TenantWorkers(workers, name)
        # A thread of their own: whatever people ask for, the jobs go on.
        self._job_threads = Workers(1, patience=JOB_PATIENCE)
        self.job_workers = TenantWorkers(self._job_threads, name)
        self._tell_sockets = on_commit
        self._tell_event = on_event
        direct = None if demo else settings.database_direct_url
        self.database = Database(
            url,
            name="ecpmon-demo" if demo else "ecpmon",
            direct_url=direct.get_secret_value() if direct else None,
        )
        self.origin = new_origin()
        self.listening = Listening(self.database, self.origin)
        if not demo:
            telemetry.bus_listening.set_function(lambda: float(self.listening.hears))
            self.listening.on_restart = telemetry.bus_restarts.inc
        self.bus_keeping = BusKeeping(self.database)
        self.ingest = IngestStore(
            self.database,
            rules.evidence,
            settings.max_series_per_tenant,
            settings.max_changes_per_day,
            BusWriter(self.origin, judge=not role.works),
        )
        self.writer = GroupWriter(self.ingest, self._committed)
        self.tokens = PgTokenStore(
            self.database,
            database_name="demo" if demo else "production",
            max_per_tenant=settings.max_tokens_per_tenant,
        )
        # What a token reaches may be other tenants then.
        self.tenants = PgTenantStore(self.database, on_change=self.tokens.memory.clear)
        self.listening.add(MemoryFeed(self.tenants.memory, self.tokens.memory, self.listening.reader))
        self.monitoring = PgMonitoringStore(self.database)
        self.evidence = rules.evidence
        self.quarantine = PgQuarantine(self.database)
        self.availability = PgAvailabilityStore(self.database)
        self.maintenance = PgMaintenanceStore(
            self.database,
            MaintenanceBounds(settings.max_maintenance_windows, settings.max_maintenance_occurrences),
        )
        self.intervals = Intervals(
            timedelta(seconds=settings.simulator_interval), timedelta(seconds=settings.prometheus_interval)
        )
        closed = PgStatementStore(self.database)
        self.statements = StatementService(
            self.availability,
            self.maintenance,
            closed,
            load_terms(),
            self.intervals,
            self.tenants,
            timedelta(days=settings.sla_retention_days),
            self.workers,
        )
        self.closing = StatementClosing(self.statements, closed, self.tenants, clock, self.quarantine)
        self.window_sums = PgFastWindows(self.database)
        self.contracts = PgContracts(self.database)
        self.roster = PgRoster(self.database)
        self.directory = PgRoster(self.database, rules=False)
        self.rolling = RollingSla(
            self.roster,
            self.window_sums,
            self.availability,
            self.maintenance,
            self.intervals,
            clock,
            None if demo else telemetry,
            self.quarantine,
            self.job_workers,
            settings.metrics_windows.split(","),
        )
        self.notifying = Notifying(
            FanOut(
                receiver=Pace.per_minute(settings.notifications_per_receiver_minute),
                tenant=Pace.per_minute(settings.notifications_per_tenant_minute),
            )
        )
        self.alerts = PgAlertStore(self.database, self.notifying)
        self.deliveries = PgDeliveries(self.database)
        self.rule_desk = RuleDesk(self.alerts, settings.external_url, self._event)
        self.external_alerts = PgExternalAlertStore(self.database)
        self.outbox = PgOutbox(self.database)
        self.lease = Lease(self.database)
        self.leading = Leading(self.lease, None if demo else telemetry)
        self.readiness = Readiness(self.database, self.lease, role)
        policies = default_policies()
        self.engine = AlertEngine(
            alerts=self.alerts,
            tenants=self.tenants,
            reader=FactsReader(
                self.monitoring,
                self.window_sums,
                self.maintenance,
                self.intervals,
                policies,
                self.workers,
            ),
            policies=policies,
            workers=self.workers,
            external_url=settings.external_url,
            on_event=self._event,
            quarantine=self.quarantine,
            screen=Screen(self.roster, self.window_sums, self.monitoring, self.intervals, policies),
        )
        self.trigger = AlertTrigger(self.engine, clock, self.lease)
        configured = settings.webhook_secret.get_secret_value().encode()
        self.webhook_keys = WebhookKeys(PgWebhookKeyStore(self.database), configured)
        self.delivery = Delivery(settings, self.database, clock, telemetry, self.webhook_keys)
        self.pulling = Pulling(
            settings,
            clock,
            telemetry,
            session,
            None if demo else rules,
            writer=self.writer,
            ingest=self.ingest,
            tenants=self.tenants,
            quarantine=self.quarantine,
        )
        self.keeping = SampleKeeping(self.database, rules.evidence, settings, clock, self.pulling.awake)
        self.simulator: SimulatorDeployer | None = None
        if settings.simulator_url and not demo:
            self.simulator = SimulatorDeployer(session, settings.simulator_url, settings.pull_timeout)
        self.deployments = make_deployments(
            self.database,
            settings,
            clock,
            tenants=self.tenants,
            window_sums=self.window_sums,
            maintenance=self.maintenance,
            intervals=self.intervals,
            demo=demo,
            carries_out=role.works,
        )
        self.recoverer = make_recoverer(
            PgRecoveryStore(self.database, self.notifying),
            tenants=self.tenants,
            availability=self.availability,
            maintenance=self.maintenance,
            alerts=self.alerts,
            restarters=self._restarters(),
            policy=RecoveryPolicy(
                recheck_after=timedelta(seconds=settings.recovery_recheck),
                max_restarts=settings.recovery_max_restarts,
                window=timedelta(seconds=settings.recovery_window),
            ),
            default_actions=self._default_actions(),
            external_url=settings.external_url,
            on_event=self._event,
            quarantine=self.quarantine,
        )
        self.objectives = Objectives(
            Surroundings(
                self.database,
                settings,
                clock,
                telemetry,
                self.tenants,
                self.maintenance,
                self.intervals,
                demo,
                self.quarantine,
                self.job_workers,
            )
        )
        self.jobs = Jobs([*self._job_list(), *more_jobs], self.lease, telemetry)
        self.work_feed = WorkFeed(
            self.lease, self.tenants, self.trigger, self.delivery.wake, lambda: self.jobs.run("deployments")
        )
        if role.works:
            self.listening.add(self.work_feed)

    def _restarters(self) -> dict[str, Restarter]:
        """Who restarts what was deployed where; the simulator's own call knows what came without a manifest."""
        own: dict[str, Restarter] = {"simulator": self.simulator} if self.simulator else {}
        return {**self.deployments.deployers, **own}

    def _job_list(self) -> list[Job]:
        """A front has those that run everywhere, and a worker none of what is about answering."""
        jobs = self._all_jobs()
        return jobs if self.role.works else [job for job in jobs if job.everywhere]

    def _all_jobs(self) -> list[Job]:
        front = Job("live_tenants", 15, self.keep_live_tenants, everywhere=True)
        return [
            *self.pulling.jobs(takes_pushes=self.role.answers),
            *([] if self.role.works else [front]),
            *self.keeping.jobs(),
            Job("default_rules", 15, self.install_missing_rules),
            Job("response_times", 300, self.keep_response_times),
            Job(ROLLING_SLA, 5, self.rolling.run_once),
            Job("alerts", 5, self.evaluate_alerts),
            Job("recovery", 2, self.recover),
            Job("recovery_retention", 3600, self.forget_recoveries),
            Job("deployments", 5, self.deployments.resume),
            *self.objectives.jobs(),
            self.closing.job(),
            AlertRetention(self.database, self.settings, self.clock).job(),
            Job("bus", 60, self.forget_bus),
            Job("token_use", 60, self.tokens.write_use, everywhere=True),
            Job("token_retention", 3600, self.forget_tokens),
            Job("gauges", 10, self._update_gauges, everywhere=True),
        ]

    async def start(self, *, run_jobs: bool = True) -> None:
        """`run_jobs` False: the caller turns the jobs by hand (a timeline on a clock of its own)."""
        self.listening.reader.start()
        await self.writer.__aenter__()
        # Whoever turns the jobs by hand wants to see what they do.
        self.engine.lanes.patience = EVALUATION_PATIENCE if run_jobs else None
        if self.role.works:
            self.trigger.start()
            self.work_feed.start()
            self.delivery.start()
            self.leading.start(self.jobs.begin_term if run_jobs else lambda: None)
        elif not self.demo:
            self.telemetry.stop_leading()
        if run_jobs:
            await self.jobs.start()

    async def stop(self) -> None:
        """Jobs first, then what they feed, then the leadership; the database last."""
        self.leading.wind_down()
        await self.jobs.stop()
        await self._last_use()
        await self.deployments.stop()
        await self.work_feed.stop()
        await self.trigger.stop()
        await self.engine.lanes.stop()
        await self.delivery.stop()
        await self.writer.__aexit__()
        self.pulling.close()
        await self._job_threads.close()
        await self.leading.stop()
        await self.listening.reader.stop()
        await self.database.close()

    async def _last_use(self) -> None:
        try:
            await self.tokens.write_use()
        except EcpError as error:
            _log.warning("token_use_lost", error=error.message)

    # --- what jobs do -------------------------------------------------------------------------------------

    async def evaluate_alerts(self) -> None:
        await self.engine.evaluate_all(self.clock.now())

    async def keep_response_times(self) -> None:
        """Mean response times of 30 days, which lists of tenants show."""
        standings, now = (await self.roster.standings()).values(), self.clock.now()
        keys = {s.tenant_id: s.tenant.key for s in standings if s.tenant is not None}

        async def work(names: list[str]) -> dict[str, None]:
            await self.monitoring.keep_response_times([keys[name] for name in names], now)
            return dict.fromkeys(names)

        await Isolation(self.quarantine, "response_times").together(keys, work, now)

    async def recover(self) -> None:
        """Go on with the recoveries that are due."""
        await self.recoverer.run_once(self.clock.now())

    async def forget_recoveries(self) -> None:
        """Those that ended before SLA history does."""
        await self.recoverer.forget(self.clock.now() - timedelta(days=self.settings.sla_retention_days))

    async def keep_live_tenants(self) -> None:
        """A front's metrics forget tenants that are gone; where there are SLA figures, those see to it."""
        if not self.demo:
            self.telemetry.tenants.keep_only(await self.tenants.numbers())

    async def forget_bus(self) -> None:
        """What every process has had time to read."""
        await self.bus_keeping.retain(self.clock.now())

    async def forget_tokens(self) -> None:
        """Those that were over long ago."""
        await self.tokens.forget(self.clock.now() - timedelta(days=self.settings.token_retention_days))

    async def install_missing_rules(self) -> None:
        """SLA rules for tenants that somebody inserted by hand."""

        async def work(names: list[str]) -> dict[str, None]:
            for tenant_id in names:
                await self.tenant_created(await self.tenants.get(tenant_id))
            return dict.fromkeys(names)

        wanting = await self.alerts.tenants_without_sla_rules()
        await Isolation(self.quarantine, "default_rules").one_by_one(wanting, work, self.clock.now())

    async def tenant_created(self, tenant: Tenant) -> None:
        """What every new tenant gets: evidence that holds as long as its source's interval says, and SLA rules."""
        source = tenant.evidence_source
        if source is not Source.PUSH:
            holds = self.intervals.holds(source, tenant)
            await self.tenants.add_regime(tenant, tenant.created_at, source, holds)
        await self.objectives.store.install_defaults(self.clock.now(), [tenant])
        await self.engine.install_defaults(tenant, self._default_actions(), self.clock.now())

    def _default_actions(self) -> Sequence[Action]:
        return (WebhookAction(self.settings.sla_webhook_url),) if self.settings.sla_webhook_url else ()

    async def _update_gauges(self) -> None:
        """This process's own; those of the whole database where it leads."""
        telemetry = self.telemetry
        if not self.demo:
            telemetry.merged.set(self.notifying.merged)
            telemetry.rule_errors.set(self.engine.errors)
        if self.lease.held:
            self.pulling.update_gauges(self.clock.now())
            if not self.demo:
                await self._update_leaders_gauges()

    async def _update_leaders_gauges(self) -> None:
        telemetry = self.telemetry
        pending, parked = await self.outbox.queue()
        telemetry.outbox_pending.set(pending)
        telemetry.outbox_parked.set(parked)
        telemetry.rollup_backlog.set(await self.keeping.backlog())
        telemetry.show_quarantined(await self.quarantine.counts())
        telemetry.crowded.set(await self.keeping.crowded())

    # --- what happens after a commit ------------------------------------------------------------------------

    def _committed(self, result: IngestResult) -> None:
        taken: Counter[str] = Counter()
        for frame in result.frames:
            taken[frame.source.value] += len(frame.samples)
            if not self.demo:
                self.telemetry.tenants.usage(frame.tenant_id, whole_values(frame, USAGE_METRICS))
        for source, count in taken.items():
            self.telemetry.samples.labels(source).inc(count)
        for reason, count in result.refused.items():
            self.telemetry.rejected.labels(reason.value).inc(count)
        if self.role.works:
            self.trigger.notice(result)
        self._tell_sockets(result)

    def _event(self, event: AlertEvent) -> None:
        if event.kind == "recovery":
            self.telemetry.recoveries.labels(event.to_state, event.reason).inc()
        self.delivery.wake()
        self._tell_event(event)
