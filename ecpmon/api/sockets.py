"""WebSocket plumbing: opening, reading no faster than is allowed, sending with a time limit, closing in any case."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType, web

from ecpmon.wire import dumps

HEARTBEAT: Final = 30.0
MAX_MESSAGE: Final = 64 * 1024
CLOSE_GRACE: Final = 2.0
BEARER_PROTOCOL: Final = "bearer"
MAX_REASON: Final = 120  # bytes; a close frame holds 123
MESSAGES_AT_ONCE: Final = 20
MESSAGES_PER_SECOND: Final = 5.0


class SlowConsumer(Exception):
    """The other side does not read."""


class Gone(Exception):
    """The other side has hung up."""


class HungUp(web.HTTPBadRequest):
    """The other side was gone before the handshake was over; nobody is there to be answered."""


class Allowance:
    """How soon a client's next message may be read: so many at once, then so many per second."""

    def __init__(self, at_once: float = MESSAGES_AT_ONCE, per_second: float = MESSAGES_PER_SECOND) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._left = at_once
        self._at: float | None = None

    def take(self, now: float) -> float:
        """Pay for one message; the seconds until that has been made up. `now`: seconds of a monotonic clock."""
        elapsed = 0.0 if self._at is None else now - self._at
        self._left = min(self._at_once, self._left + elapsed * self._per_second) - 1
        self._at = now
        return max(0.0, -self._left / self._per_second)


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Raises HungUp."""
    # Without compression: a deflate context costs a quarter of a megabyte per socket.
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT,
        max_msg_size=MAX_MESSAGE,
        protocols=(BEARER_PROTOCOL,),
        compress=False,
        timeout=CLOSE_GRACE,
        autoping=False,  # aiohttp would answer a flood of them without a turn for anybody else
    )
    try:
        await socket.prepare(request)
    except ConnectionError:
        raise HungUp from None
    return socket


async def received(socket: web.WebSocketResponse, limit: float) -> AsyncIterator[WSMessage]:
    """The client's messages, no faster than its allowance; others get a turn after each.

    What it sends too fast stays unread: aiohttp stops reading at 128 KiB, and TCP holds up the sender. Its pongs are
    then held up too, so that a client which goes on like that is cut off by the heartbeat. Raises SlowConsumer, Gone.
    """
    allowance, loop = Allowance(), asyncio.get_running_loop()
    async for message in socket:
        if message.type is WSMsgType.PING:
            await _within(limit, socket.pong(message.data))
        elif message.type not in (WSMsgType.PONG, WSMsgType.ERROR):
            yield message
        await asyncio.sleep(allowance.take(loop.time()))


async def send(socket: web.WebSocketResponse, data: Any, limit: float) -> None:
    """Send JSON. Raises SlowConsumer after `limit` seconds, Gone."""
    await _within(limit, socket.send_str(dumps(data).decode()))


async def _within(limit: float, sending: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(limit):
            await sending
    except TimeoutError:
        raise SlowConsumer from None
    except (ConnectionError, RuntimeError):
        raise Gone from None


async def close(socket: web.WebSocketResponse, request: web.Request, code: int, reason: str = "") -> None:
    """Close with `code`; a connection that does not even take the close frame is cut off."""
    transport = request.transport
    message = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
    with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
        async with asyncio.timeout(CLOSE_GRACE):
            await socket.close(code=code, message=message)
    if transport is not None and transport.get_write_buffer_size() > 0:
        transport.abort()
