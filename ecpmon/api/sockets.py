"""WebSocket plumbing: opening, sending with a time limit, closing even what does not read."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from aiohttp import WSCloseCode, web

from ecpmon.api.auth import BEARER_PROTOCOL
from ecpmon.api.replies import dumps
from ecpmon.errors import BadRequest, EcpError

HEARTBEAT: Final = 30.0
MAX_MESSAGE: Final = 64 * 1024
CLOSE_GRACE: Final = 2.0
# HTTP status -> close code; the rest is "try again later" for temporary errors, else "internal error".
_CLOSE_CODES: Final = {400: 4400, 401: 4401, 403: 4403, 404: 4404, 429: 4429}
MAX_REASON: Final = 120  # bytes; a close frame holds 123


class SlowConsumer(Exception):
    """The other side does not read."""


class Gone(Exception):
    """The other side has hung up."""


def wants_upgrade(request: web.Request) -> bool:
    """Raises BadRequest for sub-protocols that are not ours: they would end up in aiohttp's log."""
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered is not None and offered.split(",")[0].strip() != BEARER_PROTOCOL:
        raise BadRequest("the only sub-protocol is: bearer, <token>")
    return web.WebSocketResponse(protocols=(BEARER_PROTOCOL,)).can_prepare(request).ok


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
    if transport is not None and transport.get_write_buffer_size() > 0:  # type: ignore[attr-defined]
        transport.abort()  # type: ignore[attr-defined]


def close_code(error: EcpError) -> int:
    fallback = WSCloseCode.TRY_AGAIN_LATER if error.retryable else WSCloseCode.INTERNAL_ERROR
    return _CLOSE_CODES.get(error.status, int(fallback))


async def close_refused(socket: web.WebSocketResponse, request: web.Request, error: EcpError) -> None:
    await close(socket, request, close_code(error), f"{error.code}: {error.message}")
