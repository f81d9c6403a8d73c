"""What handlers work with: one `Backend` per database, and what the whole process shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from ecpmon.alerts.acknowledging import AcknowledgementDesk
from ecpmon.alerts.desk import RuleDesk
from ecpmon.alerts.webhook_keys import WebhookKeys
from ecpmon.api.hints import Hints
from ecpmon.api.hub import Hub
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.deployments import DeploymentService
from ecpmon.ports.acknowledging import AcknowledgementStore
from ecpmon.ports.alerts import AlertStore, Deliveries, ExternalAlertStore
from ecpmon.ports.audit import AuditTrail
from ecpmon.ports.contracts import Contracts
from ecpmon.ports.current import CurrentFigures
from ecpmon.ports.exclusions import ExclusionStore
from ecpmon.ports.faults import FaultLog
from ecpmon.ports.operating import Operating
from ecpmon.ports.operations import Operations
from ecpmon.ports.orchestrator import RecoveryDesk, SimulatorClient
from ecpmon.ports.profiles import ProfileStore
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.roster import Roster
from ecpmon.ports.samples import MonitoringStore, SampleWriter
from ecpmon.ports.service import Clock, Health
from ecpmon.ports.silences import SilenceStore
from ecpmon.ports.sla import AvailabilityStore, MaintenanceStore, ObjectiveStore, WindowSums
from ecpmon.ports.statements import StatementMail
from ecpmon.ports.status_pages import StatusPageStore
from ecpmon.ports.tenants import TenantStore
from ecpmon.ports.tokens import Caller, SignedTokens, TokenStore
from ecpmon.settings import Settings
from ecpmon.sla.evidence import EvidenceRules, Intervals
from ecpmon.statements.service import StatementService
from ecpmon.telemetry import Telemetry
from ecpmon.workers import TenantWorkers


@dataclass(frozen=True, slots=True)
class Backend:
    """One database and what serves it; `X-Demo-Mode` chooses between two of them."""

    demo: bool
    tokens: TokenStore
    tenants: TenantStore
    # Live tenants with what is planned for them, without rules.
    directory: Roster
    writer: SampleWriter
    monitoring: MonitoringStore
    hints: Hints
    evidence: EvidenceRules
    availability: AvailabilityStore
    window_sums: WindowSums
    # What was found of many tenants last.
    current: CurrentFigures
    maintenance: MaintenanceStore
    # What is laid on many tenants at once.
    exclusions: ExclusionStore
    # The same of one tenant, with what its figures are made of.
    contracts: Contracts
    objectives: ObjectiveStore
    statements: StatementService
    statement_mail: StatementMail
    status_pages: StatusPageStore
    intervals: Intervals
    alerts: AlertStore
    deliveries: Deliveries
    rule_desk: RuleDesk
    silences: SilenceStore
    acknowledgements: AcknowledgementStore
    acknowledging: AcknowledgementDesk
    webhook_keys: WebhookKeys
    external_alerts: ExternalAlertStore
    recoveries: RecoveryDesk
    deployments: DeploymentService
    audit: AuditTrail
    quarantine: Quarantine
    faults: FaultLog
    profiles: ProfileStore
    operations: Operations
    # What administrators have set over HTTP.
    operating: Operating
    health: Health
    hub: Hub
    simulator: SimulatorClient | None
    workers: TenantWorkers
    # For what would cost more to hand to a process than to do: many objects that are held anyway.
    threads: TenantWorkers
    # Called after a tenant was stored: gives it its SLA rules.
    on_tenant_created: Callable[[Tenant], Awaitable[None]]
    # Called after its objectives were stored: gives them their rules, and ends alerts of those that are gone.
    on_objectives_changed: Callable[[Tenant, datetime], Awaitable[None]]

    @property
    def name(self) -> str:
        """Which of the two databases it is."""
        return "demo" if self.demo else "production"


@dataclass(frozen=True, slots=True)
class DebugTimer:
    """Counts database work of one request: `start(wanted)` at its begin, `read()` gives (queries, milliseconds)."""

    start: Callable[[bool], None]
    read: Callable[[], tuple[int, float]]


@dataclass(frozen=True, slots=True)
class ApiContext:
    settings: Settings
    clock: Clock
    production: Backend
    demo: Backend | None
    telemetry: Telemetry
    timer: DebugTimer
    # Where an issuer is configured.
    signed: SignedTokens | None = None


CONTEXT: Final = web.AppKey("context", ApiContext)
# Set by the middlewares for every request.
BACKEND: Final = web.RequestKey("backend", Backend)
CALLER: Final = web.RequestKey("caller", Caller)
# The live tenant that the request is about, once a handler has looked it up.
TENANT: Final = web.RequestKey("tenant", Tenant)
