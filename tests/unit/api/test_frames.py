"""Frames that are made once for all: what aiohttp itself would write, and what its client reads."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from ecpmon.api.connections import Connection
from ecpmon.api.frames import MOST_UNSENT, Line, close_frame, joined, ping_frame, pong_frame, text_frame
from ecpmon.api.heartbeats import HEARTBEATS, Heartbeats
from ecpmon.api.sockets import TakenOver, taken
from tests.waiting import PATIENCE

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000]
SERVED: web.AppKey[list[Connection]] = web.AppKey("served", list)


@pytest.fixture
async def client(aiohttp_client: Any) -> Any:
    """`app[SERVED]`: every connection, which is held until the client closes."""

    async def serve(request: web.Request) -> web.StreamResponse:
        request.app[SERVED].append(await taken(request, None, None))
        return TakenOver()

    app = web.Application()
    app[SERVED], app[HEARTBEATS] = [], Heartbeats()
    app.router.add_get("/", serve)
    return await aiohttp_client(app)


@pytest.fixture
async def pair(client: Any) -> AsyncIterator[tuple[Any, Connection]]:
    """The client's socket, and the server's connection."""
    async with client.ws_connect("/", max_msg_size=0, autoping=False) as theirs:
        yield theirs, client.app[SERVED][0]


def test_a_frame_is_what_the_rfc_says() -> None:
    assert text_frame(b"Hello") == bytes.fromhex("810548656c6c6f")  # RFC 6455, 5.7
    assert text_frame(b"x" * 256)[:4] == bytes.fromhex("817e0100")
    assert text_frame(b"x" * 65_536)[:10] == bytes.fromhex("817f0000000000010000")


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_has_the_bytes_that_aiohttp_would_write(size: int) -> None:
    assert text_frame(b"x" * size) == written_by_aiohttp(b"x" * size, WSMsgType.TEXT)


def test_control_frames_have_the_bytes_that_aiohttp_would_write() -> None:
    assert ping_frame() == written_by_aiohttp(b"", WSMsgType.PING)
    assert pong_frame(b"x" * 125) == written_by_aiohttp(b"x" * 125, WSMsgType.PONG)
    assert close_frame(4404, "gone") == written_by_aiohttp((4404).to_bytes(2) + b"gone", WSMsgType.CLOSE)


def test_a_reason_that_is_too_long_is_cut_between_two_characters() -> None:
    said = close_frame(1000, "한" * 60)[4:]
    assert said.decode() == "한" * 40


def written_by_aiohttp(payload: bytes, kind: WSMsgType) -> bytes:
    written: list[bytes] = []

    class Transport(asyncio.Transport):
        def write(self, data: Any) -> None:
            written.append(bytes(data))

        def is_closing(self) -> bool:
            return False

    protocol: Any = None
    writer = aiohttp.http.WebSocketWriter(protocol, Transport(), limit=2**30)
    sending = writer.send_frame(payload, kind)
    with pytest.raises(StopIteration):  # it does not wait
        sending.send(None)
    return b"".join(written)


@pytest.mark.parametrize("size", SIZES)
async def test_a_client_reads_our_frames(pair: Any, size: int) -> None:
    theirs, line = pair
    for number in range(20):
        line.write(text_frame(b"%06d" % number + b"x" * size))
        line.write(pong_frame(b"p"))
        line.write(joined([text_frame(b"1"), text_frame(b"2")]))
        got = [await theirs.receive(timeout=PATIENCE) for _ in range(4)]
        assert [m.data if isinstance(m.data, str) else bytes(m.data) for m in got] == [
            f"{number:06}" + "x" * size, b"p", "1", "2",
        ]  # fmt: skip


async def test_no_socket_is_compressed(client: Any) -> None:
    """Else the same bytes could not be written to all."""
    async with client.ws_connect("/", compress=15) as theirs:
        assert theirs.compress == 0


async def test_a_client_that_does_not_read_is_seen_and_one_that_is_gone_takes_everything(pair: Any) -> None:
    theirs, line = pair
    theirs._response.connection.transport.pause_reading()
    async with asyncio.timeout(PATIENCE):
        while line.free:
            line.write(text_frame(b"x" * MOST_UNSENT))
            await asyncio.sleep(0)
        theirs._response.connection.transport.resume_reading()
        while not line.free:
            await theirs.receive()
    assert not line.gone
    theirs._response.connection.transport.abort()
    async with asyncio.timeout(PATIENCE):
        while not line.gone:
            await asyncio.sleep(0)
    line.write(text_frame(b"x"))
    assert line.free


def test_a_line_without_a_transport_is_gone() -> None:
    line = Line(None)
    line.write(struct.pack("!B", 0))
    assert (line.gone, line.free) == (True, True)
