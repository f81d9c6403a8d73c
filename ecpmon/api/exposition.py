"""`/metrics`: rendered in slices, seldom, and once for everybody who asks meanwhile.

With thousands of tenants the page is megabytes: written in one go it would hold the event loop for more than a
second, and every reader would have it written anew.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from ecpmon.serving import request_id_of
from ecpmon.slices import in_slices
from ecpmon.telemetry import Telemetry

# Bytes that are compressed and sent in one go.
PIECE: Final = 64 * 2**10
# Of gzip: 5 makes a page an eighth smaller, in nearly twice the time.
LEVEL: Final = 3
# Readers see different tenants: so many of their pages are kept.
MAX_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class Page:
    """The text exposition as of `at`, in pieces: to join megabytes would hold the event loop as well."""

    at: datetime
    plain: tuple[bytes, ...]
    zipped: tuple[bytes, ...]


# Whose tenants a page shows; None: everybody's.
Scope = frozenset[str] | None
Expose = Callable[[Scope], Awaitable[Iterator[bytes]]]


class Pages:
    """One page per scope, at most `max_age` old. `rendered` counts the renderings, which come one after the other."""

    def __init__(self, telemetry: Telemetry, max_age: timedelta, expose: Expose | None = None) -> None:
        """`expose`: where the text comes from, when not from this process alone."""
        self.rendered = 0
        self._telemetry = telemetry
        self._expose = expose
        self._max_age = max_age
        self._kept: OrderedDict[Scope, Page] = OrderedDict()
        self._running: dict[Scope, asyncio.Task[Page]] = {}
        self._turn = asyncio.Lock()

    async def get(self, scope: Scope, now: datetime) -> Page:
        """The page for who may see `scope`: the kept one, else that which all who wait for it share."""
        kept = self._kept.get(scope)
        if kept is not None and timedelta(0) <= now - kept.at < self._max_age:
            return kept
        if scope not in self._running:
            task = self._running[scope] = asyncio.create_task(self._render(scope, now), name="metrics-page")
            task.add_done_callback(lambda _: self._running.pop(scope, None))
        # Who hangs up must not take the page from the others.
        return await asyncio.shield(self._running[scope])

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _render(self, scope: Scope, now: datetime) -> Page:
        async with self._turn:
            self.rendered += 1
            pieces = await self._expose(scope) if self._expose else self._telemetry.exposition(scope)
            plain = await joined(pieces)
            page = Page(now, plain, await asyncio.to_thread(_zipped, plain))
        self._kept[scope] = page
        self._kept.move_to_end(scope)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return page


async def joined(pieces: Iterator[bytes]) -> tuple[bytes, ...]:
    """All of it in larger pieces, in slices of time."""
    larger: list[bytes] = []
    waiting, size = list[bytes](), 0
    async for piece in in_slices(pieces):
        waiting.append(piece)
        size += len(piece)
        if size > PIECE:
            larger.append(b"".join(waiting))
            waiting, size = [], 0
    return (*larger, b"".join(waiting))


def _zipped(pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """As gzip. The library lets the interpreter's lock go while it works on a piece."""
    packer = zlib.compressobj(LEVEL, wbits=zlib.MAX_WBITS | 16)
    whole = b"".join((*(packer.compress(p) for p in pieces), packer.flush()))
    return tuple(whole[first : first + PIECE] for first in range(0, len(whole), PIECE))


async def send(request: web.Request, page: Page) -> web.StreamResponse:
    """The page in pieces: a reader that is slow gets no copy of it in memory."""
    zips = "gzip" in request.headers.get("Accept-Encoding", "")
    body = page.zipped if zips else page.plain
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
            "Vary": "Accept-Encoding",
            "X-Request-ID": request_id_of(request),
        }
    )
    if zips:
        response.headers["Content-Encoding"] = "gzip"
    response.content_length = sum(map(len, body))
    await response.prepare(request)
    if request.method != "HEAD":
        for piece in filter(None, body):
            await response.write(piece)
    await response.write_eof()
    return response


PAGES: Final = web.AppKey("metrics_pages", Pages)
