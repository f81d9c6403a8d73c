"""Deleting objects, with what they own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecpmon.simulator.model import claims, workloads
from ecpmon.simulator.model.commands import drop_tenant
from ecpmon.simulator.model.controllers import drop
from ecpmon.simulator.model.deploying import (
    drop_deployment,
    drop_replica_set,
    orphan_pods,
    orphan_replica_sets,
)
from ecpmon.simulator.model.keys import Document, ObjectKey, forbidden, not_found
from ecpmon.simulator.model.kube.reading import (
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    get,
)
from ecpmon.simulator.model.namespaces import begin_close, is_closing
from ecpmon.simulator.model.objects import Manifest
from ecpmon.simulator.model.quotas import CLAIMS
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.step import finish

ORPHAN: Final = "Orphan"
_PERMANENT: Final = ("default", "kube-system")


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
    _remove(draft, key, propagation)
    if propagation != ORPHAN:
        _collect(draft, key.namespace, old["metadata"]["uid"])
    after = finish(draft)
    return after, get(after, key) or old


def _remove(draft: Draft, key: ObjectKey, propagation: str) -> None:
    path = f"{key.namespace}/{key.name}"
    if key.resource == PODS:
        drop(draft, draft.pods[path])
    elif key.resource == DEPLOYMENTS:
        if propagation == ORPHAN:
            orphan_replica_sets(draft, path)
        drop_deployment(draft, path, graceful=True)
    elif key.resource == REPLICA_SETS:
        if propagation == ORPHAN:
            orphan_pods(draft, draft.replica_sets[path])
        drop_replica_set(draft, draft.replica_sets[path])
    elif key.resource == NODES:
        _remove_node(draft, key.name)
    elif key.resource == NAMESPACES:
        _close(draft, key)
    elif key.resource == EVENTS and key.name in draft.happenings.get(key.namespace, {}):
        del draft.writable_happenings(key.namespace)[key.name]
        draft.bury(EVENTS, key.namespace, key.name)
    else:
        _remove_object(draft, key, propagation)


def _remove_object(draft: Draft, key: ObjectKey, propagation: str) -> None:
    found = draft.object(key)
    if key.resource in workloads.KINDS and found is not None:
        if propagation == ORPHAN:
            workloads.free_pods(draft, key)
        else:
            workloads.drop_claims(draft, key, found)
            workloads.drop_pods(draft, key)
    if key.resource == CLAIMS and found is not None:
        if found["metadata"].get("finalizers"):
            claims.mark(draft, key, found)
            return
        claims.release(draft, found)
    draft.drop_object(key)
    endpoints = ObjectKey("endpoints", key.namespace, key.name)
    if key.resource == "services" and draft.object(endpoints) is not None:
        draft.drop_object(endpoints)


def _remove_node(draft: Draft, name: str) -> None:
    """Its pods go with it; their controllers replace them elsewhere."""
    for pod in [p for p in draft.pods.values() if p.node == name]:
        draft.drop_pod(pod.meta.key)
    del draft.nodes[name]
    draft.bury(NODES, "", name)
    workloads.stir_daemons(draft)


def _close(draft: Draft, key: ObjectKey) -> None:
    if key.name in _PERMANENT:
        raise forbidden(key, "this namespace may not be deleted")
    if is_closing(draft, key.name):
        return
    tenant = next((t for t in draft.tenants.values() if t.namespace == key.name), None)
    if tenant is not None:
        drop_tenant(draft, tenant.tenant_id, graceful=True)
    begin_close(draft, key.name)


def _collect(draft: Draft, namespace: str, uid: str) -> None:
    """The garbage collector: whatever names a removed object as its only owner goes as well."""
    for key, found in list(_dependents(draft, namespace, uid)):
        if _exists(draft, key):
            _remove(draft, key, "Background")
            _collect(draft, key.namespace, found)


def _exists(draft: Draft, key: ObjectKey) -> bool:
    path = f"{key.namespace}/{key.name}"
    if key.resource == PODS:
        return path in draft.pods
    if key.resource == DEPLOYMENTS:
        return path in draft.deployments
    return draft.object(key) is not None


def _dependents(draft: Draft, namespace: str, uid: str) -> Iterator[tuple[ObjectKey, str]]:
    """(key, uid) of the objects that `uid` alone owns."""
    spaces = [namespace] if namespace else list(draft.objects)
    for space in spaces:
        for path, document in draft.objects.get(space, {}).items():
            if _owned(document, uid):
                resource, name = path.split("/", 1)
                yield ObjectKey(resource, space, name), str(document["metadata"]["uid"])
    for deployment in draft.deployments.values():
        if _owned(deployment.manifest, uid):
            meta = deployment.meta
            yield ObjectKey(DEPLOYMENTS, meta.namespace, meta.name), meta.uid
    for pod in draft.pods.values():
        if pod.manifest and _owned(pod.manifest, uid):
            yield ObjectKey(PODS, pod.meta.namespace, pod.meta.name), pod.meta.uid


def _owned(manifest: Manifest, uid: str) -> bool:
    owners = (manifest.get("metadata") or {}).get("ownerReferences") or ()
    return bool(owners) and all(owner.get("uid") == uid for owner in owners)
