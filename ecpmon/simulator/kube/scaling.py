"""The `/scale` subresource: reading it and writing it; pure."""

from __future__ import annotations

from typing import Any

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.checking import Write, checked
from ecpmon.simulator.kube.jsonpath import Path, first, parsed, replaced
from ecpmon.simulator.kube.ownership import UPDATE, Manager, after_update
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.status import Document, bad_request
from ecpmon.simulator.kube.writing import Patch, check_version, existing, managed, now_of
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState


def scale_document(resource: Resource, document: Document) -> Document:
    """The `Scale` of a deployment, replica set, stateful set, or of a custom resource that has one."""
    metadata = document["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas, there, selector = _custom(resource, document) if resource.custom else _built_in(document)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas},
        "status": {"replicas": there, "selector": selector},
    }


def _built_in(document: Document) -> tuple[Any, Any, str]:
    """Replicas that are wanted, that are there, and by which labels they are found."""
    spec, status = document.get("spec") or {}, document.get("status") or {}
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return spec.get("replicas", 0), status.get("replicas", 0), selector


def _custom(resource: Resource, document: Document) -> tuple[Any, Any, str]:
    names = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
    wanted, there, selector = (first(document, _path(resource, name)) for name in names)
    return wanted or 0, there or 0, str(selector or "")


def _path(resource: Resource, name: str) -> Path:
    scale = resource.custom.scale if resource.custom else {}
    return parsed(scale[name]) if scale.get(name) else (("", ""),)


def rescale(
    state: ClusterState, target: Target, change: Patch, write: Write
) -> tuple[ClusterState, Document]:
    """A write to `/scale`; the answer is the new Scale."""
    old = existing(state, target)
    resource = target.resource
    new = change(scale_document(resource, old))
    if new.get("kind", "Scale") != "Scale":
        raise bad_request(f"the kind in the data ({new['kind']}) does not match the expected kind (Scale)")
    metadata, spec = new.get("metadata") or {}, new.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise bad_request("Scale.metadata and Scale.spec must be objects")
    check_version(resource, old, metadata)
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise bad_request("Scale.spec.replicas: must be an integer")
    path = _path(resource, "specReplicasPath") if resource.custom else ("spec", "replicas")
    if replicas == first(old, path):
        return state, scale_document(resource, old)
    document = checked(resource, replaced(old, path, replicas), old, write)
    manager = Manager(write.manager, UPDATE, "scale")
    owners = after_update(old, document, resource, manager, now_of(state))
    state, stored = cluster.put(state, target.key, managed(document, owners), subresource="scale")
    return state, scale_document(resource, stored)
