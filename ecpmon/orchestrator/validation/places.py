"""At which line of a manifest something stands. Pure.

One pass over libyaml's events, which builds nothing: only lines of what is sought are kept. What is not there, such as
a field that is missing, stands where the innermost of what holds it does. Objects of a List are not told apart: what is
about one of them stands where the document begins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

try:  # libyaml: twenty times as fast
    from yaml import CSafeLoader as _Loader
except ImportError:  # a PyYAML that was built without it
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

# Of a document, by its number from 0, and a dotted path in it.
Place = tuple[int, str]


def lines_of(text: str, places: Collection[Place]) -> dict[Place, int]:
    """By place the line, from 1. Of text that is no YAML as far as it is; where it breaks stands its last document."""
    sought = {(number, prefix) for number, path in places for prefix in _prefixes(path)}
    known = dict(_found(text, sought))
    return {
        (number, path): next(known[number, p] for p in _prefixes(path) if (number, p) in known)
        for number, path in places
        if (number, "") in known
    }


def _prefixes(path: str) -> list[str]:
    """The path, and what holds it, the innermost first."""
    parts = path.split(".") if path else []
    return [".".join(parts[:count]) for count in range(len(parts), -1, -1)]


def _found(text: str, sought: Collection[Place]) -> Iterator[tuple[Place, int]]:
    walk = _Walk()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            here = walk.step(event)
            if here is not None and (here in sought):
                yield here, event.start_mark.line + 1  # type: ignore[union-attr]  # every event of a text has one
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        if mark is not None:
            yield (walk.number + 1 if walk.is_between else walk.number, ""), mark.line + 1


class _Walk:
    """Where in the stream one is: the document, and for each mapping or list around what comes next in it."""

    def __init__(self) -> None:
        self.number = -1
        self._levels: list[_Level] = []
        self.is_between = True

    def step(self, event: Event) -> Place | None:
        """The place that an event begins; None: it begins none."""
        if isinstance(event, DocumentStartEvent):
            self.number, self._levels, self.is_between = self.number + 1, [], False
            return self.number, ""
        if isinstance(event, ScalarEvent | AliasEvent | MappingStartEvent | SequenceStartEvent):
            place = self._begun(getattr(event, "value", ""))
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._levels.append(_Level(isinstance(event, MappingStartEvent)))
            return place
        if self._levels:
            self._levels.pop()
        else:
            self.is_between = True
        return None

    def _begun(self, value: str) -> Place | None:
        """A key or an item begins a place; a value stands where its key does."""
        if not self._levels:
            return None
        level = self._levels[-1]
        if not level.is_mapping:
            level.name, level.items = str(level.items), level.items + 1
        elif level.awaits_value:
            level.awaits_value = False
            return None
        else:
            level.name, level.awaits_value = value, True
        return self.number, ".".join(each.name for each in self._levels)


class _Level:
    __slots__ = ("awaits_value", "is_mapping", "items", "name")

    def __init__(self, is_mapping: bool) -> None:
        self.is_mapping = is_mapping
        self.awaits_value = False
        self.items = 0
        self.name = ""
