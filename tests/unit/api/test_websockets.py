"""The sockets over real aiohttp connections, with small fakes of the stores behind them."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from prometheus_client import CollectorRegistry, Counter

from ecpmon.api.application import create_api
from ecpmon.api.common import rfc3339
from ecpmon.api.context import ApiContext, Backend, DebugTimer
from ecpmon.api.events import message_of_event
from ecpmon.api.hub import Hub
from ecpmon.errors import DatabaseUnavailable, TenantNotFound
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus, Severity
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.ingest import IngestResult, StateChange
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.model.windows import SlaStatus, Tally
from ecpmon.ports import AlertEvent, Caller, Latest, RuleWithState
from ecpmon.settings import Settings
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.windows import tally

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MONITORING, REALTIME, ALERTS = "/ws/monitoring/acme", "/api/v1/simulator/realtime/acme", "/ws/alerts/acme"
ALL = [MONITORING, REALTIME, ALERTS]
NEVER = 3_600_000  # the longest interval: whatever arrives was not sent by it


def tenant(name: str) -> Tenant:
    return Tenant(
        key=1, tenant_id=name, name=name, preset="micro", is_demo=False, status=TenantStatus.RUNNING,
        service_requirements={}, resources=Resources(), sla_target=SlaTarget(availability="99.5%"),
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


@dataclass
class World:
    """Every store the sockets read. `away`: the database does not answer."""

    client: Any = None
    hub: Hub = field(default_factory=Hub)
    now: datetime = NOW
    away: bool = False
    newest: dict[str, Latest] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    planned: list[Maintenance] = field(default_factory=list)
    firing: list[RuleWithState] = field(default_factory=list)
    asked_since: list[datetime] = field(default_factory=list)

    def _answer(self, value: Any) -> Any:
        if self.away:
            raise DatabaseUnavailable("the database is away")
        return value

    async def get(self, tenant_id: str) -> Tenant:
        if tenant_id != "acme":
            raise TenantNotFound(tenant_id)
        return self._answer(tenant(tenant_id))

    async def latest(self, _: Tenant, since: datetime) -> dict[str, Latest]:
        self.asked_since.append(since)
        return self._answer(dict(self.newest))

    async def tallies(
        self, asked: Mapping[str, Collection[Interval]], now: datetime
    ) -> dict[str, dict[Interval, Tally]]:
        found = {name: {i: tally(self.spans, i.start, i.end) for i in asked[name]} for name in asked}
        return self._answer(found if self.spans else {})

    async def statuses(self, _: Tenant) -> dict[str, SlaStatus]:
        return self._answer({})

    async def of_tenant(self, _: Tenant) -> list[Maintenance]:
        return self._answer(list(self.planned))

    async def rules(self, _: Tenant) -> list[RuleWithState]:
        return self._answer(list(self.firing))

    async def recent_events(self, _: Tenant, limit: int) -> list[AlertEvent]:
        return self._answer([event(n) for n in reversed(range(len(self.firing)))])

    async def find(self, token: str, now: datetime) -> Caller | None:
        callers = {
            "viewer": Caller("v", frozenset({"viewer"}), None),
            "agent": Caller("a", frozenset({"ingest"}), None),
            "outsider": Caller("o", frozenset({"admin"}), frozenset({"other"})),
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
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.005)


def api_of(world: World, **settings: Any) -> Any:
    # What the sockets do not touch is left empty, so that a new store of the backend does not matter here.
    parts: dict[str, Any] = {f.name: SimpleNamespace() for f in fields(Backend)}
    stores: Any = world
    parts |= dict.fromkeys(
        ("tenants", "monitoring", "availability", "alerts", "maintenance", "window_sums"), stores
    )
    intervals = Intervals(timedelta(seconds=5), timedelta(seconds=15))
    backend = Backend(**{**parts, "intervals": intervals, "demo": False, "hub": world.hub, "simulator": None})
    registry = CollectorRegistry()
    labels = ["tenant_id", "method", "status"]
    context = ApiContext(
        settings=Settings(**settings), clock=SimpleNamespace(now=lambda: world.now), production=backend,
        demo=None, tokens=stores, registry=registry,
        requests=Counter("ecp_tenant_requests", "x", labels, registry=registry),
        timer=DebugTimer(lambda: None, lambda: (0, 0.0)),
    )  # fmt: skip
    return create_api(context)


@pytest.fixture
async def world(aiohttp_client: Any) -> World:
    made = World()
    made.newest = {
        "cpu_usage": Latest(NOW - timedelta(seconds=3), "cpu", 40.0),
        "up": Latest(NOW - timedelta(seconds=1), "sla", 1.0),
        "queue_depth": Latest(NOW - timedelta(seconds=9), "custom", 3.0),
    }
    made.client = await aiohttp_client(api_of(made))
    return made


async def told(socket: Any) -> Any:
    return await socket.receive_json(timeout=5)


async def close_code(socket: Any) -> int:
    message = await socket.receive(timeout=5)
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


# --- /ws/monitoring -----------------------------------------------------------------------------------------


async def test_the_first_message_holds_everything_that_is_fresh(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        assert await told(socket) == {
            "timestamp": "2026-03-02T08:59:59Z", "tenant_id": "acme",
            "metrics": {"cpu": 40.0, "up": 1.0, "queue_depth": 3.0},
        }  # fmt: skip
    assert world.asked_since == [NOW - timedelta(minutes=5)]


async def test_without_any_data_there_is_a_first_message_all_the_same(world: World) -> None:
    world.newest = {}
    async with world.connect(MONITORING) as socket:
        assert await told(socket) == {"timestamp": "2026-03-02T09:00:00Z", "tenant_id": "acme", "metrics": {}}


async def test_the_second_socket_needs_no_query_and_sees_what_was_committed(world: World) -> None:
    async with world.connect(MONITORING) as one:
        await told(one)
        world.commit(cpu_usage=77)
        async with world.connect(MONITORING) as two:
            assert (await told(two))["metrics"]["cpu"] == 77.0
    assert len(world.asked_since) == 1


@pytest.mark.parametrize("asked", ["cpu", "cpu_usage"])
async def test_a_subscription_is_answered_at_once_with_what_it_names(world: World, asked: str) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "metrics": [asked, "gpu"], "interval": NEVER})
        assert (await told(socket))["metrics"] == {"cpu": 40.0}


async def test_many_commits_make_one_message_with_the_newest_value(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        for value in range(5000):
            world.commit(cpu_usage=value)
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": NEVER})
        assert (await told(socket))["metrics"] == {"cpu": 4999.0}
        await still_open(socket)  # nothing else is in between


async def test_messages_come_at_the_interval(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "interval": 100})
        for value in range(3):
            world.commit(cpu_usage=value)
            async with asyncio.timeout(5):
                while (await told(socket))["metrics"]["cpu"] != value:
                    pass


@pytest.mark.parametrize(("state", "up"), [(SpanState.DOWN, 0.0), (SpanState.UP, 1.0)])
@pytest.mark.parametrize("request_", [{"action": "subscribe", "metrics": ["cpu"], "interval": NEVER},
                                      {"action": "unsubscribe"}])  # fmt: skip
async def test_a_change_is_told_at_once_whatever_was_asked_for(
    world: World, request_: dict[str, Any], state: SpanState, up: float
) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json(request_)
        if request_["action"] == "subscribe":
            await told(socket)
        await still_open(socket)  # the server has read the request
        world.now = NOW + timedelta(seconds=2)
        world.commit(change=state, cpu_usage=41, up=up)
        message = await told(socket)
        assert (message["state"], message["metrics"]["up"]) == (state.value, up)
        assert message["metrics"]["cpu"] == 41.0
        assert message["timestamp"] == "2026-03-02T09:00:02Z"


async def test_down_and_up_again_are_both_told_in_order(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        world.commit(change=SpanState.DOWN)
        world.commit(change=SpanState.UP)
        first, second = await told(socket), await told(socket)
        assert [(m["state"], m["metrics"]["up"]) for m in (first, second)] == [("down", 0.0), ("up", 1.0)]


async def test_after_unsubscribe_there_is_silence_while_a_neighbour_gets_its_messages(world: World) -> None:
    """The neighbour is the clock: it has had the time of several intervals, on the same loop."""
    every = {"action": "subscribe", "interval": 100}
    async with world.connect(MONITORING) as silent, world.connect(MONITORING) as neighbour:
        await silent.send_json(every)
        await silent.send_json({"action": "unsubscribe"})
        await still_open_among_messages(silent)
        await neighbour.send_json(every)
        for _ in range(5):
            await told(neighbour)
        await still_open(silent)


# --- bad messages -------------------------------------------------------------------------------------------

SUBSCRIBE = '{"action": "subscribe", %s}'
BAD_MESSAGES = [
    ("", "BAD_REQUEST"),
    ("not json", "BAD_REQUEST"),
    ("[" * 60_000, "BAD_REQUEST"),
    ("9" * 5000, "BAD_REQUEST"),
    ("[]", "BAD_REQUEST"),
    ("null", "BAD_REQUEST"),
    ("{}", "BAD_REQUEST"),
    ('{"action": "dance"}', "BAD_REQUEST"),
    ('{"action": ["ping"]}', "BAD_REQUEST"),
    ('{"action": "PING"}', "BAD_REQUEST"),
    (b"\x00\xff", "BAD_REQUEST"),
    (b'{"action": "ping"}', "BAD_REQUEST"),
    (SUBSCRIBE % '"interval": 99', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": 3600001', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": "5000"', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": 500.5', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": true', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": NaN', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"interval": 1e999', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": []', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": "cpu"', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": [5]', "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": [""]', "VALIDATION_FAILED"),
    (SUBSCRIBE % ('"metrics": ["%s"]' % ("x" * 101)), "VALIDATION_FAILED"),
    (SUBSCRIBE % '"metrics": ["\\ud800"]', "VALIDATION_FAILED"),
]


@pytest.mark.parametrize(("bad", "code"), BAD_MESSAGES, ids=range(len(BAD_MESSAGES)))
async def test_a_bad_message_gets_an_error_and_the_socket_stays_open(
    world: World, bad: str | bytes, code: str
) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await (socket.send_bytes(bad) if isinstance(bad, bytes) else socket.send_str(bad))
        error = (await told(socket))["error"]
        assert error["code"] == code
        assert error.keys() == {"code", "message", "details", "timestamp", "request_id"}
        await still_open(socket)


async def test_a_bad_subscription_leaves_the_old_one_as_it_was(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 100})
        await socket.send_json({"action": "subscribe", "metrics": ["up"], "interval": 1})
        async with asyncio.timeout(5):
            while "error" not in await told(socket):
                pass
        assert (await told(socket))["metrics"] == {"cpu": 40.0}


@pytest.mark.parametrize("path", ALL)
async def test_a_message_past_the_bound_ends_the_socket(world: World, path: str) -> None:
    """aiohttp has not read it, so there is nothing to answer: 1009 says what was wrong."""
    async with world.connect(path) as socket:
        if path != ALERTS:
            await told(socket)
        await socket.send_str("x" * (64 * 1024 + 1))
        assert await close_code(socket) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await world.until(lambda: world.hub.sockets == 0)


@pytest.mark.parametrize("bad", ["dance", '{"action": "dance"}', "[]"])
async def test_the_alerts_socket_answers_bad_messages_too(world: World, bad: str) -> None:
    async with world.connect(ALERTS) as socket:
        await socket.send_str(bad)
        assert (await told(socket))["error"]["code"] == "BAD_REQUEST"
        await still_open(socket)


# --- /api/v1/simulator/realtime -----------------------------------------------------------------------------


async def test_realtime_has_its_own_metrics_and_the_unrounded_sla_of_a_day(world: World) -> None:
    start = NOW - timedelta(hours=3)
    middle = start + timedelta(seconds=7)
    world.spans = [Span(start, middle, SpanState.DOWN), Span(middle, NOW, SpanState.UP)]
    async with world.connect(REALTIME) as socket:
        message = await told(socket)
    availability = 100 * (3 * 3600 - 7) / (3 * 3600)
    assert message["metrics"] == {"cpu": 40.0, "up": 1.0}
    assert message["sla_data"] == {
        "availability": pytest.approx(availability, rel=1e-12), "status": "meeting",
        "uptime_percentage": pytest.approx(availability, rel=1e-12), "downtime_minutes": 7 / 60,
    }  # fmt: skip


async def test_realtime_leaves_maintenance_out(world: World) -> None:
    start = NOW - timedelta(hours=3)
    middle = start + timedelta(hours=1)
    world.spans = [Span(start, middle, SpanState.DOWN), Span(middle, NOW, SpanState.UP)]
    world.planned = [Maintenance("m", start, timedelta(hours=1), "an upgrade", "kim", start)]
    async with world.connect(REALTIME) as socket:
        told_of = (await told(socket))["sla_data"]
    assert (told_of["uptime_percentage"], told_of["downtime_minutes"]) == (100.0, 0.0)


async def test_realtime_before_any_evidence_promises_nothing(world: World) -> None:
    async with world.connect(REALTIME) as socket:
        assert (await told(socket))["sla_data"] == {
            "availability": None, "status": "no_data", "uptime_percentage": None, "downtime_minutes": 0.0,
        }  # fmt: skip


async def test_realtime_obeys_a_subscription(world: World) -> None:
    async with world.connect(REALTIME) as socket:
        await told(socket)
        await socket.send_json({"action": "subscribe", "metrics": ["queue_depth"], "interval": NEVER})
        message = await told(socket)
        assert (message["metrics"], message["sla_data"]["status"]) == ({"queue_depth": 3.0}, "no_data")


# --- /ws/alerts ---------------------------------------------------------------------------------------------


def rule(number: int, status: RuleStatus) -> RuleWithState:
    made = AlertRule(
        f"r{number}", "acme", f"rule {number}", RuleKind.THRESHOLD, "cpu > 80", 0, Severity.WARNING
    )
    return RuleWithState(made, RuleState(status, since=NOW, value=91.0), f"alert-{number}", NOW)


async def test_newcomers_are_told_what_is_firing_and_only_that(world: World) -> None:
    world.firing = [rule(n, status) for n, status in enumerate(RuleStatus)]
    async with world.connect(ALERTS) as socket:
        message = await told(socket)
        assert message == json.loads(json.dumps(message_of_event(event(2)), default=rfc3339))
        world.hub.alert(event(7))
        later = await told(socket)
        assert later["alert_id"] == "alert-7"
        assert later.keys() == message.keys() == {
            "alert_id", "tenant_id", "severity", "type", "message", "metric", "current_value", "threshold",
            "status", "timestamp",
        }  # fmt: skip


async def test_every_alert_is_told_in_order(world: World) -> None:
    async with world.connect(ALERTS) as socket:
        await still_open(socket)
        for number in range(200):
            world.hub.alert(event(number))
        assert [(await told(socket))["alert_id"] for _ in range(200)] == [f"alert-{n}" for n in range(200)]


# --- who may connect ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [p.replace("acme", name) for p in ALL for name in ("nobody", "NO_SUCH%20one")]
)
async def test_an_unknown_tenant_is_closed_4404(world: World, path: str) -> None:
    async with world.connect(path) as socket:
        assert await close_code(socket) == 4404
    assert world.hub.sockets == 0


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize(
    ("token", "code"), [("wrong", 4401), (None, 4401), ("agent", 4403), ("outsider", 4404)]
)
async def test_who_may_not_read_is_closed_with_a_code_that_browsers_see(
    world: World, path: str, token: str | None, code: int
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with world.connect(path, headers=headers) as socket:
        assert await close_code(socket) == code


async def test_a_browsers_token_comes_as_a_subprotocol_and_is_not_echoed(world: World) -> None:
    async with world.connect(MONITORING, headers={}, protocols=("bearer", "viewer")) as socket:
        assert socket.protocol == "bearer"
        assert (await told(socket))["tenant_id"] == "acme"


@pytest.mark.parametrize("path", ALL)
async def test_with_the_database_away_the_handshake_is_answered_503(world: World, path: str) -> None:
    world.away = True
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await world.connect(path)
    assert refused.value.status == 503
    assert world.hub.sockets == 0


async def test_a_database_that_goes_away_leaves_only_the_sla_figures_unknown(world: World) -> None:
    async with world.connect(REALTIME) as with_sla, world.connect(MONITORING) as without:
        await told(with_sla)
        await told(without)
        world.away = True
        world.commit(change=SpanState.DOWN)
        message = await told(with_sla)
        assert (message["state"], message["sla_data"]) == ("down", None)
        assert (await told(without))["state"] == "down"
        await still_open(without)


async def test_past_the_bound_of_sockets_the_handshake_is_answered_503(world: World) -> None:
    world.hub._max_sockets = 1
    async with world.connect(MONITORING) as socket:
        await told(socket)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await world.connect(ALERTS)
        assert refused.value.status == 503
        await still_open(socket)


# --- endings ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def on_all_paths(world: World) -> AsyncIterator[list[Any]]:
    async with (
        world.connect(MONITORING) as one,
        world.connect(REALTIME) as two,
        world.connect(ALERTS) as three,
    ):
        await told(one)
        await told(two)
        await still_open(three)
        yield [one, two, three]


async def test_a_deleted_tenants_sockets_are_closed_4404(world: World) -> None:
    async with on_all_paths(world) as open_sockets:
        world.hub.tenant_deleted("acme")
        assert [await close_code(s) for s in open_sockets] == [4404] * 3
    await world.until(lambda: world.hub.sockets == 0)
    assert world.hub._feeds == {}


async def test_at_shutdown_every_socket_is_closed_1001(world: World) -> None:
    async with on_all_paths(world) as open_sockets:
        await world.client.app.shutdown()
        assert [await close_code(s) for s in open_sockets] == [1001] * 3


async def test_a_client_that_hangs_up_leaves_nothing_behind(world: World) -> None:
    async with on_all_paths(world):
        assert world.hub.sockets == 3
    await world.until(lambda: world.hub.sockets == 0)
    assert (world.hub._feeds, dict(world.hub._listeners)) == ({}, {})


@asynccontextmanager
async def one_that_never_reads(client: TestClient[Any, Any], path: str, first: str) -> AsyncIterator[None]:
    """A raw connection with a small receive buffer: after the handshake and `first` it does nothing."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (client.server.host, client.server.port))
    handshake = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer viewer\r\n\r\n"
    )
    frame = bytes([0x81, 0x80 | len(first)]) + bytes(4) + first.encode()  # masked with zeros
    await loop.sock_sendall(raw, handshake.encode() + (frame if first else b""))
    try:
        yield
    finally:
        raw.close()


async def test_a_metrics_consumer_that_never_reads_is_let_go_and_slows_nobody(world: World) -> None:
    world.hub.send_timeout = 0.3
    world.commit()
    async with world.connect(MONITORING) as reader:
        await told(reader)
        world.commit(**{f"metric_{n:05}_{'x' * 60}": 1.0 for n in range(5000)})  # half a megabyte a message
        subscribe = json.dumps({"action": "subscribe", "interval": 100})
        await reader.send_str(subscribe.replace("}", ', "metrics": ["cpu"]}'))
        async with one_that_never_reads(world.client, MONITORING, subscribe):
            await world.until(lambda: world.hub.sockets == 2)
            async with asyncio.timeout(20):
                while world.hub.sockets == 2:
                    assert (await told(reader))["metrics"] == {"cpu": 40.0}
        await still_open_among_messages(reader)


async def still_open_among_messages(socket: Any) -> None:
    await socket.send_json({"action": "ping"})
    async with asyncio.timeout(5):
        while await told(socket) != {"action": "pong"}:
            pass


async def test_an_alert_consumer_that_never_reads_is_let_go_and_slows_nobody(world: World) -> None:
    world.hub.send_timeout = 0.3
    async with world.connect(ALERTS) as reader:
        await still_open(reader)
        async with one_that_never_reads(world.client, ALERTS, ""):
            await world.until(lambda: world.hub.sockets == 2)
            async with asyncio.timeout(20):
                number = 0
                while world.hub.sockets == 2:
                    world.hub.alert(event(number, "x" * 20_000))
                    assert (await told(reader))["alert_id"] == f"alert-{number}"
                    number += 1
        await still_open(reader)
