"""JSON patch, JSON merge patch and strategic merge patch; pure, and the input is never changed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import jsonpatch
import jsonpointer
import orjson

from ecpmon.kube.schemas import Node, child, element
from ecpmon.simulator.kube.status import ApiError, Document, bad_request

MAX_OPERATIONS: Final = 10_000
MAX_COPIED: Final = 3 * 1024**2
_DIRECTIVE: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_DELETE_PRIMITIVE: Final = "$deleteFromPrimitiveList/"
_ORDER: Final = "$setElementOrder/"


def json_patch(document: Document, operations: Any) -> Document:
    """RFC 6902. ApiError 400 for a malformed patch, 422 for one that does not apply to this document."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: a JSON patch is an array of operations")
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", message)
    try:
        patch = jsonpatch.JsonPatch(operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError) as error:
        raise bad_request(f"error decoding patch: {error}") from None
    try:
        _check_copies(document, operations)
        result = patch.apply(document)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(422, "Invalid", message, details={}) from None
    return _object(result)


def _check_copies(document: Document, operations: list[Any]) -> None:
    """ApiError 413 when all copies together are too large: forty that each double a map are a terabyte."""
    if sum(operation.get("op") == "copy" for operation in operations) < 2:
        return
    result: Any = deepcopy(document)
    copied = 0
    for operation in operations:
        if operation.get("op") == "copy":
            copied += len(orjson.dumps(jsonpointer.resolve_pointer(result, operation["from"])))
            if copied > MAX_COPIED:
                message = f"The copies of a JSON patch may add up to {MAX_COPIED} bytes"
                raise ApiError(413, "RequestEntityTooLarge", message)
        result = jsonpatch.JsonPatch([operation]).apply(result, in_place=True)


def merge_patch(document: Document, patch: Any) -> Document:
    """RFC 7386: null removes, lists are replaced."""
    return _object(_merged(document, _object(patch)))


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def strategic_merge(document: Document, patch: Any, schema: Node | None) -> Document:
    """Kubernetes' own patch: lists with a merge key are merged by it, directives delete and replace.

    ApiError 400 for directives that make no sense.
    """
    return _object(_strategic(document, _object(patch), schema))


def _object(value: Any) -> Document:
    if not isinstance(value, dict):
        raise bad_request("error decoding patch: the result must be an object")
    return value


def _strategic(target: Document, patch: Document, schema: Node | None) -> Document:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown patch type: {directive!r}")
    result = dict(target)
    retained = patch.get(_RETAIN)
    if retained is not None:
        if not isinstance(retained, list):
            raise bad_request(f"{_RETAIN} must be a list")
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key in (_DIRECTIVE, _RETAIN) or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE_PRIMITIVE):
            _delete_primitives(result, key.removeprefix(_DELETE_PRIMITIVE), value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = _field(result.get(key), value, child(schema, key))
    _order(result, patch, schema)
    return result


def _delete_primitives(result: Document, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise bad_request(f"{_DELETE_PRIMITIVE}{name} must be a list")
    if isinstance(result.get(name), list):
        dropped = set(map(_token, values))
        result[name] = [item for item in result[name] if _token(item) not in dropped]


def _field(target: Any, value: Any, schema: Node | None) -> Any:
    if isinstance(value, dict):
        return _strategic(target if isinstance(target, dict) else {}, value, schema)
    if isinstance(value, list):
        return _list(target if isinstance(target, list) else [], value, schema)
    return value


def _list(target: list[Any], patch: list[Any], schema: Node | None) -> list[Any]:
    merges = "merge" in str((schema or {}).get("x-kubernetes-patch-strategy", "")).split(",")
    if not merges:
        return [item for item in patch if not (isinstance(item, dict) and _DIRECTIVE in item)]
    key = (schema or {}).get("x-kubernetes-patch-merge-key")
    if key is None:  # a list of scalars: a set
        present = set(map(_token, target))
        return [*target, *(item for item in patch if _token(item) not in present)]
    return _keyed_list(target, patch, str(key), element(schema))


def _keyed_list(target: list[Any], patch: list[Any], key: str, schema: Node | None) -> list[Any]:
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request(f"a list merged by {key!r} holds objects only")
        if item.get(_DIRECTIVE) == "replace" and key not in item:
            return [other for other in patch if _DIRECTIVE not in other]
    result = list(target)
    places: dict[Any, list[int]] = {}  # looked up, not searched: a body may hold ten thousands of items
    for at, old in enumerate(result):
        places.setdefault(_token(old.get(key)), []).append(at)
    gone: set[int] = set()
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        token = _token(item[key])
        if item.get(_DIRECTIVE) == "delete":
            gone.update(places.pop(token, ()))
        elif token not in places:
            places[token] = [len(result)]
            result.append(_strategic({}, item, schema))
        else:
            at = places[token][0]
            result[at] = _strategic(result[at], item, schema)
    return [item for at, item in enumerate(result) if at not in gone]


def _token(value: Any) -> Any:
    """Something to look `value` up by."""
    return orjson.dumps(value) if isinstance(value, dict | list) else value


def _order(result: Document, patch: Document, schema: Node | None) -> None:
    """`$setElementOrder/x` says in which order the merged list stands; others keep their place behind."""
    for directive, wanted in patch.items():
        if not directive.startswith(_ORDER):
            continue
        name = directive.removeprefix(_ORDER)
        items = result.get(name)
        if not isinstance(items, list) or not isinstance(wanted, list):
            continue
        key = (child(schema, name) or {}).get("x-kubernetes-patch-merge-key")
        ranks: dict[Any, int] = {}
        for item in wanted:
            ranks.setdefault(_token(item.get(key) if isinstance(item, dict) else item), len(ranks))

        def rank(item: Any, ranks: dict[Any, int] = ranks, key: Any = key) -> int:
            value = item.get(key) if isinstance(item, dict) else item
            return ranks.get(_token(value), len(ranks))

        result[name] = sorted(items, key=rank)
