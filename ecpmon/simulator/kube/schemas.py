"""The Kubernetes schemas that `kubernetes-validate` ships: types, merge keys, and the check of a document.

A `Schema` is one JSON schema node with its references resolved one step at a time; `None` stands for "nothing
is known here", which is what custom resources look like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.status import Document, bad_request

SERVER_MINOR: Final = "1.36"
_FOLDER: Final = f"kubernetes-json-schema/v{SERVER_MINOR}.0-local"
_PREFIX: Final = "#/$defs/"
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_OBJECT_META: Final = f"{_META}ObjectMeta"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"

QUANTITY_TEXT: Final = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII
)
_MAX_QUANTITY: Final = 40
_INT32, _INT64 = 32, 64

Node = dict[str, Any]


@cache
def definitions() -> dict[str, Node]:
    """Every type by its full name, as shipped. Never change what is returned."""
    text = files("kubernetes_validate").joinpath(f"{_FOLDER}/_definitions.json").read_bytes()
    found: dict[str, Node] = json.loads(text)["$defs"]
    return found


@cache
def _kinds() -> dict[tuple[str, str, str], str]:
    names = {}
    for name, node in definitions().items():
        for gvk in node.get("x-kubernetes-group-version-kind", ()):
            names[(gvk["group"], gvk["version"], gvk["kind"])] = name
    return names


def definition_name(group: str, version: str, kind: str) -> str | None:
    """The full type name of a kind, None for one without a schema."""
    return _kinds().get((group, version, kind))


def schema_of(resource: Resource) -> Node | None:
    """The schema of a resource's objects; None when it has none."""
    if resource.schemaless:
        return None
    name = definition_name(resource.group, resource.version, resource.kind)
    return None if name is None else resolved({"$ref": _PREFIX + name})


def object_meta() -> Node:
    """The schema of every object's metadata."""
    return resolved({"$ref": _PREFIX + _OBJECT_META})


def ref_name(node: Node) -> str | None:
    ref = node.get("$ref")
    return ref.rpartition("/")[2] if isinstance(ref, str) else None


def resolved(node: Node) -> Node:
    """`node` with its reference followed; what stands beside the reference wins, `$ref` stays as the name."""
    name = ref_name(node)
    if name is None:
        return node
    return _followed(name) if len(node) == 1 else {**_followed(name), **node}


@cache
def _followed(name: str) -> Node:
    return {**definitions()[name], "$ref": _PREFIX + name}


def child(node: Node | None, key: str) -> Node | None:
    """The schema of an object's field or of a map's value."""
    if node is None:
        return None
    properties = node.get("properties")
    if properties and key in properties:
        return resolved(properties[key])
    additional = node.get("additionalProperties")
    return resolved(additional) if isinstance(additional, dict) else None


def element(node: Node | None) -> Node | None:
    """The schema of a list's items."""
    items = node.get("items") if node else None
    return resolved(items) if isinstance(items, dict) else None


def is_struct(node: Node | None) -> bool:
    return bool(node) and "properties" in (node or {})


def list_keys(node: Node | None) -> tuple[str, ...]:
    """The keys of an associative list, empty for any other."""
    if node is None or node.get("x-kubernetes-list-type") != "map":
        return ()
    return tuple(node.get("x-kubernetes-list-map-keys", ()))


def is_set(node: Node | None) -> bool:
    return bool(node) and (node or {}).get("x-kubernetes-list-type") == "set"


def is_atomic_map(node: Node | None) -> bool:
    return bool(node) and (node or {}).get("x-kubernetes-map-type") == "atomic"


@dataclass(slots=True)
class Findings:
    """What a document has against its schema; paths as in Go messages (`spec.containers[0].image`)."""

    unknown: list[str] = field(default_factory=list)
    mistyped: list[tuple[str, str, str]] = field(default_factory=list)  # path, found, wanted
    missing: list[str] = field(default_factory=list)
    unsupported: list[tuple[str, Any, list[str]]] = field(default_factory=list)  # path, found, allowed


def examine(document: Any, node: Node | None, path: str = "") -> tuple[Any, Findings]:
    """The document without fields the schema does not know and without nulls, and what was found."""
    findings = Findings()
    return _walk(document, node, path, findings), findings


def well_typed(document: Any, kind: str) -> Document:
    """A document of `meta/v1`, such as DeleteOptions; ApiError 400 for fields of the wrong type."""
    found, findings = examine(document, resolved({"$ref": f"{_PREFIX}{_META}{kind}"}))
    if findings.mistyped:
        path, what, wanted = findings.mistyped[0]
        where = f"Go struct field {kind}.{path}" if path else f"Go value of {kind}"
        raise bad_request(f"{kind}: json: cannot unmarshal {what} into {where} of type {wanted}")
    return dict(found)


def _walk(value: Any, node: Node | None, path: str, found: Findings) -> Any:
    if node is None or not node:
        return value
    if "oneOf" in node:
        _walk_text_or_number(value, node, path, found)
        return value
    kinds = _kinds_of(node)
    if isinstance(value, dict) and (not kinds or "object" in kinds):
        return _walk_object(value, node, path, found)
    if isinstance(value, list) and (not kinds or "array" in kinds):
        inner = element(node)
        return [_walk(item, inner, f"{path}[{index}]", found) for index, item in enumerate(value)]
    if kinds and not _fits(value, kinds):
        found.mistyped.append((path, _go_kind(value), next(iter(kinds))))
    elif kinds == ["integer"] and not _is_integer(value, _INT32 if node.get("format") == "int32" else _INT64):
        found.mistyped.append((path, f"number {value}", str(node.get("format", "int64"))))
    allowed = [item for item in node.get("enum", ()) if item is not None]
    if allowed and value not in allowed:
        found.unsupported.append((path, value, allowed))
    return value


def _walk_text_or_number(value: Any, node: Node, path: str, found: Findings) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        found.mistyped.append((path, _go_kind(value), "string or number"))
    elif ref_name(node) == QUANTITY:
        if not QUANTITY_TEXT.fullmatch(str(value)) or len(str(value)) > _MAX_QUANTITY:
            found.mistyped.append((path, str(value), "quantity"))
    elif not isinstance(value, str) and not _is_integer(value, _INT32):
        found.mistyped.append((path, f"number {value}", "int32"))


def _walk_object(value: Document, node: Node, path: str, found: Findings) -> Document:
    properties = node.get("properties")
    closed = properties is not None and not node.get("x-kubernetes-preserve-unknown-fields")
    result: Document = {}
    for key, item in value.items():
        at = f"{path}.{key}" if path else str(key)
        inner = child(node, key)
        if inner is None and closed and not isinstance(node.get("additionalProperties"), dict):
            found.unknown.append(at)
            continue
        if item is None:  # null and absent mean the same
            continue
        result[key] = _walk(item, inner, at, found)
    for key in node.get("required", ()):
        if key not in result:
            found.missing.append(f"{path}.{key}" if path else key)
    return result


def _kinds_of(node: Node) -> list[str]:
    kinds = node.get("type", [])
    return [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]


def _fits(value: Any, kinds: list[str]) -> bool:
    return any(
        {
            "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "object": isinstance(value, dict),
            "array": isinstance(value, list),
        }.get(kind, True)
        for kind in kinds
    )


def _is_integer(value: Any, bits: int) -> bool:
    """Whether `value` is a whole number that a signed integer of so many bits holds."""
    return isinstance(value, int) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def _go_kind(value: Any) -> str:
    names = {bool: "bool", str: "string", int: "number", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def references(node: Any) -> Iterator[str]:
    """The names of all types that `node` refers to directly."""
    if isinstance(node, dict):
        if (name := ref_name(node)) is not None:
            yield name
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
