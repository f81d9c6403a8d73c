"""What one client says into its socket, or asks for by it, costs it and nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import WSMessage, WSMsgType, web
from socket_world import ALL, MONITORING, NEVER, REALTIME, World, still_open, told

from ecpmon.api.shared import Shared
from ecpmon.api.sockets import MESSAGES_AT_ONCE, MESSAGES_PER_SECOND, Allowance, received
from tests.waiting import PATIENCE


class Buffered:
    """A socket of which aiohttp has so many messages already: reading them never waits."""

    def __init__(self, kind: WSMsgType, count: int) -> None:
        self.left = [WSMessage(kind, "x", None)] * count
        self.ponged: list[Any] = []

    def __aiter__(self) -> Buffered:
        return self

    async def __anext__(self) -> WSMessage:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()

    async def pong(self, data: Any) -> None:
        self.ponged.append(data)


@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG])
async def test_between_two_messages_everybody_else_has_a_turn(kind: WSMsgType) -> None:
    socket: Any = Buffered(kind, MESSAGES_AT_ONCE)

    async def read() -> None:
        async for _ in received(socket, PATIENCE):
            pass

    reading, left = asyncio.create_task(read()), []
    while not reading.done():
        await asyncio.sleep(0)
        left.append(len(socket.left))
    assert set(left) == set(range(MESSAGES_AT_ONCE))
    assert len(socket.ponged) == (MESSAGES_AT_ONCE if kind is WSMsgType.PING else 0)


def test_an_allowance_is_so_many_at_once_and_then_so_many_per_second() -> None:
    allowance = Allowance(20, 5)
    assert [allowance.take(100) for _ in range(20)] == [0] * 20
    assert allowance.take(100) == pytest.approx(0.2)
    assert allowance.take(100.2) == pytest.approx(0.2)
    assert [allowance.take(10_000) for _ in range(20)] == [0] * 20  # no more is saved up than that
    assert allowance.take(10_000) == pytest.approx(0.2)


@pytest.mark.parametrize("path", ALL)
async def test_a_flood_is_read_no_faster_than_is_allowed_and_a_neighbour_is_answered(
    world: World, path: str
) -> None:
    beyond = 6  # the first of them is read at once, the others 0.2 s apart
    loop = asyncio.get_running_loop()
    async with world.connect(path) as flooding, world.connect(MONITORING) as neighbour:
        await told(neighbour)
        begun = loop.time()
        for _ in range(10 * MESSAGES_AT_ONCE):
            await flooding.send_str("not json")
        await still_open(neighbour)
        answers = 0
        while answers < MESSAGES_AT_ONCE + beyond:
            answers += "error" in await told(flooding)
        assert loop.time() - begun >= (beyond - 1) / MESSAGES_PER_SECOND
        flooding._response.connection.transport.abort()
    await world.until(lambda: world.hub.sockets == 0)


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
    monkeypatch.setattr("ecpmon.api.hub.FIGURES_SECONDS", 3600.0)
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
        raise ConnectionResetError("Connection lost")

    monkeypatch.setattr(web.WebSocketResponse, "prepare", gone)
    with structlog.testing.capture_logs() as logs, pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await world.connect(path)
    assert refused.value.status == 400
    assert not [line for line in logs if line["log_level"] == "error"]
    assert world.hub.sockets == 0
