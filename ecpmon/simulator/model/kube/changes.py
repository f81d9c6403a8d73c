"""What has changed between two states, in the order in which it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ecpmon.simulator.model.keys import (
    DEPLOYMENTS,
    EVENTS,
    NODES,
    PODS,
    REPLICA_SETS,
    Change,
    Document,
    ObjectKey,
)
from ecpmon.simulator.model.kube.reading import get
from ecpmon.simulator.model.state import ClusterState

Found = tuple[ObjectKey, Any, Any]
"""(key, value before, value after): at least one is there, and they are not the same."""


def changes(before: ClusterState, after: ClusterState) -> list[Change]:
    """Every object that came, changed or went, by resourceVersion. Values are compared by identity first."""
    if before.revision == after.revision:
        return []
    buried = {name: revision for revision, name in after.tombstones if revision > before.revision}
    made: list[Change] = []
    for key, old, new in _found(before, after):
        made += _changes(before, after, key, old, new, buried)
    return sorted(made, key=lambda change: int(change.document["metadata"]["resourceVersion"]))


def _changes(
    before: ClusterState, after: ClusterState, key: ObjectKey, old: Any, new: Any, buried: Mapping[str, int]
) -> Iterator[Change]:
    previous = get(before, key) if old is not None else None
    current = get(after, key) if new is not None else None
    renewed = previous and current and previous["metadata"]["uid"] != current["metadata"]["uid"]
    if previous is not None and (current is None or renewed):
        revision = buried.get(f"{key.resource} {key.namespace} {key.name}", after.revision)
        yield Change("DELETED", key, _at(previous, revision))
    if current is None:
        return
    if previous is None or renewed:
        yield Change("ADDED", key, current)
    elif previous["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"]:
        yield Change("MODIFIED", key, current)


def _at(document: Document, revision: int) -> Document:
    metadata = {**document["metadata"], "resourceVersion": str(revision)}
    return {**document, "metadata": metadata}


def _found(before: ClusterState, after: ClusterState) -> Iterator[Found]:
    yield from _differ(_pods(before), _pods(after), _namespaced(PODS))
    yield from _differ(before.deployments, after.deployments, _namespaced(DEPLOYMENTS))
    yield from _differ(before.replica_sets, after.replica_sets, _namespaced(REPLICA_SETS))
    yield from _differ(before.nodes, after.nodes, lambda name: ObjectKey(NODES, "", name))
    for namespace in {**before.objects, **after.objects}:
        old, new = before.objects.get(namespace, {}), after.objects.get(namespace, {})
        yield from _differ(old, new, _stored(namespace))
    for namespace in {**before.happenings, **after.happenings}:
        old_news, new_news = before.happenings.get(namespace, {}), after.happenings.get(namespace, {})
        yield from _differ(old_news, new_news, _event(namespace))


def _pods(state: ClusterState) -> Mapping[str, Any]:
    return {**state.pods, **state.terminating} if state.terminating else state.pods


def _namespaced(resource: str) -> Callable[[str], ObjectKey]:
    return lambda path: ObjectKey(resource, *path.split("/", 1))


def _stored(namespace: str) -> Callable[[str], ObjectKey]:
    def key(path: str) -> ObjectKey:
        resource, name = path.split("/", 1)
        return ObjectKey(resource, namespace, name)

    return key


def _event(namespace: str) -> Callable[[str], ObjectKey]:
    return lambda name: ObjectKey(EVENTS, namespace, name)


def _differ(
    before: Mapping[str, Any], after: Mapping[str, Any], key: Callable[[str], ObjectKey]
) -> Iterator[Found]:
    if before is after:
        return
    for name, new in after.items():
        old = before.get(name)
        if old is not new:
            yield key(name), old, new
    for name, old in before.items():
        if name not in after:
            yield key(name), old, None
