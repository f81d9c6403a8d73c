"""The entries of a pushed body, parsed a little at a time so that no large body holds the event loop."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any, Final

from ecpmon.errors import BadRequest, PayloadTooLarge

MAX_ENTRY: Final = 256 * 1024
# How long one piece of work may hold the loop.
SLICE_SECONDS: Final = 0.002
_WINDOW: Final = 2 * MAX_ENTRY
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


class Slices:
    """`await slices.pause()` between steps gives the loop to others once a slice has been used up."""

    def __init__(self) -> None:
        self._until = perf_counter() + SLICE_SECONDS

    async def pause(self) -> None:
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + SLICE_SECONDS


async def entries_of(body: bytes) -> AsyncIterator[Any]:
    """The elements of a JSON array, or the one other value. Nothing is checked but that it is JSON.

    `NaN` and infinities come out as floats, so that they can be refused one by one.
    Raises BadRequest (not JSON, too deep), PayloadTooLarge (an entry over `MAX_ENTRY`).
    """
    text = _text(body)
    at = _skip(text, 0)
    if not text.startswith("[", at):
        yield _only(text, at)
        return
    async for element in _elements(text, _skip(text, at + 1)):
        yield element


def _text(body: bytes) -> str:
    try:
        return body.decode(json.detect_encoding(body), "surrogatepass")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


def _skip(text: str, at: int) -> int:
    """The next position that is no white space."""
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _only(text: str, at: int) -> Any:
    if len(text) - at > MAX_ENTRY:
        raise _too_large()
    try:
        value, end = _value(text, at)
    except _Broken as error:
        raise error.told() from None
    _nothing_after(text, end)
    return value


async def _elements(text: str, at: int) -> AsyncIterator[Any]:
    slices = Slices()
    if text.startswith("]", at):
        _nothing_after(text, at + 1)
        return
    # The scanner sees a window of the text, so that one huge entry cannot keep it busy.
    start, window = at, text[at : at + _WINDOW]
    while True:
        try:
            value, end = _value(window, at - start)
        except _Broken as error:
            if start + len(window) < len(text) and error.cut:
                if at == start:
                    raise _too_large() from None
                start, window = at, text[at : at + _WINDOW]
                continue
            raise error.told(start) from None
        yield value
        await slices.pause()
        at = _skip(text, start + end)
        if text.startswith("]", at):
            _nothing_after(text, at + 1)
            return
        if not text.startswith(",", at):
            raise _Broken("expected ',' or ']'", at).told()
        at = _skip(text, at + 1)
        if at - start >= len(window):
            start, window = at, text[at : at + _WINDOW]


class _Broken(Exception):
    """`cut`: more text might mend it."""

    def __init__(self, what: str, at: int, *, cut: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.at = at
        self.cut = cut

    def told(self, offset: int = 0) -> BadRequest:
        return BadRequest(f"the body is not JSON: {self.what} at character {self.at + offset}")


def _value(text: str, at: int) -> tuple[Any, int]:
    # No word of JSON is longer than `-Infinity`.
    near_end = len(text) - 10
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        cut = error.pos > near_end or error.msg.startswith("Unterminated string")
        raise _Broken(error.msg.removesuffix(" at"), error.pos, cut=cut) from None
    except RecursionError:
        raise _Broken("nested too deep", at) from None
    except ValueError:  # a whole number of too many digits
        raise _Broken("a number has too many digits", at) from None


def _nothing_after(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise _Broken("there is more after the end", at).told()


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"an entry is larger than {MAX_ENTRY} bytes; send its metrics in several")
