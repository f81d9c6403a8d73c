"""Requests that come whole and plain, answered without the machinery that is there for all others.

aiohttp makes of every request a parsed head, a stream, a writer, a request and a task; that costs more than a small
push costs us. A request that came in one piece, head and body, with nothing in it that needs looking at, needs none.

States of a connection (`WholeRequests`):

    at the border ── a whole request that is taken ──► under way ── answered ──► at the border
         │  ▲                                              │
         │  └── aiohttp's parser was given a whole request ◄┘ that was taken and given back, or not taken
         ▼
    aiohttp's: anything else came; and so it stays until the connection is closed

Invariants:

1. A request is told apart by `whole` alone, which is stricter than any parser of HTTP: a first line that the way names,
   headers that ask for nothing, of one line each, none of them twice, a Content-Length that is the length of what
   follows, and not one byte more; nothing at all follows a question, which need not say so.
2. aiohttp's parser is given a piece only at a border of requests: all that it was given before were whole ones. Once it
   was given anything else, nobody but it knows where a request begins.
3. One request of a connection is worked on at a time. What comes meanwhile waits, and nothing more is read.
4. The connection's ends are aiohttp's own: keep-alive, shutdown that waits for answers, and what is written to whom
   does not read. A question is given up when its asker hangs up; what changes something goes on to its end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpRequestParser, StreamWriter

# What a request may begin with, by which its way is known.
_BEGIN: Final = 4
# A head that is longer, or a body, is aiohttp's.
MOST_HEAD: Final = 4_096
MOST_BODY: Final = 32 * 1024
_END: Final = b"\r\n\r\n"
# Who sends others may want something. Browsers say of each question of a page where it came from.
_USUAL: Final = frozenset(
    (
        "accept", "accept-encoding", "accept-language", "authorization", "cache-control", "connection",
        "content-length", "content-type", "dnt", "forwarded", "host", "pragma", "priority", "referer", "sec-ch-ua",
        "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-gpc",
        "traceparent", "tracestate", "user-agent", "via", "x-correlation-id", "x-demo-mode", "x-forwarded-for",
        "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip", "x-request-id",
    )
)  # fmt: skip
# What asks for something, but says nothing of where the request ends.
_ASKING: Final = frozenset(("cookie", "if-match", "if-none-match", "origin", "range", "x-debug"))
_OF_QUESTIONS: Final = _USUAL | _ASKING
# A number that is written otherwise is none for us.
_MOST_DIGITS: Final = 5


class Headers(Mapping[str, str]):
    """By name, whatever its case; none of them stands twice."""

    __slots__ = ("_given",)

    def __init__(self, given: dict[str, str]) -> None:
        """`given`: by their names in small letters."""
        self._given = given

    def __getitem__(self, name: str) -> str:
        return self._given[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def getall(self, name: str, default: Sequence[str]) -> Sequence[str]:
        """As aiohttp's have it."""
        found = self.get(name)
        return default if found is None else [found]


class Whole:
    """A request in one piece, which is `raw`. `line`: what the way's pattern found in its first line; `plain`: its
    headers ask for nothing."""

    __slots__ = ("body", "headers", "line", "plain", "raw", "remote")

    def __init__(
        self, raw: bytes, line: re.Match[str], headers: Headers, body: bytes, remote: str | None
    ) -> None:
        self.raw, self.line, self.headers, self.body, self.remote = raw, line, headers, body, remote
        self.plain = _ASKING.isdisjoint(headers)

    @property
    def place(self) -> str:
        """What it is about: the first group of the pattern."""
        return self.line[1]


_Maker = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
# What becomes of a request: the answer as it is written, who makes one for aiohttp's request, or None: the long way.
Answer = bytes | _Maker | None


@dataclass(frozen=True, slots=True)
class ShortWay:
    """`lines`: what the first line of a request may be, with a group for what it is about, and others. `taken`: what is
    done about it; None: the long way. `question`: it changes nothing, and has no body."""

    lines: re.Pattern[str]
    taken: Callable[[Whole], Coroutine[Any, Any, Answer] | None]
    question: bool = False


# By what their requests begin with.
Ways = Mapping[bytes, ShortWay]


def whole(
    data: bytes, lines: re.Pattern[str], remote: str | None = None, *, question: bool = False
) -> Whole | None:
    """The request that `data` is, when it is whole and plain. A `question` may ask for something: then it is not taken,
    but where the next one begins is known."""
    end = data.find(_END, 0, MOST_HEAD)
    head = data[: max(end, 0)]
    if not head.isascii():
        return None
    line, *rest = head.decode("ascii").split("\r\n")
    first = lines.fullmatch(line)
    known = _OF_QUESTIONS if question else _USUAL
    if first is None or (given := _headers(rest, known)) is None or "host" not in given:
        return None
    body, length = data[end + 4 :], given.get("content-length", "0" if question else "")
    sane = len(length) <= _MOST_DIGITS and length.isdecimal()
    if not sane or int(length) != len(body) or len(body) > (0 if question else MOST_BODY):
        return None
    if given.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return Whole(data, first, Headers(given), body, remote)


def _headers(lines: Iterable[str], known: frozenset[str]) -> dict[str, str] | None:
    """By their names in small letters; None: there is something unusual about them."""
    given: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        name = name.lower()
        plain = value and value.isprintable() and value.strip() == value
        if not plain or name not in known or name in given:
            return None
        given[name] = value
    return given


# Whose inner workings `WholeRequests` leans on; with any other all requests are aiohttp's.
_TRIED: Final = ("3", "14")


def supported(version: str = aiohttp.__version__) -> bool:
    """Whether requests that come whole can be answered beside this version of aiohttp."""
    return tuple(version.split(".")[:2]) == _TRIED


class WholeRequests(web.RequestHandler):
    """One connection. `ways`: if none, all requests are aiohttp's. `given_back`: the last one was taken, in vain."""

    __slots__ = ("_asks", "_at_border", "_later", "_remote", "_under_way", "_ways", "given_back")

    def __init__(self, *given: Any, ways: Ways, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self._ways = ways
        self._at_border = bool(ways)
        self._under_way: asyncio.Task[None] | None = None
        # Whether what is under way is a question.
        self._asks = False
        self._later = b""
        self._remote: str | None = None
        self.given_back = False

    def data_received(self, data: bytes) -> None:
        if not self._at_border or not self._is_taken(data):
            super().data_received(data)

    def _is_taken(self, data: bytes) -> bool:
        """At the border: whether the parser is not to see it now."""
        if self._under_way is not None:
            if data:
                self._later += data
                self._pause_reading_for_buffer()
            return True
        way, waiter = self._ways.get(data[:_BEGIN]), self._waiter
        found = None if way is None else whole(data, way.lines, self._peer(), question=way.question)
        if found is None or way is None:
            self._at_border = not data
            return False
        if waiter is None or waiter.done() or self._close or self._force_close:
            return False  # another one is under way there, or nothing more is to be taken
        answering = way.taken(found) if found.plain else None
        if answering is None:
            return False
        # As long as it takes, the connection is not idle, and a server that stops waits for the answer.
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._request_in_progress, self._asks = True, way.question
        self._under_way = self._loop.create_task(self._answer(answering, found))
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        given_up = self._under_way if self._asks and self.transport is not None else None
        super().connection_lost(exc)
        if given_up is not None:
            # Once it has begun: what never did would leave behind what it was to wait for.
            self._loop.call_soon(given_up.cancel)

    def _peer(self) -> str | None:
        if self._remote is None and isinstance(self.peername, tuple):
            self._remote = str(self.peername[0])
        return self._remote

    async def _answer(self, answering: Awaitable[Answer], request: Whole) -> None:
        given_back = False
        try:
            answer = await answering
            given_back = answer is None
            if isinstance(answer, bytes):
                await self._write(answer)
            elif answer is not None:
                await self._respond(request, answer)
        except ConnectionError:
            self.force_close()  # he has hung up
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would answer
            await self._respond(request, partial(self._broken, error))
        finally:
            self._end(request.raw if given_back else b"")

    async def _broken(self, error: Exception, asked: web.BaseRequest) -> web.StreamResponse:
        return self.handle_error(asked, 500, error)

    async def _write(self, answer: bytes) -> None:
        if self.transport is not None:
            self.transport.write(answer)
            if self._paused:
                await self._drain_helper()  # who does not read what he is told sends nothing more

    async def _respond(self, request: Whole, answer: _Maker) -> None:
        """With what needs a request of aiohttp's."""
        if self._request_factory is None or self._under_way is None:
            return
        parser = HttpRequestParser(self, self._loop, MOST_BODY)
        [(message, payload)], _, _ = parser.feed_data(request.raw)
        writer: AbstractStreamWriter = StreamWriter(self, self._loop)
        asked = self._request_factory(message, payload, self, writer, self._under_way)
        response = await answer(asked)
        _, lost = await self.finish_response(asked, response, None)
        if not lost and not response.keep_alive:
            self.force_close()

    def _end(self, given_back: bytes) -> None:
        self._under_way, self._request_in_progress = None, False
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        if self.transport is None:
            return
        self.given_back = bool(given_back)
        if given_back:
            super().data_received(given_back)
        if self._later:
            later, self._later = self._later, b""
            self._buffer_paused = False
            self.data_received(later)
            if not self._buffer_paused:
                self._resume_reading_for_buffer()
