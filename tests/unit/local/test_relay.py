"""A second port hands on what it is given, both ways, and keeps no connection that the other side has left."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable

import pytest

from ecpmon.local.relay import Relay
from tests.waiting import PATIENCE, until

LARGE = bytes(range(256)) * 4096


class Server:
    """Answers with what it was sent, once all of it is there; `b"go"` makes it hang up."""

    def __init__(self) -> None:
        self.open = 0

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.open += 1
        try:
            first = await reader.read(2)
            if first != b"go":
                writer.write(first + await reader.read())
                await writer.drain()
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def port(server: Server, free_port: Callable[[], int]) -> AsyncIterator[int]:
    behind, before = free_port(), free_port()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", behind)
    relay = Relay(before, behind)
    await relay.start()
    yield before
    await relay.stop()
    await relay.stop()
    listening.close()


async def test_what_is_sent_is_answered_also_when_the_sender_has_said_all(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(LARGE)
    writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == LARGE
    writer.close()


@pytest.mark.parametrize("who", ["server", "client"])
async def test_who_hangs_up_ends_both(port: int, server: Server, who: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if who == "server":
        writer.write(b"go")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()
    else:
        writer.write(b"x")

        async def there() -> bool:
            return server.open == 1

        await until(there, "the server has it")
        writer.transport.abort()

    async def gone() -> bool:
        return server.open == 0

    await until(gone, "nothing is open")


async def test_where_no_server_is_nobody_is_kept(free_port: Callable[[], int]) -> None:
    port = free_port()
    relay = Relay(port, free_port())
    await relay.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
    await relay.stop()


async def test_to_stop_ends_what_is_open(port: int, server: Server, free_port: Callable[[], int]) -> None:
    second = free_port()
    relay = Relay(second, port)
    await relay.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", second)
    writer.write(b"x")

    async def there() -> bool:
        return server.open == 1

    await until(there, "the server has it")
    await relay.stop()
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", second)
