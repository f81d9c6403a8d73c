"""What is refused or filled in: limits, quotas, namespaces, odd values, owners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from cluster_kube import (
    DEPLOYMENTS,
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
    pod,
    pod_docs,
    put,
    reasons,
    remove,
    status,
    stored,
)
from sim_cluster import later

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.kube import Refused
from ecpmon.simulator.model.times import SECOND
from ecpmon.simulator.snapshot import FORMAT, Snapshot, _parse


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


def test_a_quota_counts_as_the_scheduler_does() -> None:
    """Init containers one by one, sidecars beside everything after them, and pods that say it themselves."""
    hard = {"requests.cpu": "10", "limits.memory": "10Gi"}
    state = put(cluster(), "resourcequotas", "quota", {"spec": {"hard": hard}})
    side = {**container(cpu="250m"), "name": "side", "restartPolicy": "Always"}
    first = {**container(cpu="2"), "name": "first"}
    state = put(state, PODS, "one", pod(initContainers=[side, first]))
    assert get(state, "resourcequotas", "quota")["status"]["used"]["requests.cpu"] == "2250m"
    whole = {"requests": {"cpu": "3"}, "limits": {"memory": "1Gi"}}
    state = put(
        state, PODS, "two", {"spec": {"containers": [{"name": "a", "image": "a:1"}], "resources": whole}}
    )
    used = get(state, "resourcequotas", "quota")["status"]["used"]
    assert used == {"requests.cpu": "5250m", "limits.memory": "1536Mi"}
    assert state.nodes[get(state, PODS, "two")["spec"]["nodeName"]].used.cpu_millicores >= 3000
    bare = {"name": "first", "image": "a:1"}
    with pytest.raises(Refused, match=r"must specify limits\.memory for: first; requests\.cpu for: first"):
        put(state, PODS, "three", pod(initContainers=[bare]))


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ({"scopes": ["BestEffort"]}, "1"),
        ({"scopes": ["NotBestEffort"]}, "2"),
        ({"scopes": ["Terminating"]}, "1"),
        ({"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}
        ]}}, "1"),
    ],
)  # fmt: skip
def test_a_quota_with_scopes_is_about_no_other_pods(scope: dict[str, Any], counted: str) -> None:
    state = put(cluster(), PODS, "bare", {"spec": {"containers": [{"name": "a", "image": "a:1"}]}})
    state = put(state, PODS, "one", pod(activeDeadlineSeconds=60))
    state = put(state, PODS, "two", pod(priorityClassName="system-node-critical"))
    state = put(state, "resourcequotas", "quota", {"spec": {"hard": {"pods": counted}, **scope}})
    assert get(state, "resourcequotas", "quota")["status"]["used"]["pods"] == counted


def test_what_a_limit_range_gives_is_what_a_service_has() -> None:
    given = limits(default={"cpu": "1"}, defaultRequest={"cpu": "200m"})
    body = deployment(2)
    del body["spec"]["template"]["spec"]["containers"][0]["resources"]
    state = put(put(cluster(), "limitranges", "range", given), DEPLOYMENTS, "web", body)
    spec = state.deployments[f"{NS}/web"].spec
    assert (spec.resources.cpu_millicores, spec.cpu_limit) == (200, 1000)


def test_claims_and_services_are_counted_by_what_they_are() -> None:
    hard = {"requests.storage": "5Gi", "services.loadbalancers": "0"}
    state = put(cluster(), "resourcequotas", "quota", {"spec": {"hard": hard}})
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}}
    state = put(state, "persistentvolumeclaims", "a", {"spec": asked})
    with pytest.raises(Refused, match=r"requested: requests\.storage=3Gi, used: requests\.storage=3Gi"):
        put(state, "persistentvolumeclaims", "b", {"spec": asked})
    with pytest.raises(Refused, match=r"requested: requests\.storage=3Gi"):
        edit(state, "persistentvolumeclaims", "a", "spec.resources.requests.storage", "6Gi")
    with pytest.raises(Refused, match=r"services\.loadbalancers=1"):
        put(state, "services", "web", {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})


def test_a_limit_range_is_about_init_containers_pods_and_claims_too() -> None:
    items = [
        {"type": "Container", "max": {"cpu": "2"}, "maxLimitRequestRatio": {"memory": "2"}},
        {"type": "Pod", "max": {"cpu": "3"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
    ]
    state = put(cluster(), "limitranges", "range", {"spec": {"limits": items}})
    with pytest.raises(Refused, match="maximum cpu usage per Container is 2, but limit is 3"):
        put(state, PODS, "one", pod(initContainers=[{**container(cpu="3"), "name": "first"}]))
    with pytest.raises(Refused, match="maximum cpu usage per Pod is 3, but limit is 4"):
        put(state, PODS, "one", pod(containers=[container(cpu="2"), {**container(cpu="2"), "name": "two"}]))
    stretched = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "3Gi"}}
    with pytest.raises(Refused, match=r"ratio per Container is 2, but provided ratio is 3\.0"):
        put(state, PODS, "one", pod(containers=[{"name": "a", "image": "a:1", "resources": stretched}]))
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    with pytest.raises(
        Refused, match="maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
    ):
        put(state, "persistentvolumeclaims", "a", {"spec": asked})


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
    assert len(pod_docs(later(state, 4))) == 4, "who deletes one by one finds them all"
    stopping = later(state, 5)
    assert gone(stopping, DEPLOYMENTS, "web")
    assert kube.items(stopping, PODS)
    assert get(stopping, "serviceaccounts", "default"), "the rest waits for the pods"
    said = {c["type"]: c for c in get(stopping, "namespaces", NS, "")["status"]["conditions"]}
    assert "pods. has 4 resource instances" in said["NamespaceContentRemaining"]["message"]
    state = later(state, 8)
    assert gone(state, "namespaces", NS, "")
    assert not kube.items(state, PODS)
    assert not any(kube.items(state, r, NS) for r in ("events", "serviceaccounts", DEPLOYMENTS, REPLICA_SETS))
    with pytest.raises(Refused, match="may not be deleted"):
        remove(state, "namespaces", "default", "")


def test_a_refusal_is_tried_again_as_often_however_many_pods_have_stirred_it() -> None:
    state = put(cluster(), "resourcequotas", "few", {"spec": {"hard": {"pods": "2"}}})
    state = later(put(state, DEPLOYMENTS, "web", deployment(3, image="web:crash")), 1800)
    assert len(pod_docs(state)) == 2
    assert sum(event[2] == "workload:stir" for event in state.events) <= 2


def test_a_namespace_waits_for_finalizers_and_for_claims_in_use() -> None:
    state = put(
        cluster(), "configmaps", "held", {"metadata": {"finalizers": ["example.org/hold"]}, "data": {}}
    )
    state = put(state, "persistentvolumeclaims", "disk", {"spec": {}})
    state = later(remove(state, "namespaces", NS, ""), 600)
    held = get(state, "configmaps", "held")
    assert held["metadata"]["deletionTimestamp"]
    assert gone(state, "persistentvolumeclaims", "disk")
    said = {c["type"]: c for c in get(state, "namespaces", NS, "")["status"]["conditions"]}
    assert "example.org/hold in 1 resource" in said["NamespaceFinalizersRemaining"]["message"]
    freed = edit(state, "configmaps", "held", "metadata.finalizers", [])
    assert gone(remove(freed, "configmaps", "held"), "namespaces", NS, "")


def test_who_names_an_owner_that_never_was_is_collected() -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "11111111-2222"}
    custom = {"apiVersion": "example.org/v1", "kind": "Unknown", "name": "x", "uid": "3333"}
    state = put(cluster(), "configmaps", "owner", {"data": {}})
    true = {**owner, "uid": get(state, "configmaps", "owner")["metadata"]["uid"]}
    for name, owners in (
        ("lost", [owner]), ("half", [owner, true]), ("owned", [true]), ("foreign", [custom]),
    ):  # fmt: skip
        state = put(state, "secrets", name, {"metadata": {"ownerReferences": owners}})
    state = put(state, DEPLOYMENTS, "lost", {**deployment(), "metadata": {"ownerReferences": [owner]}})
    assert not gone(state, "secrets", "lost"), "it is taken first, and looked at then"
    state = later(state, 5)
    assert gone(state, "secrets", "lost")
    assert gone(state, DEPLOYMENTS, "lost")
    assert not any(gone(state, "secrets", name) for name in ("half", "owned", "foreign"))
    state = remove(state, "configmaps", "owner")
    assert gone(state, "secrets", "owned")
    assert gone(state, "secrets", "half"), "the other owner never was"
    assert not gone(state, "secrets", "foreign"), "nobody can say whether that one exists"


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
