"""Who may connect to the sockets, and how they end."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from socket_world import (
    ALERTS,
    ALL,
    MONITORING,
    REALTIME,
    World,
    close_code,
    event,
    still_open,
    still_open_among_messages,
    tenant,
    told,
)

from ecpmon.api.sessions import SocketLimits
from ecpmon.model.availability import SpanState
from tests.waiting import PATIENCE

# --- who may connect ---


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


async def test_a_database_that_goes_away_leaves_only_the_sla_figures_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecpmon.api.feeds.FIGURES_SECONDS", 0.0)
    async with world.connect(REALTIME) as with_sla, world.connect(MONITORING) as without:
        await told(with_sla)
        await told(without)
        world.away = True
        world.commit(change=SpanState.DOWN)
        message = await told(with_sla)
        assert (message["state"], message["sla_data"]) == ("down", None)
        assert (await told(without))["state"] == "down"
        await still_open(without)


@pytest.mark.parametrize(
    ("limits", "status"),
    [(SocketLimits(in_all=1), 503), (SocketLimits(per_holder=1), 429), (SocketLimits(per_tenant=1), 429)],
)
async def test_past_a_bound_of_sockets_the_handshake_is_refused_and_says_when_to_come_again(
    world: World, limits: SocketLimits, status: int
) -> None:
    world.hub._admissions.limits = limits
    async with world.connect(MONITORING) as socket:
        await told(socket)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await world.connect(ALERTS)
        assert refused.value.status == status
        assert refused.value.headers is not None
        assert int(refused.value.headers["Retry-After"]) >= 1
        await still_open(socket)
    await world.until(lambda: world.hub.sockets == 0)
    async with world.connect(ALERTS) as again:
        await still_open(again)


# --- endings ---


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
        world.hub.tenant_deleted(tenant())
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
    assert (world.hub._feeds, world.hub._alerts) == ({}, {})


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
            async with asyncio.timeout(PATIENCE):
                while world.hub.sockets == 2:
                    assert (await told(reader))["metrics"] == {"cpu": 40.0}
        await still_open_among_messages(reader)


async def test_an_alert_consumer_that_never_reads_is_let_go_and_slows_nobody(world: World) -> None:
    world.hub.send_timeout = 0.3
    async with world.connect(ALERTS) as reader:
        await still_open(reader)
        async with one_that_never_reads(world.client, ALERTS, ""):
            await world.until(lambda: world.hub.sockets == 2)
            async with asyncio.timeout(PATIENCE):
                number = 0
                while world.hub.sockets == 2:
                    world.hub.alert(event(number, "x" * 20_000))
                    assert (await told(reader))["alert_id"] == f"alert-{number}"
                    number += 1
        await still_open(reader)
