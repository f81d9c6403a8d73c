"""Small words for the tests of the model's Kubernetes side."""

from __future__ import annotations

from typing import Any

import orjson
from sim_cluster import T0

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.kube import Document, ObjectKey
from ecpmon.simulator.model.objects import Resources
from ecpmon.simulator.model.state import NODE_CAPACITY, ClusterState, new_state

DEPLOYMENTS, REPLICA_SETS, PODS = "deployments.apps", "replicasets.apps", "pods"
HPAS, BUDGETS = "horizontalpodautoscalers.autoscaling", "poddisruptionbudgets.policy"
NS = "shop"
GPU = "nvidia.com/gpu"
TENANT = {"ecp.ai/tenant": "acme", "ecp.ai/service": "callbot"}


def cluster(
    seed: int = 7, nodes: int = 4, namespace: str = NS, capacity: Resources = NODE_CAPACITY
) -> ClusterState:
    """An empty cluster with one namespace."""
    state = new_state(seed, T0, nodes=nodes, capacity=capacity)
    return put(state, "namespaces", namespace, {}, namespace="")


def put(state: ClusterState, resource: str, name: str, body: Document, namespace: str = NS) -> ClusterState:
    return stored(state, resource, name, body, namespace)[0]


def stored(
    state: ClusterState, resource: str, name: str, body: Document, namespace: str = NS
) -> tuple[ClusterState, Document]:
    metadata = {**(body.get("metadata") or {}), "name": name}
    if namespace:
        metadata["namespace"] = namespace
    return kube.put(state, ObjectKey(resource, namespace, name), {**body, "metadata": metadata})


def get(state: ClusterState, resource: str, name: str, namespace: str = NS) -> Document:
    found = kube.get(state, ObjectKey(resource, namespace, name))
    assert found is not None, f"{resource} {namespace}/{name}"
    return found


def gone(state: ClusterState, resource: str, name: str, namespace: str = NS) -> bool:
    return kube.get(state, ObjectKey(resource, namespace, name)) is None


def remove(
    state: ClusterState, resource: str, name: str, namespace: str = NS, propagation: str = "Background"
) -> ClusterState:
    return kube.remove(state, ObjectKey(resource, namespace, name), propagation=propagation)[0]


def edit(
    state: ClusterState, resource: str, name: str, path: str, value: Any, namespace: str = NS
) -> ClusterState:
    """Set one field; numbers in `path` are positions in lists."""
    document = orjson.loads(orjson.dumps(get(state, resource, name, namespace)))
    *parents, last = path.split(".")
    holder: Any = document
    for part in parents:
        holder = holder[int(part)] if part.isdigit() else holder.setdefault(part, {})
    holder[last] = value
    return kube.put(state, ObjectKey(resource, namespace, name), document)[0]


IMAGE = "spec.template.spec.containers.0.image"


def container(image: str = "web:1", cpu: str = "500m", **resources: str) -> Document:
    wanted = {"cpu": cpu, "memory": "256Mi", **resources}
    return {"name": "main", "image": image, "resources": {"requests": wanted, "limits": wanted}}


def deployment(
    replicas: int = 4,
    *,
    image: str = "web:1",
    surge: int | str = "25%",
    unavailable: int | str = "25%",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    pod: Document | None = None,
    **spec: Any,
) -> Document:
    """A Deployment as the API hands it over, defaults included."""
    own = {"app": "web", **(labels or {})}
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    containers = [container(image)]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": own, "annotations": annotations or {}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": {"metadata": {"labels": own}, "spec": {"containers": containers, **(pod or {})}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            **spec,
        },
    }


def status(state: ClusterState, name: str = "web", namespace: str = NS) -> Document:
    found: Document = get(state, DEPLOYMENTS, name, namespace)["status"]
    return found


def condition(document: Document, kind: str) -> Document:
    (found,) = [c for c in document["status"]["conditions"] if c["type"] == kind]
    return found


def reasons(state: ClusterState, kind: str = "", namespace: str = NS) -> set[str]:
    """The reasons of the events about objects of a kind."""
    events = kube.items(state, "events", namespace)
    return {e["reason"] for e in events if kind in ("", e["involvedObject"]["kind"])}


def pod_docs(state: ClusterState, namespace: str = NS) -> list[Document]:
    """The pods that are not terminating."""
    found = kube.items(state, PODS, namespace)
    return [p for p in found if "deletionTimestamp" not in p["metadata"]]


def is_ready(pod: Document) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])


def pod(**changes: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "one"}}, "spec": {"containers": [container()], **changes}}


def autoscaler(percent: int, **more: Any) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "spec": {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 8, "metrics": [metric], **more}
    }


def tenant(name: str = "bot", **more: Any) -> ClusterState:
    body = deployment(
        3, labels=TENANT, annotations={"ecp.ai/sessions": "80", "ecp.ai/startup-seconds": "12"}, **more
    )
    return put(cluster(namespace="ecp-ai-acme"), DEPLOYMENTS, name, body, "ecp-ai-acme")
