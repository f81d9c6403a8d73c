"""What one process commits, the sockets of another are told: once, and by nothing but the bus, for no job is turned."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from ecpmon.errors import DatabaseUnavailable
from tests.integration.api.conftest import Service
from tests.waiting import PATIENCE, until


def connect(service: Service, path: str, who: str = "admin") -> Any:
    return service.session.ws_connect(service.url + path, headers=service.headers(who))


async def push(service: Service, name: str, **metrics: float) -> None:
    status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": metrics})
    assert status == 202, body


async def closing(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """The code a socket is closed with."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return message.data


async def test_values_and_changes_of_state_are_told_elsewhere(service: Service, elsewhere: Service) -> None:
    name = await service.tenant()
    await push(service, name, cpu_usage=40, up=1)
    async with connect(elsewhere, f"/ws/monitoring/{name}") as socket:
        assert (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 40.0, "up": 1.0}
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 3_600_000})
        assert (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 40.0}
        for cpu, up, state in ((41, 0, "down"), (42, 1, "up")):
            service.clock.advance(1)
            await push(service, name, cpu_usage=cpu, up=up)
            change = await socket.receive_json(timeout=PATIENCE)
            assert (change["state"], change["metrics"]) == (state, {"cpu": cpu, "up": up})
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 100})
        service.clock.advance(1)
        await push(service, name, cpu_usage=43, up=1)
        async with asyncio.timeout(PATIENCE):
            while (await socket.receive_json())["metrics"] != {"cpu": 43.0}:
                pass


async def test_tenants_that_nobody_watches_here_are_not_read_again(
    service: Service, elsewhere: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, other = await service.tenant(), await service.tenant()
    asked: list[str] = []
    latest = elsewhere.runtime.monitoring.latest

    async def counted(tenant: Any, *window: Any) -> Any:
        asked.append(tenant.tenant_id)
        return await latest(tenant, *window)

    async with connect(elsewhere, f"/ws/monitoring/{watched}") as socket:
        await socket.receive_json(timeout=PATIENCE)
        monkeypatch.setattr(elsewhere.runtime.monitoring, "latest", counted)
        for _ in range(3):
            service.clock.advance(1)
            await push(service, other, cpu_usage=1)
        await push(service, watched, up=1)
        assert (await socket.receive_json(timeout=PATIENCE))["state"] == "up"
    assert set(asked) == {watched}


def _report(name: str, fingerprint: str) -> dict[str, Any]:
    labels = {"alertname": "Full", "tenant_id": name, "severity": "page"}
    at = "2026-03-02T08:59:00Z"
    return {
        "version": "4",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": {},
                "startsAt": at,
                "fingerprint": fingerprint,
            }
        ],
    }


async def test_each_alert_is_told_once_to_every_socket_wherever_it_comes_from(
    service: Service, elsewhere: Service
) -> None:
    name = await service.tenant()
    rule = {"alert_name": "hot", "condition": "cpu > 80"}
    await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule)
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(connect(each, f"/ws/alerts/{name}"))
            for each in (service, elsewhere)
        ]
        for n, (where, cpu, status) in enumerate(
            ((service, 95, "firing"), (elsewhere, 10, "resolved"), (service, 96, "firing"))
        ):
            service.clock.advance(1)
            await push(where, name, cpu=cpu)
            await where.runtime.work.trigger.settled()
            await where.ask("POST", "/api/v1/webhooks/tenant-alert", _report(name, f"report-{n}"))
            for socket in sockets:
                told = [await socket.receive_json(timeout=PATIENCE) for _ in range(2)]
                assert sorted((m["type"], m["status"]) for m in told) == [
                    ("alertmanager", "firing"), ("resource_usage", status),
                ]  # fmt: skip
                assert f"report-{n}" in [m["alert_id"] for m in told]
        for socket in sockets:
            with pytest.raises(TimeoutError):
                await socket.receive_json(timeout=0.5)


async def test_sockets_end_with_a_tenant_that_is_deleted_elsewhere(
    service: Service, elsewhere: Service
) -> None:
    name = await service.tenant()
    async with (
        connect(elsewhere, f"/ws/monitoring/{name}") as metrics,
        connect(elsewhere, f"/ws/alerts/{name}") as alerts,
    ):
        await metrics.receive_json(timeout=PATIENCE)
        status, body, _ = await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true")
        assert status == 202, body
        assert [await closing(metrics), await closing(alerts)] == [4404, 4404]


async def test_sockets_end_with_a_token_that_is_revoked_elsewhere(
    service: Service, elsewhere: Service
) -> None:
    name = await service.tenant()
    issued = await service.token("short", ["viewer"], [name])
    async with (
        connect(elsewhere, f"/ws/monitoring/{name}", "short") as theirs,
        connect(elsewhere, f"/ws/monitoring/{name}") as others,
    ):
        await theirs.receive_json(timeout=PATIENCE)
        await others.receive_json(timeout=PATIENCE)
        status, body, _ = await service.ask("DELETE", f"/api/v1/tokens/{issued.token_id}")
        assert status == 204, body
        assert await closing(theirs) == 4401
        await others.send_json({"action": "ping"})
        assert await others.receive_json(timeout=PATIENCE) == {"action": "pong"}


async def test_who_may_have_missed_alerts_is_asked_to_connect_again_and_values_are_read_again(
    service: Service, elsewhere: Service
) -> None:
    """The bus has dropped rows that this process had not read."""
    name = await service.tenant()
    async with (
        connect(elsewhere, f"/ws/monitoring/{name}") as metrics,
        connect(elsewhere, f"/ws/alerts/{name}") as alerts,
    ):
        await metrics.receive_json(timeout=PATIENCE)
        await metrics.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 100})
        await elsewhere.runtime.listening.reader.stop()
        await push(service, name, cpu_usage=77)
        await service.runtime.database.execute(
            "UPDATE bus_floor SET xid = pg_snapshot_xmin(pg_current_snapshot())"
        )
        await service.runtime.database.execute("DELETE FROM bus")
        elsewhere.runtime.listening.reader.start()
        assert await closing(alerts) == 1013
        async with asyncio.timeout(PATIENCE):
            while (await metrics.receive_json())["metrics"] != {"cpu": 77.0}:
                pass
    _, told, _ = await elsewhere.ask("GET", "/metrics")
    assert "ecpmon_bus_restarts_total 1.0" in told
    assert "ecpmon_bus_listening 1.0" in told


async def _pushed(service: Service, name: str, who: str) -> int:
    path = f"/api/v1/tenants/{name}/monitoring"
    status, _, _ = await service.ask("POST", path, {"metrics": {"cpu": 1}}, who=who)
    return status


async def _told(service: Service, name: str, who: str) -> list[int]:
    """What a push, questions and a socket are answered: statuses, and the code that the socket is closed with."""
    asked = [f"/api/v1/tenants/{name}/{what}" for what in ("monitoring", "alerts", "sla", "incidents")]
    found = [await _pushed(service, name, who)]
    found += [(await service.ask("GET", path, who=who))[0] for path in asked]
    async with connect(service, f"/ws/monitoring/{name}", who) as socket:
        said = await socket.receive(timeout=PATIENCE)
        return [*found, 101 if said.type is aiohttp.WSMsgType.TEXT else said.data]


ALL_WELL = [202, 200, 200, 200, 200, 101]
# A deleted tenant's figures and outages stay to be read by whose it was.
OVER = {"token": [401] * 5 + [4401], "tenant": [404, 404, 404, 200, 200, 4404]}


def _hold_for_long(service: Service) -> Any:
    """Nothing but the bus makes go what is held."""
    runtime = service.runtime
    for memory in (runtime.tokens.memory, runtime.tenants.memory):
        memory._seconds = 600.0
    return runtime


async def _end(service: Service, what: str, name: str, token_id: int) -> None:
    path = f"tokens/{token_id}" if what == "token" else f"tenants/{name}?force=true"
    assert (await service.ask("DELETE", f"/api/v1/{path}"))[0] in (202, 204)


@pytest.mark.parametrize("what", list(OVER))
async def test_what_is_held_in_memory_goes_when_it_is_changed_elsewhere(
    service: Service, elsewhere: Service, what: str
) -> None:
    runtime = _hold_for_long(elsewhere)
    name, other = await service.tenant(), await service.tenant()
    who = f"sender-{what}"
    issued = await service.token(who, ["ingest", "viewer"], [name])
    assert [await _told(elsewhere, n, w) for n, w in ((name, who), (other, "admin"))] == [ALL_WELL] * 2
    kept = runtime.tenants.memory.get(other)
    assert kept is not None
    assert runtime.tenants.memory.get(name) is not None
    await _end(service, what, name, issued.token_id)

    async def is_over() -> bool:
        return await _told(elsewhere, name, who) == OVER[what]

    await until(is_over, "nothing of it works any more")
    assert runtime.tenants.memory.get(other) is kept, "others are still held"


@pytest.mark.parametrize("what", list(OVER))
async def test_what_is_held_in_memory_goes_at_once_where_it_is_changed(service: Service, what: str) -> None:
    _hold_for_long(service)
    name, who = await service.tenant(), f"own-{what}"
    issued = await service.token(who, ["ingest", "viewer"], [name])
    assert await _told(service, name, who) == ALL_WELL
    await _end(service, what, name, issued.token_id)
    assert await _told(service, name, who) == OVER[what]


async def test_who_asks_again_is_known_from_memory_and_who_changes_something_is_looked_up(
    service: Service,
) -> None:
    _hold_for_long(service)
    name = await service.tenant()
    await service.token("reader", ["viewer", "operator"], [name])

    async def queries(method: str, path: str, body: Any = None) -> int:
        _, _, headers = await service.ask(method, path, body, who="reader", **{"X-Debug": "true"})
        found: int = json.loads(headers["X-Debug-Info"])["queries"]
        return found

    # Of several: a connection that was just opened asks for itself.
    asked = [await queries("GET", f"/api/v1/tenants/{name}/monitoring") for _ in range(5)]
    assert (asked[0] >= 3, min(asked)) == (True, 1)
    # Its rule is wrong, so that nothing else is asked.
    assert min([await queries("POST", f"/api/v1/tenants/{name}/alerts", {}) for _ in range(5)]) == 2


async def test_memories_are_emptied_when_nothing_is_heard(
    service: Service, elsewhere: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, runtime = await service.tenant(), elsewhere.runtime
    runtime.tenants.memory._seconds = 600.0
    assert await _pushed(elsewhere, name, "admin") == 202

    async def nobody(*_: Any) -> Any:
        raise DatabaseUnavailable("cut off")

    monkeypatch.setattr(runtime.database, "dedicated", nobody)
    await service.runtime.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'ecpmon-dedicated'"
    )
    await until(lambda: _is_empty(runtime), "nothing is held any more")
    assert await _pushed(elsewhere, name, "admin") == 202


async def _is_empty(runtime: Any) -> bool:
    return len(runtime.tenants.memory) == 0 and not runtime.listening.reader.trusted
