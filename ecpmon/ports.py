"""Small Protocols between layers that must not import each other. Every one has a real implementation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from ecpmon.model.alerts import Action, AlertRule, RuleState
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.deployments import DeployedObject, DeploymentRecord, DeploymentStatus, Outcome, Release
from ecpmon.model.ingest import Batch, IngestResult
from ecpmon.model.maintenance import Accounting, Interval, Maintenance
from ecpmon.model.objectives import Counts, Objective, RatioResult, StoredObjective
from ecpmon.model.recovery import Recovery, RecoveryReason, RecoveryState
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.model.usage import ServiceUsage
from ecpmon.model.windows import Cause, SlaStatus, Tally, WindowFigures


class Clock(Protocol):
    """The only way to learn the time."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class NewTenant:
    tenant_id: str
    name: str | None
    preset: str
    is_demo: bool
    service_requirements: Mapping[str, int]
    resources: Resources
    sla_target: SlaTarget
    gpu_type: str | None = None
    description: str | None = None
    sli_source: str = "auto"
    push_interval: timedelta = timedelta(seconds=60)
    time_zone: str = "UTC"
    maintenance_accounting: Accounting = Accounting.EXCLUDE
    component_weights: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class TenantChange:
    """Everything of a tenant that people may change, as it is to be."""

    name: str | None
    description: str | None
    preset: str
    service_requirements: Mapping[str, int]
    resources: Resources
    sla_target: SlaTarget
    gpu_type: str | None
    service_resources: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class TenantPage:
    tenants: tuple[Tenant, ...]
    total: int
    demo: int
    active: int


class TenantStore(Protocol):
    async def create(self, new: NewTenant, deployment_id: str, now: datetime) -> Tenant:
        """Store a tenant with its first deployment row (`pending`). Raises TenantAlreadyExists."""
        ...

    async def get(self, tenant_id: str) -> Tenant:
        """A live tenant. Raises TenantNotFound."""
        ...

    async def get_with_deleted(self, tenant_id: str) -> Tenant:
        """The live tenant of that name, else the one deleted last. Raises TenantNotFound."""
        ...

    async def page(
        self, *, allowed: Sequence[str] | None, preset: str | None, status: str | None, skip: int, limit: int
    ) -> TenantPage:
        """Live tenants by age. `allowed` None means every tenant (an administrator's view)."""
        ...

    async def live(self) -> list[Tenant]:
        """Every live tenant: for collectors and jobs, which serve them all."""
        ...

    async def update(self, tenant: Tenant, change: TenantChange, now: datetime) -> Tenant:
        """Store a change of `tenant` as it was read. Raises Conflict when somebody else was faster.

        The SLA target that is replaced is kept: see `as_of`.
        """
        ...

    async def as_of(self, tenant: Tenant, at: datetime) -> Tenant:
        """The tenant with the SLA target that was in force at `at`."""
        ...

    async def delete(self, tenant: Tenant, now: datetime) -> None:
        """Take the tenant out of service; its SLA history stays readable."""
        ...

    async def set_deployed(
        self, tenant: Tenant, deployed_to: str | None, status: str, holds: timedelta, now: datetime
    ) -> Tenant:
        """Record where the tenant runs and, as `tenant` was read, what of it; a change of evidence source opens
        a new regime at `now`."""
        ...

    async def add_regime(
        self, tenant: Tenant, valid_from: datetime, source: Source, holds: timedelta
    ) -> None:
        """From `valid_from` on evidence comes from `source` and holds for `holds`."""
        ...


class SampleWriter(Protocol):
    async def write(self, batch: Batch) -> IngestResult:
        """Commit a batch (grouped with others under load). Returning means committed.

        Raises DatabaseUnavailable within about a second when the database is away.
        """
        ...


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a plot. `value` is the average over the step."""

    ts: datetime
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Latest:
    ts: datetime
    metric_type: str
    value: float
    source: Source = Source.PUSH


class MonitoringStore(Protocol):
    async def points(
        self,
        tenant: Tenant,
        start: datetime,
        end: datetime,
        step: timedelta,
        metric_type: str | None = None,
        source: Source | None = None,
    ) -> dict[tuple[str, str], list[Point]]:
        """(metric_type, metric_name) -> points, oldest first; read from the tier whose resolution fits `step`."""
        ...

    async def latest(self, tenant: Tenant, since: datetime) -> dict[str, Latest]:
        """metric_name -> newest value since `since`, from the source that reported last."""
        ...

    async def aggregate(
        self, tenant: Tenant, metric: str, function: str, start: datetime, end: datetime
    ) -> float | None:
        """avg, min, max, last or rate (per second, counter resets respected) of a metric in (start, end]."""
        ...

    async def mean_response_times(
        self, tenant_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, float]:
        """tenant_id -> mean response time in ms, from the hourly rollups; absent without data."""
        ...

    async def service_usage(
        self, tenant: Tenant, start: datetime, end: datetime, *, raw: bool
    ) -> dict[str, ServiceUsage]:
        """service -> what it was measured to use in `[start, end)`; from samples, or from 5-minute rollups."""
        ...

    async def causes(
        self, tenant: Tenant, outages: Sequence[Interval], raw_since: datetime, error_rate_at: float | None
    ) -> list[Cause]:
        """What was wrong when each outage began, as far as its evidence says; raw samples go back to `raw_since`."""
        ...

    async def metric_names(self, tenant: Tenant) -> set[str]:
        """Names this tenant has ever sent."""
        ...


class AvailabilityStore(Protocol):
    async def timeline(
        self, tenant: Tenant, start: datetime, now: datetime, *, reasons: bool = False
    ) -> list[Span]:
        """The tenant's spans that touch `[start, now)`, up to `now`.

        The gap after the last observation has reasons only when they are asked for: they cost a look at every
        attempt since. Closed gaps always have theirs.
        """
        ...

    async def statuses(self, tenant: Tenant) -> dict[str, SlaStatus]:
        """window -> live status as last stored, for its hysteresis."""
        ...

    async def all_statuses(self) -> dict[str, dict[str, SlaStatus]]: ...

    async def store_current(self, results: Mapping[str, Sequence[WindowFigures]], now: datetime) -> None:
        """Store the evaluation of tenant_id -> windows."""
        ...

    async def current_30d(self, tenant_ids: Sequence[str]) -> dict[str, float]:
        """tenant_id -> stored 30-day availability fraction, for listings; absent before any data."""
        ...


class WindowSums(Protocol):
    """Totals of the timeline whose cost grows neither with a window's length nor with what happened in it."""

    async def tallies(
        self, asked: Mapping[str, Collection[Interval]], now: datetime
    ) -> dict[str, dict[Interval, Tally]]:
        """Seconds by tenant_id and interval; what lies after `now` does not count. No observation: no entry.

        Maintenance is unknown here. Tenant-bound by what is asked: name only whom the caller may see.
        """
        ...

    async def states(self, tenant_ids: Collection[str], now: datetime) -> dict[str, SpanState]:
        """What each tenant is now; absent before its first observation."""
        ...


@dataclass(frozen=True, slots=True)
class RuleWithState:
    rule: AlertRule
    state: RuleState
    alert_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A stored state change of a rule."""

    event_id: int
    tenant_id: str
    rule_id: str
    alert_id: str
    alert_name: str
    severity: str
    kind: str
    from_state: str
    to_state: str
    at: datetime
    value: float | None
    threshold: float | None
    metric: str | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A state change about to be stored with its notifications: (idempotency key, action, payload) each."""

    alert_id: str
    from_state: str
    to_state: str
    at: datetime
    value: float | None
    threshold: float | None
    metric: str | None
    reason: str
    message: str
    notifications: tuple[tuple[str, Action, Mapping[str, Any]], ...] = ()


class MaintenanceStore(Protocol):
    async def add(self, tenant: Tenant, planned: Maintenance) -> None: ...

    async def of_tenant(self, tenant: Tenant) -> list[Maintenance]:
        """What is planned, by start."""
        ...

    async def of_all(self) -> dict[str, list[Maintenance]]:
        """The same for every live tenant, by tenant_id (jobs and the operators' summary)."""
        ...

    async def remove(self, tenant: Tenant, maintenance_id: str, by: str, now: datetime) -> None:
        """Raises NotFound, also for another tenant's window."""
        ...


class ObjectiveStore(Protocol):
    """Request-based and latency objectives. Every tenant has the defaults of `rules/objectives.yaml`."""

    async def of_tenant(self, tenant: Tenant) -> list[StoredObjective]:
        """Those in force, by name."""
        ...

    async def of_all(self) -> dict[str, list[StoredObjective]]:
        """The same for every live tenant, by tenant_id (jobs)."""
        ...

    async def put(
        self, tenant: Tenant, objectives: Sequence[Objective], now: datetime, *, others: bool = True
    ) -> list[bool]:
        """Store the tenant's own objectives, all or none; for each whether the name is new.

        `others` False: these are all of its own, the others are taken back. What is counted differently from
        before is counted anew from the raw samples. Raises Conflict when they would be too many.
        """
        ...

    async def delete(self, tenant: Tenant, name: str, now: datetime) -> None:
        """Take back the tenant's own objective; a default of that name is in force again.

        Raises NotFound, also for another tenant's; Conflict for a default.
        """
        ...

    async def sums(self, edges: Collection[tuple[int, datetime]]) -> dict[tuple[int, datetime], Counts]:
        """(objective's key, instant at a whole minute) -> everything counted before it, from some origin."""
        ...

    async def statuses(self, tenant: Tenant | None = None) -> dict[tuple[int, str], SlaStatus]:
        """(objective's key, window) -> live status as last stored; of one tenant or of all."""
        ...

    async def store_current(self, results: Mapping[int, Sequence[RatioResult]], now: datetime) -> None:
        """Store the evaluation: objective's key -> windows."""
        ...


@dataclass(frozen=True, slots=True)
class ClosedStatement:
    """A stored revision of a tenant-month. `changes` against the one before; None for the first."""

    revision: int
    closed_at: datetime
    digest: str
    document: dict[str, Any]
    changes: dict[str, Any] | None


class StatementStore(Protocol):
    async def revisions(self, tenant: Tenant, month: str) -> list[ClosedStatement]:
        """Oldest first; empty when the month is not closed."""
        ...

    async def close(
        self,
        tenant: Tenant,
        month: str,
        revision: int,
        document: dict[str, Any],
        changes: dict[str, Any] | None,
        now: datetime,
    ) -> None:
        """Store a revision; nothing happens when another process was faster."""
        ...

    async def closed_months(self) -> list[tuple[str, str]]:
        """(tenant_id, month) of every live tenant, for the job that looks for late changes."""
        ...


class AlertStore(Protocol):
    async def create(self, rule: AlertRule, now: datetime) -> RuleWithState:
        """Raises Conflict when the tenant has a rule of that name, TenantNotFound."""
        ...

    async def create_missing(self, rules: Sequence[AlertRule], now: datetime) -> None:
        """All in one transaction; a rule whose name its tenant has already is left out."""
        ...

    async def rules(self, tenant: Tenant) -> list[RuleWithState]: ...

    async def get(self, tenant: Tenant, rule_id: str) -> RuleWithState:
        """Raises NotFound, also for another tenant's rule."""
        ...

    async def delete(
        self, tenant: Tenant, entry: RuleWithState, events: Sequence[NewEvent], now: datetime
    ) -> list[AlertEvent] | None:
        """The rule goes and the events of its end are stored, in one transaction.

        None when the rule is no longer in the alert of `entry`: read again, nothing was stored.
        """
        ...

    async def replace(
        self,
        tenant: Tenant,
        entry: RuleWithState,
        rule: AlertRule,
        state: RuleState,
        events: Sequence[NewEvent],
        now: datetime,
    ) -> list[AlertEvent] | None:
        """`entry` becomes `rule` in `state`; events and None as for `delete`.

        Raises Conflict for a name that is taken.
        """
        ...

    async def all_rules(self, tenant_ids: Sequence[str] | None = None) -> list[RuleWithState]:
        """Rules of live tenants, for the engine."""
        ...

    async def advance(
        self,
        rule: AlertRule,
        before: RuleState,
        after: RuleState,
        alert_id: str | None,
        events: Sequence[NewEvent],
        now: datetime,
    ) -> list[AlertEvent] | None:
        """Store a state with its events and notifications in one transaction.

        None when somebody else changed the rule's state since `before` was read: read again, nothing was stored.
        """
        ...

    async def tenants_without_sla_rules(self) -> list[str]:
        """Live tenants that lack the rules every tenant has (somebody inserted them by hand)."""
        ...

    async def recent_events(self, tenant: Tenant, limit: int) -> list[AlertEvent]: ...

    async def last_event_of_each(self) -> dict[str, AlertEvent]:
        """tenant_id -> newest firing or resolved event, for the summary."""
        ...

    async def deliveries(self, tenant: Tenant, limit: int) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class ExternalAlert:
    tenant_id: str | None
    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None
    status: str
    alert_name: str
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class ExternalAlertStore(Protocol):
    async def record(self, alerts: Sequence[ExternalAlert], now: datetime) -> list[ExternalAlert]:
        """Store what is new and return just that; deliveries seen before are left out."""
        ...

    async def recent(self, tenant: Tenant, limit: int) -> list[ExternalAlert]: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `tenants` None means every tenant."""

    name: str
    roles: frozenset[str]
    tenants: frozenset[str] | None

    def may_see(self, tenant_id: str) -> bool:
        return self.tenants is None or tenant_id in self.tenants


class TokenStore(Protocol):
    async def find(self, token: str, now: datetime) -> Caller | None:
        """The caller of a bearer token, None when unknown, expired or revoked. Tokens are stored hashed."""
        ...

    async def create(
        self, name: str, roles: Sequence[str], tenants: Sequence[str], now: datetime, expires: datetime | None
    ) -> str:
        """A new token, shown once."""
        ...


class AttemptLog(Protocol):
    """Where collectors report attempts and resume."""

    async def watermark(self, source: Source) -> datetime | None: ...

    async def last_attempt(self, source: Source, since: datetime) -> datetime | None: ...


class Health(Protocol):
    async def ready(self) -> dict[str, Any]:
        """Component -> state for `/ready`; `ok` is False while any of them is not."""
        ...


class SimulatorClient(Protocol):
    """What we ask of the deployment simulator. Raises SimulatorUnavailable."""

    async def deploy(self, tenant: Tenant) -> int:
        """Deploy the tenant's services; the number of services."""
        ...

    async def remove(self, tenant_id: str) -> None: ...

    async def status(self) -> dict[str, Any]: ...

    async def start_scenario(self, tenant_id: str, scenario: str) -> None:
        """Begin one of the simulator's named series of timed failures."""
        ...

    async def trigger_failure(
        self, tenant_id: str, failure_type: str, duration_seconds: float | None, severity: float | None
    ) -> dict[str, Any]: ...

    async def clear_failures(self, tenant_id: str) -> dict[str, Any]: ...

    async def failure_types(self) -> dict[str, Any]: ...


class Restarter(Protocol):
    """Restarts what a tenant runs."""

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """Restart the tenant's deployments; their number. The same `now` again starts nothing new.

        Returns when the restart is ordered, not when it is done. Raises EcpError; `retryable` says whether
        the same call may succeed later.
        """
        ...


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """A change of a recovery about to be stored, with what is told about it (as in `NewEvent`).

    `restarted` is the number of deployments when a restart was just confirmed.
    """

    state: RecoveryState
    reason: RecoveryReason
    detail: str
    due_at: datetime | None
    message: str
    restarted: int | None = None
    notifications: tuple[tuple[str, Action, Mapping[str, Any]], ...] = ()


class RecoveryStore(Protocol):
    async def begin(self, alert: ExternalAlert, now: datetime) -> RecoveryState | None:
        """Store a recovery for a firing alert, due now: `restarting`, or `joined` beside one under way.

        None when this alert has one already, or its tenant does not exist.
        """
        ...

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Recovery]:
        """Recoveries of live tenants that are due, taken for `lease`."""
        ...

    async def mark_restart(self, recovery: Recovery, now: datetime) -> Recovery | None:
        """Record a try before it is made; its stamp is kept from the first. None when the claim was lost."""
        ...

    async def advance(self, recovery: Recovery, step: RecoveryStep, now: datetime) -> AlertEvent | None:
        """Store a change with its event and notifications in one transaction, and let go of the claim.

        None when nothing but the due time changed, or the claim was lost.
        """
        ...

    async def restarts_since(self, recovery: Recovery, tenant: Tenant, since: datetime) -> int:
        """How often the tenant was restarted for other alerts after `since`."""
        ...

    async def forget(self, before: datetime) -> None:
        """Delete rows with nothing left to do that were last changed before `before`."""
        ...

    async def alert_resolved(self, recovery: Recovery, tenant: Tenant) -> bool:
        """Whether Alertmanager has said that this alert is over."""
        ...

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[Recovery]:
        """Newest first."""
        ...


class RecoveryDesk(Protocol):
    """Where alerts about tenants that are down are handed in."""

    async def alerted(self, alerts: Sequence[ExternalAlert], now: datetime) -> int:
        """Begin a recovery for every firing `ECPTenantDown` that has none; the number begun."""
        ...

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[Recovery]: ...


# Phase, what happened in words, and the objects as far as known (None: as before).
Progress = Callable[[DeploymentStatus, str, "Sequence[DeployedObject] | None"], Awaitable[None]]


class Deployer(Protocol):
    """Brings tenants out, one way or another. All adapters pass one contract test."""

    async def snapshot(self, release: Release) -> tuple[Mapping[str, Any], ...]:
        """What a rollback of this release would restore; () where nothing needs to be. Raises KubernetesUnavailable."""
        ...

    async def apply(self, release: Release, progress: Progress) -> Outcome:
        """Make the cluster hold exactly the release's objects for this tenant, and wait until they serve.

        Tells each phase from `creating-namespace` on. The same release again changes nothing. Raises DeploymentFailed
        (`rolled_back` says whether what ran before runs again) or, when the other side is away, KubernetesUnavailable.
        """
        ...

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """Restart the tenant's workloads; how many. The same `now` again restarts nothing."""
        ...

    async def delete(self, tenant_id: str) -> None:
        """Take everything of the tenant away; gone already is what was wanted."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class DeploymentStore(Protocol):
    """Deployments as durable rows: one at a time per tenant, and no step backwards."""

    async def request(
        self,
        tenant: Tenant,
        deployment_id: str,
        method: str,
        options: Mapping[str, Any],
        requested_by: str,
        forced_because: str | None,
        now: datetime,
    ) -> None:
        """Raises Conflict while another deployment of the tenant runs."""
        ...

    async def advance(
        self,
        deployment_id: str,
        status: DeploymentStatus,
        message: str,
        now: datetime,
        *,
        level: str = "info",
        objects: Sequence[DeployedObject] | None = None,
        tries: int = 0,
    ) -> bool:
        """The next step of try number `tries`, with a log line. False: it is over, or another try goes on with it."""
        ...

    async def beat(self, record: DeploymentRecord, now: datetime) -> None:
        """Somebody is working on it."""
        ...

    async def remember(
        self, record: DeploymentRecord, before: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], ...] | None:
        """Keep what ran before, unless an earlier try has; what is kept. None: another try goes on with it."""
        ...

    async def take_over(self, silent_since: datetime, now: datetime) -> list[DeploymentRecord]:
        """Unfinished deployments that nobody has worked on since; they are the caller's now. All tenants: a job's."""
        ...

    async def get(self, deployment_id: str) -> DeploymentRecord:
        """Of any tenant: check whose it is before showing it. Raises NotFound."""
        ...

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[DeploymentRecord]:
        """Newest first."""
        ...

    async def running(self, tenant: Tenant) -> DeploymentRecord | None:
        """The one that is not over yet."""
        ...

    async def places(self, tenant: Tenant) -> list[str]:
        """The methods by which we have tried to bring the tenant out, whatever came of it."""
        ...

    async def record_finished(
        self,
        tenant: Tenant,
        deployment_id: str,
        method: str,
        status: DeploymentStatus,
        message: str,
        by: str,
        now: datetime,
    ) -> None:
        """A deployment that was made somewhere else."""
        ...
