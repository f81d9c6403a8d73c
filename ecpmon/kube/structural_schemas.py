"""Whether the schema of a CustomResourceDefinition is structural, so that objects can be held against it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from ecpmon.kube.causes import Causes, Document, forbidden, invalid, required, unsupported

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
# What a structural schema may not have.
_BANNED: Final = (
    "$ref",
    "$schema",
    "id",
    "additionalItems",
    "patternProperties",
    "definitions",
    "dependencies",
)
_DEPTH: Final = 100
_AT_ROOT, _OF_FIELD, _OF_ITEM = "at the root", "for specified object fields", "for specified array items"


def schema_causes(schema: Any, path: str) -> Causes:
    """Why a schema cannot be used: it is not structural, or says what no server understands."""
    yield from _node(schema, path, _AT_ROOT, 0)


def _node(schema: Any, path: str, level: str, depth: int) -> Causes:
    if not isinstance(schema, dict):
        yield invalid(path, schema, "must be a schema")
        return
    if depth > _DEPTH:
        yield forbidden(path, "the schema is nested too deeply")
        return
    yield from _type(schema, path, level)
    for key in _BANNED:
        if schema.get(key):
            yield forbidden(f"{path}.{key}", "not supported" if key != "$ref" else "$ref is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", why)
    yield from _pattern(schema, path)
    yield from _list_type(schema, path)
    yield from _children(schema, path, depth)
    for key in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(key) or ()):
            yield from _bare(inner, f"{path}.{key}[{index}]", depth)
    if "not" in schema:
        yield from _bare(schema["not"], f"{path}.not", depth)


def _type(schema: Document, path: str, level: str) -> Causes:
    kind = schema.get("type", "")
    open_ended = schema.get("x-kubernetes-int-or-string") or schema.get(
        "x-kubernetes-preserve-unknown-fields"
    )
    embedded = schema.get("x-kubernetes-embedded-resource")
    if embedded and kind != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        yield invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
    elif not kind:
        if not open_ended:
            yield required(f"{path}.type", f"must not be empty {level}")
    elif kind not in _TYPES:
        yield unsupported(f"{path}.type", kind, _TYPES)
    elif schema.get("x-kubernetes-int-or-string"):
        yield invalid(f"{path}.type", kind, "must be empty if x-kubernetes-int-or-string is true")
    elif level == _AT_ROOT and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")


def _pattern(schema: Document, path: str) -> Causes:
    pattern = schema.get("pattern")
    if pattern and compiled(str(pattern)) is None:
        yield invalid(f"{path}.pattern", pattern, "must be a valid regular expression")


@lru_cache(1024)
def compiled(pattern: str) -> Any:
    """The pattern as the real server reads it, in linear time; None when it cannot be read."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def _list_type(schema: Document, path: str) -> Causes:
    kind = schema.get("x-kubernetes-list-type")
    if kind is None:
        return
    if kind not in ("atomic", "map", "set"):
        yield unsupported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "map", "set"))
    if schema.get("type") != "array":
        why = "must be array if x-kubernetes-list-type is specified"
        yield invalid(f"{path}.type", schema.get("type", ""), why)
    if kind == "map" and not schema.get("x-kubernetes-list-map-keys"):
        why = "must not be empty if x-kubernetes-list-type is map"
        yield required(f"{path}.x-kubernetes-list-map-keys", why)


def _children(schema: Document, path: str, depth: int) -> Causes:
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties and additional is not None:
        why = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", why)
    if properties is not None and not isinstance(properties, dict):
        yield invalid(f"{path}.properties", properties, "must be a map of schemas")
        return
    for name, inner in (properties or {}).items():
        yield from _node(inner, f"{path}.properties[{name}]", _OF_FIELD, depth + 1)
    if isinstance(additional, dict):
        yield from _node(additional, f"{path}.additionalProperties", _OF_FIELD, depth + 1)
    items = schema.get("items")
    if isinstance(items, list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    elif items is not None:
        yield from _node(items, f"{path}.items", _OF_ITEM, depth + 1)
    elif schema.get("type") == "array":
        yield required(f"{path}.items", "must be specified")


def _bare(schema: Any, path: str, depth: int) -> Causes:
    """A schema below a logical word: it only judges, and says nothing that the outer one does not."""
    if not isinstance(schema, dict):
        yield invalid(path, schema, "must be a schema")
        return
    if depth > _DEPTH:
        yield forbidden(path, "the schema is nested too deeply")
        return
    for key in ("default", "description", "nullable", "title", "x-kubernetes-preserve-unknown-fields"):
        if schema.get(key):
            yield forbidden(f"{path}.{key}", "must be empty to be structural")
    yield from _pattern(schema, path)
    for where, inner in _inner(schema):
        yield from _bare(inner, f"{path}.{where}", depth + 1)


def _inner(schema: Document) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    for name, inner in (properties if isinstance(properties, dict) else {}).items():
        yield f"properties[{name}]", inner
    for key in ("items", "not"):
        if key in schema:
            yield key, schema[key]
    for key in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(key) or ()):
            yield f"{key}[{index}]", inner
