"""Writing objects: what the API has found valid is admitted, stored, and followed by the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from ecpmon.simulator.model import autoscaling, claims, removal, workloads
from ecpmon.simulator.model.admission import admitted, check_namespace
from ecpmon.simulator.model.controllers import admit_pod
from ecpmon.simulator.model.deploying import put_deployment
from ecpmon.simulator.model.hashing import uid
from ecpmon.simulator.model.keys import (
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    Document,
    ObjectKey,
    Refused,
)
from ecpmon.simulator.model.kube.reading import get
from ecpmon.simulator.model.limits import check_claim
from ecpmon.simulator.model.manifests import (
    REVISION,
    SERVER_FIELDS,
    annotations_of,
    fault_of,
    from_document,
    labels_of,
    startup_of_manifest,
    task_of,
)
from ecpmon.simulator.model.objects import Manifest, Meta, Node, ReplicaSet, Resources
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.quantities import requests_of
from ecpmon.simulator.model.quotas import CLAIMS, check_quota
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.step import finish

Subresource = Literal["", "status", "scale"]
# Kinds whose specification has no generation in Kubernetes.
_NO_GENERATION: Final = frozenset(
    ("services", "namespaces", "resourcequotas", "limitranges", "persistentvolumeclaims",
     "persistentvolumes", autoscaling.AUTOSCALERS)
)  # fmt: skip
_MODELLED: Final = frozenset((PODS, DEPLOYMENTS, REPLICA_SETS, NODES)) | workloads.KINDS


def put(
    state: ClusterState, key: ObjectKey, document: Document, *, subresource: Subresource = ""
) -> tuple[ClusterState, Document]:
    """Create or replace an object; the answer is what is stored. Unchanged content keeps the state.

    `document` is the whole object, valid and with its defaults. Raises Refused for what admission refuses.
    """
    old = get(state, key)
    if old is not None and subresource == "status" and key.resource in _MODELLED:
        return state, old  # the cluster itself knows best how its objects are
    draft = Draft(state)
    if old is None:
        check_namespace(draft, key)
    if key.resource == CLAIMS and subresource == "":
        check_claim(draft, key, document)
        check_quota(draft, key, document, old)
    elif old is None and key.resource != PODS:
        check_quota(draft, key, document)
    write = _WRITERS.get(key.resource)
    if write is not None:
        changed = write(draft, key, from_document(document))
    else:
        changed = _put_object(draft, key, document, old, subresource)
    if not changed and old is not None:
        return state, old
    if subresource == "":
        removal.expect(draft, key, document)
    after = finish(draft)
    stored = get(after, key)
    if stored is None and document["metadata"].get("deletionTimestamp"):
        return after, document  # what was ending is at its end
    if stored is None:
        raise Refused(500, "InternalError", f"{key.resource} {key.name!r} did not stay")
    return after, stored


def _put_object(
    draft: Draft, key: ObjectKey, document: Document, old: Document | None, subresource: str
) -> bool:
    if key.resource == CLAIMS:
        document = claims.admitted(draft, document) if old is None else document
        claims.expect(draft, key.namespace)
    elif key.resource in workloads.KINDS:
        draft.pods_of.setdefault(workloads.group_of(key), ())
        draft.stir(workloads.group_of(key))
    identity = draft.identity(key)
    if old is None:
        document = workloads.admitted(key, document, str(identity["uid"]))
    body = {k: v for k, v in document.items() if k != "metadata"}
    written = {k: v for k, v in document["metadata"].items() if k not in SERVER_FIELDS}
    if old is None:
        if "spec" in document and key.resource not in _NO_GENERATION:
            identity["generation"] = 1
        if key.resource == "services":
            body.setdefault("status", {"loadBalancer": {}})
        draft.put_object(key, {**body, "metadata": {**identity, **written}})
        _welcome(draft, key)
        return True
    if subresource == "status":
        body = {**{k: v for k, v in old.items() if k != "metadata"}, "status": document.get("status", {})}
    identity = {k: v for k, v in old["metadata"].items() if k in SERVER_FIELDS}
    if "generation" in identity and body.get("spec") != old.get("spec"):
        identity["generation"] += 1
    made = {**body, "metadata": {**identity, **written}}
    if made == old:
        return False
    draft.put_object(key, made)
    return True


def _welcome(draft: Draft, key: ObjectKey) -> None:
    """What a new object sets in motion."""
    if key.resource == NAMESPACES:
        draft.greet_namespace(key.name)
    elif key.resource == autoscaling.AUTOSCALERS:
        autoscaling.expect(draft, key)


def _put_deployment(draft: Draft, key: ObjectKey, manifest: Manifest) -> bool:
    path = f"{key.namespace}/{key.name}"
    annotations = {k: v for k, v in annotations_of(manifest).items() if k != REVISION}
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    manifest = {**manifest, "metadata": metadata}
    found = draft.deployments.get(path)
    if found is not None and found.manifest == manifest:
        return False
    put_deployment(draft, path, manifest)
    return True


def _new_meta(draft: Draft, key: ObjectKey, kind: str, manifest: Manifest) -> Meta:
    version = draft.next_revision()
    path = f"{key.namespace}/{key.name}"
    made = uid(draft.seed, kind, path, version)
    return Meta(key.name, key.namespace, made, draft.now, version, labels=labels_of(manifest))


def _put_replica_set(draft: Draft, key: ObjectKey, manifest: Manifest) -> bool:
    found = draft.replica_sets.get(f"{key.namespace}/{key.name}")
    if found is None:
        meta = _new_meta(draft, key, "replicaset", manifest)
        wanted = requests_of(manifest["spec"]["template"].get("spec") or {})
        found = ReplicaSet(meta, "", "", wanted, 0, 0, manifest=manifest)
    else:
        kept = {k: v for k, v in manifest["metadata"].items() if k != "ownerReferences"}
        spec = {**manifest["spec"], "template": found.manifest["spec"]["template"]}
        if found.deployment:
            # The deployment decides about the number of its replicas.
            spec = found.manifest["spec"]
            kept["annotations"] = {k: v for k, v in annotations_of(manifest).items() if k != REVISION}
            if not kept["annotations"]:
                del kept["annotations"]
        manifest = {"metadata": kept, "spec": spec}
        if manifest == found.manifest:
            return False
        turned = spec != found.manifest["spec"]
        meta = replace(found.meta, generation=found.meta.generation + turned, labels=labels_of(manifest))
        found = replace(found, meta=meta, manifest=manifest)
    draft.put_replica_set(found)
    draft.pods_of.setdefault(found.group, ())
    draft.stir(found.group)
    return True


def _put_pod(draft: Draft, key: ObjectKey, manifest: Manifest) -> bool:
    path = f"{key.namespace}/{key.name}"
    if path in draft.terminating:
        return False
    found = draft.pods.get(path)
    spec = admitted(draft, key, manifest["spec"]) if found is None else manifest["spec"]
    skipped = ("ownerReferences", "generateName") if found is not None and found.meta.owners else ()
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in skipped}
    manifest = {"metadata": metadata, "spec": spec}
    if found is None:
        check_quota(draft, key, manifest)
        made = Pod(
            meta=_new_meta(draft, key, "pod", manifest),
            tenant_id="",
            service="",
            deployment="",
            replica_set="",
            resources=requests_of(spec),
            manifest=manifest,
            startup=startup_of_manifest(annotations_of(manifest), spec),
            fault=fault_of(spec),
            task=task_of(annotations_of(manifest), spec),
        )
        admit_pod(draft, made)
        return True
    meta = replace(found.meta, labels=labels_of(manifest))
    draft.put_pod(replace(found, meta=meta, manifest=manifest, fault=fault_of(spec)))
    draft.capacity_changed = True  # its gates may have been taken away
    return True


def _put_node(draft: Draft, key: ObjectKey, manifest: Manifest) -> bool:
    found = draft.nodes.get(key.name)
    if found is None:
        meta = _new_meta(draft, key, "node", manifest)
        draft.nodes[key.name] = Node(meta, Resources(), ready=False, manifest=manifest)
        workloads.stir_daemons(draft)
        return True
    spec = dict(manifest.get("spec") or {})
    # The taint of a dead node comes and goes with its state.
    taints = [t for t in spec.get("taints") or () if t.get("key") != "node.kubernetes.io/not-ready"]
    spec.pop("taints", None)
    manifest = {**manifest, "spec": {**spec, **({"taints": taints} if taints else {})}}
    meta = replace(found.meta, resource_version=draft.next_revision(), labels=labels_of(manifest))
    draft.nodes[key.name] = replace(found, meta=meta, manifest=manifest)
    draft.capacity_changed = True
    workloads.stir_daemons(draft)
    return True


_WRITERS: Final[dict[str, Callable[[Draft, ObjectKey, Manifest], bool]]] = {
    DEPLOYMENTS: _put_deployment,
    REPLICA_SETS: _put_replica_set,
    PODS: _put_pod,
    NODES: _put_node,
}
