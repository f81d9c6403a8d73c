"""A mapping of an OpenSLO document that knows its path and refuses what nobody asked for. Pure."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.errors import ValidationFailed
from ecpmon.sla.openslo import ALERTS_NOTE, LATENCY_NOTE, WINDOWS_NOTE


def refuse(path: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"{path}: {message}", fields=[{"field": path, "message": message}])


class Node:
    """A mapping of the document that knows its path and which of its keys nobody has asked for."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise refuse(path, "must be a mapping")
        self._value: dict[Any, Any] = value
        self.path = path
        self._left = set(value)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}"

    def has(self, key: str) -> bool:
        return key in self._value

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        self._left.discard(key)
        if key not in self._value:
            if default is ...:
                raise refuse(self.at(key), "is required")
            return default
        value = self._value[key]
        # A bool is an int, and never what is meant.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise refuse(self.at(key), "is of the wrong type")
        return value

    def node(self, key: str) -> Node:
        return Node(self.get(key, object), self.at(key))

    def done(self) -> None:
        """Nothing is ignored silently."""
        if self._left:
            raise refuse(self.at(str(min(map(str, self._left)))[:60]), "is not supported")


NUMBER: Final = (int, float)


def name_of(metadata: Node, *, notes: bool = False) -> tuple[str, str, dict[str, str]]:
    """(name, display name, our own annotations)"""
    name, shown = metadata.get("name", str), metadata.get("displayName", str, "")
    own: dict[str, str] = {}
    if notes and metadata.has("annotations"):
        annotations = metadata.node("annotations")
        for note in (WINDOWS_NOTE, ALERTS_NOTE, LATENCY_NOTE):
            if (value := annotations.get(note, str, None)) is not None:
                own[note] = value
        annotations.done()
    metadata.done()
    return name, shown, own
