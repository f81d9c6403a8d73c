"""Deployments that are a tenant's services."""

from __future__ import annotations

from cluster_kube import (
    DEPLOYMENTS,
    GPU,
    PODS,
    TENANT,
    cluster,
    deployment,
    edit,
    get,
    is_ready,
    pod_docs,
    put,
    remove,
    status,
    tenant,
)
from sim_cluster import fail, later, running, service, spec, truth_seconds

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.kube import ObjectKey
from ecpmon.simulator.model.view import tenant_metrics


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


def test_a_tenant_that_came_by_manifests_has_the_metrics_of_all_others() -> None:
    by_manifest, by_rest = later(tenant(), 60), running(spec())
    told = tenant_metrics(by_manifest, by_manifest.tenants["acme"])
    assert list(told) == list(tenant_metrics(by_rest, by_rest.tenants["acme"]))
    for name in ("network_in", "network_out", "storage_used", "response_time", "request_count"):
        assert told[name], name


def test_without_the_label_or_elsewhere_a_deployment_is_nobodys() -> None:
    other = put(cluster(namespace="ecp-ai-acme"), DEPLOYMENTS, "web", deployment(), "ecp-ai-acme")
    assert not other.tenants
    assert not put(cluster(), DEPLOYMENTS, "web", deployment(labels=TENANT)).tenants


def test_a_tenant_ends_with_its_namespace() -> None:
    state = fail(later(tenant(), 60), "pod_crash", 600)
    state = later(remove(state, "namespaces", "ecp-ai-acme", ""), 10)
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
