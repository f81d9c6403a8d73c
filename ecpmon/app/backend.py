"""Everything that serves one database: its stores, what every process does with them, and by its role the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import aiohttp
import structlog

from ecpmon.alerts.acknowledging import AcknowledgementDesk
from ecpmon.alerts.desk import RuleDesk
from ecpmon.alerts.objective_rules import ObjectiveRules
from ecpmon.app.deploying import make_deployments
from ecpmon.app.heartbeat import Blindness, PushHeartbeat
from ecpmon.app.newcomers import Newcomers, default_actions
from ecpmon.app.operating import SettingsFeed, operate
from ecpmon.app.readiness import Readiness
from ecpmon.app.recovery import make_recoverer
from ecpmon.app.stores import Stores, Surroundings
from ecpmon.collectors.rules import SliRules
from ecpmon.errors import EcpError
from ecpmon.jobs import Job, Jobs
from ecpmon.model.ingest import IngestResult
from ecpmon.model.roles import Role
from ecpmon.model.samples import Frame, Source, newest_by, whole_values
from ecpmon.orchestrator.deployers.simulator import SimulatorDeployer
from ecpmon.orchestrator.recoverer import Recoverer
from ecpmon.orchestrator.recovery import RecoveryPolicy
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.orchestrator import AlertSource, Restarter
from ecpmon.ports.service import Clock
from ecpmon.settings import Settings
from ecpmon.statements.service import StatementService
from ecpmon.statements.terms import load_terms
from ecpmon.telemetry import Telemetry
from ecpmon.tenantlines import USAGE_METRICS
from ecpmon.workers import Workers

if TYPE_CHECKING:
    from ecpmon.app.work import Work

_log = structlog.get_logger(__name__)


class BackendRuntime(Stores):
    """One database and what runs on it. `demo`: nothing of it leaves the simulator or counts in metrics. `role`: which
    part of it runs here.

    `work` is what a worker has; a front has none, and none of what that imports. `on_commit` and `on_event` tell the
    sockets; both are called on the event loop and must not block.
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
        threads: Workers,
        demo: bool,
        on_commit: Callable[[IngestResult], None],
        on_event: Callable[[AlertEvent], None],
        more_jobs: Sequence[Job] = (),
        role: Role = Role.ALL,
    ) -> None:
        around = Surroundings(settings, clock, telemetry, session, rules, workers, threads, role, demo)
        super().__init__(url, around, self._committed)
        self.settings, self.clock, self.telemetry = settings, clock, telemetry
        self.role, self.demo = role, demo
        self._tell_sockets, self._tell_event = on_commit, on_event
        self.readiness = Readiness(self.database, self.lease, role, "demo" if demo else "production")
        self.newcomers = Newcomers(self, settings, clock)
        self.rule_desk = RuleDesk(self.alerts, settings.external_url, self._event)
        self.acknowledging = AcknowledgementDesk(self.alerts, self.acknowledgements, self._event)
        self.objective_rules = ObjectiveRules(
            self.alerts,
            self.objective_store,
            self.tenants,
            self.rule_desk,
            self.quarantine,
            default_actions(settings),
        )
        self.simulator: SimulatorDeployer | None = None
        if cluster := settings.simulator_of(demo=demo):
            self.simulator = SimulatorDeployer(session, cluster, settings.pull_timeout)
        self.statements = StatementService(
            self.availability,
            self.maintenance,
            self.closed_statements,
            load_terms(),
            timedelta(days=settings.sla_retention_days),
            self.workers,
            self.window_sums,
        )
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
        self.recoverer = self._make_recoverer(session)
        self.work = self._make_work(around) if role.works else None
        self.jobs = Jobs([*self._job_list(around), *more_jobs], self.lease, telemetry, shown=not demo)
        self.operating.apply = partial(operate, self)
        self.settings_feed = SettingsFeed(self.operating)
        self.listening.add(self.settings_feed)
        self._show_bus(around.gauges)

    def _make_recoverer(self, session: aiohttp.ClientSession) -> Recoverer:
        settings = self.settings
        # The simulator's own call knows what came without a manifest.
        own: dict[str, Restarter] = {"simulator": self.simulator} if self.simulator else {}
        return make_recoverer(
            self.recovery_store,
            tenants=self.tenants,
            availability=self.availability,
            maintenance=self.maintenance,
            intervals=self.intervals,
            alerts=self.alerts,
            restarters={**self.deployments.deployers, **own},
            policy=RecoveryPolicy(
                recheck_after=timedelta(seconds=settings.recovery_recheck),
                max_restarts=settings.recovery_max_restarts,
                window=timedelta(seconds=settings.recovery_window),
                spare_healthy=settings.recovery_spares_healthy,
            ),
            default_actions=default_actions(settings),
            external_url=settings.external_url,
            on_event=self._event,
            quarantine=self.quarantine,
            alertmanager=self._alertmanager(session),
            on_question=self._asked_alertmanager,
        )

    def _alertmanager(self, session: aiohttp.ClientSession) -> AlertSource | None:
        settings = self.settings
        if settings.alertmanager_url is None or self.demo or not self.role.works:
            return None
        from ecpmon.orchestrator.alertmanager import Alertmanager

        headers, url = settings.alertmanager_headers, settings.alertmanager_url
        return Alertmanager(session, url, headers, settings.pull_timeout)

    def _asked_alertmanager(self, answered: bool) -> None:
        self.telemetry.alertmanager_questions.labels("answered" if answered else "failed").inc()

    def _make_work(self, around: Surroundings) -> Work:
        from ecpmon.app.work import Work

        return Work(
            self, around, self.newcomers, self.simulator, self.statements, self.deployments, self.recoverer,
            self.objective_rules, self._event, self._run_job,
        )  # fmt: skip

    async def _run_job(self, name: str) -> None:
        await self.jobs.run(name)

    def _job_list(self, around: Surroundings) -> list[Job]:
        """A front has those that run everywhere, and a worker none of what is about answering."""
        beat = PushHeartbeat(Blindness(self.ingest, self.writer, self.clock), self.writer, self.clock)
        live = Job("live_tenants", 15, self.keep_live_tenants, everywhere=True)
        held = Job("held_tenants", 10, self.tenants.hold_ahead, everywhere=True)
        # Of the processes of one machine the worker says it for all.
        says = self.role.works or around.settings.run_dir is None
        migrations = Job("migrations", 60, self.readiness.tell_of_migrations, everywhere=True)
        return [
            *([migrations] if says else []),
            *([beat.job(), held] if self.role.answers else []),
            *(self.work.jobs() if self.work else [live]),
            Job("settings", 30, self.operating.refresh, everywhere=True),
            Job("token_use", 60, self.tokens.write_use, everywhere=True),
            Job("gauges", 10, self._update_gauges, everywhere=True),
        ]

    def _show_bus(self, telemetry: Telemetry | None) -> None:
        if telemetry is not None:
            telemetry.bus_listening.set_function(lambda: float(self.listening.hears))
            self.listening.on_restart = telemetry.bus_restarts.inc

    async def start(self, *, run_jobs: bool = True) -> None:
        """`run_jobs` False: the caller turns the jobs by hand (a timeline on a clock of its own)."""
        if not self.role.works:
            await self.readiness.first()
        await self.operating.first()
        self.settings_feed.rounds.start()
        self.listening.reader.start()
        await self.writer.__aenter__()
        if self.work:
            self.work.start(self.jobs, run_jobs=run_jobs)
        elif not self.demo:
            self.telemetry.stop_leading()
        if run_jobs:
            await self.jobs.start()

    async def stop(self) -> None:
        """Jobs first, then what they feed, then the leadership; the database last."""
        if self.work:
            self.work.leading.wind_down()
        await self.jobs.stop()
        await self._last_use()
        await self.deployments.stop()
        if self.work:
            await self.work.stop()
        await self.writer.__aexit__()
        if self.work:
            await self.work.close()
        await self.listening.reader.stop()
        await self.settings_feed.rounds.stop()
        await self.database.close()

    async def _last_use(self) -> None:
        try:
            await self.tokens.write_use()
        except EcpError as error:
            _log.warning("token_use_lost", error=error.message)

    # --- what jobs do everywhere ------------------------------------------------------------------------------

    async def keep_live_tenants(self) -> None:
        """A front's metrics forget tenants that are gone; where there are SLA figures, those see to it."""
        if not self.demo:
            self.telemetry.tenants.keep_only(await self.tenants.numbers())

    async def _update_gauges(self) -> None:
        if not self.demo:
            self.telemetry.merged.set(self.notifying.merged)
        if self.work:
            await self.work.update_gauges()

    # --- what happens after a commit ------------------------------------------------------------------------

    def _committed(self, results: Sequence[IngestResult]) -> None:
        """What a commit brought, in the order of its batches."""
        taken: dict[Source, int] = {}
        touched: set[str] = set()
        now = self.clock.now()
        for result in results:
            for entry in result.frames:
                taken[entry.source] = taken.get(entry.source, 0) + entry.size
                touched.add(entry.tenant_id)
                come, coming = newest_by(entry, now)
                if not self.demo:
                    self._show_usage(come, coming)
                if coming and self.work:
                    self.work.due.note({ceil(frame.ts.timestamp()) for frame in coming})
        if not self.demo:
            self._count(taken, results)
        if self.work:
            self.work.trigger.notice(touched, (c.tenant_id for result in results for c in result.changes))
        for result in results:
            self._tell_sockets(result)

    def _count(self, taken: Mapping[Source, int], results: Sequence[IngestResult]) -> None:
        for source, count in taken.items():
            self.telemetry.samples.labels(source.value).inc(count)
        for result in results:
            for reason, count in result.refused.items():
                self.telemetry.rejected.labels(reason.value).inc(count)

    def _show_usage(self, come: Frame | None, coming: Sequence[Frame]) -> None:
        for frame in (come, *coming) if coming else (come,):
            if frame is not None and (values := whole_values(frame, USAGE_METRICS)):
                at, tenant = frame.ts.timestamp(), self.tenants.held(frame.tenant_id)
                shown = self.intervals.shown(frame.source, tenant).total_seconds()
                self.telemetry.tenants.usage(frame.tenant_id, values, at, at + shown)

    def _event(self, event: AlertEvent) -> None:
        self.alerts.memory.clear()
        if event.kind == "recovery" and not self.demo:
            self.telemetry.recoveries.labels(event.to_state, event.reason).inc()
        if self.work:
            self.work.delivery.wake()
        self._tell_event(event)
