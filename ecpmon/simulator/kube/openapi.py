"""OpenAPI v3 (one document per group version) and v2, as far as kubectl and the generators read them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import orjson

from ecpmon.kube.schemas import META, SERVER_MINOR, definition_name, definitions, references
from ecpmon.simulator.kube.catalogue import CATALOGUE, Catalogue, Resource
from ecpmon.simulator.kube.status import no_such_path

Document = dict[str, Any]
PATCH_TYPES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_CACHED: Final = 128
_INFO: Final = {"title": "Kubernetes", "version": f"v{SERVER_MINOR}.0"}


def group_versions(catalogue: Catalogue = CATALOGUE) -> dict[str, str]:
    """Path below /openapi/v3 → relative address with a hash, which lets clients cache the document."""
    paths = {}
    for group in catalogue.groups():
        for version in catalogue.versions(group):
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            hashed = _hash(tuple(catalogue.resources(group, version)))
            paths[path] = f"/openapi/v3/{path}?hash={hashed}"
    return paths


def index(catalogue: Catalogue) -> Document:
    """`GET /openapi/v3`."""
    return {"paths": {path: {"serverRelativeURL": url} for path, url in group_versions(catalogue).items()}}


def v3(path: str, catalogue: Catalogue = CATALOGUE) -> bytes:
    """The document of `api/v1` or `apis/{group}/{version}` as JSON; ApiError 404 for another path."""
    group, version = _group_version(path)
    resources = catalogue.resources(group, version)
    if not resources:
        raise no_such_path()
    return _v3(tuple(resources))


@lru_cache(_CACHED)
def _hash(resources: tuple[Resource, ...]) -> str:
    return sha256(_v3(resources)).hexdigest()[:32].upper()


@lru_cache(_CACHED)
def _v3(resources: tuple[Resource, ...]) -> bytes:
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for resource in resources:
        name = _schema_name(resource)
        schemas[name] = _schema(resource, "#/components/schemas/")
        paths |= _paths(resource, f"#/components/schemas/{name}")
    for name in _closure(_roots(resources)):
        schemas[name] = _renamed(definitions()[name], "#/components/schemas/")
    components = {"schemas": schemas}
    return orjson.dumps({"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": components})


def v2(catalogue: Catalogue = CATALOGUE) -> bytes:
    """One Swagger 2.0 document of everything, as JSON."""
    return orjson.dumps(swagger(catalogue))


def swagger(catalogue: Catalogue) -> Document:
    """The same as a document: only the types, no operations."""
    found: dict[str, Any] = {}
    for resource in catalogue.all:
        found[_schema_name(resource)] = _schema(resource, "#/definitions/")
    for name in _closure(_roots(catalogue.all)):
        found[name] = _renamed(definitions()[name], "#/definitions/")
    return {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": found}


def _roots(resources: Iterable[Resource]) -> list[str | None]:
    """The types that the resources are made of."""
    known = [definition_name(r.group, r.version, r.kind) for r in resources]
    return [*known, f"{META}ObjectMeta"]


def _group_version(path: str) -> tuple[str, str]:
    parts = path.split("/")
    if parts[0] == "api" and len(parts) == 2:
        return "", parts[1]
    if parts[0] == "apis" and len(parts) == 3:
        return parts[1], parts[2]
    raise no_such_path()


def _schema_name(resource: Resource) -> str:
    known = None if resource.schemaless else definition_name(resource.group, resource.version, resource.kind)
    if known:
        return known
    reverse = ".".join(reversed(resource.group.split(".")))
    return f"{reverse}.{resource.version}.{resource.kind}"


def _schema(resource: Resource, prefix: str) -> Document:
    name = None if resource.schemaless else definition_name(resource.group, resource.version, resource.kind)
    if name is not None:
        found: Document = _renamed(definitions()[name], prefix)
        return found
    if resource.custom:
        made: Document = _renamed(resource.custom.node, prefix)
        return {**made, "x-kubernetes-group-version-kind": [_gvk(resource)]}
    return {
        "type": "object",
        "description": f"{resource.kind} is stored and served as given.",
        "x-kubernetes-preserve-unknown-fields": True,
        "x-kubernetes-group-version-kind": [_gvk(resource)],
    }


def _gvk(resource: Resource) -> Document:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _closure(roots: Iterable[str | None]) -> list[str]:
    """All type names reachable from `roots`, these included."""
    waiting, seen = [name for name in roots if name], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(references(definitions()[name]))
    return sorted(seen)


def _renamed(node: Any, prefix: str) -> Any:
    """The schema as OpenAPI writes it: other references, and no "null" beside a type."""
    if isinstance(node, list):
        return [_renamed(item, prefix) for item in node]
    if not isinstance(node, dict):
        return node
    result = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str):
            result[key] = prefix + value.rpartition("/")[2]
        elif key == "type" and isinstance(value, list):
            result[key] = next(kind for kind in value if kind != "null")
        else:
            result[key] = _renamed(value, prefix)
    return result


def _paths(resource: Resource, ref: str) -> Document:
    """Enough of the operations for clients to see which parameters and patches are understood."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    inside = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{root}{inside}/{resource.plural}"
    body = {"content": {"application/json": {"schema": {"$ref": ref}}}}
    answer = {"200": {"description": "OK", **body}}
    on_object: Document = {}
    on_collection: Document = {}
    for verb, method, action in (
        ("get", "get", "get"), ("update", "put", "put"), ("patch", "patch", "patch"),
        ("delete", "delete", "delete"),
    ):  # fmt: skip
        if verb in resource.verbs:
            on_object[method] = _operation(resource, action, answer, ref)
    for verb, method, action in (("list", "get", "list"), ("create", "post", "post")):
        if verb in resource.verbs:
            on_collection[method] = _operation(resource, action, answer, ref)
    found = {collection: on_collection}
    if on_object:
        found[f"{collection}/{{name}}"] = on_object
    return found


def _operation(resource: Resource, action: str, answer: Document, ref: str) -> Document:
    operation: Document = {
        "tags": ["kubernetes"],
        "operationId": f"{action}{resource.group.title().replace('.', '')}{resource.version}{resource.kind}",
        "parameters": [_parameter(name) for name in _parameters(action)],
        "responses": answer,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(resource),
    }
    if action == "patch":
        types = [
            t for t in PATCH_TYPES if not (resource.schemaless and t.startswith("application/strategic"))
        ]
        schema = {"schema": {"type": "object"}}
        operation["requestBody"] = {"content": dict.fromkeys(types, schema), "required": True}
    elif action in ("put", "post"):
        content = {"application/json": {"schema": {"$ref": ref}}}
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _parameters(action: str) -> tuple[str, ...]:
    return {
        "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
        "put": ("dryRun", "fieldManager", "fieldValidation"),
        "post": ("dryRun", "fieldManager", "fieldValidation"),
        "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
        "list": ("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch"),
    }.get(action, ())


def _parameter(name: str) -> Document:
    kind = {"force": "boolean", "watch": "boolean", "limit": "integer", "gracePeriodSeconds": "integer"}
    schema = {"type": kind.get(name, "string"), "uniqueItems": True}
    return {"name": name, "in": "query", "schema": schema}
