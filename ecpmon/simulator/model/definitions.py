"""CustomResourceDefinitions in the cluster: whether their names are accepted, and how they end.

A definition that is deleted stays, held by a finalizer, until the last of its objects is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.removal import collect
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import timestamp

CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
# Names that two definitions of one group cannot share, and the real server's word for that.
_NAMES: Final = (
    ("plural", "PluralConflict"), ("singular", "SingularConflict"), ("shortNames", "ShortNamesConflict"),
    ("kind", "KindConflict"), ("listKind", "ListKindConflict"),
)  # fmt: skip


def follow(draft: Draft) -> None:
    """Accept the names of new definitions, and let go of those that end."""
    for definition in draft.objects_of("", CRDS):
        if definition["metadata"].get("deletionTimestamp"):
            _end(draft, definition)
        else:
            _accept(draft, definition)


def is_true(definition: Document, condition: str) -> bool:
    """Whether the definition has this condition."""
    found = (definition.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == condition and c.get("status") == "True" for c in found)


def _accept(draft: Draft, definition: Document) -> None:
    spec, old = definition["spec"], definition.get("status") or {}
    reason = _conflict(draft, definition)
    accepted = spec["names"] if reason is None else old.get("acceptedNames") or {"plural": "", "kind": ""}
    stored = [v["name"] for v in spec["versions"] if v.get("storage")]
    status = {
        "acceptedNames": accepted,
        "conditions": _conditions(draft, old, reason),
        "storedVersions": list(dict.fromkeys([*(old.get("storedVersions") or ()), *stored])),
    }
    if status != old:
        key = ObjectKey(CRDS, "", definition["metadata"]["name"])
        draft.put_object(key, {**definition, "status": status}, followed=False)


def _conflict(draft: Draft, definition: Document) -> tuple[str, str] | None:
    """The word and the name that another definition of the group has already."""
    spec, own = definition["spec"], definition["metadata"]["name"]
    for other in draft.objects_of("", CRDS):
        if other["metadata"]["name"] == own or other["spec"]["group"] != spec["group"]:
            continue
        taken = (other.get("status") or {}).get("acceptedNames") or {}
        for key, word in _NAMES:
            for name in _words(spec["names"].get(key)):
                if name in _words(taken.get(key)):
                    return word, name
    return None


def _words(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _conditions(draft: Draft, old: Document, conflict: tuple[str, str] | None) -> list[Document]:
    established = is_true({"status": old}, "Established")
    if conflict is None:
        names = ("True", "NoConflicts", "no conflicts found")
        served = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    else:
        names = ("False", conflict[0], f'"{conflict[1]}" is already in use')
        served = ("False", "NotAccepted", "not all names are accepted")
    if established:  # who is served stays so
        served = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    return [_condition(draft, old, "NamesAccepted", *names), _condition(draft, old, "Established", *served)]


def _condition(draft: Draft, old: Document, kind: str, status: str, reason: str, message: str) -> Document:
    made = {"type": kind, "status": status, "reason": reason, "message": message}
    before: Document = next((c for c in old.get("conditions") or () if c.get("type") == kind), {})
    moment = before.get("lastTransitionTime") if before.get("status") == status else None
    return {**made, "lastTransitionTime": moment or timestamp(draft.now)}


def _end(draft: Draft, definition: Document) -> None:
    metadata = definition["metadata"]
    finalizers = metadata.get("finalizers") or []
    if CLEANUP not in finalizers:
        return
    key = ObjectKey(CRDS, "", metadata["name"])
    if _objects_left(draft, metadata["name"]):
        status = definition.get("status") or {}
        terminating = _condition(
            draft, status, "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
        )  # fmt: skip
        others = [c for c in status.get("conditions") or () if c.get("type") != "Terminating"]
        marked = {**definition, "status": {**status, "conditions": [*others, terminating]}}
        if marked != definition:
            draft.put_object(key, marked, followed=False)
        return
    left = [name for name in finalizers if name != CLEANUP]
    if left:
        draft.put_object(key, {**definition, "metadata": {**metadata, "finalizers": left}})
    else:
        draft.drop_object(key)


def _objects_left(draft: Draft, resource: str) -> bool:
    """Whether finalizers hold some of its objects; all others are deleted."""
    left = False
    for key, found in list(_objects(draft, resource)):
        metadata = found["metadata"]
        if draft.object(key) is None:  # it went with another one
            continue
        if not metadata.get("finalizers"):
            draft.drop_object(key)
            collect(draft, key.namespace, metadata["uid"])
            continue
        left = True
        if not metadata.get("deletionTimestamp"):
            marks = {"deletionTimestamp": timestamp(draft.now), "deletionGracePeriodSeconds": 0}
            draft.put_object(key, {**found, "metadata": {**metadata, **marks}})
    return left


def _objects(draft: Draft, resource: str) -> Iterator[tuple[ObjectKey, Document]]:
    prefix = f"{resource}/"
    for space, objects in draft.objects.items():
        for path, document in objects.items():
            if path.startswith(prefix):
                yield ObjectKey(resource, space, path.removeprefix(prefix)), document
