"""Any split of time makes the same cluster, and watchers and logs see all of it."""

from __future__ import annotations

from typing import Any

from cluster_kube import (
    DEPLOYMENTS,
    HPAS,
    IMAGE,
    PODS,
    REPLICA_SETS,
    TENANT,
    autoscaler,
    cluster,
    deployment,
    edit,
    gone,
    pod_docs,
    put,
    remove,
    tenant,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_cluster import fail, later

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.kube import ObjectKey
from ecpmon.simulator.model.objects import Resources
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND


def _mirror(before: ClusterState, after: ClusterState, mirror: dict[ObjectKey, Any]) -> None:
    """Apply the changes as a watcher would, checking their order."""
    last = before.revision
    for change in kube.changes(before, after):
        version = int(change.document["metadata"]["resourceVersion"])
        assert before.revision < version <= after.revision
        assert version >= last
        last = version
        assert (change.kind == "ADDED") == (change.key not in mirror)
        if change.kind == "DELETED":
            del mirror[change.key]
        else:
            mirror[change.key] = change.document


RESOURCES = (
    PODS, DEPLOYMENTS, REPLICA_SETS, "nodes", "namespaces", "events", "services", "endpoints", "configmaps", HPAS,
    "serviceaccounts", "resourcequotas", "endpointslices.discovery.k8s.io",
)  # fmt: skip


def _all(state: ClusterState) -> dict[ObjectKey, Any]:
    return {
        ObjectKey(r, d["metadata"].get("namespace", ""), d["metadata"]["name"]): d
        for r in RESOURCES
        for d in kube.items(state, r)
    }


MOVES = st.lists(
    st.tuples(
        st.integers(0, 40_000_000),
        st.sampled_from(
            ["web:2", "web:crash", "web:does-not-exist", "web:never-ready", 0, 2, 5, "pod", "delete", "service", "node",
             "outage"]
        ),
    ),
    max_size=7,
)  # fmt: skip


def _move(state: ClusterState, move: str | int) -> ClusterState:
    ns = "ecp-ai-acme"
    if move == "outage":
        return fail(state, "full_outage", 20) if "acme" in state.tenants else state
    if move == "node":
        return fail(state, "node_down", 40) if "acme" in state.tenants else state
    if gone(state, DEPLOYMENTS, "web", ns):
        quota = {"spec": {"hard": {"pods": "6"}}}
        state = (
            put(state, "resourcequotas", "q", quota, ns) if gone(state, "resourcequotas", "q", ns) else state
        )
        state = put(state, DEPLOYMENTS, "web", deployment(3, labels=TENANT), ns)
        return put(state, HPAS, "web", autoscaler(60), ns) if gone(state, HPAS, "web", ns) else state
    if move == "pod":
        found = pod_docs(state, ns)
        return remove(state, PODS, found[0]["metadata"]["name"], ns) if found else state
    if move == "delete":
        return remove(state, DEPLOYMENTS, "web", ns)
    if move == "service":
        body = {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
        return put(state, "services", "web", body, ns)
    path = IMAGE if isinstance(move, str) else "spec.replicas"
    return edit(state, DEPLOYMENTS, "web", path, move, ns)


def _play(moves: list, parts: int) -> ClusterState:
    state = cluster(namespace="ecp-ai-acme")
    mirror = _all(state)
    for wait, move in [*moves, (700 * SECOND, 2)]:
        steps = [wait // parts] * (parts - 1)
        for length in [*steps, wait - sum(steps)]:
            after = later(state, length / SECOND)
            _mirror(state, after, mirror)
            state = after
        after = _move(state, move)
        _mirror(state, after, mirror)
        state = after
        _check(state)
        assert mirror == _all(state)
    return state


def _check(state: ClusterState) -> None:
    for name, node in state.nodes.items():
        total = Resources()
        for found in state.pods.values():
            total = total.plus(found.resources) if found.node == name else total
        assert total == node.used
        assert total.cpu_millicores <= node.capacity.cpu_millicores
    for quota in kube.items(state, "resourcequotas"):
        used = quota["status"]["used"]["pods"]
        assert int(used) == len(pod_docs(state, "ecp-ai-acme")) <= 6


@settings(max_examples=60, deadline=None)
@given(MOVES, st.integers(2, 7))
def test_any_split_of_time_makes_the_same_cluster_and_watchers_see_all_of_it(moves: list, parts: int) -> None:
    assert _play(moves, 1) == _play(moves, parts)


def test_the_same_seed_makes_the_same_documents() -> None:
    moves = [(SECOND, "web:2"), (30 * SECOND, "web:crash"), (9 * SECOND, "pod"), (SECOND, "service")]
    assert _all(_play(moves, 1)) == _all(_play(moves, 1))


def test_logs_only_ever_grow() -> None:
    state = later(tenant(), 30)
    name = pod_docs(state, "ecp-ai-acme")[0]["metadata"]["name"]
    key = ObjectKey(PODS, "ecp-ai-acme", name)
    before: list[str] = []
    for _ in range(20):
        state = later(state, 17)
        lines = kube.pod_log(state, key, since=None, tail=None, previous=False)
        assert lines[: len(before)] == before
        before = lines
    assert len(before) > 5
    assert kube.pod_log(state, key, since=state.now, tail=None, previous=False) == []
    assert len(kube.pod_log(state, key, since=None, tail=2, previous=False)) == 2
