"""What a server does not write: lists and maps that are empty (`omitempty` of its types). Pure.

Invariants
- A list or map goes when it is empty, its field is not required, and the server's type is none of the few that write
  it even so. Structures stay: an `emptyDir: {}` says something.
- What stands below a type that is not known stays as it is.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from ecpmon.kube import schemas
from ecpmon.kube.causes import Document
from ecpmon.kube.schemas import Node

METADATA: Final = f"{schemas.META}ObjectMeta"
# Optional, and written when empty.
_WRITTEN: Final = frozenset(
    {
        ("io.k8s.api.discovery.v1.EndpointSlice", "endpoints"),
        ("io.k8s.api.discovery.v1.EndpointSlice", "ports"),
        ("io.k8s.api.rbac.v1.ClusterRole", "rules"),
        ("io.k8s.api.rbac.v1.Role", "rules"),
    }
)


class _Plan(NamedTuple):
    """Of a type: the fields that go when they are empty; those that hold structures, with the name of their type and
    whether by key."""

    optional: frozenset[str]
    inner: dict[str, tuple[str, bool]]


def without_empty(document: Document, name: str) -> Document:
    """The object of the type of that full name as it is stored; what was given stays as it was."""
    plan = _plan(name)
    kept: Document = {}
    for key, value in document.items():
        if key in plan.optional and value in ({}, []):
            continue
        kept[key] = _within(value, *plan.inner[key]) if key in plan.inner else value
    return kept


def _within(value: Any, name: str, by_key: bool) -> Any:
    if isinstance(value, list):
        return [_within(item, name, False) for item in value]
    if not isinstance(value, dict):
        return value
    if by_key:
        return {key: _within(item, name, False) for key, item in value.items()}
    return without_empty(value, name)


@cache
def _plan(name: str) -> _Plan:
    node = schemas.definitions()[name]
    needed = frozenset(node.get("required", ()))
    optional: set[str] = set()
    inner: dict[str, tuple[str, bool]] = {}
    for key, field in node.get("properties", {}).items():
        by_key = isinstance(field.get("additionalProperties"), dict)
        if (
            key not in needed
            and (name, key) not in _WRITTEN
            and (by_key or "array" in schemas.kinds_of(field))
        ):
            optional.add(key)
        held = _held(field)
        if held is not None:
            inner[key] = held, by_key
    return _Plan(frozenset(optional), inner)


def _held(field: Node) -> str | None:
    """The type of the structures that are the field, or stand in it."""
    for node in (field, field.get("items"), field.get("additionalProperties")):
        name = schemas.ref_name(node) if isinstance(node, dict) else None
        if name is not None and "properties" in schemas.definitions()[name]:
            return name
    return None
