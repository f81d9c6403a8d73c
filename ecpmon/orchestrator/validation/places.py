"""At which line of a manifest something stands. Pure.

What is not there, such as a field that is missing, stands where the innermost of what holds it does. Objects of a List
are not told apart: what is about one of them stands where the document begins.
"""

from __future__ import annotations

from typing import Any

from ecpmon.orchestrator.validation.kubectl_yaml import Stream

_MAX_STEPS = 12  # of a path's parts that are tried as one key: keys may hold dots


class Lines:
    """Lines of a stream, which it keeps. Those of a mapping's keys are put together when it is first asked about."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._known: dict[int, dict[str, int]] = {}

    def of(self, number: int, path: str) -> int | None:
        """The line, from 1, of a dotted path in a document, by its number from 0; None: there is no such document.
        Where the text breaks stands its last document."""
        stream = self._stream
        if number >= len(stream.documents):
            broken = number == len(stream.documents) and stream.broken is not None
            begun = stream.begun[number] if broken and number < len(stream.begun) else None
            line = stream.broken_at if broken and stream.broken_at is not None else begun
        else:
            line, root = stream.begun[number], stream.documents[number]
            if not _is_list(root) or path.startswith("items."):
                line = self._within(root, path, line)
        return None if line is None else line + 1

    def _within(self, value: Any, path: str, line: int) -> int:
        parts = path.split(".") if path else []
        while parts:
            step = self._step(value, parts)
            if step is None:
                break
            value, found, length = step
            line = line if found is None else found
            parts = parts[length:]
        return line

    def _step(self, value: Any, parts: list[str]) -> tuple[Any, int | None, int] | None:
        """The value that the first parts lead to, its line and how many they are: the longest key that is there."""
        if isinstance(value, list):
            index = int(parts[0]) if parts[0].isdecimal() and len(parts[0]) < 9 else len(value)
            if index >= len(value):
                return None
            lines = self._stream.lines.get(id(value), [])
            return value[index], lines[index] if index < len(lines) else None, 1
        if isinstance(value, dict):
            for length in range(min(len(parts), _MAX_STEPS), 0, -1):
                key = ".".join(parts[:length])
                if key in value:
                    return value[key], self._keys(value).get(key), length
        return None

    def _keys(self, value: dict[str, Any]) -> dict[str, int]:
        if id(value) not in self._known:
            lines = dict(zip(value, self._stream.lines.get(id(value), ()), strict=False))
            moved = self._stream.moved
            lines |= {key: line for (holder, key), line in moved.items() if holder == id(value)}
            self._known[id(value)] = lines
        return self._known[id(value)]


def _is_list(root: Any) -> bool:
    """Whether it stands for its items: what is told of one of them is told by its path within that one."""
    return (
        isinstance(root, dict)
        and str(root.get("kind", "")).endswith("List")
        and isinstance(root.get("items"), list)
    )
