"""WebSocket plumbing: opening, sending with a time limit, closing even what does not read."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from aiohttp import web

from ecpmon.wire import dumps

HEARTBEAT: Final = 30.0
MAX_MESSAGE: Final = 64 * 1024
CLOSE_GRACE: Final = 2.0
BEARER_PROTOCOL: Final = "bearer"
MAX_REASON: Final = 120  # bytes; a close frame holds 123


class SlowConsumer(Exception):
    """The other side does not read."""


class Gone(Exception):
    """The other side has hung up."""


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    # Without compression: a deflate context costs a quarter of a megabyte per socket.
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT,
        max_msg_size=MAX_MESSAGE,
        protocols=(BEARER_PROTOCOL,),
        compress=False,
        timeout=CLOSE_GRACE,
    )
    await socket.prepare(request)
    return socket


async def send(socket: web.WebSocketResponse, data: Any, limit: float) -> None:
    """Send JSON. Raises SlowConsumer after `limit` seconds, Gone."""
    try:
        async with asyncio.timeout(limit):
            await socket.send_str(dumps(data).decode())
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
