"""Measured use: answered without being stored."""

from __future__ import annotations

from typing import Final

from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.query import ListOptions
from ecpmon.simulator.kube.status import Document
from ecpmon.simulator.kube.writing import now_of
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState

_WINDOW: Final = "15s"


def measured(state: ClusterState, target: Target, options: ListOptions) -> list[Document]:
    """NodeMetrics or PodMetrics of everything that runs."""
    kind = "nodes" if target.resource.plural == "nodes" else "pods"
    if options.name and (target.namespace or kind == "nodes"):
        found = cluster.get(state, cluster.ObjectKey(kind, target.namespace, options.name))
        objects = [] if found is None else [found]
    else:
        objects = cluster.items(state, kind, target.namespace or None)
    made = (_measured(state, target, document) for document in objects)
    wanted = options.wanted
    return [document for document in made if document is not None and (wanted is None or wanted(document))]


def _measured(state: ClusterState, target: Target, document: Document) -> Document | None:
    metadata = document["metadata"]
    is_node = target.resource.plural == "nodes"
    key = cluster.ObjectKey("pods", metadata.get("namespace", ""), metadata["name"])
    use = cluster.node_usage(state, metadata["name"]) if is_node else cluster.pod_usage(state, key)
    if use is None:
        return None
    kept = {name: metadata[name] for name in ("name", "namespace", "labels") if name in metadata}
    result: Document = {
        "kind": target.resource.kind,
        "apiVersion": target.resource.api_version,
        "metadata": {**kept, "creationTimestamp": now_of(state)},
        "timestamp": now_of(state),
        "window": _WINDOW,
    }
    if is_node:
        return {**result, "usage": _usage(*use)}
    return {**result, "containers": _containers(document, *use)}


def _containers(pod: Document, cpu: float, memory: int) -> list[Document]:
    """The pod's use, shared evenly: the model knows pods, not containers."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    return [{"name": name, "usage": _usage(cpu / len(names), memory // len(names))} for name in names]


def _usage(cpu_millicores: float, memory_bytes: int) -> Document:
    return {"cpu": f"{round(cpu_millicores * 1_000_000)}n", "memory": f"{memory_bytes // 1024}Ki"}
