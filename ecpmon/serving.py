"""The HTTP server around an aiohttp application: what never reaches a middleware is answered in the error shape too.

That is what aiohttp's parser refuses, an `Expect` that nobody fulfils, and whatever escapes from a middleware.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.web_protocol import _ErrInfo

from ecpmon.chance import CHANCE
from ecpmon.errors import PermanentError
from ecpmon.korean.messages import in_korean, prefers_korean
from ecpmon.settings import LOOPBACK, Settings
from ecpmon.wholes import Ways, WholeRequests, supported
from ecpmon.wire import dumps, encodable, error_document

log = logging.getLogger("ecpmon.serving")

CODES: Final = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    417: "EXPECTATION_FAILED",
    500: "INTERNAL_ERROR",
}
BROKEN: Final = "this is a fault of the server; it has been logged"
BROKEN_BODY: Final = "the body is broken, or ended before it was complete; send it again"
_MAX_REASON: Final = 200
REQUEST_ID: Final = web.RequestKey("request_id", str)
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class UnsafeSettings(PermanentError):
    code = "UNSAFE_SETTINGS"


def check_settings(settings: Settings) -> None:
    """Refuse what would put an open door on the network."""
    if settings.auth == "none" and settings.host not in LOOPBACK and not settings.auth_none_anywhere:
        raise UnsafeSettings(
            f"ECPMON_AUTH=none is for loopback, not for {settings.host}; use ECPMON_AUTH=tokens "
            "and make a token with `ecpmon token create`"
        )
    if settings.database_url is None:
        raise UnsafeSettings("ECPMON_DATABASE_URL is not set")


def code_of(status: int) -> str:
    """The error code of an HTTP status that no error of ours stands behind."""
    return CODES.get(status, "HTTP_ERROR")


def reason_of(error: web.HTTPException) -> str:
    """What aiohttp says about an error of its own, in one line."""
    said = (error.text or error.reason).partition("\n")[0]
    return encodable(said)[:_MAX_REASON]


def request_id_of(request: web.BaseRequest) -> str:
    """The caller's `X-Request-ID` when it is sane (it stands in answers and logs), else a new one."""
    if REQUEST_ID not in request:
        request[REQUEST_ID] = new_request_id(request.headers.get("X-Request-ID", ""))
    return request[REQUEST_ID]


def new_request_id(given: str) -> str:
    sane = 0 < len(given) <= 128 and given.isascii() and given.isprintable()
    # A system call for each would take as long as reading a small push.
    return given if sane else f"req-{CHANCE.getrandbits(48):012x}"


def refused(request: web.BaseRequest, status: int, message: str) -> web.Response:
    """An error in the one shape, and in the caller's language, that needs nothing but the request."""
    request_id, code = request_id_of(request), code_of(status)
    if prefers_korean(request.headers.get("Accept-Language", "")):
        message = in_korean(code, message)
    body = dumps(error_document(code, message, {}, datetime.now(UTC), request_id))
    headers = {"X-Request-ID": request_id}
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def failed(request: web.BaseRequest, error: BaseException | None) -> web.Response:
    """The answer to a fault of ours; the log, when it can be written, has the rest."""
    with contextlib.suppress(Exception):
        what = f"{request.method} {encodable(request.path)}"
        log.error("request_broken %s %s", request_id_of(request), what, exc_info=error)
    return refused(request, 500, BROKEN)


def begun(request: web.BaseRequest) -> bool:
    """Whether a part of the answer is under way: another one cannot be sent any more."""
    return request.writer.output_size > 0


def guarded(handler: _Handler) -> _Handler:
    """`handler`, whose errors become answers in the one shape."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        # aiohttp looks at it before any middleware does, and fails over bytes that are not UTF-8.
        if request.headers.get("Expect", "100-continue").lower() not in ("100-continue", ""):
            return refused(request, 417, "nothing but `Expect: 100-continue` can be met")
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return refused(request, error.status, reason_of(error))
        except web.RequestPayloadError:
            return refused(request, 400, BROKEN_BODY)
        except Exception as error:
            if isinstance(error, ConnectionError) or begun(request):
                raise
            return failed(request, error)

    return answer


# Of a body, read and not yet looked at.
_CHUNKS: Final = 64
# A timer may be so much too early.
_EARLY: Final = 0.001
_QUESTIONS: Final = ("GET", "HEAD")
# How much longer than them others have the loop.
_OTHERS: Final = 9


class _Protocol(WholeRequests):
    """One connection.

    A body in very many chunks costs the parser a hundred times what its bytes are counted for. So after `_CHUNKS` of
    them in one go nothing more is read from the connection until all such bodies together have had no more than a
    tenth of the loop's time (`_Server.free_at`).

    Who hangs up while his question is worked on needs no answer: it is given up, and with it what it asks the database.
    What changes something goes on to its end.

    `_held_until`: as the loop counts; `_wanted`: somebody waits for what comes then.
    """

    __slots__ = ("_held_until", "_wanted")

    def __init__(self, *given: Any, ways: Ways, **settings: Any) -> None:
        super().__init__(*given, ways=ways, **settings)
        self._held_until, self._wanted = 0.0, False

    def data_received(self, data: bytes) -> None:
        began = perf_counter()
        super().data_received(data)
        body = self._messages[-1][1] if self._messages else self._body()
        if body is not None and len(getattr(body, "_http_chunk_splits", None) or ()) > _CHUNKS:
            self._hold(body, perf_counter() - began)
        self._tell_of_error()

    def connection_lost(self, exc: BaseException | None) -> None:
        request, task = self._current_request, self._task_handler
        # A WebSocket leaves its connection without a transport, and goes on (`api.sockets`).
        gone = self.transport is not None
        super().connection_lost(exc)
        if gone and task is not None and request is not None and request.method in _QUESTIONS:
            task.cancel()

    def resume_reading(self, resume_parser: bool = True) -> None:
        if self._loop.time() < self._held_until:
            self._wanted = True
        else:
            super().resume_reading(resume_parser)

    def _hold(self, body: StreamReader, cost: float) -> None:
        server = cast(_Server, self._manager)
        server.free_at = max(self._loop.time(), server.free_at) + cost * _OTHERS
        if body.is_eof():
            return  # it is here
        self._held_until = server.free_at
        self._wanted = not self._reading_paused
        self.pause_reading()
        self._loop.call_at(self._held_until, self._let_go)

    def _let_go(self) -> None:
        if self._wanted and self.transport is not None and self._loop.time() + _EARLY >= self._held_until:
            self._wanted = False
            super().resume_reading()

    def _body(self) -> StreamReader | None:
        return None if self._current_request is None else self._current_request.content

    def _tell_of_error(self) -> None:
        """When it breaks a body that is being read, the reader is told: aiohttp would let it wait for the rest.

        The parser's error stands in the queue of requests, behind the one whose body it is.
        """
        if not self._messages or not isinstance(self._messages[-1][0], _ErrInfo):
            return
        error = self._messages[-1][0]
        body = self._body_before_last()
        if body is not None and not body.is_eof():
            self._messages.pop()  # its request is answered, not what follows
            body.set_exception(web.RequestPayloadError(error.message or ""))
            body.feed_eof()
            self.close()

    def _body_before_last(self) -> StreamReader | None:
        if len(self._messages) > 1:
            return self._messages[-2][1]
        return self._body()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is not HTTP. The connection is closed: where the next one begins is not known."""
        if begun(request):
            raise ConnectionError("the answer had begun")
        if status >= 500:
            response = failed(request, exc)
        else:
            # aiohttp shows the bytes it did not like in the lines that follow, and the first of a header that is too
            # long, which may be a token, behind these words.
            said = (message or "").strip().partition("\n")[0].partition(" when reading")[0].rstrip(":")
            text = f"this is not HTTP as it should be: {said or HTTPStatus(status).phrase}"
            response = refused(request, status, text[:_MAX_REASON])
        response.force_close()
        return response


class _Server(web.Server):
    """`free_at`: when bodies in very many chunks may cost something again. `short`: for requests that come whole."""

    free_at = 0.0
    short: Ways = MappingProxyType({})

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, ways=self.short, **self._kwargs)


@dataclass(frozen=True, slots=True)
class Way:
    """A shorter way to some answers than through router and middlewares: `made` of the handler that is the long one,
    and those in `short` for requests that come whole."""

    made: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]
    short: Ways


WAY: Final = web.AppKey("way", Way)


class Runner(web.AppRunner):
    """An AppRunner all of whose errors have the one shape, and which takes an application's short way."""

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        way = self.app.get(WAY)
        server = _Server(
            guarded(way.made(plain.request_handler) if way else plain.request_handler),
            request_factory=plain.request_factory,
            loop=asyncio.get_running_loop(),
            **plain._kwargs,
        )
        if way and supported():
            server.short = way.short
        return server


def raise_file_limit() -> None:
    """Every socket is an open file: as many as the machine allows us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def stop_on_signals(stopped: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stopped`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not the main thread (a test): whoever runs the loop cancels us instead.
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
