"""A connection after its handshake: nothing of it stays with aiohttp, and it lives and ends by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType
from socket_world import ALL, MONITORING, World, close_code, still_open_among_messages, told

from ecpmon.api import heartbeats
from ecpmon.api.connections import Connection
from ecpmon.api.heartbeats import HEARTBEATS, PATIENCE_TICKS, TICKS, Heartbeats
from ecpmon.api.sockets import taken
from tests.waiting import PATIENCE


def connections(world: World) -> list[Any]:
    return [one for group in world.client.app[HEARTBEATS]._groups for one in group]


@pytest.mark.parametrize("path", ALL)
async def test_an_open_socket_holds_no_task(world: World, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so no request, and nothing of the middlewares, which only wait in a task."""
    handlers: list[Any] = []

    async def noted(*given: Any) -> Any:
        handlers.append(asyncio.current_task())
        return await taken(*given)

    monkeypatch.setattr("ecpmon.api.sockets.taken", noted)
    before = len(asyncio.all_tasks())
    sockets = [await world.connect(path) for _ in range(5)]
    for socket in sockets:
        await still_open_among_messages(socket)
    await world.until(lambda: all(task.done() for task in handlers))
    assert len(handlers) == 5
    await world.until(lambda: len(asyncio.all_tasks()) <= before + 1)  # the broadcaster's
    for socket in sockets:
        await socket.close()
    await world.until(lambda: world.hub.sockets == 0)
    assert len(world.client.app[HEARTBEATS]) == 0


@pytest.mark.parametrize("path", ALL)
async def test_what_comes_with_the_handshake_is_heard(world: World, path: str) -> None:
    """A client need not wait for the answer before it speaks."""
    server = world.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    said = b'{"action": "dance"}'
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer viewer\r\n\r\n".encode()
        + bytes([0x81, 0x80 | len(said)])
        + bytes(4)
        + said
    )
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b'"BAD_REQUEST"')
    assert head.startswith(b"HTTP/1.1 101 ")
    # The key and its answer are those of RFC 6455, 1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    writer.close()
    await world.until(lambda: world.hub.sockets == 0)


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_a_message_in_pieces_is_heard_when_it_is_whole(world: World, pieces: int) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        said = b'{"action": "ping"}'
        frame = bytes([0x81, 0x80 | len(said)]) + bytes(4) + said
        size = -(-len(frame) // pieces)
        for start in range(0, len(frame), size):
            socket._response.connection.transport.write(frame[start : start + size])
            await asyncio.sleep(0.01)
        assert await told(socket) == {"action": "pong"}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (bytes([0xC1, 0x81]) + bytes(4) + b"x", 1002),  # a reserved bit
        (bytes([0x83, 0x81]) + bytes(4) + b"x", 1002),  # a kind that there is not
        (bytes([0x81, 0x81]) + bytes(4) + b"\xff", 1007),
        (bytes([0x81, 0xFF]) + (2**20).to_bytes(8) + bytes(4), 1009),
    ],
)
async def test_what_is_no_message_ends_the_socket_with_a_code(world: World, sent: bytes, code: int) -> None:
    async with world.connect(MONITORING) as socket:
        await told(socket)
        socket._response.connection.transport.write(sent)
        assert await close_code(socket) == code
    await world.until(lambda: world.hub.sockets == 0)


async def test_a_connection_that_was_not_let_in_leaves_nothing_behind(world: World) -> None:
    async with world.connect("/ws/monitoring/nobody") as socket:
        assert await close_code(socket) == 4404
    await world.until(lambda: len(world.client.app[HEARTBEATS]) == 0)


async def test_a_fault_in_what_is_said_ends_that_socket_with_1011(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Connection, "_answer", broken)
    async with world.connect(MONITORING) as socket, world.connect(MONITORING) as other:
        await told(socket)
        await told(other)
        await socket.send_json({"action": "ping"})
        assert await close_code(socket) == 1011
        await world.until(lambda: world.hub.sockets == 1)


# --- signs of life ---


class Somebody:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def ask(self) -> None:
        self.heard.append("ask")

    def look(self) -> None:
        self.heard.append("look")


async def test_everybody_is_asked_once_a_round_and_looked_at_half_a_round_later() -> None:
    beats, everybody = Heartbeats(), []
    for _ in range(TICKS):
        one = Somebody()
        everybody.append((one, beats.add(one)))
        beats._tick()
    for one, _ in everybody:
        one.heard.clear()
    for _ in range(2 * TICKS):
        beats._tick()
    assert {tuple(one.heard) for one, _ in everybody} == {("ask", "look") * 2, ("look", "ask") * 2}
    for one, group in everybody:
        beats.drop(one, group)
    assert (len(beats), beats._timer) == (0, None)


async def test_a_client_that_gives_no_sign_of_life_is_cut_off_and_one_that_does_is_not(world: World) -> None:
    beats = world.client.app[HEARTBEATS]
    async with world.connect(MONITORING, autoping=False) as silent, world.connect(MONITORING) as alive:
        await told(silent)
        await told(alive)
        ponged = asyncio.create_task(still_open_among_messages(alive))
        await ponged
        listening = asyncio.create_task(alive.receive())
        for one in connections(world):
            one.ask()
        assert (await silent.receive(timeout=PATIENCE)).type is WSMsgType.PING
        await world.until(lambda: sum(one._heard for one in connections(world)) == 1)
        for one in connections(world):
            one.look()
        message = await silent.receive(timeout=PATIENCE)
        assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
        await world.until(lambda: world.hub.sockets == 1)
        listening.cancel()
    assert PATIENCE_TICKS * heartbeats.EVERY_SECONDS / TICKS == 15
    await world.until(lambda: len(beats) == 0)


async def test_a_pong_costs_no_parser_and_is_paid_for(world: World) -> None:
    async with world.connect(MONITORING, autoping=False) as socket:
        await told(socket)
        [one] = connections(world)
        socket._response.connection.transport.write(b"\x8a\x80\x00\x00\x00\x00")
        one._heard = False
        await world.until(lambda: one._heard)
        assert one._reader is None
        await still_open_among_messages(socket)
        assert one._reader is not None


async def test_many_that_hang_up_together_leave_nothing_behind(world: World) -> None:
    server = world.client.server
    handshake = (
        f"GET {MONITORING} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer viewer\r\n\r\n"
    ).encode()
    opened = []
    for _ in range(90):  # the most that one token may have is 100
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(handshake)
        opened.append(writer)
    await world.until(lambda: world.hub.sockets == 90)
    for writer in opened:
        writer.transport.abort()
    await world.until(lambda: world.hub.sockets == 0)
    assert (world.hub._feeds, len(world.client.app[HEARTBEATS])) == ({}, 0)
    assert world.hub._admissions.open == 0
