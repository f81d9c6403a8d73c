"""One database and everything that is kept in it, alike in every process whatever its role."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import aiohttp

from ecpmon.alerts.webhook_keys import WebhookKeys
from ecpmon.app.listening import Listening
from ecpmon.app.memoryfeed import MemoryFeed
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.app.operating import base_of
from ecpmon.collectors.rules import SliRules
from ecpmon.memory import Memory
from ecpmon.model.delivery import FanOut, Pace
from ecpmon.model.ingest import IngestResult
from ecpmon.model.roles import Role
from ecpmon.ports.service import Clock
from ecpmon.ports.tokens import Caller
from ecpmon.settings import Settings
from ecpmon.sla.evidence import Intervals
from ecpmon.storage.acknowledgements import PgAcknowledgements
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.audit import PgAuditTrail
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.bus import FRONTS_REST_SECONDS, REST_SECONDS, BusWriter, new_origin
from ecpmon.storage.contracts import PgContracts
from ecpmon.storage.current import PgCurrentFigures
from ecpmon.storage.database import Database
from ecpmon.storage.deliveries import PgDeliveries
from ecpmon.storage.exclusions import PgExclusionStore
from ecpmon.storage.external_alerts import PgExternalAlertStore
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.faults_log import PgFaultLog
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.lease import Lease
from ecpmon.storage.maintenance import MaintenanceBounds, PgMaintenanceStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.operating import PgOperating
from ecpmon.storage.operations import PgOperations
from ecpmon.storage.profiles import PgProfileStore
from ecpmon.storage.quarantine import PgQuarantine
from ecpmon.storage.recovery import PgRecoveryStore
from ecpmon.storage.roster import PgRoster
from ecpmon.storage.silences import PgSilenceStore
from ecpmon.storage.statement_mail import PgStatementMail, PgStatementOutbox
from ecpmon.storage.statements import PgStatementStore
from ecpmon.storage.status_pages import PgStatusPageStore
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.tokens import PgTokenStore
from ecpmon.storage.webhook_keys import PgWebhookKeyStore
from ecpmon.storage.writer import GroupWriter
from ecpmon.telemetry import Telemetry
from ecpmon.workers import TenantWorkers, Workers


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process has whichever database it is about. `demo`: nothing of it counts in metrics."""

    settings: Settings
    clock: Clock
    telemetry: Telemetry
    session: aiohttp.ClientSession
    rules: SliRules
    workers: Workers
    threads: Workers
    role: Role
    demo: bool

    @property
    def gauges(self) -> Telemetry | None:
        """None for a demo database, which has no gauges."""
        return None if self.demo else self.telemetry


class Stores:
    """Opens nothing yet. `on_commit` is called on the event loop after each commit of `writer`; it must not block."""

    def __init__(
        self, url: str, around: Surroundings, on_commit: Callable[[Sequence[IngestResult]], None]
    ) -> None:
        settings, name = around.settings, "demo" if around.demo else "live"
        self.workers = TenantWorkers(around.workers, name)
        self.threads = TenantWorkers(around.threads, name)
        direct = None if around.demo else settings.database_direct_url
        self.database = Database(
            url,
            name="ecpmon-demo" if around.demo else "ecpmon",
            direct_url=direct.get_secret_value() if direct else None,
        )
        self.intervals = Intervals(
            timedelta(seconds=settings.simulator_interval), timedelta(seconds=settings.prometheus_interval)
        )
        self.operating = PgOperating(self.database, base_of(settings, demo=around.demo))
        self.lease = Lease(self.database)
        self._make_samples(around, on_commit)
        self._make_tenants(around)
        self._make_alerts(around)

    def _make_samples(
        self, around: Surroundings, on_commit: Callable[[Sequence[IngestResult]], None]
    ) -> None:
        settings, origin = around.settings, new_origin()
        rest = REST_SECONDS if around.role.works else FRONTS_REST_SECONDS
        self.listening = Listening(self.database, origin, rest)
        self.evidence = around.rules.evidence
        self.ingest = IngestStore(
            self.database,
            self.evidence,
            settings.max_series_per_tenant,
            settings.max_changes_per_day,
            BusWriter(origin, judge=not around.role.works),
            now=around.clock.now,
        )
        self.writer = GroupWriter(self.ingest, on_commit)
        self.monitoring = PgMonitoringStore(self.database)
        self.availability = PgAvailabilityStore(self.database)
        self.window_sums = PgFastWindows(self.database)
        self.contracts = PgContracts(self.database)
        self.current = PgCurrentFigures(self.database)
        self.closed_statements = PgStatementStore(self.database)
        self.statement_mail = PgStatementMail(self.database)
        self.status_pages = PgStatusPageStore(self.database)
        self.statement_outbox = PgStatementOutbox(self.database)
        self.objective_store = PgObjectiveStore(self.database, load_objectives())

    def _make_tenants(self, around: Surroundings) -> None:
        settings = around.settings
        self.tokens = PgTokenStore(
            self.database,
            database_name="demo" if around.demo else "production",
            max_per_tenant=settings.max_tokens_per_tenant,
        )
        # Of tokens that an issuer signs.
        self.signed: Memory[bytes, Caller] = Memory()
        self.tenants = PgTenantStore(self.database, on_change=self._forget_tokens)
        self.audit = PgAuditTrail(self.database)
        # Rules over samples are evaluated in up to fifty rounds a second, each of which asks whom it leaves out.
        self.quarantine = PgQuarantine(self.database, kept={"alerts": 1.0})
        self.faults = PgFaultLog(self.database)
        self.profiles = PgProfileStore(self.database)
        self.operations = PgOperations(self.database)
        bounds = MaintenanceBounds(settings.max_maintenance_windows, settings.max_maintenance_occurrences)
        self.maintenance = PgMaintenanceStore(self.database, bounds)
        self.exclusions = PgExclusionStore(self.database, bounds)
        # Of live tenants with their rules, for jobs, and without, for lists.
        self.roster = PgRoster(self.database)
        self.directory = PgRoster(self.database, rules=False)

    def _forget_tokens(self) -> None:
        """What a token reaches may be other tenants now."""
        self.tokens.memory.clear()
        self.signed.clear()

    def _make_alerts(self, around: Surroundings) -> None:
        settings = around.settings
        self.notifying = Notifying(
            FanOut(
                receiver=Pace.per_minute(settings.notifications_per_receiver_minute),
                tenant=Pace.per_minute(settings.notifications_per_tenant_minute),
            )
        )
        self.alerts = PgAlertStore(self.database, self.notifying)
        self.listening.add(
            MemoryFeed(
                self.tenants.memory,
                self.tokens.memory,
                self.signed,
                self.alerts.memory,
                self.listening.reader,
            )
        )
        self.silences = PgSilenceStore(self.database)
        self.acknowledgements = PgAcknowledgements(self.database, self.notifying)
        self.deliveries = PgDeliveries(self.database)
        self.external_alerts = PgExternalAlertStore(self.database)
        self.recovery_store = PgRecoveryStore(self.database, self.notifying)
        configured = settings.webhook_secret.get_secret_value().encode()
        self.webhook_keys = WebhookKeys(PgWebhookKeyStore(self.database), configured)
