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
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
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
_FIRST: Final = frozenset("0123456789+-.~nNtTfFyYoO<")
_INTEGER: Final = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[1-9][0-9]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASES: Final = {"x": 16, "o": 8, "b": 2}
_WHOLE: Final = 1e21  # from here on Go writes an exponent, and a whole number is one no more


@dataclass(frozen=True, slots=True)
class Limits:
    """`values`: scalars, lists and mappings in all documents."""

    documents: int = 500
    depth: int = 60
    aliases: int = 500
    values: int = 45_000


class TooMuch(Exception):
    """A limit was passed: `what` is a field of `Limits`."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"more than {limit} {what}")
        self.what, self.limit = what, limit


class Malformed(Exception):
    """Not YAML, or none that JSON could say; with the place where it was seen."""


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


class _Frame:
    """A list or mapping that is being built: `height` levels below it, `before` values before it. Of a hostile text
    there are 45,000, so it makes no more than it has to."""

    __slots__ = ("anchor", "before", "height", "is_list", "key", "lines", "merges", "value")

    def __init__(self, value: Any, anchor: str | None, before: int) -> None:
        self.value, self.anchor, self.before = value, anchor, before
        self.is_list = value.__class__ is list
        self.key: Any = _NOTHING
        self.height = 1
        self.lines: list[int] = []
        self.merges: list[Any] | None = None


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
        builder.stream.broken_at = mark.line if mark else None
    except UnicodeError as error:
        builder.stream.broken = f"not text: {error.reason}" if hasattr(error, "reason") else "not text"
    return builder.stream


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)[:200]
    return f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else problem


class _Builder:
    def __init__(self, limits: Limits) -> None:
        self.stream = Stream()
        self._limits = limits
        self._most = limits.values
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # value, how many values, how deep
        self._root: Any = None
        self._values = 0
        self._aliases = 0

    def read(self, next_event: Callable[[], Any]) -> None:
        """All events. Most are plain scalars in a list or a mapping: they go the short way, which is a third of the
        time of a hostile text."""
        while True:
            event = next_event()
            kind = event.__class__
            if kind is ScalarEvent:
                if event.tag is None and event.anchor is None and self._frames:
                    self._values += 1
                    if self._values > self._most:
                        raise TooMuch("values", self._most)
                    value = event.value
                    if event.implicit[0] and (not value or value[0] in _FIRST) and len(value) <= _MAX_PLAIN:
                        value = _plain(value, event)
                    frame = self._frames[-1]
                    if frame.is_list and value is not _MERGE:
                        frame.value.append(value)
                        frame.lines.append(event.start_mark.line)
                    elif frame.key is _NOTHING and value.__class__ is str:
                        frame.key = value
                        frame.lines.append(event.start_mark.line)
                    else:
                        self._put(value, 0, event)
                else:
                    self._scalar(event)
            elif not self._take(event):
                return

    def _take(self, event: Any) -> bool:
        """What is no scalar; False after the last event."""
        kind = type(event)
        if kind is MappingStartEvent or kind is SequenceStartEvent:
            self._start(event, {} if kind is MappingStartEvent else [])
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._end()
        elif kind is AliasEvent:
            self._alias(event)
        elif kind is DocumentStartEvent:
            self._begin_document(event)
        elif kind is DocumentEndEvent:
            self.stream.documents.append(self._root)
        return kind is not StreamEndEvent

    def _begin_document(self, event: Any) -> None:
        self.stream.begun.append(event.start_mark.line)
        if len(self.stream.begun) > self._limits.documents:
            raise TooMuch("documents", self._limits.documents)
        self._root = None
        self._anchors.clear()

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > self._most:
            raise TooMuch("values", self._most)

    def _scalar(self, event: Any) -> None:
        self._count(1)
        value = event.value
        if event.tag is not None:
            value = value if event.tag == "!" else _tagged(event)
        elif event.implicit[0] and (not value or value[0] in _FIRST):
            value = _plain(value, event) if len(value) <= _MAX_PLAIN else value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, 0)
        self._put(value, 0, event)

    def _start(self, event: Any, value: Any) -> None:
        if event.tag is not None and event.tag not in ("!", _TAG + "map", _TAG + "seq"):
            raise _fault(f"a tag that is not known: {event.tag[:60]}", event)
        self._count(1)
        if self._frames and (self._frames[-1].is_list or self._frames[-1].key is _NOTHING):
            self._frames[-1].lines.append(event.start_mark.line)
        self._frames.append(_Frame(value, event.anchor, self._values - 1))
        if len(self._frames) > self._limits.depth:
            raise TooMuch("levels", self._limits.depth)

    def _end(self) -> None:
        frame = self._frames.pop()
        if frame.lines:
            self.stream.lines[id(frame.value)] = frame.lines
        else:  # one that had this number is gone
            self.stream.lines.pop(id(frame.value), None)
        for merged in frame.merges or ():
            for source in merged if isinstance(merged, list) else (merged,):
                if not isinstance(source, dict):
                    raise Malformed("only a mapping can be merged")
                frame.value.update({k: v for k, v in source.items() if k not in frame.value})
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.value, self._values - frame.before, frame.height)
        self._put(frame.value, frame.height, None)

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            raise _fault(f"an alias of nothing that is complete: {event.anchor[:60]}", event)
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise TooMuch("aliases", self._limits.aliases)
        value, values, height = found
        self._count(values)
        if len(self._frames) + height > self._limits.depth:
            raise TooMuch("levels", self._limits.depth)
        self._put(value, height, event)

    def _put(self, value: Any, height: int, event: Any) -> None:
        if not self._frames:
            self._root = None if value is _MERGE else value
            return
        frame = self._frames[-1]
        if height >= frame.height:
            frame.height = height + 1
        target = frame.value
        if frame.is_list or frame.key is _NOTHING:
            if event is not None:
                frame.lines.append(event.start_mark.line)
            if frame.is_list:
                target.append("<<" if value is _MERGE else value)
            else:
                frame.key = _MERGE if value is _MERGE else _key(value, event)
        elif frame.key is _MERGE:
            frame.merges = frame.merges or []
            frame.merges.append(value)
            frame.lines.pop()
            frame.key = _NOTHING
        else:
            if frame.key in target:
                self._double(frame)
            target[frame.key] = "<<" if value is _MERGE else value
            frame.key = _NOTHING

    def _double(self, frame: _Frame) -> None:
        """A key that was there: it stays where it was in the order, and stands where it was given last."""
        line = frame.lines.pop()
        if len(self.stream.doubled) < _MAX_DOUBLED:
            self.stream.doubled.append((len(self.stream.documents), self._path()))
            self.stream.moved[id(frame.value), frame.key] = line

    def _path(self) -> str:
        """Of the value that is about to be put."""
        steps = (len(f.value) if isinstance(f.value, list) else f.key for f in self._frames)
        return ".".join("<<" if step is _MERGE else str(step) for step in steps)[:500]


def _fault(problem: str, event: Any) -> Malformed:
    mark = getattr(event, "start_mark", None)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return Malformed(problem + place)


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


def _plain(text: str, event: Any) -> Any:
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
