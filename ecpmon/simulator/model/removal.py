"""What becomes of an object that is deleted, and of those that it owns; and of those whose owner there never was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ecpmon.kube.schemas import definition_name
from ecpmon.simulator.model import claims, workloads
from ecpmon.simulator.model.controllers import drop
from ecpmon.simulator.model.deploying import (
    drop_deployment,
    drop_replica_set,
    orphan_pods,
    orphan_replica_sets,
)
from ecpmon.simulator.model.keys import (
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    Document,
    ObjectKey,
    forbidden,
)
from ecpmon.simulator.model.namespaces import begin_close, is_closing
from ecpmon.simulator.model.objects import Deployment, Manifest, Node, ReplicaSet
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.quotas import CLAIMS
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import SECOND, Micros

ACCOUNTS: Final = "serviceaccounts"
ORPHAN: Final = "Orphan"
COLLECT: Final = "garbage:collect"
_PERMANENT: Final = ("default", "kube-system")
_DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"
_NOTICED: Final[Micros] = SECOND  # what the garbage collector needs to see a new object


def remove_object(draft: Draft, key: ObjectKey, propagation: str) -> None:
    """Delete what is there under `key`; Refused for a namespace that every cluster keeps."""
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
        if key.name in _PERMANENT:
            raise forbidden(key, "this namespace may not be deleted")
        begin_close(draft, key.name)
    elif key.resource == EVENTS and key.name in draft.happenings.get(key.namespace, {}):
        del draft.writable_happenings(key.namespace)[key.name]
        draft.bury(EVENTS, key.namespace, key.name)
    else:
        _remove_document(draft, key, propagation)


def _remove_document(draft: Draft, key: ObjectKey, propagation: str) -> None:
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
    if key.resource == ACCOUNTS and key.name == "default" and not is_closing(draft, key.namespace):
        draft.greet_namespace(key.namespace)
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


# Owners


def collect(draft: Draft, namespace: str, uid: str) -> None:
    """The garbage collector: whatever names a removed object as its last owner goes as well."""
    for key, found in list(_dependents(draft, namespace, uid)):
        if _metadata(draft, key) is not None:
            remove_object(draft, key, "Background")
            collect(draft, key.namespace, found)


def expect(draft: Draft, key: ObjectKey, document: Manifest) -> None:
    """Have the garbage collector look at a new object that says it is owned."""
    if (document.get("metadata") or {}).get("ownerReferences"):
        draft.push(draft.now + _NOTICED, COLLECT, f"{key.resource} {key.namespace} {key.name}")


def on_collect(draft: Draft, name: str) -> None:
    """Delete the object if none of its owners exists."""
    key = ObjectKey(*name.split(" "))
    metadata = _metadata(draft, key)
    if metadata is None or metadata.get("deletionTimestamp"):
        return
    owners = metadata.get("ownerReferences") or ()
    if owners and not any(_may_exist(draft, key.namespace, owner) for owner in owners):
        uid = str(metadata.get("uid", ""))
        if metadata.get("finalizers") and key.resource != CLAIMS:
            return  # whoever holds it may let it go; nothing here is the first to ask for that
        remove_object(draft, key, "Background")
        collect(draft, key.namespace, uid)


def _may_exist(draft: Draft, namespace: str, owner: Manifest) -> bool:
    """Whether the owner is there, or is of a kind that nobody here can look for."""
    group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
    kind = str(owner.get("kind", ""))
    if definition_name(group, version, kind) is None and not _is_defined(draft, group, kind):
        return True
    return _is_there(draft, namespace, str(owner.get("uid", "")))


def _is_defined(draft: Draft, group: str, kind: str) -> bool:
    specs = (found.get("spec") or {} for found in draft.objects_of("", _DEFINITIONS))
    return any(s.get("group") == group and (s.get("names") or {}).get("kind") == kind for s in specs)


def _is_there(draft: Draft, namespace: str, uid: str) -> bool:
    """Whether an object of the namespace, or of the whole cluster, has this uid."""
    for space in {namespace, ""}:
        if any(found["metadata"].get("uid") == uid for found in draft.objects.get(space, {}).values()):
            return True
    held: tuple[Mapping[str, Deployment | ReplicaSet | Pod | Node], ...] = (
        draft.deployments, draft.replica_sets, draft.pods, draft.nodes,
    )  # fmt: skip
    return any(
        value.meta.uid == uid and value.meta.namespace in (namespace, "")
        for values in held
        for value in values.values()
    )


def _metadata(draft: Draft, key: ObjectKey) -> Document | None:
    """The metadata of an object, its uid among them; None when there is none."""
    path = f"{key.namespace}/{key.name}"
    pod = draft.pods.get(path) if key.resource == PODS else None
    if key.resource in (PODS, DEPLOYMENTS, REPLICA_SETS):
        found = {DEPLOYMENTS: draft.deployments.get(path), REPLICA_SETS: draft.replica_sets.get(path)}.get(
            key.resource, pod
        )
        return None if found is None else {**(found.manifest.get("metadata") or {}), "uid": found.meta.uid}
    document = draft.object(key)
    return None if document is None else dict(document["metadata"])


def _dependents(draft: Draft, namespace: str, uid: str) -> Iterator[tuple[ObjectKey, str]]:
    """(key, uid) of the objects that `uid` owns, and nobody else who is still there."""
    spaces = [namespace] if namespace else list(draft.objects)
    for space in spaces:
        for path, document in draft.objects.get(space, {}).items():
            if _owned(draft, space, document, uid):
                resource, name = path.split("/", 1)
                yield ObjectKey(resource, space, name), str(document["metadata"]["uid"])
    for deployment in draft.deployments.values():
        if _owned(draft, deployment.meta.namespace, deployment.manifest, uid):
            meta = deployment.meta
            yield ObjectKey(DEPLOYMENTS, meta.namespace, meta.name), meta.uid
    for replica_set in draft.replica_sets.values():
        if not replica_set.deployment and _owned(
            draft, replica_set.meta.namespace, replica_set.manifest, uid
        ):
            meta = replica_set.meta
            yield ObjectKey(REPLICA_SETS, meta.namespace, meta.name), meta.uid
    for pod in draft.pods.values():
        if pod.manifest and _owned(draft, pod.meta.namespace, pod.manifest, uid):
            yield ObjectKey(PODS, pod.meta.namespace, pod.meta.name), pod.meta.uid


def _owned(draft: Draft, namespace: str, manifest: Manifest, uid: str) -> bool:
    owners = (manifest.get("metadata") or {}).get("ownerReferences") or ()
    if not any(owner.get("uid") == uid for owner in owners):
        return False
    return all(owner.get("uid") == uid or not _may_exist(draft, namespace, owner) for owner in owners)
