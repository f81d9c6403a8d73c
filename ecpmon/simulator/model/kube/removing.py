"""Deleting objects, with what they own."""

from __future__ import annotations

from ecpmon.simulator.model.keys import PODS, Document, ObjectKey, not_found
from ecpmon.simulator.model.kube.reading import get
from ecpmon.simulator.model.removal import ORPHAN, collect, remove_object
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.step import finish


def remove(
    state: ClusterState, key: ObjectKey, *, propagation: str = "Background"
) -> tuple[ClusterState, Document]:
    """Delete an object and, unless `propagation` is Orphan, what it owns; the answer is its last document.

    Refused(404) when there is none. Pods and namespaces may still be there, terminating.
    """
    old = get(state, key)
    if old is None:
        raise not_found(key)
    if key.resource == PODS and f"{key.namespace}/{key.name}" in state.terminating:
        return state, old
    draft = Draft(state)
    remove_object(draft, key, propagation)
    if propagation != ORPHAN:
        collect(draft, key.namespace, old["metadata"]["uid"])
    after = finish(draft)
    return after, get(after, key) or old
