"""The HTTP server around an aiohttp application: what never reaches a middleware is answered in the error shape too.

That is what aiohttp's parser refuses, an `Expect` that nobody fulfils, and whatever escapes from a middleware.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

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
    504: "INTERNAL_ERROR",
}
BROKEN: Final = "this is a fault of the server; it has been logged"
_MAX_REASON: Final = 200
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def code_of(status: int) -> str:
    """The error code of an HTTP status that no error of ours stands behind."""
    return CODES.get(status, "HTTP_ERROR")


def reason_of(error: web.HTTPException) -> str:
    """What aiohttp says about an error of its own, in one line."""
    said = (error.text or error.reason).partition("\n")[0]
    return encodable(said)[:_MAX_REASON]


def new_request_id() -> str:
    return f"req-{uuid.uuid4().hex[:12]}"


def sane_request_id(given: str) -> bool:
    """Whether a caller's `X-Request-ID` may stand in answers and logs."""
    return 0 < len(given) <= 128 and given.isascii() and given.isprintable()


def last_response(request: web.BaseRequest, status: int, message: str) -> web.Response:
    """An error in the one shape that needs nothing but the request."""
    given = request.headers.get("X-Request-ID", "")
    request_id = given if sane_request_id(given) else new_request_id()
    body = dumps(error_document(code_of(status), message, {}, datetime.now(UTC), request_id))
    headers = {"X-Request-ID": request_id}
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def begun(request: web.BaseRequest) -> bool:
    """Whether a part of the answer is under way: another one cannot be sent any more."""
    return request.writer.output_size > 0


def logged(request: web.BaseRequest, error: BaseException | None) -> None:
    """Put a fault of ours into the log; that the log cannot be written is no reason not to answer."""
    with contextlib.suppress(Exception):
        log.error("request_broken %s %s", request.method, encodable(request.path), exc_info=error)


def guarded(handler: _Handler) -> _Handler:
    """`handler`, whose errors become answers in the one shape."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        # aiohttp looks at it before any middleware does, and fails over bytes that are not UTF-8.
        if request.headers.get("Expect", "100-continue").lower() not in ("100-continue", ""):
            return last_response(request, 417, "nothing but `Expect: 100-continue` can be met")
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return last_response(request, error.status, reason_of(error))
        except Exception as error:
            if isinstance(error, ConnectionError) or begun(request):
                raise
            logged(request, error)
            return last_response(request, 500, BROKEN)

    return answer


class _Protocol(web.RequestHandler):
    """One connection."""

    __slots__ = ()

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
            logged(request, exc)
            text = BROKEN
        else:
            # aiohttp shows the bytes it did not like in the lines that follow.
            said = (message or "").strip().partition("\n")[0].rstrip(":")
            text = f"this is not HTTP as it should be: {said or HTTPStatus(status).phrase}"[:_MAX_REASON]
        response = last_response(request, status, text)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """An AppRunner all of whose errors have the one shape."""

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        return _Server(
            guarded(plain.request_handler),
            request_factory=plain.request_factory,
            loop=asyncio.get_running_loop(),
            **plain._kwargs,
        )


def stop_on_signals(stopped: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stopped`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not the main thread (a test): whoever runs the loop cancels us instead.
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
