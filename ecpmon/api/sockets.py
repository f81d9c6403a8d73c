"""WebSocket plumbing: opening, reading no faster than is allowed, sending with a time limit, closing in any case."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType, web

from ecpmon.api.context import CONTEXT
from ecpmon.api.limits import LIMITS
from ecpmon.api.sessions import Session
from ecpmon.wire import dumps

HEARTBEAT: Final = 30.0
MAX_MESSAGE: Final = 64 * 1024
CLOSE_GRACE: Final = 2.0
BEARER_PROTOCOL: Final = "bearer"
MAX_REASON: Final = 120  # bytes; a close frame holds 123
UNWELCOME_SECONDS: Final = 0.1


class SlowConsumer(Exception):
    """The other side does not read."""


class Gone(Exception):
    """The other side has hung up."""


class HungUp(web.HTTPBadRequest):
    """The other side was gone before the handshake was over; nobody is there to be answered."""


# Pays for one message of the client: the seconds until it may be looked at.
Pay = Callable[[], float]


def paying(request: web.Request, session: Session) -> Pay:
    """For the messages of a socket that was opened with `session`."""
    limits, clock = request.app[LIMITS], request.app[CONTEXT].clock
    return lambda: limits.message(session, clock.now())


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Raises HungUp."""
    # Without compression: a deflate context costs a quarter of a megabyte per socket.
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT,
        max_msg_size=MAX_MESSAGE,
        protocols=(BEARER_PROTOCOL,),
        compress=False,
        timeout=CLOSE_GRACE,
        # aiohttp would answer a flood of pings, and read on after a close, without a turn for anybody else.
        autoping=False,
        autoclose=False,
    )
    try:
        await socket.prepare(request)
    except ConnectionError:
        raise HungUp from None
    return socket


async def received(socket: web.WebSocketResponse, pay: Pay, limit: float) -> AsyncIterator[WSMessage]:
    """The client's messages, no faster than its allowance; others get a turn before each.

    What it sends too fast stays unread: aiohttp stops reading at 128 KiB, and TCP holds up the sender. Its pongs are
    then held up too, so that a client which goes on like that is cut off by the heartbeat. Raises SlowConsumer, Gone.
    """
    async for message in socket:
        await asyncio.sleep(pay())
        if message.type is WSMsgType.PING:
            await _within(limit, socket.pong(message.data))
        elif message.type not in (WSMsgType.PONG, WSMsgType.ERROR):
            yield message


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


async def close(
    socket: web.WebSocketResponse, request: web.Request, code: int, reason: str = "", pay: Pay | None = None
) -> None:
    """Close with `code`; a connection that does not even take the close frame is cut off.

    What the client says before it closes, too, is paid for and not looked at. Nobody else may be reading the socket.
    """
    transport = request.transport
    message = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
    with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError, Gone, SlowConsumer):
        async with asyncio.timeout(CLOSE_GRACE):
            if socket.close_code is None:
                await _goodbye(socket, code, message, pay or _unwelcome)
            else:  # the client has closed it, and is answered
                await socket.close(code=code, message=message)
    if transport is not None:
        transport.abort() if transport.get_write_buffer_size() > 0 else transport.close()


async def _goodbye(socket: web.WebSocketResponse, code: int, message: bytes, pay: Pay) -> None:
    """aiohttp's own `close` would read whatever comes for so long, as fast as it comes."""
    await socket.send_frame(code.to_bytes(2) + message, WSMsgType.CLOSE)
    async for _ in received(socket, pay, CLOSE_GRACE):
        pass


def _unwelcome() -> float:
    """Whoever was not let in has no allowance."""
    return UNWELCOME_SECONDS
