"""Watches: a stream of JSON lines, from a version that the client knows or from the beginning."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
from aiohttp import web

from ecpmon.simulator.kube import rendering
from ecpmon.simulator.kube.custom import in_version
from ecpmon.simulator.kube.hub import Entry, Hub
from ecpmon.simulator.kube.negotiation import JSON, Form, Wish
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.query import ListOptions, WatchOptions
from ecpmon.simulator.kube.reading import selected
from ecpmon.simulator.kube.status import ApiError, Document, too_large_version

BOOKMARK_SECONDS: Final = 30.0
WRITE_SECONDS: Final = 30.0  # who does not read for so long is gone
_LINES_PER_WRITE: Final = 500
_INITIAL_END: Final = {"k8s.io/initial-events-end": "true"}


class Watch:
    """One watcher's view of the hub's log."""

    def __init__(self, hub: Hub, target: Target, options: ListOptions, wish: Wish) -> None:
        self.hub = hub
        self.target = target
        self.options = options
        self.wish = wish

    def initial(self, documents: Iterable[Document]) -> Iterator[bytes]:
        for document in documents:
            yield self.line("ADDED", document)

    def line(self, kind: str, document: Document) -> bytes:
        document = in_version(document, self.target.resource)
        form, include = self.wish.form, self.options.include
        if form is not Form.OBJECT:
            now = self.hub.state.now
            document = rendering.one(self.target.resource, document, form, now, include)
        return orjson.dumps({"type": kind, "object": document}, option=orjson.OPT_APPEND_NEWLINE)

    def lines(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        for entry in entries:
            kind = self.kind_of(entry)
            if kind is not None:
                yield self.line(kind, entry.change.document)

    def kind_of(self, entry: Entry) -> str | None:
        """What the change means to this watcher: entering the selection is ADDED, leaving it DELETED."""
        change, key = entry.change, entry.change.key
        if key.resource != self.target.resource.name:
            return None
        if self.target.namespace and key.namespace != self.target.namespace:
            return None
        if self.options.name and key.name != self.options.name:
            return None
        wanted = self.options.wanted
        if wanted is None:
            return str(change.kind)
        is_in = change.kind != "DELETED" and wanted(change.document)
        was_in = entry.before is not None and wanted(entry.before)
        if is_in:
            return "MODIFIED" if was_in else "ADDED"
        return "DELETED" if was_in else None

    def bookmark(self, annotations: Document | None = None) -> bytes:
        resource = self.target.resource
        metadata: dict[str, Any] = {
            "resourceVersion": str(self.hub.state.revision),
            "creationTimestamp": None,
        }
        if annotations:
            metadata["annotations"] = annotations
        document: Document = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if self.wish.form in (Form.METADATA, Form.METADATA_LIST):
            document |= {"kind": Form.METADATA, "apiVersion": rendering.META}
        elif self.wish.form is Form.TABLE:
            document = rendering.table(resource, [], metadata, self.hub.state.now, "None")
            document["rows"] = [{"cells": [], "object": rendering.metadata_only({"metadata": metadata})}]
        return orjson.dumps({"type": "BOOKMARK", "object": document}, option=orjson.OPT_APPEND_NEWLINE)


async def stream(request: web.Request, watch: Watch, options: WatchOptions) -> web.StreamResponse:
    """Answer until the client leaves, its time is over or the server stops."""
    seconds = options.timeout or random.uniform(1800, 3600)
    ends = time.monotonic() + seconds
    response = web.StreamResponse(headers={"Content-Type": JSON})
    response.enable_chunked_encoding()
    try:
        first, position = _beginning(watch, options, watch.options.version)
    except ApiError as error:
        first, position = [_error_line(error)], -1
    # A watcher that leaves is the usual end of a watch.
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await send(response, first)
        if position >= 0:
            await _follow(request, response, watch, position, ends, bookmarks=options.bookmarks)
        await response.write_eof()
    return response


def _beginning(watch: Watch, options: WatchOptions, version: int | None) -> tuple[list[bytes], int]:
    """What is sent at once, and where in the log the stream goes on."""
    hub = watch.hub
    from_start = options.initial if options.initial is not None else not version
    if not from_start:
        return [], hub.position_after(version) if version else hub.position
    if version and version > hub.state.revision:
        raise too_large_version(version, hub.state.revision)
    lines = list(watch.initial(selected(hub.state, watch.target, watch.options)))
    if options.initial and options.bookmarks:
        lines.append(watch.bookmark(_INITIAL_END))
    return lines, hub.position


async def _follow(
    request: web.Request,
    response: web.StreamResponse,
    watch: Watch,
    position: int,
    ends: float,
    *,
    bookmarks: bool,
) -> None:
    hub = watch.hub
    quiet_until = time.monotonic() + BOOKMARK_SECONDS
    while not hub.closed and (left := ends - time.monotonic()) > 0:
        if request.transport is None:
            raise ConnectionResetError("the watcher has left")
        if position == hub.position:
            await hub.news(min(left, max(0.05, quiet_until - time.monotonic())))
        try:
            entries, position = hub.since(position)
        except ApiError as error:
            await send(response, [_error_line(error)])
            return
        await send(response, list(watch.lines(entries)))
        if time.monotonic() >= quiet_until:
            quiet_until = time.monotonic() + BOOKMARK_SECONDS
            if bookmarks:
                await send(response, [watch.bookmark()])
    if bookmarks and not hub.closed:
        await send(response, [watch.bookmark()])


async def send(response: web.StreamResponse, lines: list[bytes]) -> None:
    """ConnectionError when the client has left or does not read."""
    for start in range(0, len(lines), _LINES_PER_WRITE):
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(b"".join(lines[start : start + _LINES_PER_WRITE]))
        except TimeoutError:
            raise ConnectionResetError("the watcher does not read") from None


def _error_line(error: ApiError) -> bytes:
    document = {"type": "ERROR", "object": error.as_document()}
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
