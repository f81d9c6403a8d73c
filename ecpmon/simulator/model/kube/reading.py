"""Objects of a state as documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from ecpmon.simulator.model.keys import DEPLOYMENTS, EVENTS, NODES, PODS, REPLICA_SETS, Document, ObjectKey
from ecpmon.simulator.model.kube.documents import happening_document, rendered
from ecpmon.simulator.model.kube.documents_node import node_document
from ecpmon.simulator.model.kube.documents_pod import pod_document
from ecpmon.simulator.model.kube.documents_workload import deployment_document, replica_set_document
from ecpmon.simulator.model.objects import Deployment, Node, ReplicaSet
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.state import ClusterState

T = TypeVar("T", Deployment, ReplicaSet, Node)


def get(state: ClusterState, key: ObjectKey) -> Document | None:
    """The object, None when there is none."""
    path = f"{key.namespace}/{key.name}"
    if key.resource == PODS:
        pod = state.pods.get(path) or state.terminating.get(path)
        return None if pod is None else pod_of(state, pod)
    if key.resource == DEPLOYMENTS:
        deployment = state.deployments.get(path)
        return None if deployment is None else rendered(deployment_document, deployment)
    if key.resource == REPLICA_SETS:
        replica_set = state.replica_sets.get(path)
        return None if replica_set is None else rendered(replica_set_document, replica_set)
    if key.resource == NODES:
        node = state.nodes.get(key.name)
        return None if node is None else rendered(node_document, node)
    if key.resource == EVENTS:
        happening = state.happenings.get(key.namespace, {}).get(key.name)
        if happening is not None:
            return rendered(happening_document, key.name, happening)
    return state.objects.get(key.namespace, {}).get(key.path)


def items(state: ClusterState, resource: str, namespace: str | None = None) -> list[Document]:
    """Every object of a kind, in one namespace or in all of them."""
    return list(each(state, resource, namespace))


def pod_of(state: ClusterState, pod: Pod) -> Document:
    """A pod's document; replicas share their template."""
    template = pod.manifest or state.replica_sets[pod.replica_set].manifest["spec"]["template"]
    return rendered(pod_document, pod, template)


def each(state: ClusterState, resource: str, namespace: str | None = None) -> Iterator[Document]:
    """As `items`, made one by one."""
    if resource == PODS:
        pods = chain(state.pods.values(), state.terminating.values())
        return (pod_of(state, pod) for pod in pods if namespace in (None, pod.meta.namespace))
    if resource == DEPLOYMENTS:
        return _rendered(deployment_document, state.deployments.values(), namespace)
    if resource == REPLICA_SETS:
        return _rendered(replica_set_document, state.replica_sets.values(), namespace)
    if resource == NODES:
        return _rendered(node_document, state.nodes.values(), None)
    return _stored(state, resource, namespace)


def _rendered(
    render: Callable[[T], Document], values: Iterable[T], namespace: str | None
) -> Iterator[Document]:
    for value in values:
        if namespace in (None, value.meta.namespace):
            yield rendered(render, value)


def _stored(state: ClusterState, resource: str, namespace: str | None) -> Iterator[Document]:
    spaces = sorted(state.objects) if namespace is None else [namespace]
    prefix = f"{resource}/"
    for space in spaces:
        for path, document in state.objects.get(space, {}).items():
            if path.startswith(prefix):
                yield document
    if resource == EVENTS:
        for space in sorted(state.happenings) if namespace is None else [namespace]:
            for name, happening in state.happenings.get(space, {}).items():
                yield rendered(happening_document, name, happening)
