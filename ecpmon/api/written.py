"""An answer that is written as it is: small, of a known length, and made of nothing that has to be encoded first."""

from __future__ import annotations

from http import HTTPStatus
from time import time
from typing import cast
from wsgiref.handlers import format_date_time

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE


def as_written(status: int, body: bytes, request_id: str, *more: tuple[str, str]) -> bytes:
    """JSON to a request of HTTP/1.1 whose connection stays open, with the headers that `web.Response` would have.

    `more`: other headers.
    """
    others = "".join([f"{name}: {value}\r\n" for name, value in more])
    return b"%b%d\r\nX-Request-ID: %b\r\nDate: %b\r\n%b\r\n%b" % (
        _head(status), len(body), request_id.encode(), _DATE.now(), others.encode(), body,
    )  # fmt: skip


def written(status: int, answer: bytes) -> web.StreamResponse:
    """What `as_written` has made, for aiohttp's server."""
    return cast(web.StreamResponse, _Written(status, answer))


class _Written:
    """What aiohttp's server asks of an answer, and no more: making and sending a `web.Response` takes 12 µs."""

    __slots__ = ("_whole", "body_length", "prepared", "status")

    keep_alive = True

    def __init__(self, status: int, answer: bytes) -> None:
        self.status = status
        self.body_length = len(answer) - answer.index(b"\r\n\r\n") - 4
        self.prepared = False
        self._whole = answer

    async def prepare(self, request: web.BaseRequest) -> None:
        self.prepared = True
        await request.writer.write(self._whole)
        await request.writer.drain()  # who does not read what he is told sends nothing more

    async def write_eof(self) -> None:
        """All of it has been written."""


class _Date:
    """The time as HTTP writes it, which is the same for a second."""

    def __init__(self) -> None:
        self._second, self._text = 0, b""

    def now(self) -> bytes:
        second = int(time())
        if second != self._second:
            self._second, self._text = second, format_date_time(second).encode()
        return self._text


_DATE = _Date()
_HEADS: dict[int, bytes] = {}


def _head(status: int) -> bytes:
    head = _HEADS.get(status)
    if head is None:
        lines = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
            f"Server: {SERVER_SOFTWARE}\r\nContent-Length: "
        )
        head = _HEADS[status] = lines.encode()
    return head
