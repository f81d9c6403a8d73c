"""In-memory stores behind the API, and `make_app`: handlers over real sockets without a database.

The fakes keep the promises of `ecpmon.ports` and no more; whatever decides something (windows, grammar,
targets, the hub) is the real thing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aiohttp import web

from ecpmon.alerts.desk import RuleDesk
from ecpmon.api.addresses import PROXIES, Proxies
from ecpmon.api.context import BACKEND, CALLER, CONTEXT, ApiContext, Backend, DebugTimer
from ecpmon.api.errors import error_response, request_id_of
from ecpmon.api.hints import Hints
from ecpmon.api.hub import Hub
from ecpmon.api.limits import LIMITS, Limits
from ecpmon.compute.threads import Threads
from ecpmon.errors import Conflict, EcpError, LimitReached, NotFound, TenantNotFound
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.ingest import Batch, IngestResult, Rejection, Rejections
from ecpmon.model.maintenance import Interval, Maintenance, Withdrawn
from ecpmon.model.operating import OperatingSettings, Stored
from ecpmon.model.recovery import Recovery
from ecpmon.model.samples import Frame, Source
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import ContractVersion, Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.model.windows import Cause, SlaStatus, Tally
from ecpmon.ports.alerts import AlertEvent, ExternalAlert, NewEvent, Recorded, RuleWithState
from ecpmon.ports.contracts import Contract, Facts
from ecpmon.ports.current import Figures
from ecpmon.ports.roster import Standing
from ecpmon.ports.samples import Plot, Point
from ecpmon.ports.sla import WindowTotals
from ecpmon.ports.tenants import TenantPage
from ecpmon.ports.tokens import Caller
from ecpmon.settings import Settings
from ecpmon.sla.entries import Book, unmarked
from ecpmon.sla.evidence import DEFAULT_RULES, Intervals
from ecpmon.sla.ledger import edges_of
from ecpmon.sla.windows import tally
from ecpmon.statements.service import StatementService, Terms
from ecpmon.telemetry import Telemetry
from ecpmon.workers import TenantWorkers, Workers
from tests.quarantine import FakeQuarantine

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADMIN = Caller("admin", frozenset({"admin"}), None)
OUTSIDER = Caller("outsider", frozenset({"admin"}), frozenset({4711}), frozenset({"somebody-elses"}))


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@dataclass
class FakeClock:
    instant: datetime = NOW

    def now(self) -> datetime:
        return self.instant


class FakeTenants:
    def __init__(self) -> None:
        self.rows: list[Tenant] = []

    def add(self, tenant_id: str, target: str = "99.5%", **more: Any) -> Tenant:
        """A tenant that is there already."""
        given = {"name": tenant_id, "preset": "micro", "is_demo": False, "status": TenantStatus.RUNNING}
        given |= {"service_requirements": {}, "resources": Resources(), "created_at": NOW, "updated_at": NOW}
        sla = SlaTarget(availability=target)
        made = Tenant(
            **{**given, "key": len(self.rows) + 1, "tenant_id": tenant_id, "sla_target": sla, **more}
        )
        self.rows.append(made)
        return made

    async def get(self, tenant_id: str) -> Tenant:
        for tenant in await self.live():
            if tenant.tenant_id == tenant_id:
                return tenant
        raise TenantNotFound(tenant_id)

    def held(self, tenant_id: str) -> Tenant | None:
        return None

    async def known(self, tenant_id: str) -> Tenant:
        return await self.get(tenant_id)

    async def live_of(self, tenant_ids: Collection[str]) -> list[Tenant]:
        return [t for t in await self.live() if t.tenant_id in tenant_ids]

    async def get_with_deleted(self, tenant_id: str, *, among: Collection[int] | None) -> Tenant:
        found = [t for t in self.rows if t.tenant_id == tenant_id and (among is None or t.key in among)]
        if not found:
            raise TenantNotFound(tenant_id)
        return max(found, key=lambda t: (t.deleted_at is None, t.deleted_at or NOW))

    async def page(
        self,
        *,
        allowed: Collection[int] | None,
        preset: str | None,
        status: str | None,
        skip: int,
        limit: int,
    ) -> TenantPage:
        seen = [
            t
            for t in await self.live()
            if (allowed is None or t.key in allowed)
            and preset in (None, t.preset)
            and status in (None, t.status.value)
        ]
        active = sum(t.status is TenantStatus.RUNNING for t in seen)
        return TenantPage(tuple(seen[skip : skip + limit]), len(seen), sum(t.is_demo for t in seen), active)

    async def as_of(self, tenant: Tenant, at: datetime) -> Tenant:
        return tenant

    async def contract_history(self, tenant: Tenant, most: int) -> list[ContractVersion]:
        return list(tenant.contract_versions[::-1])[:most]

    async def live(self, *, among: Collection[int] | None = None) -> list[Tenant]:
        return [t for t in self.rows if t.deleted_at is None and (among is None or t.key in among)]

    async def deleted_since(self, since: datetime) -> list[Tenant]:
        return [t for t in self.rows if t.deleted_at is not None and t.deleted_at >= since]

    async def delete(self, tenant: Tenant, now: datetime) -> None:
        self.rows[tenant.key - 1] = tenant.model_copy(update={"deleted_at": now})


class FakeDirectory:
    """`Roster` without rules."""

    def __init__(self, tenants: FakeTenants, maintenance: Any) -> None:
        self._tenants = tenants
        self._maintenance = maintenance

    async def standings(self) -> dict[str, Standing]:
        return {
            t.tenant_id: Standing(t.tenant_id, t, (), await self._maintenance.of_tenant(t))
            for t in await self._tenants.live()
        }


class FakeSamples:
    """`SampleWriter` and `MonitoringStore` over one list of frames. Sending twice changes nothing."""

    def __init__(self, tenants: FakeTenants, max_series: int = 1000) -> None:
        self._tenants = tenants
        self._max_series = max_series
        self.batches: list[Batch] = []
        self.stored: dict[tuple[str, Source, str, str], dict[datetime, float]] = {}
        self.error: EcpError | None = None
        self.part = 15_000

    async def write(self, batch: Batch) -> IngestResult:
        if self.error:
            raise self.error
        self.batches.append(batch)
        live = {t.tenant_id for t in await self._tenants.live()}
        rejected = Rejections()
        accepted = 0
        for frame in (frame for entry in batch.frames for frame in entry.frames()):
            for sample in frame.samples:
                why = Rejection.UNKNOWN_TENANT if frame.tenant_id not in live else self._keep(frame, sample)
                accepted += why is None
                if why is not None:
                    rejected.add(frame.tenant_id, sample.key.metric_name, why)
        return IngestResult(accepted, tuple(rejected.named), (), batch.frames, rejected.counts)

    def _keep(self, frame: Frame, sample: Any) -> Rejection | None:
        key = (frame.tenant_id, frame.source, sample.key.metric_type, sample.key.metric_name)
        if key not in self.stored and len(self.stored) >= self._max_series:
            return Rejection.TOO_MANY_SERIES
        self.stored.setdefault(key, {})[frame.ts] = sample.value
        return None

    async def causes(self, tenant: Tenant, outages: Sequence[Interval], *_: Any) -> list[Cause]:
        return [Cause() for _ in outages]

    async def packed(
        self,
        tenant: Tenant,
        start: datetime,
        end: datetime,
        step: timedelta,
        metric_type: str | None = None,
        source: str | None = None,
        names: Collection[str] | None = None,
    ) -> FakePackedPoints:
        if self.error:
            raise self.error
        found: dict[tuple[str, str], list[Point]] = {}
        for (name, said_by, kind, metric), values in self.stored.items():
            wanted = name == tenant.tenant_id and said_by == (source or tenant.evidence_source)
            if not wanted or metric_type not in (None, kind) or (names is not None and metric not in names):
                continue
            buckets: dict[datetime, list[float]] = {}
            for ts in sorted(t for t in values if start <= t < end):
                at = ts - timedelta(seconds=ts.timestamp() % step.total_seconds())
                buckets.setdefault(at, []).append(values[ts])
            if buckets:
                found[kind, metric] = [Point(t, sum(v) / len(v), min(v), max(v)) for t, v in buckets.items()]
        return FakePackedPoints(found)

    async def plots(
        self, tenant: Tenant, start: datetime, end: datetime, step: timedelta, metric_type: str | None = None
    ) -> list[Plot]:
        if self.error:
            raise self.error
        found = []
        for (name, source, kind, metric), stored in sorted(self.stored.items()):
            if name != tenant.tenant_id or metric_type not in (None, kind):
                continue
            steps: dict[int, list[float]] = {}
            for ts in sorted(t for t in stored if start <= t < end):
                at = int(ts.timestamp() // step.total_seconds() * step.total_seconds())
                steps.setdefault(at, []).append(stored[ts])
            if values := [value for own in steps.values() for value in own]:
                means = [sum(own) / len(own) for own in steps.values()]
                mean = sum(values) / len(values)
                found.append(Plot(kind, metric, source.value, list(steps), means, max(values), mean))
        return found

    async def has_said(self, tenant: Tenant, names: Collection[str]) -> tuple[bool, bool]:
        own = await self.metric_names(tenant)
        return not own.isdisjoint(names), bool(own)

    async def sources(self, tenant: Tenant) -> set[str]:
        return {source for name, source, _, _ in self.stored if name == tenant.tenant_id}

    async def metric_names(self, tenant: Tenant) -> set[str]:
        return {metric for name, _, _, metric in self.stored if name == tenant.tenant_id}


class FakePacked(list[Any]):
    """Spans that were never packed."""

    def open(self) -> list[Span]:
        return list(self)

    def troubles(self, start: datetime, most: int) -> list[Span]:
        return [s for s in self if s.state is not SpanState.UP][-most:]


@dataclass
class FakePackedPoints:
    points: dict[tuple[str, str], list[Point]]

    def open(self) -> dict[tuple[str, str], list[Point]]:
        return self.points


class FakeAvailability:
    """Timelines as tests put them. `asked` records what was read."""

    def __init__(self, tenants: FakeTenants) -> None:
        self._tenants = tenants
        self.spans: dict[str, list[Span]] = {}
        self.stored: dict[str, dict[str, SlaStatus]] = {}
        self.asked: list[tuple[str, datetime, datetime]] = []

    def _touching(self, tenant_id: str, start: datetime, now: datetime) -> list[Span]:
        self.asked.append((tenant_id, start, now))
        spans = [s for s in self.spans.get(tenant_id, []) if s.end > start and s.start < now]
        return [Span(s.start, min(s.end, now), s.state, s.reason) for s in spans]

    async def timeline(
        self, tenant: Tenant, start: datetime, now: datetime, *, reasons: bool = False, present: bool = False
    ) -> list[Span]:
        return self._touching(tenant.tenant_id, start, now)

    async def reach(self, tenant: Tenant, start: datetime, end: datetime, now: datetime) -> Interval:
        return Interval(min([start, *(s.start for s in self.spans.get(tenant.tenant_id, []))]), now)

    async def coarse_days(self, tenant: Tenant, start: datetime, end: datetime) -> list[date]:
        return []

    async def packed(
        self, tenant: Tenant, start: datetime, now: datetime, *, reasons: bool = False, present: bool = False
    ) -> FakePacked:
        return FakePacked(self._touching(tenant.tenant_id, start, now))

    async def troubles(
        self, tenant: Tenant, start: datetime, now: datetime, most: int, *, present: bool = False
    ) -> FakePacked:
        return FakePacked(self._touching(tenant.tenant_id, start, now))

    async def tallies(
        self, asked: Mapping[str, Collection[Interval]], now: datetime
    ) -> dict[str, dict[Interval, Tally]]:
        return {
            name: {i: tally(self.spans[name], i.start, min(i.end, now)) for i in intervals}
            for name, intervals in asked.items()
            if self.spans.get(name)
        }

    async def totals(
        self, tenant_keys: Sequence[int], starts: Sequence[datetime], now: datetime
    ) -> dict[int, WindowTotals]:
        found = {}
        for tenant in await self._tenants.live():
            spans = self.spans.get(tenant.tenant_id)
            if spans and tenant.key in tenant_keys:
                tallies = [tally(spans, start, now) for start in starts]
                columns = ([t.eligible for t in tallies], [t.down for t in tallies], [t.gap for t in tallies])
                last = spans[-1]
                found[tenant.key] = WindowTotals(
                    last.state, spans[0].start, last.end, last.end + timedelta(seconds=1), *columns
                )
        return found

    async def marks(
        self,
        tenant: Tenant,
        instants: Sequence[datetime],
        now: datetime,
        earlier: Sequence[Interval] = (),
        *,
        coarse: Collection[date] = (),
        present: bool = False,
    ) -> dict[datetime, Mark]:
        self.asked.append((tenant.tenant_id, instants[0], now))
        spans = self.spans.get(tenant.tenant_id)
        if not spans:
            return unmarked(instants, now)
        book = Book(spans, spans[0].start, min(now, spans[-1].end))
        return {instant: book.mark(instant) for instant in [*sorted(edges_of(earlier)), *instants]}

    async def states(self, tenant_ids: Collection[str], now: datetime) -> dict[str, SpanState]:
        return {
            name: spans[-1].state for name in tenant_ids if (spans := self._touching(name, EARLIEST, now))
        }

    async def statuses(self, tenant: Tenant) -> dict[str, SlaStatus]:
        return dict(self.stored.get(tenant.tenant_id, {}))

    async def remembered(self, tenants: Collection[Tenant]) -> dict[str, dict[str, SlaStatus]]:
        return await self.statuses_of(tenants)

    async def statuses_of(self, tenants: Collection[Tenant]) -> dict[str, dict[str, SlaStatus]]:
        return {t.tenant_id: await self.statuses(t) for t in tenants}


class FakeCurrent:
    """What was found last, as tests put it."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[Figures, SpanState | None]] = {}
        self.asked: list[list[str]] = []

    async def of(
        self, standings: Mapping[str, Standing], now: datetime
    ) -> Mapping[str, tuple[Figures, SpanState | None]]:
        self.asked.append(sorted(standings))
        return {name: found for name, found in self.found.items() if name in standings}


class FakeContracts:
    """Nothing is held: the contract is what the other stores say."""

    def __init__(
        self, tenants: FakeTenants, maintenance: FakeMaintenance, availability: FakeAvailability
    ) -> None:
        self._tenants, self._maintenance, self._availability = tenants, maintenance, availability

    def held(self, tenant_id: str, among: Collection[int] | None) -> Contract | None:
        return None

    async def read(self, tenant_id: str, among: Collection[int] | None) -> Contract | None:
        for tenant in await self._tenants.live():
            if tenant.tenant_id == tenant_id and (among is None or tenant.key in among):
                return Contract(tenant, await self._maintenance.of_tenant(tenant), "")
        return None

    async def facts(
        self,
        contract: Contract,
        instants: Sequence[datetime],
        since: datetime,
        now: datetime,
        earlier: Sequence[Interval] = (),
    ) -> Facts:
        marks = await self._availability.marks(contract.tenant, instants, now, earlier)
        return Facts(marks, await self._availability.statuses(contract.tenant), [], changed=False)


class FakeMaintenance:
    def __init__(self) -> None:
        self.planned: dict[str, list[Maintenance]] = {}

    async def add(self, tenant: Tenant, planned: Maintenance, occurrences: int = 1) -> None:
        self.planned.setdefault(tenant.tenant_id, []).append(planned)

    async def of_tenant(self, tenant: Tenant) -> list[Maintenance]:
        return sorted(self.planned.get(tenant.tenant_id, []), key=lambda m: m.start)

    async def withdrawn(self, tenant: Tenant) -> list[Withdrawn]:
        return []

    async def of_tenants(self, tenants: Collection[Tenant]) -> dict[str, list[Maintenance]]:
        return {t.tenant_id: await self.of_tenant(t) for t in tenants}


class FakeAlerts:
    def __init__(self) -> None:
        self.entries: dict[str, RuleWithState] = {}
        self.events: list[AlertEvent] = []

    def put(self, rule: AlertRule, state: RuleState | None = None, alert_id: str | None = None) -> AlertRule:
        self.entries[rule.rule_id] = RuleWithState(rule, state or RuleState(), alert_id, NOW)
        return rule

    async def create(self, rule: AlertRule, now: datetime, most: int | None = None) -> RuleWithState:
        own = [e for e in self.entries.values() if e.rule.tenant_id == rule.tenant_id]
        if most is not None and sum(e.rule.kind is RuleKind.THRESHOLD for e in own) >= most:
            raise LimitReached("too many rules", limit="alert_rules", most=most)
        names = {(e.rule.tenant_id, e.rule.alert_name) for e in self.entries.values()}
        if (rule.tenant_id, rule.alert_name) in names:
            raise Conflict("the tenant has an alert of that name already")
        self.entries[rule.rule_id] = RuleWithState(rule, RuleState(), None, now)
        return self.entries[rule.rule_id]

    async def rules(self, tenant: Tenant) -> list[RuleWithState]:
        return [e for e in self.entries.values() if e.rule.tenant_id == tenant.tenant_id]

    async def get(self, tenant: Tenant, rule_id: str) -> RuleWithState:
        entry = self.entries.get(rule_id)
        if entry is None or entry.rule.tenant_id != tenant.tenant_id:
            raise NotFound("there is no such alert rule", details={"rule_id": rule_id})
        return entry

    async def delete(
        self, tenant: Tenant, entry: RuleWithState, events: Sequence[NewEvent], now: datetime
    ) -> list[AlertEvent] | None:
        if self.entries.get(entry.rule.rule_id) != entry:
            return None
        del self.entries[entry.rule.rule_id]
        return self._record(entry.rule, events)

    async def replace(
        self,
        tenant: Tenant,
        entry: RuleWithState,
        rule: AlertRule,
        state: RuleState,
        events: Sequence[NewEvent],
        now: datetime,
    ) -> list[AlertEvent] | None:
        if self.entries.get(rule.rule_id) != entry:
            return None
        others = [e.rule for e in self.entries.values() if e is not entry]
        if (rule.tenant_id, rule.alert_name) in {(r.tenant_id, r.alert_name) for r in others}:
            raise Conflict("the tenant has an alert of that name already")
        self.entries[rule.rule_id] = RuleWithState(rule, state, None, entry.created_at)
        return self._record(entry.rule, events)

    def _record(self, rule: AlertRule, events: Sequence[NewEvent]) -> list[AlertEvent]:
        return [
            AlertEvent(
                len(self.events) + number, rule.tenant_id, rule.rule_id, e.alert_id, rule.alert_name,
                rule.severity.value, rule.kind.value, e.from_state, e.to_state, e.at, e.value, e.threshold,
                e.metric, e.reason, e.message,
            )
            for number, e in enumerate(events, start=1)
        ]  # fmt: skip

    async def last_events(self, tenants: Collection[Tenant]) -> dict[str, AlertEvent]:
        names = {t.tenant_id for t in tenants}
        told = [e for e in self.events if e.tenant_id in names and "firing" in (e.from_state, e.to_state)]
        return {e.tenant_id: e for e in sorted(told, key=lambda e: e.event_id)}


class FakeSilences:
    """Nobody has any."""

    async def live(self, tenants: Collection[int], now: datetime) -> dict[str, list[Any]]:
        return {}


class FakeAcknowledgements:
    """Nobody has seen any alert."""

    async def of_standing_alerts(self, tenant: Tenant) -> dict[str, Any]:
        return {}


class FakeDeliveries:
    def __init__(self) -> None:
        self.sent: dict[str, list[dict[str, Any]]] = {}

    async def recent(self, tenant: Tenant, limit: int) -> list[dict[str, Any]]:
        return self.sent.get(tenant.tenant_id, [])[:limit]


class FakeExternalAlerts:
    def __init__(self, tenants: FakeTenants) -> None:
        self._tenants = tenants
        self.recorded: list[ExternalAlert] = []

    async def record(
        self, alerts: Sequence[ExternalAlert], now: datetime, *, of_tenants_only: bool
    ) -> Recorded:
        live = {t.tenant_id for t in await self._tenants.live()}
        unknown = [a for a in alerts if of_tenants_only and a.tenant_id not in live]
        fresh: list[ExternalAlert] = []
        known = set(map(_key, self.recorded))
        for alert in alerts:
            # What PostgreSQL cannot hold.
            assert "\x00" not in repr_of(alert), "text with NUL"
            if alert not in unknown and _key(alert) not in known:
                known.add(_key(alert))
                self.recorded.append(alert)
                fresh.append(alert)
        return Recorded(tuple(fresh), tuple(unknown))


def _key(alert: ExternalAlert) -> tuple[Any, ...]:
    return alert.tenant_id, alert.fingerprint, alert.starts_at, alert.status


class FakeRecoveries:
    """`RecoveryDesk`: one recovery per firing ECPTenantDown, as the store keeps them apart."""

    def __init__(self) -> None:
        self.begun: list[tuple[str | None, str, datetime]] = []

    async def alerted(self, alerts: Sequence[ExternalAlert], now: datetime) -> int:
        wanted = [
            a for a in alerts if (a.alert_name, a.status) == ("ECPTenantDown", "firing") and a.tenant_id
        ]
        fresh = list(dict.fromkeys((a.tenant_id, a.fingerprint, a.starts_at) for a in wanted))
        begun = set(self.begun)
        fresh = [k for k in fresh if k not in begun]
        self.begun += fresh
        return len(fresh)

    async def between(
        self, tenant: Tenant, start: datetime, end: datetime, limit: int
    ) -> list[tuple[Recovery, int]]:
        return []


def repr_of(alert: ExternalAlert) -> str:
    """Every text of an alert in one, as it is."""
    pairs: list[Mapping[str, str]] = [alert.labels, alert.annotations]
    texts = [text for mapping in pairs for pair in mapping.items() for text in pair]
    return "".join([alert.tenant_id or "", alert.fingerprint, alert.alert_name, alert.severity, *texts])


class FakeSimulator:
    """Answers `document`, or raises `error`."""

    def __init__(self, document: dict[str, Any] | None = None, error: EcpError | None = None) -> None:
        self.document = document or {}
        self.error = error
        self.among: list[Collection[str] | None] = []
        self.reaches: list[str] = []

    async def status(self, among: Collection[str] | None) -> dict[str, Any]:
        if self.error:
            raise self.error
        self.among.append(among)
        return self.document

    async def trigger_failure(
        self, tenant_id: str, failure_type: str, seconds: float | None, severity: float | None, reach: str
    ) -> dict[str, Any]:
        self.reaches.append(reach)
        return self.document

    async def clear_failures(self, tenant_id: str, reach: str) -> dict[str, Any]:
        self.reaches.append(reach)
        return self.document


class FakeOperating:
    """`ports.Operating` where nobody has set anything but what a test puts in."""

    def __init__(self) -> None:
        self.base = self.current = self.started_with = OperatingSettings.model_construct()

    async def stored(self) -> Stored:
        return Stored(self.current)

    async def change(self, change: OperatingSettings, now: datetime) -> Stored:
        self.current = self.current.changed(change)
        return Stored(self.current, 1, now, "somebody")


class _Nothing:
    """A port that no handler under test may use: the first use is an AttributeError."""


class FakeDeployments:
    """What manifests know of the cluster."""

    surroundings: Mapping[str, Any] = {"ingress_domain": "apps.example.com"}


@dataclass
class World:
    """Everything behind the handlers; tests put facts in and look at what came out."""

    settings: Settings = field(default_factory=Settings)
    clock: FakeClock = field(default_factory=FakeClock)
    tenants: FakeTenants = field(default_factory=FakeTenants)
    maintenance: FakeMaintenance = field(default_factory=FakeMaintenance)
    alerts: FakeAlerts = field(default_factory=FakeAlerts)
    silences: FakeSilences = field(default_factory=FakeSilences)
    acknowledgements: FakeAcknowledgements = field(default_factory=FakeAcknowledgements)
    deliveries: FakeDeliveries = field(default_factory=FakeDeliveries)
    external_alerts: FakeExternalAlerts = field(init=False)
    recoveries: FakeRecoveries = field(default_factory=FakeRecoveries)
    hub: Hub = field(default_factory=Hub)
    simulator: FakeSimulator | None = None
    operating: FakeOperating = field(default_factory=lambda: FakeOperating())
    intervals: Intervals = field(
        default_factory=lambda: Intervals(timedelta(seconds=5), timedelta(seconds=15))
    )

    def __post_init__(self) -> None:
        self.samples = FakeSamples(self.tenants)
        self.external_alerts = FakeExternalAlerts(self.tenants)
        self.availability = FakeAvailability(self.tenants)
        self.current = FakeCurrent()

    def backend(self) -> Backend:
        unused: Any = _Nothing()
        stores: Any = self
        workers = TenantWorkers(Workers(Threads(as_processes=True)), "live")
        statements = StatementService(
            stores.availability,
            stores.maintenance,
            unused,
            Terms("1", ()),
            timedelta(days=760),
            workers,
        )
        return Backend(
            demo=False, tokens=unused, tenants=stores.tenants,
            directory=FakeDirectory(stores.tenants, stores.maintenance), writer=stores.samples,
            monitoring=stores.samples, hints=Hints(stores.samples),
            evidence=DEFAULT_RULES,
            availability=stores.availability, window_sums=stores.availability, current=stores.current,
            maintenance=stores.maintenance, exclusions=unused, statements=statements,
            statement_mail=unused, status_pages=unused,
            contracts=FakeContracts(stores.tenants, stores.maintenance, stores.availability),
            intervals=self.intervals, alerts=stores.alerts,
            webhook_keys=unused, deliveries=stores.deliveries,
            rule_desk=RuleDesk(stores.alerts, "http://ecpmon.example", stores.alerts.events.append),
            silences=stores.silences, acknowledgements=stores.acknowledgements, acknowledging=unused,
            external_alerts=stores.external_alerts,
            recoveries=stores.recoveries, objectives=unused, deployments=FakeDeployments(),
            quarantine=FakeQuarantine(), audit=unused, faults=unused, profiles=unused, operations=unused,
            operating=self.operating,
            health=unused,
            workers=workers, threads=workers,
            hub=self.hub, simulator=stores.simulator,
            on_tenant_created=unused, on_objectives_changed=unused,
        )  # fmt: skip


def make_app(modules: Iterable[Any], world: World, caller: Caller = ADMIN) -> web.Application:
    """The routes of `modules` for one caller. Roles are not checked here, so a handler's own walls are seen."""
    backend = world.backend()

    @web.middleware
    async def around(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        request[BACKEND], request[CALLER] = backend, caller
        request_id_of(request)
        try:
            return await handler(request)
        except EcpError as error:
            return error_response(request, error)

    app = web.Application(middlewares=[around], handler_args={"auto_decompress": False})
    timer = DebugTimer(lambda _: None, lambda: (0, 0.0))
    app[CONTEXT] = ApiContext(world.settings, world.clock, backend, None, Telemetry(), timer)
    app[LIMITS] = Limits(world.settings)
    app[PROXIES] = Proxies("")
    for module in modules:
        for route in module.routes.table:
            app.router.add_route(route.method, route.path, route.handler)
    return app


def error_of(status: int, body: Any) -> dict[str, Any]:
    """The error of an answer, after checking that it has the one shape (api.md §1)."""
    assert status >= 400, body
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"code", "message", "details", "timestamp", "request_id"}
    found: dict[str, Any] = body["error"]
    return found


def fields_of(error: dict[str, Any]) -> list[str]:
    """The names of the bad fields of a VALIDATION_FAILED."""
    assert error["code"] == "VALIDATION_FAILED", error
    return [f["field"] for f in error["details"]["fields"]]


async def ask(client: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """(status, JSON). `body`: bytes as they are, anything else as JSON."""
    given = {} if body is None else {"data": body} if isinstance(body, bytes) else {"json": body}
    async with client.request(method, path, **given) as answer:
        return answer.status, await answer.json() if answer.status != 204 else None
