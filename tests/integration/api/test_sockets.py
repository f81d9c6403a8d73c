"""Live sockets: at once, in order, and no slower for a neighbour that does not read."""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import Any

import aiohttp
import pytest

from ecpmon.api.context import CONTEXT
from ecpmon.model.ingest import IngestResult
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.ports.alerts import AlertEvent
from tests.integration.api.conftest import NOW, Service
from tests.waiting import PATIENCE


async def push(service: Service, name: str, **metrics: float) -> None:
    status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": metrics})
    assert status == 202, body


def connect(service: Service, path: str, **headers: str) -> Any:
    return service.session.ws_connect(service.url + path, headers={**service.headers("admin"), **headers})


def event(name: str, number: int) -> AlertEvent:
    return AlertEvent(
        number, name, "r", f"alert-{number}", "n", "warning", "threshold", "inactive", "firing", NOW, 90.0, 80.0,
        "cpu_usage", "fired_at_once", f"message {number}",
    )  # fmt: skip


async def test_the_first_message_comes_at_once_and_a_change_is_told_at_once(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, cpu_usage=40, up=1)
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        first = await socket.receive_json(timeout=PATIENCE)
        assert first == {
            "timestamp": "2026-03-02T09:00:00Z", "tenant_id": name, "metrics": {"cpu": 40.0, "up": 1.0},
        }  # fmt: skip
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 3_600_000})
        assert (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 40.0}
        service.clock.advance(1)
        await push(service, name, cpu_usage=41, up=0)
        change = await socket.receive_json(timeout=PATIENCE)
        assert (change["state"], change["metrics"]) == ("down", {"cpu": 41.0, "up": 0.0})


async def test_messages_come_at_the_interval_and_stop_when_asked(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, cpu_usage=40)
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        await socket.send_json({"action": "subscribe", "interval": 100})
        for _ in range(4):
            assert (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 40.0}
        await socket.send_json({"action": "unsubscribe"})
        await socket.send_json({"action": "ping"})
        while (await socket.receive_json(timeout=PATIENCE)) != {"action": "pong"}:
            pass
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.5)


@pytest.mark.parametrize(
    "bad",
    ["not json", "[]", "5", '{"action": "dance"}', '{"action": "subscribe", "interval": 5}',
     '{"action": "subscribe", "interval": true}', '{"action": "subscribe", "metrics": []}',
     '{"action": "subscribe", "metrics": "cpu"}', "[" * 5000],
)  # fmt: skip
async def test_a_bad_message_gets_an_error_and_the_socket_stays_open(service: Service, bad: str) -> None:
    name = await service.tenant()
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        await socket.receive_json(timeout=PATIENCE)
        await socket.send_str(bad)
        assert (await socket.receive_json(timeout=PATIENCE))["error"]["code"] in (
            "BAD_REQUEST",
            "VALIDATION_FAILED",
        )
        await socket.send_json({"action": "ping"})
        assert (await socket.receive_json(timeout=PATIENCE)) == {"action": "pong"}


async def test_realtime_carries_the_sla(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, cpu_usage=40, response_time=120, queue_depth=3, up=1)
    service.clock.advance(60)
    async with connect(service, f"/api/v1/simulator/realtime/{name}") as socket:
        message = await socket.receive_json(timeout=PATIENCE)
    assert message["metrics"] == {"cpu": 40.0, "response_time": 120.0, "up": 1.0}
    assert message["sla_data"] == {
        "availability": 100.0, "status": "meeting", "uptime_percentage": 100.0, "downtime_minutes": 0.0,
        "bounds": {"low": 100.0, "high": 100.0}, "coverage": 100.0, "stale": False,
    }  # fmt: skip


async def test_late_data_does_not_replace_newer_values(service: Service) -> None:
    name = await service.tenant()
    hub = service.app[CONTEXT].production.hub
    await push(service, name, cpu_usage=40)
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        await socket.receive_json(timeout=PATIENCE)
        old = {"timestamp": "2026-03-02T08:50:00Z", "metrics": {"cpu_usage": 1}}
        await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", old)
        await socket.send_json({"action": "subscribe", "interval": 100})
        assert (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 40.0}
        assert hub.sockets == 1
    async with asyncio.timeout(PATIENCE):
        while hub.sockets:
            await asyncio.sleep(0.01)


async def test_alerts_are_told_in_order_and_firing_ones_to_newcomers(service: Service) -> None:
    name = await service.tenant()
    rule = {"alert_name": "hot", "condition": "cpu > 80"}
    await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule)
    async with connect(service, f"/ws/alerts/{name}") as early:
        await push(service, name, cpu=95)
        told = await early.receive_json(timeout=PATIENCE)
        assert set(told) == {
            "alert_id", "tenant_id", "severity", "type", "message", "metric", "current_value", "threshold", "status",
            "timestamp",
        }  # fmt: skip
        assert (told["metric"], told["current_value"], told["threshold"]) == ("cpu_usage", 95.0, 80.0)
        async with connect(service, f"/ws/alerts/{name}") as late:
            again = await late.receive_json(timeout=PATIENCE)
            assert (again["alert_id"], again["status"]) == (told["alert_id"], "firing")
        async with connect(service, f"/ws/alerts/{name}", **{"Accept-Language": "ko"}) as korean:
            said = f"{name} 테넌트에서 hot 알림이 발생했습니다: cpu_usage 값이 95입니다(cpu > 80)"
            assert (await korean.receive_json(timeout=PATIENCE))["message"] == said
        hub = service.app[CONTEXT].production.hub
        for number in range(5):
            hub.alert(event(name, number))
        assert [(await early.receive_json(timeout=PATIENCE))["alert_id"] for _ in range(5)] == [
            f"alert-{n}" for n in range(5)
        ]


async def test_a_deleted_tenants_sockets_are_closed(service: Service) -> None:
    name = await service.tenant()
    async with (
        connect(service, f"/ws/monitoring/{name}") as one,
        connect(service, f"/ws/alerts/{name}") as two,
    ):
        await one.receive_json(timeout=PATIENCE)
        await service.ask("DELETE", f"/api/v1/tenants/{name}")
        for socket in (one, two):
            message = await socket.receive(timeout=PATIENCE)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4404)


async def test_at_shutdown_sockets_are_closed_as_going_away(service: Service) -> None:
    name = await service.tenant()
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        await socket.receive_json(timeout=PATIENCE)
        service.app[CONTEXT].production.hub.close()
        message = await socket.receive(timeout=PATIENCE)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)


async def test_a_consumer_that_never_reads_is_let_go_and_slows_nobody(service: Service) -> None:
    name = await service.tenant()
    hub = service.app[CONTEXT].production.hub
    hub.send_timeout = 0.5
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
    handshake = (
        f"GET /ws/alerts/{name} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {service.tokens['admin']}\r\n\r\n"
    )
    await loop.sock_sendall(raw, handshake.encode())
    async with asyncio.timeout(PATIENCE):
        while hub.sockets == 0:
            await asyncio.sleep(0.01)
    async with connect(service, f"/ws/alerts/{name}") as reader:
        async with asyncio.timeout(PATIENCE):
            number = 0
            while hub.sockets == 2:
                hub.alert(event(name, number))
                told = await reader.receive_json()
                assert told["alert_id"] == f"alert-{number}"
                number += 1
                if number % 500 == 0:
                    await asyncio.sleep(0.01)
    raw.close()
    assert number < 200_000


async def test_publishing_without_listeners_costs_nothing(service: Service) -> None:
    hub = service.app[CONTEXT].production.hub
    frame = Frame("nobody", Source.PUSH, NOW, (Sample(SeriesKey("cpu", "cpu_usage"), 1.0),))
    for _ in range(1000):
        hub.samples_committed(IngestResult(1, frames=(frame,)))
    assert not hub._feeds
