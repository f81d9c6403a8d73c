"""The Kubernetes schemas that `kubernetes-validate` ships: the types of all fields, and keys of lists.

A node is one JSON schema node with its references resolved one step at a time; `None` stands for "nothing is
known here", which is what custom resources look like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Final

SERVER_MINOR: Final = "1.36"
_FOLDER: Final = "kubernetes-json-schema"
_PREFIX: Final = "#/$defs/"
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"

Node = dict[str, Any]


@cache
def definitions(minor: str = SERVER_MINOR) -> dict[str, Node]:
    """Every type of a version of Kubernetes by its full name, as shipped. Never change what is returned."""
    folder = files("kubernetes_validate").joinpath(_FOLDER)
    name = next(item for item in folder.iterdir() if re.fullmatch(rf"v{minor}\.\d+-local", item.name))
    found: dict[str, Node] = json.loads(name.joinpath("_definitions.json").read_bytes())["$defs"]
    return found


@cache
def _kinds(minor: str) -> dict[tuple[str, str, str], str]:
    names = {}
    for name, node in definitions(minor).items():
        for gvk in node.get("x-kubernetes-group-version-kind", ()):
            names[(gvk["group"], gvk["version"], gvk["kind"])] = name
    return names


def definition_name(group: str, version: str, kind: str, minor: str = SERVER_MINOR) -> str | None:
    """The full type name of a kind, None for one without a schema."""
    return _kinds(minor).get((group, version, kind))


def schema_of_kind(group: str, version: str, kind: str) -> Node | None:
    """The schema of a kind's objects; None when it has none."""
    name = definition_name(group, version, kind)
    return None if name is None else named(name)


def reference(name: str) -> Node:
    """A node that stands for a type by its full name, of whatever version."""
    return {"$ref": _PREFIX + name}


def object_meta() -> Node:
    """The schema of every object's metadata."""
    return named(f"{META}ObjectMeta")


def named(name: str) -> Node:
    """The schema of a type by its full name."""
    return resolved(reference(name))


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


def kinds_of(node: Node) -> list[str]:
    """The JSON types of a node, null left out."""
    kinds = node.get("type", [])
    return [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]


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
