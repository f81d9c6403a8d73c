"""YAML as kubectl reads it, within limits; built from libyaml's events in one pass.

kubectl reads YAML 1.1 as Go does: `on` and `y` are true, `0o17` and `1e3` are numbers, dates and `22:22` are text,
keys of any plain sort become text, and of a key that occurs twice the last one counts, which is kept here as a
finding. Invariants:
- nothing is built beyond `Limits`: an alias counts as all that it stands for, in size and in depth;
- what is returned is what JSON can say;
- of every list and mapping it is known at which lines its items and keys stand, in their order.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

try:  # libyaml: twenty times as fast
    from yaml import CSafeLoader as _Loader
except ImportError:  # a PyYAML that was built without it
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

# libyaml compares each directive with all others.
_MAX_DIRECTIVES: Final = 100
_MAX_DOUBLED: Final = 100
_MAX_PLAIN: Final = 64  # a longer plain scalar is text whatever it looks like
_SHORT: Final = 19  # digits that an integer of Go holds
_NOTHING: Final = object()
_MERGE: Final = object()
_TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    "<<": _MERGE,
}
# What a plain scalar begins and ends with that stands for a number, as `64Mi` does not.
_FIRST: Final = frozenset("0123456789+-.")
_LAST: Final = frozenset("0123456789._abcdefABCDEFnN")
_INTEGER: Final = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[1-9][0-9]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASES: Final = {"x": 16, "o": 8, "b": 2}
_WHOLE: Final = 1e21  # from here on Go writes an exponent, and a whole number is one no more


@dataclass(frozen=True, slots=True)
class Limits:
    """`values`: scalars, lists and mappings in all documents. `collections`: how many of them may be lists and
    mappings, or carry an anchor, each of which costs several times what a scalar does; in real manifests every fourth
    to seventh value is one."""

    documents: int = 500
    depth: int = 60
    aliases: int = 500
    values: int = 45_000
    collections: int = 12_000


class TooMuch(Exception):
    """A limit was passed: `what` is a field of `Limits`."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"more than {limit} {what}")
        self.what, self.limit = what, limit


class Malformed(Exception):
    """Not YAML, or none that JSON could say; with the place where it was seen, `line` counting from 0."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(slots=True)
class Stream:
    """What could be read: `documents` (None for empty ones), keys given twice as (document, path), and why
    reading ended early, None if it did not.

    Lines count from 0: `begun` of each document, the broken one among them, `lines` of the items or keys of a list or
    mapping by its `id`, in their order (those that were merged have none), `moved` of keys given twice, `broken_at` of
    the fault.
    """

    documents: list[Any] = field(default_factory=list)
    doubled: list[tuple[int, str]] = field(default_factory=list)
    broken: str | None = None
    begun: list[int] = field(default_factory=list)
    lines: dict[int, list[int]] = field(default_factory=dict)
    moved: dict[tuple[int, str], int] = field(default_factory=dict)
    broken_at: int | None = None


def read_stream(text: str, limits: Limits) -> Stream:
    """All documents up to the first fault. Raises TooMuch."""
    if text.count("\n%") > _MAX_DIRECTIVES:
        return Stream(broken=f"more than {_MAX_DIRECTIVES} directives")
    builder = _Builder(limits)
    try:
        builder.read(_Loader(text).get_event)
    except (Malformed, yaml.YAMLError) as error:
        builder.stream.broken = _where(error)
        mark = getattr(error, "problem_mark", None)
        builder.stream.broken_at = mark.line if mark else getattr(error, "line", None)
    except UnicodeError as error:
        builder.stream.broken = f"not text: {error.reason}" if hasattr(error, "reason") else "not text"
    return builder.stream


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)[:200]
    return f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else problem


class _Builder:
    """One pass over the events, a call for each list and mapping. Of a hostile text there are 45,000, as there are of
    scalars in them, so that both are read with as few steps as can be: most scalars never leave the loop they are
    met in."""

    def __init__(self, limits: Limits) -> None:
        self.stream = Stream()
        self._limits = limits
        self._events: Iterator[Any] = iter(())
        self._left = limits.values
        self._closed = limits.collections  # that may still be opened
        self._way: list[Any] = []  # keys and indexes that lead to what is being built
        self._lowest = 0  # how deep it went since the anchor began that is being built
        # Value, how many values and how many lists and mappings are in it, how deep it is.
        self._anchors: dict[str, tuple[Any, int, int, int]] = {}
        self._aliases = 0
        self._dropped: list[Any] = []  # kept, so that nothing else gets the `id` that their lines are under

    def read(self, next_event: Callable[[], Any]) -> None:
        """All documents. Raises TooMuch, Malformed and what the parser does."""
        self._events = iter(next_event, None)
        for event in self._events:
            kind = event.__class__
            if kind is DocumentStartEvent:
                self.stream.begun.append(event.start_mark.line)
                if len(self.stream.begun) > self._limits.documents:
                    raise TooMuch("documents", self._limits.documents)
                self._anchors.clear()
                self._count(1)
                root = self._node(next(self._events))
                next(self._events)  # the end of the document, if it ends well
                self.stream.documents.append(None if root is _MERGE else root)

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise TooMuch("values", self._limits.values)

    def _open(self, collections: int) -> None:
        self._closed -= collections
        if self._closed < 0:
            raise TooMuch("collections", self._limits.collections)

    def _list(self) -> list[Any]:
        found: list[Any] = []
        lines: list[int] = []
        for event in self._events:
            kind = event.__class__
            if kind is SequenceEndEvent:
                break
            self._left -= 1
            if self._left < 0:
                raise TooMuch("values", self._limits.values)
            lines.append(event.start_mark.line)
            if kind is ScalarEvent and event.anchor is None:
                value = event.value
                plain, quoted = event.implicit
                if value[:1] in _FIRST or value in _WORDS if plain else not quoted:
                    value = _scalar(event)
            else:
                self._way.append(len(found))
                value = self._node(event)
                self._way.pop()
            found.append("<<" if value is _MERGE else value)
        if lines:
            self.stream.lines[id(found)] = lines
        return found

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: list[int] = []
        merged: list[Any] = []
        for event in self._events:
            kind = event.__class__
            if kind is MappingEndEvent:
                break
            self._left -= 2
            if self._left < 0:
                raise TooMuch("values", self._limits.values)
            key = event.value if kind is ScalarEvent else None
            if (
                key is None
                or event.anchor is not None
                or not event.implicit[0]
                or key[:1] in _FIRST
                or key in _WORDS
            ):
                key = self._key(event)
            line = event.start_mark.line
            given = next(self._events)
            if given.__class__ is ScalarEvent and given.anchor is None:
                value = given.value
                plain, quoted = given.implicit
                if value[:1] in _FIRST or value in _WORDS if plain else not quoted:
                    value = _scalar(given)
            else:
                self._way.append(key)
                value = self._node(given)
                self._way.pop()
            if key is _MERGE:
                merged.append(value)
                continue
            if key in found:
                self._double(found, key, line)
            else:
                lines.append(line)
            found[key] = "<<" if value is _MERGE else value
        if lines:
            self.stream.lines[id(found)] = lines
        return self._merged(found, merged) if merged else found

    def _merged(self, found: dict[str, Any], merged: list[Any]) -> dict[str, Any]:
        """What stands there goes before what is merged, and that in its order."""
        self._dropped.append(merged)
        for given in merged:
            for source in given if isinstance(given, list) else (given,):
                if not isinstance(source, dict):
                    raise Malformed("only a mapping can be merged")
                found.update({k: v for k, v in source.items() if k not in found})
        return found

    def _node(self, event: Any) -> Any:
        """Whatever begins here; it is counted already."""
        kind = event.__class__
        if kind is AliasEvent:
            return self._alias(event)
        if event.anchor is not None:
            return self._anchored(event)
        if kind is ScalarEvent:
            return _scalar(event)
        if event.tag is not None and event.tag not in ("!", _TAG + "map", _TAG + "seq"):
            raise _fault(f"a tag that is not known: {event.tag[:60]}", event)
        self._open(1)
        depth = len(self._way) + 1
        if depth > self._limits.depth:
            raise TooMuch("levels", self._limits.depth)
        if depth > self._lowest:
            self._lowest = depth
        return self._mapping() if kind is MappingStartEvent else self._list()

    def _key(self, event: Any) -> Any:
        """_MERGE, or text: keys are text in JSON. What is none is not gone into."""
        value = self._node(event) if event.__class__ in (ScalarEvent, AliasEvent) else []
        return value if value is _MERGE else _key(value, event)

    def _anchored(self, event: Any) -> Any:
        """With how many values it holds and how deep it is: each alias counts as much."""
        self._open(1)
        name, event.anchor = event.anchor, None
        left, closed, outside, depth = self._left, self._closed, self._lowest, len(self._way)
        self._lowest = depth
        value = self._node(event)
        self._anchors[name] = (value, left - self._left + 1, closed - self._closed, self._lowest - depth)
        self._lowest = max(self._lowest, outside)
        return value

    def _alias(self, event: Any) -> Any:
        found = self._anchors.get(event.anchor)
        if found is None:
            raise _fault(f"an alias of nothing that is complete: {event.anchor[:60]}", event)
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise TooMuch("aliases", self._limits.aliases)
        value, values, collections, height = found
        self._count(values - 1)
        self._open(collections)
        depth = len(self._way) + height
        if depth > self._limits.depth:
            raise TooMuch("levels", self._limits.depth)
        self._lowest = max(self._lowest, depth)
        return value

    def _double(self, holder: dict[str, Any], key: str, line: int) -> None:
        """A key that was there: it stays where it was in the order, and stands where it was given last."""
        self._dropped.append(holder[key])
        if len(self.stream.doubled) < _MAX_DOUBLED:
            way = ".".join("<<" if step is _MERGE else str(step) for step in (*self._way, key))
            self.stream.doubled.append((len(self.stream.documents), way[:500]))
            self.stream.moved[id(holder), key] = line


def _fault(problem: str, event: Any) -> Malformed:
    mark = event.start_mark
    return Malformed(f"{problem}, line {mark.line + 1}, column {mark.column + 1}", mark.line)


def _key(value: Any, event: Any) -> str:
    """As JSON has it: keys are text."""
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if value is None:
        return "null"
    raise _fault("a key that is a list or a mapping", event)


def _scalar(event: Any) -> Any:
    """What a scalar stands for: by its tag, or by how it looks if it is plain."""
    text = event.value
    if event.tag is not None:
        return text if event.tag == "!" else _tagged(event)
    if not event.implicit[0] or len(text) > _MAX_PLAIN:
        return text
    if text[:1] not in _FIRST:
        return _WORDS.get(text, text)
    if text[-1] not in _LAST:
        return text
    if "/" in text or ":" in text or text.count(".") > 1:  # addresses and times, of which long lists are made
        return text
    if text[-1:] in "fFnN" and _NO_NUMBER.fullmatch(text):
        raise _fault(f"a number that JSON cannot say: {text}", event)
    return resolved(text)


@lru_cache(maxsize=4096)
def resolved(text: str) -> Any:
    """What a plain scalar stands for."""
    if text.isdecimal() and text.isascii() and text[0] != "0" and len(text) < _SHORT:
        return int(text)
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "") if text[:1] in "0123456789+-" else text
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    if _FLOAT.fullmatch(digits):
        return _number(float(digits), text)
    return text


def _integer(digits: str) -> Any:
    sign, bare = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    marked = len(bare) > 1 and bare[0] == "0"
    base = (_BASES.get(bare[1].lower(), 8) if marked else 10) if bare else 10
    number = sign * int(bare[2:] if marked and bare[1].isalpha() else bare, base)
    return number if -(2**63) <= number < 2**64 else _number(float(number), digits)


def _number(value: float, text: str) -> Any:
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < _WHOLE else value


def _tagged(event: Any) -> Any:
    """A scalar with a tag of its own. Raises Malformed for a tag that lies or that nobody knows."""
    tag, text = event.tag.removeprefix(_TAG), event.value
    if tag in ("str", "timestamp"):
        return text
    if tag == "binary":
        try:
            return base64.b64decode(text, validate=False).decode()
        except ValueError as error:
            raise _fault("!!binary that is not base64 of text", event) from error
    value = resolved(text) if len(text) <= _MAX_PLAIN else text
    fits = {
        "int": type(value) is int,
        "float": type(value) in (int, float),
        "bool": type(value) is bool,
        "null": value is None,
    }.get(tag, False)
    if not fits:
        raise _fault(
            f"a value that its tag does not fit, or a tag that is not known: {event.tag[:60]}", event
        )
    return float(value) if tag == "float" and not isinstance(value, float) else value
