"""What the cluster says of where its exporters are: the port of kubelets, the Service of kube-state-metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.checking import Write
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.status import Document
from ecpmon.simulator.kube.writing import create
from ecpmon.simulator.kube.writing import replace as put
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.addresses import STATE_METRICS
from ecpmon.simulator.model.state import ClusterState, Draft

NAME: Final = "kube-state-metrics"
NAMESPACE: Final = "kube-system"
_LABELS: Final = {"app.kubernetes.io/name": NAME}
_PORT: Final = "http-metrics"


def announced(state: ClusterState, port: int) -> ClusterState:
    """The state in which everything says that exporters listen on `port`; the same state when it does already."""
    if any(node.port != port for node in state.nodes.values()):
        draft = Draft(state)
        for name, node in state.nodes.items():
            meta = replace(node.meta, resource_version=draft.next_revision())
            draft.nodes[name] = replace(node, meta=meta, port=port)
        state = draft.freeze(state.now)
    for plural, group, body in _objects(port):
        state = _ensured(state, plural, group, body)
    return state


def _ensured(state: ClusterState, plural: str, group: str, body: Document) -> ClusterState:
    resource = CATALOGUE.find(group, "v1", plural)
    if resource is None:
        raise LookupError(plural)
    target, write = Target(resource, NAMESPACE, NAME), Write("simulator", own=True)
    if cluster.get(state, target.key) is None:
        return create(state, target, body, write)[0]
    return put(state, target, body, write)[0]


def _objects(port: int) -> list[tuple[str, str, Document]]:
    """Service, Endpoints and EndpointSlice: nothing runs behind the service that a selector could find."""
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS}
    listed = [{"name": _PORT, "port": port, "protocol": "TCP"}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**metadata, "annotations": {"prometheus.io/scrape": "true"}},
        "spec": {"ports": [{"name": _PORT, "port": 8080, "targetPort": _PORT, "protocol": "TCP"}]},
    }
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": metadata,
        "subsets": [{"addresses": [{"ip": STATE_METRICS}], "ports": listed}],
    }
    part = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {**_LABELS, "kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [STATE_METRICS], "conditions": {"ready": True}}],
        "ports": listed,
    }
    return [
        ("services", "", service),
        ("endpoints", "", endpoints),
        ("endpointslices", "discovery.k8s.io", part),
    ]
