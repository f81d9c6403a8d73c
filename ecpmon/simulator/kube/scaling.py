"""The `/scale` subresource: reading it and writing it; pure."""

from __future__ import annotations

from ecpmon.simulator.kube.checking import Write, checked
from ecpmon.simulator.kube.ownership import UPDATE, Manager, after_update
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.status import Document, bad_request
from ecpmon.simulator.kube.writing import Patch, check_version, existing, managed, now_of
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState


def scale_document(document: Document) -> Document:
    """The `Scale` of a deployment, replica set or stateful set."""
    metadata, spec, status = document["metadata"], document.get("spec") or {}, document.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": {"replicas": status.get("replicas", 0), "selector": selector},
    }


def rescale(
    state: ClusterState, target: Target, change: Patch, write: Write
) -> tuple[ClusterState, Document]:
    """A write to `/scale`; the answer is the new Scale."""
    old = existing(state, target)
    new = change(scale_document(old))
    if new.get("kind", "Scale") != "Scale":
        raise bad_request(f"the kind in the data ({new['kind']}) does not match the expected kind (Scale)")
    metadata, spec = new.get("metadata") or {}, new.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise bad_request("Scale.metadata and Scale.spec must be objects")
    check_version(target.resource, old, metadata)
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise bad_request("Scale.spec.replicas: must be an integer")
    document = {**old, "spec": {**old["spec"], "replicas": replicas}}
    if replicas == old["spec"].get("replicas"):
        return state, scale_document(old)
    document = checked(target.resource, document, old, write)
    manager = Manager(write.manager, UPDATE, "scale")
    owners = after_update(old, document, target.resource, manager, now_of(state))
    state, stored = cluster.put(state, target.key, managed(document, owners), subresource="scale")
    return state, scale_document(stored)
