"""Sets of fields as server-side apply counts them, and their `fieldsV1` form.

A field is a path: a tuple of steps, each `f:name`, `k:{keys of a list item}` or `v:value of a set`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from ecpmon.kube.schemas import (
    Node,
    child,
    element,
    is_atomic_map,
    is_set,
    is_struct,
    list_keys,
)

Path = tuple[str, ...]
FieldSet = frozenset[Path]
_SELF = "."


def item_step(item: dict[str, Any], keys: tuple[str, ...], node: Node | None) -> str:
    """The step to an item of an associative list; absent keys take their default (protocol: TCP)."""
    inner = element(node)
    found = {}
    for key in keys:
        value = item.get(key, (child(inner, key) or {}).get("default"))
        if value is None and key == "protocol":
            value = "TCP"
        if value is not None:
            found[key] = value
    return "k:" + orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()


def value_step(value: Any) -> str:
    return "v:" + orjson.dumps(value).decode()


def fields_of(value: Any, node: Node | None) -> FieldSet:
    """Every field of `value`, with a path of its own for each map entry and list item."""
    return frozenset(_paths(value, node, ()))


def _paths(value: Any, node: Node | None, at: Path) -> Iterator[Path]:
    if isinstance(value, dict) and not is_atomic_map(node):
        if not value:
            yield at
        for key, item in value.items():
            path = (*at, f"f:{key}")
            if not is_struct(node) and isinstance(item, dict | list):
                yield path
            yield from _paths(item, child(node, key), path)
    elif isinstance(value, list) and (keys := list_keys(node)):
        for item in value:
            path = (*at, item_step(item, keys, node))
            yield path
            yield from _paths(item, element(node), path)
    elif isinstance(value, list) and is_set(node):
        for item in value:
            yield (*at, value_step(item))
    else:
        yield at


def leaves(value: Any, node: Node | None) -> dict[Path, Any]:
    """Field → value for everything that is compared as a whole: scalars, atomic lists and maps."""
    return dict(_leaves(value, node, ()))


def _leaves(value: Any, node: Node | None, at: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and not is_atomic_map(node):
        if not value:
            yield at, {}
        for key, item in value.items():
            yield from _leaves(item, child(node, key), (*at, f"f:{key}"))
    elif isinstance(value, list) and (keys := list_keys(node)):
        for item in value:
            path = (*at, item_step(item, keys, node))
            yield path, None
            yield from _leaves(item, element(node), path)
    elif isinstance(value, list) and is_set(node):
        for item in value:
            yield (*at, value_step(item)), item
    else:
        yield at, value


def to_fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """The nested form; a path that is also a prefix of others is marked with "."."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        at = tree
        for step in path:
            at = at.setdefault(step, {})
        at[_SELF] = {}
    return _tidy(tree)


def _tidy(tree: dict[str, Any]) -> dict[str, Any]:
    if set(tree) == {_SELF}:
        return {}
    return {step: _tidy(inner) if step != _SELF else {} for step, inner in tree.items()}


def from_fields_v1(tree: Any) -> FieldSet:
    """The paths of a `fieldsV1` document; what is not of its form is left out."""
    return frozenset(_read(tree, ())) if isinstance(tree, dict) and tree else frozenset()


def _read(tree: dict[str, Any], at: Path) -> Iterator[Path]:
    if not tree:
        yield at
    for step, inner in tree.items():
        if step == _SELF:
            yield at
        elif isinstance(inner, dict):
            yield from _read(inner, (*at, _canonical(step)))


def _canonical(step: str) -> str:
    """`k:` steps with their keys sorted, so that equal items have equal paths."""
    keys = _keys(step) if step.startswith("k:") else None
    return step if keys is None else "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _keys(step: str) -> dict[str, Any] | None:
    try:
        found = orjson.loads(step[2:])
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def describe(path: Path) -> str:
    """The path as conflict messages write it: `.spec.containers[name="app"].image`."""
    text = ""
    for step in path:
        kind, value = step[:2], step[2:]
        if kind == "f:":
            text += f".{value}"
        elif kind == "k:" and (keys := _keys(step)) is not None:
            text += "[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in keys.items()) + "]"
        else:
            text += f"[={value}]"
    return text
