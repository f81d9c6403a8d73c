"""What keeps a pod from being placed or begun, in the words of a real cluster."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_kube import (
    DEPLOYMENTS,
    NS,
    PODS,
    cluster,
    condition,
    container,
    deployment,
    edit,
    get,
    is_ready,
    pod,
    put,
    reasons,
)
from sim_cluster import later

from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.pods import evict
from ecpmon.simulator.kube.status import ApiError
from ecpmon.simulator.model.kube import Refused
from ecpmon.simulator.model.state import ClusterState

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
HOST = "kubernetes.io/hostname"


def beside(kind: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"affinity": {kind: {REQUIRED: [{"topologyKey": HOST, "labelSelector": {"matchLabels": labels}}]}}}


def on_node(*expressions: dict[str, Any]) -> dict[str, Any]:
    return {
        "affinity": {
            "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}}
        }
    }


def asking(**amounts: str) -> dict[str, Any]:
    return {"containers": [container(**amounts)]}


def state_of(state: ClusterState, name: str = "one") -> dict[str, Any]:
    """The waiting state of its first container."""
    found = get(state, PODS, name)["status"]["containerStatuses"][0]["state"]
    waiting: dict[str, Any] = found.get("waiting", {})
    return waiting


UNPLACED = {
    "a slice of a GPU": (asking(**{"nvidia.com/mig-1g.5gb": "1"}), "4 Insufficient nvidia.com/mig-1g.5gb"),
    "a shared GPU": (asking(**{"nvidia.com/gpu.shared": "1"}), "4 Insufficient nvidia.com/gpu.shared"),
    "more disk than a node has": (
        asking(**{"ephemeral-storage": "20Ti"}),
        "4 Insufficient ephemeral-storage",
    ),
    "huge pages": (asking(**{"hugepages-2Mi": "4Mi"}), "4 Insufficient hugepages-2Mi"),
    "an init container that is larger than all nodes": (
        {"initContainers": [container(cpu="97")]},
        "4 Insufficient cpu",
    ),
    "a node that must be there": (
        on_node({"key": "zone", "operator": "In", "values": ["x"]}),
        "4 node(s) didn't match Pod's node affinity/selector",
    ),
    "a pod that must be beside it": (
        beside("podAffinity", {"app": "other"}),
        "4 node(s) didn't match pod affinity rules",
    ),
    "a claim that is not there": (
        {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]},
        'persistentvolumeclaim "data" not found',
    ),
}


@pytest.mark.parametrize("sentence", UNPLACED)
def test_a_pod_waits_for(sentence: str) -> None:
    spec, why = UNPLACED[sentence]
    state = later(put(cluster(), PODS, "one", pod(**spec)), 60)
    scheduled = condition(get(state, PODS, "one"), "PodScheduled")
    assert (scheduled["reason"], scheduled["message"]) == (
        "Unschedulable",
        f"0/4 nodes are available: {why}.",
    )
    assert "FailedScheduling" in reasons(state, "Pod")


def test_what_every_node_is_labelled_with_is_found() -> None:
    wanted = on_node({"key": HOST, "operator": "In", "values": ["node-3"]})
    spec = {**wanted, "nodeSelector": {"kubernetes.io/os": "linux"}}
    assert get(put(cluster(), PODS, "one", pod(**spec)), PODS, "one")["spec"]["nodeName"] == "node-3"


def test_pods_that_shun_one_another_take_a_node_each() -> None:
    body = deployment(5, pod=beside("podAntiAffinity", {"app": "web"}))
    state = later(put(cluster(), DEPLOYMENTS, "web", body), 30)
    assert get(state, DEPLOYMENTS, "web")["status"]["availableReplicas"] == 4
    (waiting,) = [p for p in _pods(state) if p["status"]["phase"] == "Pending"]
    assert "4 node(s) didn't match pod anti-affinity rules" in str(waiting["status"]["conditions"])
    other = put(state, PODS, "one", {**pod(), "metadata": {"labels": {"app": "web"}}})
    assert "existing pods anti-affinity rules" in str(get(other, PODS, "one")["status"])


def test_the_first_of_those_that_stand_together_stands_alone() -> None:
    state = put(cluster(), DEPLOYMENTS, "web", deployment(3, pod=beside("podAffinity", {"app": "web"})))
    assert len({p["spec"]["nodeName"] for p in _pods(state)}) == 1


def test_a_spread_over_tainted_nodes_holds_only_where_taints_are_honoured() -> None:
    rule = {
        "maxSkew": 1,
        "topologyKey": HOST,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    taint = [{"key": "gpu", "effect": "NoSchedule"}]
    state = edit(cluster(nodes=2), "nodes", "node-2", "spec.taints", taint, "")
    stuck = put(state, DEPLOYMENTS, "web", deployment(4, pod={"topologySpreadConstraints": [rule]}))
    assert get(later(stuck, 30), DEPLOYMENTS, "web")["status"]["availableReplicas"] == 1
    honour = {**rule, "nodeTaintsPolicy": "Honor"}
    free = put(state, DEPLOYMENTS, "web", deployment(4, pod={"topologySpreadConstraints": [honour]}))
    assert get(later(free, 30), DEPLOYMENTS, "web")["status"]["availableReplicas"] == 4


def test_a_gate_and_another_scheduler_keep_the_scheduler_off() -> None:
    state = put(cluster(), PODS, "one", pod(schedulingGates=[{"name": "example.com/quota"}]))
    scheduled = condition(get(later(state, 30), PODS, "one"), "PodScheduled")
    assert scheduled["reason"] == "SchedulingGated"
    assert "FailedScheduling" not in reasons(state, "Pod")
    assert is_ready(get(later(edit(state, PODS, "one", "spec.schedulingGates", []), 10), PODS, "one"))
    other = later(put(cluster(), PODS, "one", pod(schedulerName="volcano")), 60)
    assert get(other, PODS, "one")["status"]["conditions"] == []
    assert get(other, PODS, "one")["status"]["phase"] == "Pending"


def environment(**source: Any) -> dict[str, Any]:
    return {"containers": [{**container(), **source}]}


def reference(kind: str, **more: Any) -> dict[str, Any]:
    return environment(env=[{"name": "A", "valueFrom": {kind: {"name": "x", "key": "k", **more}}}])


UNBEGUN = {
    "a ConfigMap": (environment(envFrom=[{"configMapRef": {"name": "x"}}]), 'configmap "x" not found'),
    "a Secret": (reference("secretKeyRef"), 'secret "x" not found'),
    "a key": (reference("configMapKeyRef", name="empty"), f"couldn't find key k in ConfigMap {NS}/empty"),
}


@pytest.mark.parametrize("sentence", UNBEGUN)
def test_a_container_is_not_made_without(sentence: str) -> None:
    spec, why = UNBEGUN[sentence]
    state = later(put(put(cluster(), "configmaps", "empty", {}), PODS, "one", pod(**spec)), 60)
    assert state_of(state) == {"reason": "CreateContainerConfigError", "message": why}
    assert "Failed" in reasons(state, "Pod")
    for resource in ("configmaps", "secrets"):
        state = put(state, resource, "x", {"data": {"k": "dg=="}})
    state = edit(state, "configmaps", "empty", "data", {"k": "v"})
    assert is_ready(get(later(state, 30), PODS, "one"))


def test_a_volume_that_is_filled_from_nothing_holds_the_pod_up() -> None:
    volumes = [{"name": "v", "secret": {"secretName": "x"}}]
    state = later(put(cluster(), PODS, "one", pod(volumes=volumes)), 60)
    assert state_of(state) == {"reason": "ContainerCreating"}
    assert "FailedMount" in reasons(state, "Pod")
    optional = [{"name": "v", "secret": {"secretName": "x", "optional": True}}]
    assert is_ready(get(later(put(cluster(), PODS, "one", pod(volumes=optional)), 60), PODS, "one"))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"serviceAccountName": "robot"},
            f'error looking up service account {NS}/robot: serviceaccount "robot" not found',
        ),
        ({"priorityClassName": "high"}, "no PriorityClass with name high was found"),
        ({"runtimeClassName": "vm"}, 'pod rejected: RuntimeClass "vm" not found'),
    ],
)
def test_no_pod_is_made_without_what_it_is_made_for(spec: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        put(cluster(), PODS, "one", pod(**spec))
    assert refused.value.code == 403
    state = later(put(cluster(), DEPLOYMENTS, "web", deployment(2, pod=spec)), 5)
    assert why in condition(get(state, DEPLOYMENTS, "web"), "ReplicaFailure")["message"]
    state = put(state, "serviceaccounts", "robot", {})
    state = put(state, "priorityclasses.scheduling.k8s.io", "high", {"value": 1}, "")
    state = put(state, "runtimeclasses.node.k8s.io", "vm", {"handler": "vm"}, "")
    assert get(later(state, 60), DEPLOYMENTS, "web")["status"]["availableReplicas"] == 2


def test_a_pod_takes_what_its_runtime_does_and_runs_where_that_is() -> None:
    scheduling = {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]}
    runtime = {"handler": "vm", "overhead": {"podFixed": {"cpu": "100m"}}, "scheduling": scheduling}
    state = put(cluster(), "runtimeclasses.node.k8s.io", "vm", runtime, "")
    spec = get(put(state, PODS, "one", pod(runtimeClassName="vm")), PODS, "one")["spec"]
    assert (spec["overhead"], spec["nodeSelector"]) == ({"cpu": "100m"}, {"vm": "yes"})
    assert scheduling["tolerations"][0] in spec["tolerations"]
    for odd in ({"overhead": {"cpu": "1"}}, {"nodeSelector": {"vm": "no"}}):
        with pytest.raises(Refused, match=r"doesn't match|conflict"):
            put(state, PODS, "two", pod(runtimeClassName="vm", **odd))


EVICTIONS = {
    "a ready pod that the budget needs": ({"minAvailable": 4}, "web:1", 429),
    "an unready pod of a budget that is not met": ({"minAvailable": 4}, "web:never-ready", 429),
    "an unready pod that may always go": (
        {"minAvailable": 4, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        "web:never-ready",
        201,
    ),
    "a ready pod that can be spared": ({"minAvailable": 2}, "web:1", 201),
}


@pytest.mark.parametrize("sentence", EVICTIONS)
def test_to_evict(sentence: str) -> None:
    rule, image, code = EVICTIONS[sentence]
    body = {"metadata": {"namespace": NS}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **rule}}
    state = put(
        put(cluster(), DEPLOYMENTS, "web", deployment(4, image=image)),
        "poddisruptionbudgets.policy",
        "web",
        body,
    )
    state = later(state, 60)
    resource = CATALOGUE.find("", "v1", "pods")
    assert resource is not None
    target = Target(resource, NS, _pods(state)[0]["metadata"]["name"])
    if code == 201:
        assert evict(state, target, {})[1]["code"] == 201
        return
    with pytest.raises(ApiError, match="disruption budget") as refused:
        evict(state, target, {})
    assert refused.value.code == code
    assert "needs 4 healthy pods and has" in str(refused.value.details)


def _pods(state: ClusterState) -> list[dict[str, Any]]:
    from ecpmon.simulator.model import kube

    return [p for p in kube.items(state, PODS, NS) if p["metadata"].get("ownerReferences")]
