"""A conversation over a socket: sending and receiving until either side ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from ecpmon.api.common import backend_of
from ecpmon.api.errors import error_document
from ecpmon.api.hub import Outbox
from ecpmon.api.sessions import Session
from ecpmon.api.sockets import Gone, Pay, SlowConsumer, close, paying, received, send
from ecpmon.errors import BadRequest, EcpError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Conversation:
    """A socket and what it was opened with. `take` is given what the client says: an answer, or None when it is
    obeyed and `changed` is to be set; it raises EcpError for what is wrong."""

    request: web.Request
    socket: web.WebSocketResponse
    session: Session
    outbox: Outbox
    take: Callable[[Any], dict[str, Any] | None]
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def limit(self) -> float:
        """Seconds within which the client must have taken a message."""
        return backend_of(self.request).hub.send_timeout

    async def hold(self, sending: Coroutine[Any, Any, None]) -> None:
        """Send and receive until either side ends it; a consumer that does not read is let go with 1013."""
        pay = paying(self.request, self.session)
        tasks: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(sending),
            asyncio.ensure_future(self._receive(pay)),
            asyncio.ensure_future(self.outbox.closed.wait()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code, reason = _ending(done, self.outbox)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await close(self.socket, self.request, code, reason, pay)

    async def _receive(self, pay: Pay) -> None:
        """Read the client's messages; a bad one is answered with an error and the socket stays open."""
        async for message in received(self.socket, pay, self.limit):
            try:
                answer = self.take(_decoded(message.type, message.data))
                if answer is None:
                    self.changed.set()
            except EcpError as error:
                answer = error_document(self.request, error.code, error.message, error.details)
            if answer is not None:
                await send(self.socket, answer, self.limit)


def _ending(done: set[asyncio.Future[Any]], outbox: Outbox) -> tuple[int, str]:
    if outbox.closed.is_set():
        return outbox.close_code, outbox.close_reason
    for task in done:
        error = task.exception()
        if isinstance(error, SlowConsumer):
            return WSCloseCode.TRY_AGAIN_LATER, "this consumer stays behind"
        if isinstance(error, EcpError):
            return WSCloseCode.TRY_AGAIN_LATER, error.message
        if error is not None and not isinstance(error, Gone):
            # Raising would write an HTTP answer into the open socket.
            _log.error("socket_broken", exc_info=error)
            return WSCloseCode.INTERNAL_ERROR, "this is a fault of the server; it has been logged"
    return WSCloseCode.OK, ""


def _decoded(kind: WSMsgType, data: Any) -> Any:
    if kind is not WSMsgType.TEXT:
        raise BadRequest("messages are JSON text")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BadRequest("the message is not JSON") from None
