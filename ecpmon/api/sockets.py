"""WebSockets from the handshake on: the connection is answered, and taken away from aiohttp.

aiohttp would keep a task, a request and the chain of middlewares for as long as a socket is open. What must hold, and
what tests/unit/api/test_connections.py watches over with every new version: `set_parser` hands over what came with the
handshake, and `connection_lost` makes a protocol forget a connection whose transport it does not know any more.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import WS_KEY, WebSocketReader

from ecpmon.api.connections import Connection, Say
from ecpmon.api.errors import speaks_korean
from ecpmon.api.places import Place
from ecpmon.api.routing import SocketQuery
from ecpmon.openapi.declaring import read_query
from ecpmon.serving import request_id_of

BEARER_PROTOCOL: Final = "bearer"


class HungUp(web.HTTPBadRequest):
    """The other side was gone before the handshake was over; nobody is there to be answered."""


class TakenOver(web.StreamResponse):
    """Of a connection that is not aiohttp's any more: there is nothing left to send."""

    def __init__(self) -> None:
        super().__init__(status=101)

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, _: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, _: bytes = b"") -> None:
        pass


@contextmanager
def given_back_on_error(place: Place[Any, Any, Any]) -> Iterator[None]:
    """For all that may fail before the connection has it."""
    try:
        yield
    except BaseException:
        place.leave()
        raise


async def opened(request: web.Request, place: Place[Any, Any, Any], say: Say | None) -> web.StreamResponse:
    """Answer the handshake; from then on the connection lives by itself, and gives its `place` back when it is gone.

    `say`: see `connections.Say`. Raises HungUp, web.HTTPBadRequest.
    """
    place.broadcast.open(place.outbox, await taken(request, place, say))
    return TakenOver()


async def refuse(request: web.Request, code: int, reason: str) -> web.StreamResponse:
    """Accept the upgrade, then close with a code that a browser can see. Raises as `opened`."""
    (await taken(request, None, None)).goodbye(code, reason)
    return TakenOver()


# What aiohttp takes apart, and breaks on when it is no ASCII.
_COMPARED: Final = (
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
)


def hears_korean(request: web.Request) -> bool:
    """Whether a socket is told what it is told in Korean: by its `language`, else by `Accept-Language`.

    Raises ValidationFailed.
    """
    language = read_query(request, SocketQuery).language
    return speaks_korean(request) if language is None else language == "ko"


async def taken(request: web.Request, place: Place[Any, Any, Any] | None, say: Say | None) -> Connection:
    if not all(request.headers.get(name, "").isascii() for name in _COMPARED):
        raise web.HTTPBadRequest(text="the handshake has bytes that are no ASCII")
    # Without compression: a deflate context costs a quarter of a megabyte per socket.
    handshake = web.WebSocketResponse(protocols=(BEARER_PROTOCOL,), compress=False)
    ready = handshake.can_prepare(request)
    if not ready.ok:
        await handshake.prepare(request)  # raises what is wrong
    transport, protocol = request.transport, request.protocol
    if transport is None or transport.is_closing():
        raise HungUp
    transport.write(_switching(request.headers["Sec-WebSocket-Key"], ready.protocol))
    connection = Connection(
        transport, request.app, request_id_of(request), place, say, korean=hears_korean(request)
    )
    transport.set_protocol(connection)
    protocol.set_parser(cast(WebSocketReader, connection))
    protocol.transport = None
    protocol.connection_lost(None)
    return connection


def _switching(key: str, protocol: str | None) -> bytes:
    """The answer to a handshake (RFC 6455, 4.2.2)."""
    accept = b64encode(sha1(key.encode() + WS_KEY, usedforsecurity=False).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: upgrade"]
    lines += [
        f"Sec-WebSocket-Accept: {accept}",
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()
