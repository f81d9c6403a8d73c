"""The simple JSON paths of definitions: printer columns and the scale subresource.

`.a.b`, `.a['b.c']`, `.a.b\\.c`, `.list[0]`, `.list[*]`, `.list[?(@.type=="Ready")].status`.
"""

from __future__ import annotations

import re
from typing import Any, Final

Path = tuple[Any, ...]
_STEP: Final = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\\])+)
      | \[\s*(?P<index>-?\d+|\*)\s*\]
      | \[\s*['"](?P<key>[^'"]*)['"]\s*\]
      | \[\?\(\s*@\.(?P<field>[\w.]+)\s*==\s*(?P<value>"[^"]*"|'[^']*'|[^\s)]+)\s*\)\]""",
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)")


def parsed(text: str) -> Path:
    """The steps of a path, as far as it can be read: a name, a number, "*" as None, or a condition as a pair."""
    text = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps: list[Any] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            return (*steps, ("", ""))  # leads nowhere
        at = found.end()
        if found["name"] is not None:
            steps.append(_ESCAPED.sub(r"\1", found["name"]))
        elif found["key"] is not None:
            steps.append(found["key"])
        elif found["field"] is not None:
            steps.append((found["field"], found["value"].strip("\"'")))
        else:
            steps.append(None if found["index"] == "*" else int(found["index"]))
    return tuple(steps)


def first(document: Any, path: Path) -> Any:
    """The first value that the path leads to, None where there is none."""
    found = [document]
    for step in path:
        found = [inner for value in found for inner in _taken(value, step)]
    return next((value for value in found if value is not None), None)


def _taken(value: Any, step: Any) -> list[Any]:
    if isinstance(step, str):
        return [value[step]] if isinstance(value, dict) and step in value else []
    if not isinstance(value, list):
        return []
    if step is None:
        return value
    if isinstance(step, int):
        return value[step:][:1] if step < 0 or step < len(value) else []
    field, wanted = step
    names = tuple(field.split("."))
    return [item for item in value if str(first(item, names)) == wanted]


def replaced(document: Any, path: Path, value: Any) -> Any:
    """The document with another value at a path of names alone."""
    if not path:
        return value
    inner = document if isinstance(document, dict) else {}
    return {**inner, path[0]: replaced(inner.get(path[0]), path[1:], value)}
