"""StatefulSets, DaemonSets, Jobs and CronJobs: kept as documents, and run.

Invariants:
- A controller acts on its own group (`owned.group_of`) only; what it means for another one is an event of this very
  instant (`controllers.STIR`), never a call.
- Whatever it does follows from its document, its pods and the time; it is done again whenever one of these changes.
- Pods carry their own manifest, so that they go on when their template has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.workloads import cronjobs, daemons, jobs, stateful
from ecpmon.simulator.model.workloads.owned import drop_pods, free_pods, group_of, is_group, key_of

__all__ = [
    "KINDS",
    "admitted",
    "drop_claims",
    "drop_pods",
    "free_pods",
    "group_of",
    "is_group",
    "key_of",
    "observe",
    "reconcile",
    "stir_daemons",
]

Step = Callable[[Draft, ObjectKey, Document], None]
_RECONCILE: Final[dict[str, Step]] = {
    stateful.RESOURCE: stateful.reconcile,
    daemons.RESOURCE: daemons.reconcile,
    jobs.RESOURCE: jobs.reconcile,
    cronjobs.RESOURCE: cronjobs.reconcile,
}
_OBSERVE: Final[dict[str, Step]] = {
    stateful.RESOURCE: stateful.observe,
    daemons.RESOURCE: daemons.observe,
    jobs.RESOURCE: jobs.observe,
    cronjobs.RESOURCE: cronjobs.observe,
}
KINDS: Final = frozenset(_RECONCILE)


def reconcile(draft: Draft, group: str) -> None:
    """One move nearer to what the group's object says; nothing when it is gone."""
    _step(draft, group, _RECONCILE)


def observe(draft: Draft, group: str) -> None:
    """Write what the group's pods mean into the status of its object."""
    _step(draft, group, _OBSERVE)


def _step(draft: Draft, group: str, steps: dict[str, Step]) -> None:
    key = key_of(group)
    found = draft.object(key)
    if found is not None and not found["metadata"].get("deletionTimestamp"):
        steps[key.resource](draft, key, found)


def admitted(key: ObjectKey, document: Document, uid: str) -> Document:
    """A new object with what the server itself writes into it: a Job's own selector and labels."""
    return jobs.labelled(document, key.name, uid) if key.resource == jobs.RESOURCE else document


def drop_claims(draft: Draft, key: ObjectKey, found: Document) -> None:
    """Of an object that is deleted: the disks that it says are to go with it."""
    if key.resource == stateful.RESOURCE:
        stateful.drop_all_claims(draft, key, found)


def stir_daemons(draft: Draft) -> None:
    """A node has come, changed or gone: every DaemonSet looks at it."""
    for namespace, documents in draft.objects.items():
        for path in documents:
            resource, _, name = path.partition("/")
            if resource == daemons.RESOURCE:
                draft.stir(group_of(ObjectKey(resource, namespace, name)))
