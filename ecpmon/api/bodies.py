"""Reading request bodies: decoded, within the limits of size, time and memory, whatever is sent.

aiohttp would decode them itself and answer what it cannot decode in its own words; `create_api` turns that off.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ecpmon.api.context import BACKEND, CONTEXT, TENANT
from ecpmon.api.limits import HELD, LIMITS, SHARES
from ecpmon.chance import CHANCE
from ecpmon.errors import BadRequest, PayloadTooLarge, RequestTimeout, TenantNotFound, UnsupportedEncoding
from ecpmon.model.tenants import Tenant
from ecpmon.serving import BROKEN_BODY
from ecpmon.slices import Slices

# zlib's window sizes: what is before and after the deflated data.
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_CHUNK: Final = 256 * 1024
_SMALL: Final = 32 * 1024
# A body that took longer than this is slow.
SLOW_SECONDS: Final = 1.0
# Files of gzip in one body: more are not what anybody packs, and each costs as much as many bytes.
MOST_MEMBERS: Final = 1_000
# What comes in more pieces than these, and in smaller ones, is looked at this many seconds apart, more or less: of
# hundreds that drip all the time each drop would cost as much as a request.
FREE_PIECES: Final = 8
PIECE: Final = 1024
DRIP_SECONDS: Final = 0.25
# The body, when it was read before the handler's turn came.
BODY: Final = web.RequestKey("body", bytes)


rest = asyncio.sleep


async def read_body(request: web.Request) -> bytes:
    """The decoded body, read once.

    Raises as `receive` does.
    """
    if BODY not in request:
        request[BODY] = _at_hand(request) or await receive(request)
    return request[BODY]


def _at_hand(request: web.Request) -> bytes:
    """A small plain body that came with its head, all of it; nothing when it is not that easy.

    Raises RateLimited or Overloaded (no room).
    """
    most = request.app[CONTEXT].settings.max_body_bytes
    if "Content-Encoding" in request.headers or not at_hand(request, most):
        return b""
    _count(request, request.content_length or 0)
    return request.content.read_nowait()


def at_hand(request: web.Request, most: int) -> bool:
    """Whether a small body, `most` bytes at most, came with its head, all of it."""
    content, length = request.content, request.content_length
    if length is None or length > _SMALL or length > most:
        return False
    return content.is_eof() and content.exception() is None


async def receive_packed(request: web.Request) -> bytes:
    """The body as it was sent, whatever its encoding. Raises as `receive` does, without what is about encodings."""
    return await _receive(request, _Plain())


async def receive(request: web.Request) -> bytes:
    """Read the body from its sender.

    Raises PayloadTooLarge, UnsupportedEncoding, BadRequest (not what its Content-Encoding says, broken or cut short),
    RequestTimeout (too slow), RateLimited or Overloaded (no room).
    """
    return await _receive(request, _decoder(request.headers.getall("Content-Encoding", [])))


async def _receive(request: web.Request, decoder: _Plain | _Inflater) -> bytes:
    settings = request.app[CONTEXT].settings
    most = settings.max_body_bytes
    if (request.content_length or 0) > most:
        raise _too_large(most)
    body = bytearray()
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(settings.body_seconds):
            await _collect(request, decoder, body, most)
    except TimeoutError:
        raise RequestTimeout(
            f"the body did not arrive within {settings.body_seconds:g} s; send it in smaller parts"
        ) from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
        raise BadRequest(BROKEN_BODY) from error
    decoder.finish()
    if TENANT in request and asyncio.get_running_loop().time() - began > SLOW_SECONDS:
        await _check_same(request, request[TENANT])
    return bytes(body)


async def _collect(request: web.Request, decoder: _Plain | _Inflater, body: bytearray, most: int) -> None:
    """Add to `body` what comes until its end."""
    arrived = pieces = 0
    while chunk := await request.content.readany():
        slices, before = Slices(), len(body)
        for part in decoder.parts(chunk):
            _count(request, len(part))
            body += part
            if len(body) > most:
                raise _too_large(most)
            await slices.pause()
        arrived, pieces = arrived + len(chunk), pieces + 1
        # What unpacks to less than was sent counts as it was sent.
        _count(request, max(0, len(chunk) - (len(body) - before)))
        if arrived > most:
            raise _too_large(most)
        if pieces > FREE_PIECES and arrived < pieces * PIECE and not request.content.at_eof():
            await rest(DRIP_SECONDS * (0.5 + CHANCE.random()))


async def _check_same(request: web.Request, tenant: Tenant) -> None:
    """While a slow body came in, its tenant may have been deleted and the name given to another.

    Raises TenantNotFound.
    """
    if (await request[BACKEND].tenants.get(tenant.tenant_id)).key != tenant.key:
        raise TenantNotFound(tenant.tenant_id)


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {most} bytes; send it in parts")


def _count(request: web.Request, size: int) -> None:
    """Charge what has arrived to the shares of its sender. Raises RateLimited, Overloaded."""
    if HELD in request:
        request[HELD].grow(size)
    request.app[LIMITS].charge_body(request.get(SHARES, ()), size, request.app[CONTEXT].clock.now())


class _Plain:
    def parts(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        """Whether all of it came is aiohttp's to know."""


class _Inflater:
    """gzip and deflate, a little at a time: a few bytes may become very many."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inflate = zlib.decompressobj(_WINDOWS[name])
        self._begun = False
        self._members = 1

    def parts(self, data: bytes) -> Iterator[bytes]:
        """Raises BadRequest."""
        while data:
            if self._inflate.eof:  # gzip files may follow one another
                self._next()
            yield self._some(data)
            data = self._inflate.unconsumed_tail or self._inflate.unused_data

    def _next(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise BadRequest(f"the body is more than {MOST_MEMBERS} files of {self._name}; send it as one")
        self._inflate = zlib.decompressobj(_WINDOWS[self._name])

    def _some(self, data: bytes) -> bytes:
        first, self._begun = not self._begun, True
        try:
            return self._inflate.decompress(data, _CHUNK)
        except zlib.error as error:
            # Some senders leave out zlib's header.
            if first and self._name == "deflate":
                self._inflate = zlib.decompressobj(-15)
                return self._some(data)
            raise BadRequest(f"the body is not {self._name}, as its Content-Encoding says") from error

    def finish(self) -> None:
        """Raises BadRequest when something is missing."""
        if not self._inflate.eof:
            raise BadRequest(f"the {self._name} body was cut short; send it again")


def _decoder(headers: list[str]) -> _Plain | _Inflater:
    """What undoes the Content-Encoding. Raises UnsupportedEncoding."""
    names = [n.strip().lower() for header in headers for n in header.split(",")]
    names = [n for n in names if n not in ("", "identity")]
    if not names:
        return _Plain()
    if len(names) > 1 or names[0] not in _WINDOWS:
        raise UnsupportedEncoding(
            f"Content-Encoding {', '.join(names)[:100]!a} is not known here; send gzip, deflate or identity"
        )
    return _Inflater(names[0])
