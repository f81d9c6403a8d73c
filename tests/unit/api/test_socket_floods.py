"""What one client says into its socket, or asks for by it, costs it and nobody else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import WSMsgType
from socket_world import (
    ALL,
    MONITORING,
    NEVER,
    NOW,
    REALTIME,
    World,
    session,
    still_open,
    still_open_among_messages,
    told,
)

from ecpmon.api.buckets import Buckets
from ecpmon.api.connections import Connection
from ecpmon.api.limits import LIMITS, Limits
from ecpmon.api.shared import Shared
from ecpmon.api.sockets import HungUp
from ecpmon.settings import Settings
from tests.waiting import PATIENCE

MESSAGES = 20


def allow(world: World, at_once: float, per_second: float) -> list[float]:
    """What each caller and tenant may say from now on; how long each message is then made to wait."""
    limits, waited = world.client.app[LIMITS], []
    limits.messages = tuple(Buckets("messages", per_second, at_once) for _ in limits.messages)

    def counted(*given: Any) -> float:
        waited.append(Limits.message(limits, *given))
        return waited[-1]

    limits.message = counted
    return waited


@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG])
async def test_between_two_messages_everybody_else_has_a_turn(world: World, kind: WSMsgType) -> None:
    """They come in one piece, so that all of them are there at once."""
    looked: list[int] = []
    turns, counting = 0, True

    async def count() -> None:
        nonlocal turns
        while counting:
            turns += 1
            await asyncio.sleep(0)

    world.client.app[LIMITS].message = lambda *_: looked.append(turns) or 0.0
    async with world.connect(MONITORING) as socket:
        counted = asyncio.create_task(count())
        frame = bytes([0x80 | kind, 0x81]) + bytes(4) + b"x"
        socket._response.connection.transport.write(frame * MESSAGES)
        await world.until(lambda: len(looked) == MESSAGES)
        counting = False
        await counted
    assert all(b > a for a, b in pairwise(looked))


def test_an_allowance_is_so_many_at_once_and_then_so_many_per_second() -> None:
    allowance = Buckets("messages", 5, 20)
    assert [allowance.wait("a", NOW) for _ in range(20)] == [0] * 20
    assert allowance.wait("a", NOW) == pytest.approx(0.2)
    assert allowance.wait("a", NOW + timedelta(seconds=0.2)) == pytest.approx(0.2)
    assert allowance.wait("b", NOW) == 0
    later = NOW + timedelta(hours=3)
    assert [allowance.wait("a", later) for _ in range(20)] == [0] * 20  # no more is saved up than that
    assert allowance.wait("a", later) == pytest.approx(0.2)


def test_an_allowance_is_the_callers_and_the_tenants_and_grows_with_the_sockets_they_may_have() -> None:
    limits = Limits(Settings(max_sockets_per_token=20, max_sockets_per_tenant=30))
    for _ in range(40):
        assert limits.message(session("acme"), NOW) == 0
    assert limits.message(session("other"), NOW) == pytest.approx(1 / 4), "the caller's own is used up"
    another = session("acme", holder="production:2")
    for _ in range(20):
        assert limits.message(another, NOW) == 0
    assert limits.message(another, NOW) == pytest.approx(1 / 6), "the tenant's is used up"
    assert limits.message(session("acme", holder="demo:3", database="demo"), NOW) == 0


def test_the_allowances_of_very_many_callers_take_bounded_memory() -> None:
    limits = Limits(Settings())
    for number in range(20_000):
        limits.message(session(number=number, holder=str(number)), NOW)
    assert [len(buckets._levels) for buckets in limits.messages] == [10_000] * 2


@pytest.mark.parametrize("path", ALL)
async def test_who_reconnects_gets_no_new_allowance(world: World, path: str) -> None:
    waited = allow(world, 3, 0.001)
    for number in range(1, 4):
        async with world.connect(path) as socket:
            await still_open_among_messages(socket)
            assert waited == [0] * number
    for number in range(1, 4):
        async with world.connect(path) as socket:
            await socket.send_json({"action": "ping"})
            await world.until(lambda: len(waited) == 3 + number)  # noqa: B023 - awaited here
            assert waited[-1] == pytest.approx(number * 1000)
            socket._response.connection.transport.abort()
        await world.until(lambda: world.hub.sockets == 0)


@pytest.mark.parametrize("path", [*ALL, "/ws/monitoring/nobody"])
async def test_what_is_said_into_a_socket_that_closes_is_paid_for_too(
    world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecpmon.api.connections.CLOSE_GRACE", 0.5)
    taken: list[Any] = []
    look_at = Connection._look_at
    monkeypatch.setattr(Connection, "_look_at", lambda self, m: (taken.append(m), look_at(self, m)))
    waited = allow(world, 2, 0.001)
    async with world.connect(path, autoclose=False) as socket:
        world.hub.close()
        while (await socket.receive(timeout=PATIENCE)).type is not WSMsgType.CLOSE:
            pass
        for _ in range(200):
            await socket._writer.send_frame(b"more", WSMsgType.TEXT)
        await world.until(lambda: socket._response.connection.transport is None)
    # One is read ahead of what is allowed; whoever was refused has a tenth of a second for each.
    assert len(waited) == 3 if path in ALL else 1 <= len(taken) <= 6


@pytest.mark.parametrize("path", ALL)
async def test_a_client_that_goes_while_it_is_said_goodbye_breaks_nothing(world: World, path: str) -> None:
    with structlog.testing.capture_logs() as logged:
        async with world.connect(path, autoclose=False) as socket:
            world.hub.close()
            while (await socket.receive(timeout=PATIENCE)).type is not WSMsgType.CLOSE:
                pass
            await socket.ping()
            socket._response.connection.transport.abort()
            await world.until(lambda: world.hub.sockets == 0)
    assert [line for line in logged if line["log_level"] == "error"] == []


@pytest.mark.parametrize("path", ALL)
async def test_a_flood_is_read_no_faster_than_is_allowed_and_a_neighbour_is_answered(
    world: World, path: str
) -> None:
    waited = allow(world, 26, 50)
    async with world.connect(MONITORING) as neighbour, world.connect(path) as flooding:
        await told(neighbour)
        for _ in range(200):
            await flooding.send_str("not json")
        answers = 0
        while answers < 30:
            answers += "error" in await told(flooding)
        # The world's clock stands still: nothing is made up for.
        assert waited[:30] == pytest.approx([0] * 26 + [0.02, 0.04, 0.06, 0.08])
        allow(world, 20, 5)
        await still_open(neighbour)
        flooding._response.connection.transport.abort()
    await world.until(lambda: world.hub.sockets == 0)


@pytest.mark.parametrize("between", [b"", b"\x89\x80\0\0\0\0"], ids=["alone", "with pings"])
async def test_a_message_that_never_ends_is_the_last(
    world: World, between: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecpmon.api.connections.MAX_UNFINISHED", 20_000)
    async with world.connect(MONITORING, autoping=False) as socket:
        await told(socket)
        transport = socket._response.connection.transport
        transport.write(b"\x01\x80\0\0\0\0")  # a text without end
        for _ in range(100):
            transport.write(b"\x00\x80\0\0\0\0" * 50 + between)
        async with asyncio.timeout(PATIENCE):
            while (message := await socket.receive()).type is WSMsgType.PONG:
                pass
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)
    await world.until(lambda: world.hub.sockets == 0)


async def test_a_long_message_in_fragments_is_a_message_and_paid_for_by_what_it_came_in(world: World) -> None:
    waited = allow(world, 100, 50)
    async with world.connect(MONITORING) as socket:
        await told(socket)
        transport = socket._response.connection.transport
        transport.write(b"\x01\x81\0\0\0\0x" + b"\x00\x80\0\0\0\0" * 6_000 + b"\x80\x81\0\0\0\0y")
        while "error" not in await told(socket):
            pass
        assert len(waited) == 1 + 36_000 // (16 * 1024)


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "Sec-WebSocket-Version", "Connection"])
async def test_a_handshake_with_bytes_that_are_no_ascii_is_refused(
    world: World, path: str, name: str
) -> None:
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    with structlog.testing.capture_logs() as logs:
        async with world.client.get(path, headers=headers | {name: headers[name] + "é"}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, "BAD_REQUEST")
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_a_ping_frame_is_answered(world: World) -> None:
    async with world.connect(MONITORING, autoping=False) as socket:
        await told(socket)
        await socket.ping(b"there?")
        message = await socket.receive(timeout=PATIENCE)
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_subscriptions_that_come_together_are_answered_by_one_message(world: World) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        for metric in ("up", "queue_depth", "cpu"):
            await socket.send_json({"action": "subscribe", "metrics": [metric], "interval": NEVER})
        assert (await told(socket))["metrics"] == {"cpu": 40.0}
        await still_open(socket)  # nothing else is in between


async def test_sockets_of_a_tenant_share_the_question_for_its_sla(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, tallies = [], world.tallies

    async def counted(*given: Any) -> Any:
        asked.append(given)
        return await tallies(*given)

    monkeypatch.setattr(world, "tallies", counted)
    monkeypatch.setattr("ecpmon.api.feeds.FIGURES_SECONDS", 3600.0)
    async with world.connect(REALTIME) as one, world.connect(REALTIME) as two:
        assert (await told(one))["sla_data"] == (await told(two))["sla_data"]
    assert len(asked) == 1


async def test_of_those_who_ask_together_one_asks_and_all_get_the_answer_or_the_error() -> None:
    shared: Shared[int] = Shared(3600.0)
    asked: list[int] = []

    async def fails() -> int:
        asked.append(0)
        await asyncio.sleep(0)
        raise ValueError("away")

    async def answers() -> int:
        asked.append(1)
        return 7

    errors = await asyncio.gather(*(shared.get("k", fails) for _ in range(5)), return_exceptions=True)
    assert (asked, {type(e) for e in errors}) == ([0], {ValueError})
    assert await asyncio.gather(*(shared.get("k", answers) for _ in range(5))) == [7] * 5
    assert await shared.get("other", answers) == 7
    assert asked == [0, 1, 1]


async def test_an_answer_is_forgotten_when_it_is_old() -> None:
    shared: Shared[int] = Shared(0.0)

    async def answers() -> int:
        return 7

    await shared.get("k", answers)
    async with asyncio.timeout(PATIENCE):
        while len(shared):
            await asyncio.sleep(0)


@pytest.mark.parametrize("path", [MONITORING, "/ws/monitoring/nobody"])
async def test_a_client_that_hangs_up_during_the_handshake_is_no_fault_of_ours(
    world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: Any) -> None:
        raise HungUp

    monkeypatch.setattr("ecpmon.api.sockets.taken", gone)
    with structlog.testing.capture_logs() as logs, pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await world.connect(path)
    assert refused.value.status == 400
    assert not [line for line in logs if line["log_level"] == "error"]
    assert world.hub.sockets == 0
