"""Everything around the pods: admission, quotas, services, budgets, autoscaling, namespaces, nodes, changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from cluster_kube import (
    BUDGETS,
    DEPLOYMENTS,
    HPAS,
    IMAGE,
    NS,
    PODS,
    REPLICA_SETS,
    cluster,
    condition,
    container,
    deployment,
    edit,
    get,
    gone,
    is_ready,
    pod_docs,
    put,
    reasons,
    remove,
    status,
    stored,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_cluster import fail, later, running, service, spec, truth_seconds

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.kube import ObjectKey, Refused
from ecpmon.simulator.model.objects import Resources
from ecpmon.simulator.model.quantities import quantity, spelled
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND
from ecpmon.simulator.snapshot import FORMAT, Snapshot, _parse

GPU = "nvidia.com/gpu"


def pod(**changes: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "one"}}, "spec": {"containers": [container()], **changes}}


# Pods and the scheduler

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
    assert found["status"]["hostIP"].startswith("192.168.")
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


# Admission


def limits(**item: Any) -> dict[str, Any]:
    return {"spec": {"limits": [{"type": "Container", **item}]}}


def test_a_limit_range_fills_in_and_refuses() -> None:
    state = put(
        cluster(),
        "limitranges",
        "range",
        limits(default={"cpu": "200m"}, defaultRequest={"cpu": "100m"}, max={"cpu": "2"}),
    )
    state, made = stored(state, PODS, "one", {"spec": {"containers": [{"name": "a", "image": "a:1"}]}})
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "200m"},
        "requests": {"cpu": "100m"},
    }
    with pytest.raises(Refused, match="maximum cpu usage per Container is 2, but limit is 3") as refused:
        put(state, PODS, "big", pod(containers=[container(cpu="3")]))
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")


def test_a_quota_refuses_pods_and_says_what_is_used() -> None:
    quota = {"spec": {"hard": {"requests.cpu": "1", "pods": "10"}}}
    state = put(put(cluster(), "resourcequotas", "quota", quota), PODS, "one", pod())
    assert get(state, "resourcequotas", "quota")["status"]["used"] == {"pods": "1", "requests.cpu": "500m"}
    with pytest.raises(
        Refused,
        match=r"exceeded quota: quota, requested: requests\.cpu=600m, used: requests\.cpu=500m, limited: ",
    ):
        put(state, PODS, "two", pod(containers=[container(cpu="600m")]))
    with pytest.raises(Refused, match=r"failed quota: quota: must specify requests\.cpu for: a"):
        put(state, PODS, "two", {"spec": {"containers": [{"name": "a", "image": "a:1"}]}})
    freed = remove(state, PODS, "one")
    assert get(freed, "resourcequotas", "quota")["status"]["used"]["requests.cpu"] == "0"


def test_a_deployment_beyond_the_quota_fails_visibly_and_recovers() -> None:
    state = put(cluster(), "resourcequotas", "quota", {"spec": {"hard": {"pods": "2"}}})
    state = later(put(state, DEPLOYMENTS, "web", deployment(3)), 60)
    assert len(pod_docs(state)) == 2
    failure = condition(get(state, DEPLOYMENTS, "web"), "ReplicaFailure")
    assert "exceeded quota: quota" in failure["message"]
    assert "FailedCreate" in reasons(state, "ReplicaSet")
    state = later(edit(state, "resourcequotas", "quota", "spec.hard.pods", "5"), 60)
    assert status(state)["availableReplicas"] == 3
    assert [c["type"] for c in status(state)["conditions"]] == ["Available", "Progressing"]


def test_counts_of_other_objects_are_limited_too() -> None:
    state = put(
        cluster(),
        "resourcequotas",
        "quota",
        {"spec": {"hard": {"configmaps": "1", "count/deployments.apps": "1"}}},
    )
    state = put(put(state, "configmaps", "a", {"data": {}}), DEPLOYMENTS, "web", deployment())
    for resource, body in (("configmaps", {"data": {}}), (DEPLOYMENTS, deployment())):
        with pytest.raises(Refused, match="exceeded quota"):
            put(state, resource, "b", body)


def test_namespaces_must_exist_and_end_in_two_phases() -> None:
    with pytest.raises(Refused, match='namespaces "nowhere" not found') as refused:
        put(cluster(), "configmaps", "a", {}, "nowhere")
    assert refused.value.code == 404
    state = later(put(cluster(), DEPLOYMENTS, "web", deployment()), 60)
    assert get(state, "serviceaccounts", "default")["kind"] == "ServiceAccount"
    state = remove(state, "namespaces", NS, "")
    assert get(state, "namespaces", NS, "")["status"]["phase"] == "Terminating"
    with pytest.raises(Refused, match="being terminated"):
        put(state, "configmaps", "a", {})
    state = later(state, 3)
    assert gone(state, "namespaces", NS, "")
    assert not kube.items(state, PODS)
    assert not any(kube.items(state, r, NS) for r in ("events", "serviceaccounts", DEPLOYMENTS, REPLICA_SETS))
    with pytest.raises(Refused, match="may not be deleted"):
        remove(state, "namespaces", "default", "")


BAD = {
    "more replicas than a simulation can hold": ("spec.replicas", 10**9, "must be between 0 and 1000"),
    "a surge that is no number": ("spec.strategy.rollingUpdate.maxSurge", "abc", "percentage"),
    "a negative bound": ("spec.strategy.rollingUpdate.maxUnavailable", -1, "not negative"),
}


@pytest.mark.parametrize("sentence", BAD)
def test_no_deployment_has(sentence: str) -> None:
    path, value, why = BAD[sentence]
    state = put(cluster(), DEPLOYMENTS, "web", deployment())
    with pytest.raises(Refused, match=why) as refused:
        edit(state, DEPLOYMENTS, "web", path, value)
    assert (refused.value.code, refused.value.causes[0]["field"]) == (422, path)


ODD = {
    "a negative grace period": ("spec.template.spec.terminationGracePeriodSeconds", -5),
    "a negative minReadySeconds": ("spec.minReadySeconds", -1),
    "a deadline in the past": ("spec.progressDeadlineSeconds", -10),
    "a deadline beyond all time": ("spec.progressDeadlineSeconds", 2**62),
    "more memory than there is": ("spec.template.spec.containers.0.resources.requests.memory", "1e40"),
}


@pytest.mark.parametrize("sentence", ODD)
def test_time_goes_on_with(sentence: str) -> None:
    path, value = ODD[sentence]
    state = later(put(cluster(), DEPLOYMENTS, "web", deployment()), 30)
    odd = edit(state, DEPLOYMENTS, "web", path, value)
    assert odd.now == state.now
    odd = remove(odd, PODS, pod_docs(odd)[0]["metadata"]["name"])
    after = later(odd, 60)
    assert after.now == state.now + 60 * SECOND
    assert _parse(orjson.dumps(Snapshot(FORMAT, 5, after)), Path()).state == after


def test_a_reserved_word_is_no_tenant() -> None:
    body = deployment(labels={"ecp.ai/tenant": "system"})
    state = cluster(namespace="ecp-ai-system")
    assert not put(state, DEPLOYMENTS, "web", body, "ecp-ai-system").tenants


def test_what_is_absent_cannot_be_removed() -> None:
    with pytest.raises(Refused, match="not found") as refused:
        remove(cluster(), "configmaps", "nothing")
    assert refused.value.code == 404


def test_owners_take_what_they_own_along() -> None:
    state, owner = stored(cluster(), "configmaps", "owner", {"data": {}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    owned = {"metadata": {"ownerReferences": [reference]}}
    state = put(state, "configmaps", "owned", owned)
    state = put(state, DEPLOYMENTS, "web", {**deployment(), "metadata": owned["metadata"]})
    kept = remove(state, "configmaps", "owner", propagation="Orphan")
    assert not gone(kept, "configmaps", "owned")
    state = remove(state, "configmaps", "owner")
    assert gone(state, "configmaps", "owned")
    assert gone(state, DEPLOYMENTS, "web")


# Services, budgets, autoscalers


def test_endpoints_follow_the_ready_pods() -> None:
    body = {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}
    state = put(put(cluster(), "services", "web", body), DEPLOYMENTS, "web", deployment(2))
    state = later(state, 2)
    (subset,) = get(state, "endpoints", "web")["subsets"]
    assert (len(subset["notReadyAddresses"]), subset.get("addresses")) == (2, None)
    state = later(state, 30)
    (subset,) = get(state, "endpoints", "web")["subsets"]
    assert {a["ip"] for a in subset["addresses"]} == {p["status"]["podIP"] for p in pod_docs(state)}
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
    (piece,) = kube.items(state, "endpointslices.discovery.k8s.io", NS)
    assert [e["conditions"]["ready"] for e in piece["endpoints"]] == [True, True]
    state = remove(state, "services", "web")
    assert gone(state, "endpoints", "web")
    assert not kube.items(state, "endpointslices.discovery.k8s.io", NS)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"minAvailable": 3}, 1),
        ({"minAvailable": "100%"}, 0),
        ({"maxUnavailable": 2}, 2),
        ({"maxUnavailable": "10%"}, 1),
    ],
)
def test_a_budget_counts_the_disruptions_it_allows(rule: dict[str, Any], allowed: int) -> None:
    body = {"spec": {"selector": {"matchLabels": {"app": "web"}}, **rule}}
    state = put(put(cluster(), BUDGETS, "web", body), DEPLOYMENTS, "web", deployment(4))
    assert get(state, BUDGETS, "web")["status"]["disruptionsAllowed"] == 0
    found = get(later(state, 30), BUDGETS, "web")["status"]
    assert (found["disruptionsAllowed"], found["currentHealthy"], found["expectedPods"]) == (allowed, 4, 4)


def autoscaler(percent: int, **more: Any) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "spec": {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 8, "metrics": [metric], **more}
    }


def test_an_autoscaler_goes_up_at_once_and_down_after_its_window() -> None:
    state = later(put(cluster(), DEPLOYMENTS, "web", deployment(2)), 60)
    busy = later(put(state, HPAS, "web", autoscaler(5)), 300)
    found = get(busy, HPAS, "web")
    assert get(busy, DEPLOYMENTS, "web")["spec"]["replicas"] == found["status"]["desiredReplicas"] == 8
    assert condition(found, "ScalingLimited")["reason"] == "TooManyReplicas"
    assert found["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] > 0
    assert "SuccessfulRescale" in reasons(busy, "HorizontalPodAutoscaler")
    calm = edit(busy, HPAS, "web", "spec.metrics.0.resource.target.averageUtilization", 1000)
    assert get(later(calm, 120), DEPLOYMENTS, "web")["spec"]["replicas"] == 8
    assert condition(get(later(calm, 120), HPAS, "web"), "AbleToScale")["reason"] == "ScaleDownStabilized"
    assert get(later(calm, 400), DEPLOYMENTS, "web")["spec"]["replicas"] == 2


def test_an_autoscaler_without_its_target_says_so() -> None:
    state = later(put(cluster(), HPAS, "web", autoscaler(50)), 60)
    assert condition(get(state, HPAS, "web"), "AbleToScale")["reason"] == "FailedGetScale"


# Tenants

TENANT = {"ecp.ai/tenant": "acme", "ecp.ai/service": "callbot"}


def tenant(name: str = "bot", **more: Any) -> ClusterState:
    body = deployment(
        3, labels=TENANT, annotations={"ecp.ai/sessions": "80", "ecp.ai/startup-seconds": "12"}, **more
    )
    return put(cluster(namespace="ecp-ai-acme"), DEPLOYMENTS, name, body, "ecp-ai-acme")


def test_a_deployment_with_the_tenants_label_is_a_service_with_truth_and_failures() -> None:
    state = later(tenant(), 60)
    assert truth_seconds(state) == [(12.0, True)]
    assert state.tenants["acme"].services == ("callbot",)
    found = state.deployments["ecp-ai-acme/bot"].spec
    assert (found.name, found.sessions, found.replicas) == ("callbot", 80, 3)
    down = fail(state, "full_outage", 30, target="callbot")
    assert status(down, "bot", "ecp-ai-acme")["unavailableReplicas"] == 3
    assert not any(is_ready(p) for p in pod_docs(down, "ecp-ai-acme"))
    assert truth_seconds(later(down, 60)) == [(12.0, True), (60.0, False), (90.0, True)]
    assert all(is_ready(p) for p in pod_docs(later(down, 60), "ecp-ai-acme"))


def test_without_the_label_or_elsewhere_a_deployment_is_nobodys() -> None:
    other = put(cluster(namespace="ecp-ai-acme"), DEPLOYMENTS, "web", deployment(), "ecp-ai-acme")
    assert not other.tenants
    assert not put(cluster(), DEPLOYMENTS, "web", deployment(labels=TENANT)).tenants


def test_a_tenant_ends_with_its_namespace() -> None:
    state = fail(later(tenant(), 60), "pod_crash", 600)
    state = later(remove(state, "namespaces", "ecp-ai-acme", ""), 5)
    assert not any((state.tenants, state.deployments, state.pods, state.terminating, state.failures))


def test_deployments_by_rest_are_whole_objects_here() -> None:
    state = running(spec(gpu=1))
    found = get(state, DEPLOYMENTS, "callbot", "ecp-ai-acme")
    requests = found["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    assert requests == {"cpu": "500m", "memory": "1024Mi", GPU: "1"}
    scaled = edit(state, DEPLOYMENTS, "callbot", "spec.replicas", 5, "ecp-ai-acme")
    assert service(scaled).spec == spec(replicas=5, gpu=1)
    (first, *_) = pod_docs(state, "ecp-ai-acme")
    cpu, memory = kube.pod_usage(state, ObjectKey(PODS, "ecp-ai-acme", first["metadata"]["name"])) or (0, 0)
    assert 0 < cpu <= 500
    assert 0 < memory <= 1024**3


# Changes


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


QUANTITIES = {"1": 1, "500m": 0.5, "1Gi": 1024**3, "2e3": 2000, "1.5Ki": 1536, "1E": 10**18, "nonsense": 0}


@pytest.mark.parametrize("text", QUANTITIES)
def test_quantities(text: str) -> None:
    assert float(quantity(text)) == QUANTITIES[text]


@given(st.integers(0, 10**9))
def test_spelled_quantities_read_back(amount: int) -> None:
    assert quantity(spelled("requests.memory", quantity(amount))) == amount
    assert quantity(spelled("requests.cpu", quantity(f"{amount}m"))) == quantity(f"{amount}m")
