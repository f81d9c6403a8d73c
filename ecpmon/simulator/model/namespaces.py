"""Namespaces end in steps, as their controller comes to them: what runs goes first, then the rest, then they.

Invariants:
- Nothing is created in a namespace from the moment it is deleted (`admission.check_namespace`), and nothing goes from
  it for NOTICED: so long the real controller waits as well, so that who deletes one by one still finds everything.
- What has a finalizer stays until whoever put it there takes it away, and the namespace with it.
- A look that changed nothing is followed by another one, later each time.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from ecpmon.simulator.model import claims, effects, workloads
from ecpmon.simulator.model.controllers import drop
from ecpmon.simulator.model.deploying import drop_deployment
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.quotas import CLAIMS
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import SECOND, Micros, parsed, timestamp

CLOSE: Final = "namespace:close"
NOTICED: Final[Micros] = 5 * SECOND
_SOONEST: Final[Micros] = SECOND
_LATEST: Final[Micros] = 60 * SECOND
_FINE: Final = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions",
     "All legacy kube types successfully parsed"),
    ("NamespaceDeletionContentFailure", "ContentDeleted",
     "All content successfully deleted, may be waiting on finalization"),
)  # fmt: skip


def is_closing(draft: Draft, name: str) -> bool:
    found = draft.object(ObjectKey("namespaces", "", name))
    return found is not None and bool(found["metadata"].get("deletionTimestamp"))


def begin_close(draft: Draft, name: str) -> Document:
    """Mark the namespace; it is gone when nothing is left in it. The answer is its document now."""
    key = ObjectKey("namespaces", "", name)
    found = draft.object(key)
    if found is None or found["metadata"].get("deletionTimestamp"):
        return found or {}
    metadata = {**found["metadata"], "deletionTimestamp": timestamp(draft.now)}
    document = draft.put_object(key, {**found, "metadata": metadata, "status": {"phase": "Terminating"}})
    draft.push(draft.now + NOTICED, CLOSE, name)
    return document


def on_close(draft: Draft, name: str) -> None:
    """One look of the controller: end what can be ended now, and the namespace itself when nothing is left."""
    key = ObjectKey("namespaces", "", name)
    found = draft.object(key)
    if found is None or not is_closing(draft, name):
        return
    since = draft.now - parsed(found["metadata"]["deletionTimestamp"])
    if since < NOTICED - SECOND:  # of one of this name that was deleted before
        return
    _end_what_runs(draft, name)
    if not _pods(draft, name):
        _end_the_rest(draft, name)
    if not _pods(draft, name) and not draft.objects.get(name):
        for event in draft.happenings.pop(name, {}):
            draft.bury("events", name, event)
        draft.objects.pop(name, None)
        draft.drop_object(key)
        return
    status = {"phase": "Terminating", "conditions": _conditions(draft, name, found)}
    if status != found.get("status"):
        draft.put_object(key, {**found, "status": status})
    draft.push(draft.now + min(_LATEST, max(_SOONEST, since // 8)), CLOSE, name)


def hasten(draft: Draft, name: str) -> None:
    """Have the namespace looked at now if its last object has just gone."""
    if not draft.objects.get(name) and not _pods(draft, name) and is_closing(draft, name):
        draft.push(draft.now, CLOSE, name)


def _pods(draft: Draft, name: str) -> int:
    prefix = f"{name}/"
    return len(draft.pods_within(name)) + sum(key.startswith(prefix) for key in draft.terminating)


def _end_what_runs(draft: Draft, name: str) -> None:
    """The tenant, the controllers and their pods, which have their time to stop."""
    tenant = next((t for t in draft.tenants.values() if t.namespace == name), None)
    if tenant is not None:
        for failure in [f for f in draft.failures.values() if f.tenant_id == tenant.tenant_id]:
            effects.end_failure(draft, failure)
        del draft.tenants[tenant.tenant_id]
    prefix = f"{name}/"
    for path in [path for path in draft.deployments if path.startswith(prefix)]:
        drop_deployment(draft, path, graceful=True)
    for path in list(draft.objects.get(name, {})):
        resource, _, own = path.partition("/")
        if resource in workloads.KINDS:
            _end(draft, ObjectKey(resource, name, own))
    for pod in draft.pods_within(name):
        drop(draft, pod)
    for path in [path for path in draft.replica_sets if path.startswith(prefix)]:
        draft.pods_of.pop(draft.replica_sets[path].group, None)
        draft.drop_replica_set(path)


def _end_the_rest(draft: Draft, name: str) -> None:
    for path in list(draft.objects.get(name, {})):
        resource, _, own = path.partition("/")
        _end(draft, ObjectKey(resource, name, own))


def _end(draft: Draft, key: ObjectKey) -> None:
    """Delete a document, or mark it while somebody's finalizer holds it."""
    found = draft.object(key)
    if found is None:
        return
    if key.resource in workloads.KINDS:
        workloads.drop_claims(draft, key, found)
        workloads.drop_pods(draft, key)
    metadata = found["metadata"]
    if key.resource == CLAIMS and metadata.get("finalizers"):
        claims.mark(draft, key, found)
    elif not metadata.get("finalizers"):
        if key.resource == CLAIMS:
            claims.release(draft, found)
        draft.drop_object(key)
    elif not metadata.get("deletionTimestamp"):
        marks = {"deletionTimestamp": timestamp(draft.now), "deletionGracePeriodSeconds": 0}
        draft.put_object(key, {**found, "metadata": {**metadata, **marks}})


def _conditions(draft: Draft, name: str, found: Document) -> list[Document]:
    """What the controller says of its work: what is left, and whose finalizers hold it."""
    left: Counter[str] = Counter({"pods": _pods(draft, name)})
    held: Counter[str] = Counter()
    for path, document in draft.objects.get(name, {}).items():
        left[path.partition("/")[0]] += 1
        held.update(document["metadata"].get("finalizers") or ())
    remaining = ", ".join(f"{kind}. has {n} resource instances" for kind, n in sorted(left.items()) if n)
    holding = ", ".join(f"{text} in {n} resource instances" for text, n in sorted(held.items()))
    made = [(kind, "False", reason, message) for kind, reason, message in _FINE]
    made.append((
        "NamespaceContentRemaining", "True", "SomeResourcesRemain",
        f"Some resources are remaining: {remaining}",
    ))  # fmt: skip
    made.append(
        ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain",
         f"Some content in the namespace has finalizers remaining: {holding}")
        if holding
        else ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers",
              "All content-preserving finalizers finished")
    )  # fmt: skip
    before = {c["type"]: c for c in (found.get("status") or {}).get("conditions") or ()}
    return [_dated(draft, before.get(condition[0]), *condition) for condition in made]


def _dated(
    draft: Draft, before: Document | None, kind: str, status: str, reason: str, message: str
) -> Document:
    same = before is not None and before["status"] == status
    since = before["lastTransitionTime"] if before is not None and same else timestamp(draft.now)
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
