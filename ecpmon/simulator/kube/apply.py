"""Server-side apply: who owns which field, conflicts, and the merged object; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from ecpmon.kube.schemas import Node, child, element, is_atomic_map, is_set, list_keys
from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.checking import stored
from ecpmon.simulator.kube.fieldsets import FieldSet, Path, describe, fields_of, item_step, leaves, value_step
from ecpmon.simulator.kube.ownership import UPDATE, Manager, Managers, is_unowned, managed_fields, managers_of
from ecpmon.simulator.kube.schemas import schema_of
from ecpmon.simulator.kube.status import ApiError, Document

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def apply(
    live: Document | None,
    applied: Document,
    resource: Resource,
    manager: Manager,
    *,
    force: bool,
    now: str,
) -> Document:
    """The object after `manager` applied `applied`: fields it no longer lists and nobody else owns are gone.

    ApiError 409 names every field that somebody else set to another value, unless `force` takes it.
    """
    schema = schema_of(resource)
    wanted = frozenset(path for path in fields_of(applied, schema) if not is_unowned(path))
    if live is None:
        entries = managed_fields({manager: wanted}, {manager: now}, resource.api_version, now)
        return _with_managers(applied, entries)
    owners, times = managers_of(live)
    disputed = _conflicts(live, applied, schema, owners, manager)
    if disputed and not force and not _inherited(live, disputed, schema, manager):
        raise conflict_error(disputed)
    for other in {other for other, _ in disputed}:
        owners[other] -= {path for who, path in disputed if who == other}
    merged = merge(live, applied, schema)
    dropped = owners.get(manager, frozenset()) - wanted
    for other, fields in owners.items():
        if other != manager:
            dropped -= fields
    merged = stored(resource, _without(merged, schema, _droppable(dropped, owners, manager, wanted)))
    owners = {**owners, manager: wanted}
    if _unchanged(live, merged) and owners == managers_of(live)[0]:
        return live
    times = {**times, manager: now}
    return _with_managers(merged, managed_fields(owners, times, resource.api_version, now))


def _droppable(dropped: FieldSet, owners: Managers, manager: Manager, wanted: FieldSet) -> set[Path]:
    """Fields whose parents somebody still owns parts of are only emptied of what nobody owns."""
    kept: set[Path] = set()
    for fields in (wanted, *(fields for other, fields in owners.items() if other != manager)):
        kept.update(path[:length] for path in fields for length in range(1, len(path) + 1))
    return {path for path in dropped if path not in kept}


def _conflicts(
    live: Document, applied: Document, schema: Node | None, owners: Managers, manager: Manager
) -> list[tuple[Manager, Path]]:
    before, after = leaves(live, schema), leaves(applied, schema)
    differing = [path for path, value in after.items() if path in before and before[path] != value]
    return [
        (other, path)
        for other, fields in owners.items()
        if other != manager
        for path in differing
        if path in fields
    ]


def _inherited(
    live: Document, disputed: Iterable[tuple[Manager, Path]], schema: Node | None, manager: Manager
) -> bool:
    """Whether kubectl disputes only what it wrote itself by client-side apply, as its annotation says."""
    annotation = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if manager.name != "kubectl" or not annotation:
        return False
    try:
        written = leaves(orjson.loads(annotation), schema)
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return False
    now = leaves(live, schema)
    return all(path in written and written[path] == now.get(path) for _, path in disputed)


def conflict_error(disputed: Iterable[tuple[Manager, Path]]) -> ApiError:
    """409 with one cause per field; kubectl prints them and says how to force."""
    found = [(_describe_manager(manager), describe(path)) for manager, path in disputed]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field}
        for who, field in found
    ]
    plural = "s" if len(found) > 1 else ""
    parts = []
    for who in dict.fromkeys(who for who, _ in found):
        fields = [field for other, field in found if other == who]
        many = "s" if len(fields) > 1 else ""
        where = " " + fields[0] if len(fields) == 1 else "".join(f"\n- {field}" for field in fields)
        parts.append(f"conflict{many} with {who}:{where}")
    text = f"Apply failed with {len(found)} conflict{plural}: " + "\n".join(parts)
    return ApiError(409, "Conflict", text, details={"causes": causes})


def _describe_manager(manager: Manager) -> str:
    name = f'"{manager.name}"'
    if manager.subresource:
        name += f' with subresource "{manager.subresource}"'
    return f"{name} using {manager.operation}" if manager.operation == UPDATE else name


def merge(live: Any, applied: Any, node: Node | None) -> Any:
    """`applied` laid over `live`; associative lists by key, sets united, everything atomic replaced."""
    if isinstance(live, dict) and isinstance(applied, dict) and not is_atomic_map(node):
        result = dict(live)
        for key, value in applied.items():
            result[key] = merge(live[key], value, child(node, key)) if key in live else value
        return result
    if isinstance(live, list) and isinstance(applied, list):
        if keys := list_keys(node):
            return _merge_items(live, applied, keys, node)
        if is_set(node):
            return [*applied, *(item for item in live if item not in applied)]
    return applied


def _merge_items(live: list[Any], applied: list[Any], keys: tuple[str, ...], node: Node | None) -> list[Any]:
    """Applied items in their order, each laid over its namesake; the rest of the live ones stay in place."""
    theirs = {item_step(item, keys, node): item for item in live}
    ours = {item_step(item, keys, node): item for item in applied}
    merged = {
        step: merge(theirs[step], item, element(node)) if step in theirs else item
        for step, item in ours.items()
    }
    kept = [(step, item) for step, item in theirs.items() if step not in ours]
    if not kept:
        return list(merged.values())
    result = [merged.get(step, item) for step, item in theirs.items()]
    result += [item for step, item in merged.items() if step not in theirs]
    return result


def _without(value: Any, node: Node | None, dropped: set[Path], at: Path = ()) -> Any:
    """`value` without the fields in `dropped`, and without the objects that this leaves empty."""
    if not dropped:
        return value
    if isinstance(value, dict) and not is_atomic_map(node):
        return _object_without(value, node, dropped, at)
    if isinstance(value, list) and (keys := list_keys(node)):
        result = []
        for item in value:
            path = (*at, item_step(item, keys, node))
            if path not in dropped:
                result.append(_without(item, element(node), dropped, path))
        return result
    if isinstance(value, list) and is_set(node):
        return [item for item in value if (*at, value_step(item)) not in dropped]
    return value


def _object_without(value: Document, node: Node | None, dropped: set[Path], at: Path) -> Document:
    result: Document = {}
    for key, item in value.items():
        path = (*at, f"f:{key}")
        if path in dropped:
            continue
        left = _without(item, child(node, key), dropped, path)
        if left in ({}, []) and item not in ({}, []):
            continue
        result[key] = left
    return result


def _with_managers(document: Document, fields: list[Document]) -> Document:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return {**document, "metadata": {**metadata, "managedFields": fields}}


def _unchanged(live: Document, merged: Document) -> bool:
    return _plain(live) == _plain(merged)


def _plain(document: Document) -> Document:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return {**document, "metadata": metadata}
