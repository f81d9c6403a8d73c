"""The sockets over real aiohttp connections, with small fakes of the stores behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import aiohttp

from ecpmon.api.alert_broadcast import AlertListener
from ecpmon.api.application import create_api
from ecpmon.api.context import ApiContext, Backend, DebugTimer
from ecpmon.api.hub import Hub
from ecpmon.api.routing import ROLES, Permission
from ecpmon.api.sessions import Session
from ecpmon.compute.threads import Threads
from ecpmon.errors import DatabaseUnavailable, TenantNotFound
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.ingest import IngestResult, StateChange
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.operating import OperatingSettings
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.model.windows import SlaStatus, Tally
from ecpmon.ports.alerts import AlertEvent, RuleWithState
from ecpmon.ports.samples import Latest
from ecpmon.ports.tokens import Caller
from ecpmon.settings import Settings
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.windows import tally
from ecpmon.telemetry import Telemetry
from ecpmon.workers import TenantWorkers, Workers
from tests.waiting import PATIENCE

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MONITORING, REALTIME, ALERTS = "/ws/monitoring/acme", "/api/v1/simulator/realtime/acme", "/ws/alerts/acme"
ALL = [MONITORING, REALTIME, ALERTS]
NEVER = 3_600_000  # the longest interval: whatever arrives was not sent by it


NUMBERS = {"acme": 1, "other": 2, "third": 3}


def session(
    tenant_id: str = "acme",
    *,
    number: int | None = None,
    holder: str = "production:1",
    database: str = "production",
    caller: Caller | None = None,
) -> Session:
    """What somebody opens a socket with."""
    key = NUMBERS[tenant_id] if number is None else number
    caller = caller or Caller("v", frozenset({"viewer"}), None)
    return Session(caller, holder, database, key, tenant_id, ROLES[Permission.READ])


def tenant(name: str = "acme", key: int = 1) -> Tenant:
    return Tenant(
        key=key, tenant_id=name, name=name, preset="micro", is_demo=False, status=TenantStatus.RUNNING,
        service_requirements={}, resources=Resources(), sla_target=SlaTarget(availability="99.5%"),
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


@dataclass
class World:
    """Every store the sockets read. `away`: the database does not answer."""

    client: Any = None
    hub: Hub = field(init=False)
    now: datetime = NOW
    away: bool = False
    newest: dict[str, Latest] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    planned: list[Maintenance] = field(default_factory=list)
    firing: list[RuleWithState] = field(default_factory=list)
    asked_since: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hub = Hub(now=lambda: self.now)

    def _answer(self, value: Any) -> Any:
        if self.away:
            raise DatabaseUnavailable("the database is away")
        return value

    async def get(self, tenant_id: str) -> Tenant:
        if tenant_id != "acme":
            raise TenantNotFound(tenant_id)
        return self._answer(tenant(tenant_id))

    async def known(self, tenant_id: str) -> Tenant:
        return await self.get(tenant_id)

    async def latest(self, _: Tenant, since: datetime, now: datetime) -> list[tuple[str, Latest]]:
        self.asked_since.append(since)
        return self._answer(list(self.newest.items()))

    async def coming(self, *_: Any) -> list[tuple[str, Latest]]:
        return self._answer([])

    async def tallies(
        self, asked: Mapping[str, Collection[Interval]], now: datetime
    ) -> dict[str, dict[Interval, Tally]]:
        found = {name: {i: tally(self.spans, i.start, i.end) for i in asked[name]} for name in asked}
        return self._answer(found if self.spans else {})

    async def states(self, tenant_ids: Collection[str], now: datetime) -> dict[str, SpanState]:
        return self._answer({name: self.spans[-1].state for name in tenant_ids if self.spans})

    async def statuses(self, _: Tenant) -> dict[str, SlaStatus]:
        return self._answer({})

    async def of_tenant(self, _: Tenant) -> list[Maintenance]:
        return self._answer(list(self.planned))

    async def rules(self, _: Tenant) -> list[RuleWithState]:
        return self._answer(list(self.firing))

    async def recent_events(self, _: Tenant, limit: int) -> list[AlertEvent]:
        return self._answer([event(n) for n in reversed(range(len(self.firing)))])

    def held(self, token: str, now: datetime) -> Caller | None:
        return None

    async def find(self, token: str, now: datetime) -> Caller | None:
        callers = {
            "viewer": Caller("v", frozenset({"viewer"}), None),
            "agent": Caller("a", frozenset({"ingest"}), None),
            "outsider": Caller("o", frozenset({"admin"}), frozenset({2}), frozenset({"other"})),
        }
        return callers.get(token)

    def commit(self, *, change: SpanState | None = None, **values: float) -> None:
        types = {"cpu_usage": "cpu", "up": "sla"}
        samples = tuple(Sample(SeriesKey(types.get(k, "custom"), k), v) for k, v in values.items())
        changes = () if change is None else (StateChange("acme", self.now, change, None),)
        frames = (Frame("acme", Source.PUSH, self.now, samples),)
        self.hub.samples_committed(IngestResult(len(samples), changes=changes, frames=frames))

    def connect(self, path: str, **more: Any) -> Any:
        more.setdefault("headers", {"Authorization": "Bearer viewer"})
        return self.client.ws_connect(path, **more)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.005)


def api_of(world: World, **settings: Any) -> Any:
    # What the sockets do not touch is left empty, so that a new store of the backend does not matter here.
    parts: dict[str, Any] = {f.name: SimpleNamespace() for f in fields(Backend)}
    stores: Any = world
    parts |= dict.fromkeys(
        ("tokens", "tenants", "monitoring", "availability", "alerts", "maintenance", "window_sums"), stores
    )
    intervals = Intervals(timedelta(seconds=5), timedelta(seconds=15))
    own = {"intervals": intervals, "demo": False, "hub": world.hub, "simulator": None,
        "operating": SimpleNamespace(current=OperatingSettings.model_construct())}  # fmt: skip
    workers = TenantWorkers(Workers(Threads()), "live")
    backend = Backend(**{**parts, **own, "workers": workers, "threads": workers})
    context = ApiContext(
        settings=Settings(**settings), clock=SimpleNamespace(now=lambda: world.now), production=backend,
        demo=None, telemetry=Telemetry(),
        timer=DebugTimer(lambda _: None, lambda: (0, 0.0)),
    )  # fmt: skip
    return create_api(context)


async def told(socket: Any) -> Any:
    return await socket.receive_json(timeout=PATIENCE)


def kept(listener: AlertListener) -> list[dict[str, Any]]:
    """Takes what is kept for one that is not open yet."""
    frames = [*listener.backlog]
    listener.backlog.clear()
    # Of 126 bytes to 64 KiB: the opcode, 126, two bytes of length.
    return [json.loads(f[4:]) for f in frames]


async def close_code(socket: Any) -> int:
    message = await socket.receive(timeout=PATIENCE)
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return int(message.data)


async def still_open(socket: Any) -> None:
    await socket.send_json({"action": "ping"})
    assert await told(socket) == {"action": "pong"}


def event(number: int, message: str = "cpu is hot") -> AlertEvent:
    return AlertEvent(
        number, "acme", "r", f"alert-{number}", "hot", "warning", "threshold", "inactive", "firing", NOW, 90.0,
        80.0, "cpu_usage", "fired_at_once", message,
    )  # fmt: skip


async def still_open_among_messages(socket: Any) -> None:
    await socket.send_json({"action": "ping"})
    async with asyncio.timeout(PATIENCE):
        while await told(socket) != {"action": "pong"}:
            pass
