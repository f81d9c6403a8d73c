"""A conversation over a socket: listening and answering until either side ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from ecpmon.api.broadcast import FAULT, STAYS_BEHIND
from ecpmon.api.common import backend_of
from ecpmon.api.errors import error_document
from ecpmon.api.outboxes import Outbox
from ecpmon.api.sessions import Session
from ecpmon.api.sockets import Gone, Pay, SlowConsumer, close, paying, received, send
from ecpmon.errors import BadRequest, EcpError

_log = structlog.get_logger(__name__)


def _nothing() -> None: ...


@dataclass(frozen=True)
class Conversation:
    """A socket and what it was opened with, while it is open; whoever tells it things does that by itself.

    `take` is given what the client says: an answer, or None when it is obeyed, and then `changed` is called; it
    raises EcpError for what is wrong.
    """

    request: web.Request
    socket: web.WebSocketResponse
    session: Session
    outbox: Outbox
    take: Callable[[Any], dict[str, Any] | None]
    changed: Callable[[], None] = _nothing

    @property
    def limit(self) -> float:
        """Seconds within which the client must have taken an answer."""
        return backend_of(self.request).hub.send_timeout

    async def hold(self) -> tuple[int, str]:
        """Listen until either side ends it: the code and the reason to close it with."""
        listening = asyncio.ensure_future(self._receive(paying(self.request, self.session)))
        self.outbox.on_close = listening.cancel
        try:
            if not self.outbox.closed.is_set():
                await asyncio.wait({listening})
            return _ending(listening, self.outbox)
        finally:
            self.outbox.on_close = _nothing
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def close(self, code: int, reason: str) -> None:
        """Nobody may write to it any more."""
        await close(self.socket, self.request, code, reason, paying(self.request, self.session))

    async def _receive(self, pay: Pay) -> None:
        """Read the client's messages; a bad one is answered with an error and the socket stays open."""
        async for message in received(self.socket, pay, self.limit):
            try:
                answer = self.take(_decoded(message.type, message.data))
                if answer is None:
                    self.changed()
            except EcpError as error:
                answer = error_document(self.request, error.code, error.message, error.details)
            if answer is not None:
                await send(self.socket, answer, self.limit)


def _ending(listening: asyncio.Future[None], outbox: Outbox) -> tuple[int, str]:
    if outbox.closed.is_set():
        return outbox.close_code, outbox.close_reason
    error = listening.exception()
    if isinstance(error, SlowConsumer):
        return WSCloseCode.TRY_AGAIN_LATER, STAYS_BEHIND
    if error is not None and not isinstance(error, Gone):
        # Raising would write an HTTP answer into the open socket.
        _log.error("socket_broken", exc_info=error)
        return WSCloseCode.INTERNAL_ERROR, FAULT
    return WSCloseCode.OK, ""


def _decoded(kind: WSMsgType, data: Any) -> Any:
    if kind is not WSMsgType.TEXT:
        raise BadRequest("messages are JSON text")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BadRequest("the message is not JSON") from None
