"""Frames past aiohttp's writer: what is assumed here is no promise of aiohttp's, so these fail when it changes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from ecpmon.api.frames import MOST_UNSENT, Line, joined, text_frame
from ecpmon.api.sockets import open_socket
from tests.waiting import PATIENCE

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000]
SERVED: web.AppKey[list[Any]] = web.AppKey("served", list)


@pytest.fixture
async def client(aiohttp_client: Any) -> Any:
    """`app[SERVED]`: (socket, line) of every connection, which is held until the client closes."""

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = await open_socket(request)
        request.app[SERVED].append((socket, Line(request.transport)))
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app[SERVED] = []
    app.router.add_get("/", serve)
    return await aiohttp_client(app)


@pytest.fixture
async def pair(client: Any) -> AsyncIterator[tuple[Any, Any, Line]]:
    """The client's socket, the server's, and the line to the client."""
    async with client.ws_connect("/", max_msg_size=0, autoping=False) as theirs:
        while not client.app[SERVED]:
            await asyncio.sleep(0)
        ours, line = client.app[SERVED][0]
        yield theirs, ours, line


def test_a_frame_is_what_the_rfc_says() -> None:
    assert text_frame(b"Hello") == bytes.fromhex("810548656c6c6f")  # RFC 6455, 5.7
    assert text_frame(b"x" * 256)[:4] == bytes.fromhex("817e0100")
    assert text_frame(b"x" * 65_536)[:10] == bytes.fromhex("817f0000000000010000")


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_has_the_bytes_that_aiohttp_would_write(size: int) -> None:
    written: list[bytes] = []

    class Transport(asyncio.Transport):
        def write(self, data: Any) -> None:
            written.append(bytes(data))

        def is_closing(self) -> bool:
            return False

    protocol: Any = None
    writer = aiohttp.http.WebSocketWriter(protocol, Transport(), limit=2**30)
    sending = writer.send_frame(b"x" * size, WSMsgType.TEXT)
    with pytest.raises(StopIteration):  # it does not wait: nothing can come in between of what it writes
        sending.send(None)
    assert b"".join(written) == text_frame(b"x" * size)


@pytest.mark.parametrize("size", SIZES)
async def test_a_client_reads_our_frames_between_those_of_aiohttp(pair: Any, size: int) -> None:
    theirs, ours, line = pair

    async def write() -> None:
        for number in range(20):
            line.write(text_frame(b"%06d" % number + b"x" * size))
            await ours.send_str(f"{number:06}" + "y" * size)
            await ours.pong(b"p")
            line.write(joined([text_frame(b"1"), text_frame(b"2")]))

    writing = asyncio.create_task(write())
    for number in range(20):
        got = [await theirs.receive(timeout=PATIENCE) for _ in range(5)]
        assert [m.data if isinstance(m.data, str) else bytes(m.data) for m in got] == [
            f"{number:06}" + "x" * size, f"{number:06}" + "y" * size, b"p", "1", "2",
        ]  # fmt: skip
    await writing


async def test_no_socket_of_ours_is_compressed_or_masked(client: Any) -> None:
    """Else the same bytes could not be written to all."""
    async with client.ws_connect("/", compress=15) as theirs:
        assert theirs.compress == 0
        while not client.app[SERVED]:
            await asyncio.sleep(0)
        ours, line = client.app[SERVED][0]
        assert ours.compress in (0, False)
        assert (ours._writer.compress, ours._writer.use_mask) == (0, False)
        assert line._transport is ours._writer.transport


async def test_a_client_that_does_not_read_is_seen_and_one_that_is_gone_takes_everything(pair: Any) -> None:
    theirs, _, line = pair
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
