"""What a worker has beside its stores: collectors, rollups, evaluation, delivery, and the leadership to run them in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ecpmon.alerts import after_silence
from ecpmon.alerts.after_silence import AfterSilence
from ecpmon.alerts.engine import AlertEngine
from ecpmon.alerts.objective_rules import ObjectiveRules
from ecpmon.alerts.objectives import ObjectiveAlerts
from ecpmon.alerts.policy import default_policies, flap_policy
from ecpmon.alerts.reading import FactsReader
from ecpmon.alerts.screen import Screen
from ecpmon.app import statement_mail
from ecpmon.app.closing import StatementClosing
from ecpmon.app.deadman import Deadman
from ecpmon.app.delivery import Delivery, smtp_server
from ecpmon.app.due import Due
from ecpmon.app.forwarding import Forwarding
from ecpmon.app.heartbeat import Blindness
from ecpmon.app.keeping import AlertRetention, SampleKeeping
from ecpmon.app.leading import Leading
from ecpmon.app.newcomers import Newcomers
from ecpmon.app.objectives import Objectives
from ecpmon.app.pulling import Pulling
from ecpmon.app.rolling import RollingSla
from ecpmon.app.rounds import Rounds
from ecpmon.app.stores import Stores, Surroundings
from ecpmon.app.triggers import AlertTrigger
from ecpmon.app.usage import USAGE_SECONDS, NewestUsage
from ecpmon.app.workfeed import WorkFeed
from ecpmon.compute.threads import Threads
from ecpmon.isolation import Isolation
from ecpmon.jobs import Job, Jobs
from ecpmon.model.operating import MonitoringSettings
from ecpmon.orchestrator.deployments import DeploymentService
from ecpmon.orchestrator.recoverer import Recoverer
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.orchestrator import SimulatorClient
from ecpmon.ports.quarantine import ROLLING_SLA
from ecpmon.statements.service import StatementService
from ecpmon.storage.backups import Backups
from ecpmon.storage.bus import BusKeeping
from ecpmon.storage.hushed import PgHushed
from ecpmon.storage.outbox import PgOutbox
from ecpmon.storage.room import room_of
from ecpmon.storage.standing_alerts import PgStandingAlerts
from ecpmon.workers import TenantWorkers, Workers

# Seconds that a round of evaluations waits for tenants whose rules take long.
EVALUATION_PATIENCE: Final = 1.0
JOB_PATIENCE: Final = 60.0


class Work:
    """Of one database. `start` and `stop` in pairs; `jobs()` are to be run by whoever starts it."""

    def __init__(
        self,
        stores: Stores,
        around: Surroundings,
        newcomers: Newcomers,
        simulator: SimulatorClient | None,
        statements: StatementService,
        deployments: DeploymentService,
        recoverer: Recoverer,
        objective_rules: ObjectiveRules,
        on_event: Callable[[AlertEvent], None],
        run_job: Callable[[str], Awaitable[None]],
    ) -> None:
        """`on_event` is called on the event loop and must not block; `run_job` gives a job a turn of its own."""
        self._stores = stores
        self._around = around
        self._newcomers = newcomers
        self._simulator = simulator
        self._objective_rules = objective_rules
        self._deployments = deployments
        self._recoverer = recoverer
        # Threads of their own: whatever people ask for, the jobs go on. No processes: they hold what they compute from,
        # and nobody is answered where they run (ADR 0013).
        self._threads = Workers(Threads(), patience=JOB_PATIENCE)
        self._workers = TenantWorkers(self._threads, "demo" if around.demo else "live")
        self._outbox = PgOutbox(stores.database)
        self._bus = BusKeeping(stores.database)
        self._backups = Backups(stores.database)
        self._make_collecting()
        self._make_evaluating(statements, on_event)
        self._make_alerting(on_event)
        self._make_mailing(statements)
        self.due = Due(around.clock, partial(run_job, "hand_made"))
        self._feed = WorkFeed(
            stores.lease,
            stores.tenants,
            self.trigger,
            self.delivery.wake,
            partial(run_job, "deployments"),
            self.due.note,
        )
        stores.listening.add(self._feed)
        self._regimes = Rounds("regimes", partial(run_job, "default_rules"))

    def _make_collecting(self) -> None:
        stores, around = self._stores, self._around
        self.pulling = Pulling(
            around,
            Blindness(stores.ingest, stores.writer, around.clock),
            writer=stores.writer,
            ingest=stores.ingest,
            tenants=stores.roster,
            quarantine=stores.quarantine,
            faults=stores.faults,
            profiles=stores.profiles,
        )
        self.keeping = SampleKeeping(
            stores.database, stores.evidence, around.settings, around.clock, self.pulling.awake
        )
        self._retention = AlertRetention(stores.database, around.settings, around.clock)

    def _make_mailing(self, statements: StatementService) -> None:
        stores, around = self._stores, self._around
        self.statement_delivery = statement_mail.make(
            around.settings,
            smtp_server(around.settings),
            stores.statement_outbox,
            stores.tenants,
            statements,
            stores.workers,
            around.clock,
            around.telemetry,
        )

    def _make_evaluating(self, statements: StatementService, on_event: Callable[[AlertEvent], None]) -> None:
        stores, around = self._stores, self._around
        self.closing = StatementClosing(
            statements.by(self._workers),
            stores.closed_statements,
            stores.tenants,
            stores.roster,
            stores.window_sums,
            around.clock,
            stores.quarantine,
        )
        self.rolling = RollingSla(
            stores.roster,
            stores.window_sums,
            stores.availability,
            stores.maintenance,
            around.clock,
            around.gauges,
            stores.quarantine,
            self._workers,
            around.settings.metrics_windows.split(","),
        )
        self.objective_alerts = ObjectiveAlerts(
            alerts=stores.alerts,
            objectives=stores.objective_store,
            maintenance=stores.maintenance,
            roster=stores.roster,
            intervals=stores.intervals,
            policies=default_policies(),
            workers=self._workers,
            external_url=around.settings.external_url,
            on_event=on_event,
            quarantine=stores.quarantine,
        )
        self.objectives = Objectives(stores, around, self._workers, self._evaluate_objective_alerts)

    def _make_alerting(self, on_event: Callable[[AlertEvent], None]) -> None:
        stores, around, policies = self._stores, self._around, default_policies()
        flap = flap_policy(around.settings)
        self.engine = AlertEngine(
            alerts=stores.alerts,
            tenants=stores.tenants,
            reader=FactsReader(
                stores.monitoring,
                stores.window_sums,
                stores.maintenance,
                stores.intervals,
                policies,
                self._workers,
            ),
            policies=policies,
            workers=self._workers,
            external_url=around.settings.external_url,
            on_event=on_event,
            quarantine=stores.quarantine,
            screen=Screen(
                stores.roster, stores.window_sums, stores.monitoring, stores.intervals, policies, flap
            ),
            flap=flap,
            present=around.clock.now,
        )
        self.after_silence = AfterSilence(
            PgHushed(stores.database, stores.notifying),
            around.settings.external_url,
            on_event,
            stores.quarantine,
        )
        self.trigger = AlertTrigger(self.engine, around.clock, stores.lease)
        self.delivery = Delivery(
            around.settings, stores.database, around.clock, around.telemetry, stores.webhook_keys
        )
        stores.notifying.told = self.delivery.told
        self._deadman = Deadman(around)
        self._forwarding = Forwarding(PgStandingAlerts(stores.database), around, self._deadman)
        self.leading = Leading(stores.lease, around.gauges)

    def jobs(self) -> list[Job]:
        return [
            *self.pulling.jobs(),
            *self.keeping.jobs(),
            Job("degraded", 15, self.tell_apart),
            Job("default_rules", 15, self._newcomers.welcome_missed),
            Job("response_times", 300, self.keep_response_times),
            Job(ROLLING_SLA, 5, self.rolling.run_once),
            Job("alerts", 5, self.evaluate_alerts),
            *self._forwarding.jobs(),
            Job(after_silence.JOB, 5, self.tell_after_silence),
            *self._deadman.jobs(),
            Job("recovery", 2, self.recover),
            Job("recovery_retention", 3600, self.forget_recoveries),
            Job("deployments", 5, self._deployments.resume),
            *self.objectives.jobs(),
            self.closing.job(),
            self._retention.job(),
            *self._usage_jobs(),
            *self._demo_jobs(),
            Job("bus", 60, self.forget_bus),
            Job("token_retention", 3600, self.forget_tokens),
        ]

    def _demo_jobs(self) -> list[Job]:
        around = self._around
        if not (around.demo and around.settings.demo_tenants):
            return []
        from ecpmon.app.demo_tenants import SECONDS, DemoTenants

        seeds = DemoTenants(self._stores, self._newcomers, self._deployments, self._simulator, around.clock)
        return [Job("demo_tenants", SECONDS, seeds.run_once)]

    def _usage_jobs(self) -> list[Job]:
        """On whichever process of a machine does its work, leading or not: each machine shows its own page."""
        stores, telemetry = self._stores, self._around.gauges
        if telemetry is None:
            return []
        usage = NewestUsage(
            stores.roster, stores.monitoring, stores.intervals, self._around.clock, telemetry.tenants
        )
        return [Job("usage", USAGE_SECONDS, usage.run_once, everywhere=True)]

    def operate(self, monitoring: MonitoringSettings) -> None:
        """What administrators have set counts from now on. Evidence that is pulled otherwise holds otherwise."""
        self.pulling.operate(monitoring)
        self._newcomers.intervals_changed()
        self._regimes.wake()

    def start(self, jobs: Jobs, *, run_jobs: bool) -> None:
        """Take over when nobody leads, and have `jobs` begin then; `run_jobs` False: somebody turns them by hand."""
        # Whoever turns the jobs by hand wants to see what they do.
        self.engine.lanes.patience = EVALUATION_PATIENCE if run_jobs else None
        self.trigger.start()
        self._feed.rounds.start()
        self._regimes.start()
        self.due.start()
        self.delivery.start()
        if self.statement_delivery:
            self.statement_delivery.start()
        self._deadman.watch(jobs)
        self.leading.start(jobs.begin_term if run_jobs else lambda: None)

    async def stop(self) -> None:
        """What commits and delivers; the jobs have ended before."""
        await self.due.stop()
        await self._feed.rounds.stop()
        await self._regimes.stop()
        await self.trigger.stop()
        await self.engine.lanes.stop()
        await self.delivery.stop()
        if self.statement_delivery:
            await self.statement_delivery.stop()

    async def close(self) -> None:
        """The leadership last, when nothing is written any more."""
        self.pulling.close()
        await self._threads.close()
        await self.leading.stop()

    # --- what jobs do -------------------------------------------------------------------------------------

    async def evaluate_alerts(self) -> None:
        await self.engine.evaluate_all(self._around.clock.now())

    async def tell_after_silence(self) -> None:
        """Alerts that fire when no silence is on any more."""
        await self.after_silence.run_once(self._around.clock.now())

    async def _evaluate_objective_alerts(self, now: datetime) -> None:
        await self._objective_rules.settle_all(now)
        await self.objective_alerts.evaluate(now)

    async def keep_response_times(self) -> None:
        """Mean response times of 30 days, which lists of tenants show."""
        stores, now = self._stores, self._around.clock.now()
        standings = (await stores.roster.standings()).values()
        tenants = {s.tenant_id: s.tenant for s in standings if s.tenant is not None}

        async def work(names: list[str]) -> dict[str, None]:
            evidence = {tenants[name].key: tenants[name].evidence_source for name in names}
            await stores.monitoring.keep_response_times(evidence, now)
            return dict.fromkeys(names)

        await Isolation(stores.quarantine, "response_times").together(tenants, work, now)

    async def tell_apart(self) -> None:
        """Which tenants run, and which only half do."""
        await self._stores.tenants.tell_apart(self._around.clock.now())

    async def recover(self) -> None:
        """Go on with the recoveries that are due."""
        await self._recoverer.run_once(self._around.clock.now())

    async def forget_recoveries(self) -> None:
        """Those that ended before SLA history does."""
        kept = timedelta(days=self._around.settings.sla_retention_days)
        await self._recoverer.forget(self._around.clock.now() - kept)

    async def forget_bus(self) -> None:
        """What every process has had time to read."""
        await self._bus.retain(self._around.clock.now())

    async def forget_tokens(self) -> None:
        """Those that were over long ago."""
        kept = timedelta(days=self._around.settings.token_retention_days)
        await self._stores.tokens.forget(self._around.clock.now() - kept)

    async def update_gauges(self) -> None:
        """This process's own; those of the whole database where it leads."""
        telemetry = self._around.gauges
        if telemetry is not None:
            telemetry.rule_errors.set(self.engine.errors)
        if not self._stores.lease.held:
            return
        self.pulling.update_gauges(self._around.clock.now())
        if telemetry is not None:
            pending, parked = await self._outbox.queue()
            telemetry.outbox_pending.set(pending)
            telemetry.outbox_parked.set(parked)
            telemetry.rollup_backlog.set(await self.keeping.backlog())
            telemetry.show_quarantined(await self._stores.quarantine.counts())
            telemetry.crowded.set(await self.keeping.crowded())
            room = await room_of(self._stores.database)
            telemetry.disk_size.set(0 if room is None else room.size)
            telemetry.disk_free.set(0 if room is None else room.free)
            backup = await self._backups.last_good()
            telemetry.last_backup.set(0 if backup is None else backup.timestamp())
            telemetry.tenants.durations(await self._deployments.store.durations())
