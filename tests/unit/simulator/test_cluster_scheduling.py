"""Where pods run, why some cannot, and what a dead node does."""

from __future__ import annotations

import pytest
from cluster_kube import (
    DEPLOYMENTS,
    GPU,
    NS,
    PODS,
    cluster,
    condition,
    container,
    deployment,
    edit,
    get,
    gone,
    is_ready,
    pod,
    pod_docs,
    put,
    reasons,
    remove,
    status,
)
from sim_cluster import fail, later, running, spec

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.objects import Resources

UNSCHEDULABLE = {
    "a GPU too many": (
        pod(containers=[container(**{GPU: "9"})]),
        f"0/4 nodes are available: 4 Insufficient {GPU}.",
    ),
    "too much CPU": (
        pod(containers=[container(cpu="97")]),
        "0/4 nodes are available: 4 Insufficient cpu.",
    ),
    "no node with the label": (
        pod(nodeSelector={"zone": "x"}),
        "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.",
    ),
}


@pytest.mark.parametrize("sentence", UNSCHEDULABLE)
def test_what_cannot_be_placed_says_why(sentence: str) -> None:
    body, message = UNSCHEDULABLE[sentence]
    state = later(put(cluster(), PODS, "one", body), 60)
    found = get(state, PODS, "one")
    (scheduled,) = found["status"]["conditions"]
    assert (found["status"]["phase"], scheduled["type"], scheduled["status"]) == (
        "Pending",
        "PodScheduled",
        "False",
    )
    assert (scheduled["reason"], scheduled["message"]) == ("Unschedulable", message)
    assert "FailedScheduling" in reasons(state, "Pod")


def test_a_pod_of_its_own_runs_where_it_may() -> None:
    state = put(cluster(), PODS, "one", pod())
    state = later(state, 8)
    found = get(state, PODS, "one")
    assert is_ready(found)
    assert found["status"]["podIP"].startswith("10.")
    assert found["status"]["hostIP"].startswith("127.1.")
    assert found["status"]["qosClass"] == "Guaranteed"
    state = later(remove(state, PODS, "one"), 2)
    assert gone(state, PODS, "one")
    assert all(node.used == Resources() for node in state.nodes.values())


def test_cordons_and_taints_keep_pods_away_until_they_are_tolerated() -> None:
    state = cluster(nodes=1)
    state = edit(state, "nodes", "node-1", "spec.unschedulable", True, "")
    state = put(state, PODS, "one", pod())
    assert "1 node(s) were unschedulable" in str(get(state, PODS, "one")["status"])
    state = edit(state, "nodes", "node-1", "spec", {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}, "")
    assert "untolerated taint {gpu: }" in str(get(state, PODS, "one")["status"])
    state = put(state, PODS, "two", pod(tolerations=[{"key": "gpu", "operator": "Exists"}]))
    assert is_ready(get(later(state, 8), PODS, "two"))
    state = edit(state, "nodes", "node-1", "spec", {}, "")
    assert is_ready(get(later(state, 8), PODS, "one"))


def test_a_spread_that_must_hold_leaves_pods_waiting() -> None:
    rule = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    state = edit(cluster(nodes=2), "nodes", "node-2", "spec.unschedulable", True, "")
    state = put(state, DEPLOYMENTS, "web", deployment(3, pod={"topologySpreadConstraints": [rule]}))
    waiting = [p for p in pod_docs(later(state, 30)) if p["status"]["phase"] == "Pending"]
    assert len(waiting) == 2
    message = waiting[0]["status"]["conditions"][0]["message"]
    assert message == (
        "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) were unschedulable."
    )
    state = edit(state, "nodes", "node-2", "spec", {}, "")
    assert status(later(state, 30))["availableReplicas"] == 3


def test_addresses_are_unique() -> None:
    state = put(cluster(), DEPLOYMENTS, "web", deployment(60))
    state = later(put(state, DEPLOYMENTS, "more", deployment(60)), 30)
    addresses = [p["status"]["podIP"] for p in pod_docs(state)]
    assert len(set(addresses)) == len(addresses) == 120


def test_a_dead_node_shows_and_its_pods_move() -> None:
    state = fail(later(put(running(spec(replicas=4)), "namespaces", NS, {}, ""), 1), "node_down", 300, 0.1)
    (dead,) = [n for n in kube.items(state, "nodes") if condition(n, "Ready")["status"] == "Unknown"]
    lost = [p for p in pod_docs(state, "ecp-ai-acme") if p["spec"]["nodeName"] == dead["metadata"]["name"]]
    assert lost
    assert not any(is_ready(p) for p in lost)
    state = later(state, 60)
    assert all(is_ready(p) for p in pod_docs(state, "ecp-ai-acme"))
    assert kube.node_usage(state, dead["metadata"]["name"]) is None
