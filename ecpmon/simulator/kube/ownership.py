"""Who owns which field of an object: `metadata.managedFields`; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.fieldsets import FieldSet, Path, fields_of, from_fields_v1, leaves, to_fields_v1
from ecpmon.simulator.kube.schemas import schema_of
from ecpmon.simulator.kube.status import Document

APPLY: Final = "Apply"
UPDATE: Final = "Update"
# Nobody owns what the server writes, nor what identifies the object.
_UNOWNED: Final = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink",
                "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
            )
        ),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes: two entries of one name differ by operation and subresource."""

    name: str
    operation: str
    subresource: str = ""


Managers = dict[Manager, FieldSet]


def managers_of(document: Document) -> tuple[Managers, dict[Manager, str]]:
    """The owners of an object's fields, and when each wrote last."""
    owners: Managers = {}
    times: dict[Manager, str] = {}
    for entry in document["metadata"].get("managedFields") or ():
        if not entry.get("manager") or not entry.get("operation"):
            continue
        manager = Manager(entry["manager"], entry["operation"], entry.get("subresource", ""))
        owners[manager] = owners.get(manager, frozenset()) | from_fields_v1(entry.get("fieldsV1"))
        times[manager] = entry.get("time", "")
    return owners, times


def managed_fields(owners: Managers, times: dict[Manager, str], api_version: str, now: str) -> list[Document]:
    """`metadata.managedFields`; managers that own nothing are left out."""
    entries = []
    for manager, fields in owners.items():
        if not fields:
            continue
        entry: Document = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": api_version,
            "time": times.get(manager) or now,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(fields),
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return sorted(entries, key=lambda e: (e["operation"], e["time"], e["manager"], e.get("subresource", "")))


def after_update(
    old: Document | None, new: Document, resource: Resource, manager: Manager, now: str
) -> list[Document]:
    """The owners after a plain write: the writer takes every field whose value it changed."""
    schema = schema_of(resource)
    owners, times = managers_of(old) if old is not None else ({}, {})
    before = leaves(old, schema) if old is not None else {}
    after = leaves(new, schema)
    changed = {
        path
        for path, value in after.items()
        if not is_unowned(path) and (path not in before or before[path] != value)
    }
    present = fields_of(new, schema)
    gone = {path for path in before if path not in after}
    if not changed and not gone:
        return managed_fields(owners, times, resource.api_version, now)
    result: Managers = {}
    for other, fields in owners.items():
        kept = fields & present
        result[other] = kept if other == manager else kept - changed
    result[manager] = result.get(manager, frozenset()) | changed | _containers(changed, present)
    times = {**times, manager: now}
    return managed_fields(result, times, resource.api_version, now)


def _containers(changed: set[Path], present: FieldSet) -> FieldSet:
    """The list items that the changed fields are in."""
    prefixes = {path[:length] for path in changed for length in range(1, len(path))}
    return frozenset(path for path in prefixes if path in present and path[-1].startswith("k:"))


def is_unowned(path: Path) -> bool:
    return path[:1] in _UNOWNED or path[:2] in _UNOWNED
