"""A second port for a server on loopback: whatever arrives there is handed on as it is, both ways.

The source documents show the demo database on a port of its own. It is a database of the same server, and a second
server would take memory for nothing.

Invariant: a connection here has exactly one there, and neither outlives the other.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress

_HOST = "127.0.0.1"
_PIECE = 2**16


class Relay:
    """`await start()`, then always `await stop()`. How many connections there may be is the server's to say."""

    def __init__(self, port: int, to: int) -> None:
        self._port = port
        self._to = to
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._accepted, _HOST, self._port)

    async def stop(self) -> None:
        """Listen no more, and end what is open. Safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accepted(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._connected(reader, writer), name="relay")
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            # The server may be away; its client is told by the same.
            with suppress(OSError):
                there, back = await asyncio.open_connection(_HOST, self._to)
                await _joined(reader, writer, there, back)
        finally:
            writer.close()


async def _joined(
    reader: StreamReader, writer: StreamWriter, there: StreamReader, back: StreamWriter
) -> None:
    asked = asyncio.create_task(_hand_on(reader, back))
    answered = asyncio.create_task(_hand_on(there, writer))
    try:
        await asyncio.wait((asked, answered), return_when=asyncio.FIRST_COMPLETED)
        if asked.done() and asked.result():
            await asyncio.wait((answered,))  # who has said everything may still be answered
    finally:
        asked.cancel()
        answered.cancel()
        back.close()


async def _hand_on(reader: StreamReader, writer: StreamWriter) -> bool:
    """Whether the sender has said that this is all; else one of both broke."""
    try:
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        return False
    return True
