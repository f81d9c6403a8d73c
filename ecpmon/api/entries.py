"""Long bodies, parsed a little at a time so that none holds the event loop."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ecpmon.errors import BadRequest, PayloadTooLarge
from ecpmon.slices import Slices

MAX_ENTRY: Final = 256 * 1024
_WINDOW: Final = 2 * MAX_ENTRY
# So much is parsed at once, by a parser that takes less than JSON allows here: what it refuses is looked at by another.
_RUN: Final = 16 * 1024
_BETWEEN: Final = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*\{")
# It makes floats of large whole numbers. (All digits made one and looked for: a sixth of what `[0-9]{19}` takes.)
_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG: Final = b"0" * 19
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


async def entries_of(body: bytes) -> AsyncIterator[list[Any]]:
    """The elements of a JSON array, some at a time in their order, or the one other value. Nothing is checked but
    that it is JSON.

    `NaN` and infinities come out as floats, so that they can be refused one by one.
    Raises BadRequest (not JSON, too deep), PayloadTooLarge (an entry over `MAX_ENTRY`).
    """
    text = _Reader(body)
    if not text.skipped("["):
        yield [text.only()]
        return
    async for elements in text.elements():
        yield elements
    text.end()


def small_entries(body: bytes) -> list[Any] | None:
    """The same of a small body, at once. None: it is not small, or has to be looked at closely."""
    if len(body) > _RUN or _has_long_number(body):
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, list) else [document]


def _has_long_number(piece: bytes) -> bool:
    return _LONG in piece.translate(_DIGITS)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the array `name`, by its place."""

    name: str
    place: int
    value: Any


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object; of the array whose elements come one by one, an empty list before them.

    `name` None: it is no member, and there is no object.
    """

    name: str | None
    value: Any


async def members_of(body: bytes, listed: str) -> AsyncIterator[Member | Element]:
    """The members of a JSON object in their order, and the elements of the array `listed` one by one.

    What is no object comes out as the one member without a name. Raises what `entries_of` raises.
    """
    text, slices = _Reader(body), Slices()
    if not text.skipped("{"):
        yield Member(None, text.only())
        return
    if not text.skipped("}"):
        while True:
            name = text.key()
            if name == listed and text.skipped("["):
                yield Member(name, [])
                place = 0
                async for values in text.elements():
                    for value in values:
                        yield Element(name, place, value)
                        place += 1
            else:
                yield Member(name, text.value())
            await slices.pause()
            if text.skipped("}"):
                break
            text.expect(",", "expected ',' or '}'")
    text.end()


class _Reader:
    """A position in a JSON text, between its values.

    The scanner sees a window of the text, so that one huge value cannot keep it busy.
    """

    def __init__(self, body: bytes) -> None:
        try:
            self._text = body.decode(json.detect_encoding(body), "surrogatepass")
        except UnicodeDecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        self._at = self._skip(0)
        self._look()

    def _skip(self, at: int) -> int:
        """The next position that is no white space."""
        return _SPACE.match(self._text, at).end()  # type: ignore[union-attr]  # it matches nothing, too

    def _look(self) -> None:
        self._start, self._window = self._at, self._text[self._at : self._at + _WINDOW]

    def _move(self, at: int) -> None:
        self._at = self._skip(at)
        if self._at - self._start >= len(self._window):
            self._look()

    def skipped(self, sign: str) -> bool:
        """Whether `sign` was here; then it is behind us."""
        found = self._text.startswith(sign, self._at)
        if found:
            self._move(self._at + 1)
        return found

    def expect(self, sign: str, what: str) -> None:
        if not self.skipped(sign):
            raise _Broken(what, self._at).told()

    def value(self) -> Any:
        """The value here. Raises BadRequest, PayloadTooLarge."""
        while True:
            try:
                value, end = _value(self._window, self._at - self._start)
            except _Broken as error:
                if self._start + len(self._window) < len(self._text) and error.cut:
                    if self._at == self._start:
                        raise _too_large() from None
                    self._look()
                    continue
                raise error.told(self._start) from None
            self._move(self._start + end)
            return value

    def key(self) -> str:
        if not self._text.startswith('"', self._at):
            raise _Broken("expected a name in double quotes", self._at).told()
        name: str = self.value()
        self.expect(":", "expected ':'")
        return name

    async def elements(self) -> AsyncIterator[list[Any]]:
        """The elements of the array that has just been opened, to its end, some at a time."""
        slices = Slices()
        if self.skipped("]"):
            return
        while True:
            yield self._several() or [self.value()]
            await slices.pause()
            if self.skipped("]"):
                return
            self.expect(",", "expected ',' or ']'")

    def _several(self) -> list[Any]:
        """Whole elements from here on, parsed at once; none when the next one has to be looked at by itself.

        A piece of the text from the beginning of an element to before a comma: when it is elements, then these are
        the next ones, because what a reader has seen never depends on what follows.
        """
        until = self._at + _RUN
        if until < len(self._text):
            last = None
            for last in _BETWEEN.finditer(self._text, self._at, until):  # noqa: B007 - the last one
                pass
            end = last.start() + 1 if last else self._at
        else:
            end = self._text.rfind("}", self._at) + 1
        try:
            piece = self._text[self._at : end].encode()
            if not piece or _has_long_number(piece):
                return []
            found: list[Any] = orjson.loads(b"[%b]" % piece)
        except (UnicodeEncodeError, orjson.JSONDecodeError):
            return []
        self._move(end)
        return found

    def only(self) -> Any:
        """The one value of the text."""
        if len(self._text) - self._at > MAX_ENTRY:
            raise _too_large()
        value = self.value()
        self.end()
        return value

    def end(self) -> None:
        if self._at != len(self._text):
            raise _Broken("there is more after the end", self._at).told()


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


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"an entry is larger than {MAX_ENTRY} bytes; send it in several")
