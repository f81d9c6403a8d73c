"""An aiohttp application on a loop and thread of its own, talked to in bytes and judged by what it answers and logs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from aiohttp import web

from ecpmon.serving import Runner
from tests.waiting import PATIENCE

T = TypeVar("T")
# A reply may take this long. On a loaded machine only the processor time of the process says something about us.
SECONDS = 2.0
ERROR_KEYS = {"code", "message", "details", "timestamp", "request_id"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Served:
    """`make()` is awaited on the thread's loop and gives the application."""

    def __init__(self, make: Callable[[], Awaitable[web.Application]]) -> None:
        self._make = make
        self._stopped = asyncio.Event()
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="served", daemon=True)
        self.app: web.Application
        self.loop: asyncio.AbstractEventLoop
        self.port = 0

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self._failed = error
            self._ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.app = await self._make()
        runner = Runner(self.app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stopped.wait()
        finally:
            await runner.cleanup()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(PATIENCE), "it does not start"
        if self._failed:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(PATIENCE)
        if self._failed:
            raise self._failed

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """On the server's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def talk(self, sent: bytes) -> Reply | None:
        """Send bytes, read until the server closes; None when it hangs up without an answer."""
        with self.connect() as connection:
            data = b""
            # It may answer and close before it has read all.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(sent)
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65_536):
                    data += part
        return reply_of(data)

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """A request as it should be: (status, JSON or bytes)."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(content)}\r\n"
        )
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        reply = self.talk(head.encode() + b"\r\n" + content)
        assert reply is not None
        is_json = "json" in reply.headers.get("content-type", "")
        return reply.status, json.loads(reply.body) if is_json else reply.body


def reply_of(data: bytes) -> Reply | None:
    """The first answer in `data` that is not 1xx."""
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status != 100:
            headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
            if "chunked" in headers.get("transfer-encoding", ""):
                return Reply(status, headers, _unchunked(rest))
            return Reply(status, headers, rest[: int(headers.get("content-length", len(rest)))])
        data = rest
    return None


def _unchunked(data: bytes) -> bytes:
    whole = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        whole, data = whole + rest[:length], rest[length + 2 :] if length else b""
    return whole


class Watched(logging.Handler):
    """What is logged: by structlog and by the standard library, whose every error and traceback counts."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.faults.append(logging.Formatter().format(record))

    def __call__(self, _: Any, method: str, event: Any) -> Any:
        """A processor of structlog."""
        if method in ("error", "critical", "exception") or event.get("exc_info"):
            self.faults.append(repr(structlog.processors.format_exc_info(None, method, event)))
        raise structlog.DropEvent

    def taken(self) -> list[str]:
        found, self.faults = self.faults, []
        return found


@contextmanager
def watching() -> Iterator[Watched]:
    """Every log line goes to the watcher."""
    watched, before = Watched(), structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, watched], cache_logger_on_first_use=False
    )
    logging.getLogger().addHandler(watched)
    try:
        yield watched
    finally:
        logging.getLogger().removeHandler(watched)
        structlog.configure(**before)


def check_error(reply: Reply) -> None:
    """The one error shape."""
    assert reply.headers.get("content-type", "").startswith("application/json"), reply
    document = json.loads(reply.body.decode("utf-8"))
    assert document.keys() == {"error"}, reply
    assert document["error"].keys() == ERROR_KEYS, reply
    assert document["error"]["request_id"] == reply.headers["x-request-id"], reply
    assert len(reply.body) < 65_536, len(reply.body)


def check_page(reply: Reply) -> None:
    """A page that is not there is told on one that runs nothing; all else in the one shape."""
    if reply.status != 404 or not reply.headers.get("content-type", "").startswith("text/html"):
        check_error(reply)
        return
    assert "default-src 'none'" in reply.headers["content-security-policy"], reply


def crowding(seconds: float = 0.2) -> float:
    """How many times as long as alone on a processor something takes on this machine right now."""
    began, until = time.monotonic(), time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return max(1.0, (time.monotonic() - began) / seconds)


class Judge:
    """Sends requests and holds every answer against the rules.

    `by_clock`: seconds of the clock count, as far as the machine has time for us, else those of the processor.
    `bound`: how many an answer may take.
    """

    def __init__(
        self, served: Served, watched: Watched, *, by_clock: bool = False, bound: float = SECONDS
    ) -> None:
        self.served = served
        self.watched = watched
        self._bound = bound
        self._by_clock = by_clock
        self._now = time.monotonic if by_clock else time.process_time
        self.statuses: dict[int, int] = {}

    def _timed(self, sent: bytes) -> tuple[Reply | None, float]:
        began = self._now()
        return self.served.talk(sent), self._now() - began

    @property
    def reached(self) -> int:
        """How many requests came as far as a handler: the others were refused on the way to it."""
        return sum(n for status, n in self.statuses.items() if status not in (400, 401, 405, 415, 417))

    @property
    def taken(self) -> int:
        """How many requests were answered by a success."""
        return sum(n for status, n in self.statuses.items() if status < 300)

    def __call__(self, sent: bytes, check: Callable[[Reply], None] = check_error) -> Reply:
        reply, took = self._timed(sent)
        if took >= self._bound:  # what is slow is slow again; what waited for something else is not
            crowded = crowding() if self._by_clock else 1.0
            took = min(took, self._timed(sent)[1] / crowded)
        shown = sent[:3_000]
        faults = self.watched.taken()
        assert not faults, (shown, *faults)
        assert reply is not None, shown
        assert reply.status < 500 or reply.status == 503, (shown, reply)
        assert took < self._bound, (took, shown)
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        if reply.status >= 400 and not sent.startswith(b"HEAD "):
            check(reply)
        else:
            check_json(reply)
        return reply


def check_json(reply: Reply) -> None:
    """What is declared to be JSON, or lines of it, is; of the answer to a `HEAD` there is nothing."""
    media = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = reply.body.decode("utf-8") if "json" in media else ""
    for document in text.split("\n") if media == "application/x-ndjson" else [text]:
        if document:
            json.loads(document, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")
