"""What follows from pods: endpoints, disruption budgets, autoscalers."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_kube import (
    BUDGETS,
    DEPLOYMENTS,
    HPAS,
    NS,
    autoscaler,
    cluster,
    condition,
    deployment,
    edit,
    get,
    gone,
    pod_docs,
    put,
    reasons,
    remove,
)
from sim_cluster import later

from ecpmon.simulator.model import kube


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


def bot(sessions: int, replicas: int | None = 2) -> dict[str, Any]:
    """A chatbot as it is rendered: 200m of CPU requested, 1000m at most."""
    body = deployment(replicas or 1, annotations={"ecp.ai/sessions": str(sessions)})
    amounts = {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = amounts
    return body


def rendered(least: int, most: int) -> dict[str, Any]:
    body = autoscaler(50, minReplicas=least, maxReplicas=most)
    body["spec"]["metrics"][0]["resource"]["target"] = {"type": "AverageValue", "averageValue": "700m"}
    return body


def test_a_service_that_is_asked_for_too_much_goes_up_to_its_maximum() -> None:
    state = later(put(cluster(), DEPLOYMENTS, "web", bot(50)), 60)
    state = later(put(state, HPAS, "web", rendered(2, 6)), 300)
    assert get(state, DEPLOYMENTS, "web")["spec"]["replicas"] == 2
    state = edit(state, DEPLOYMENTS, "web", "metadata.annotations", {"ecp.ai/sessions": "2000"})
    usage = kube.pod_usage(state, kube.ObjectKey("pods", NS, pod_docs(state)[0]["metadata"]["name"]))
    assert usage is not None
    assert usage[0] == 1000, "the limit, and no more"
    busy = later(state, 300)
    assert get(busy, DEPLOYMENTS, "web")["spec"]["replicas"] == 6
    (metric,) = get(busy, HPAS, "web")["status"]["currentMetrics"]
    assert set(metric["resource"]["current"]) == {"averageValue"}, "nobody asked for a share of the request"
    messages = {e["message"] for e in kube.items(busy, "events", NS) if e["reason"] == "SuccessfulRescale"}
    assert "New size: 6; reason: cpu resource above target" in messages


def test_what_leaves_its_number_to_the_autoscaler_is_planned_for_the_smallest() -> None:
    state = put(cluster(), DEPLOYMENTS, "web", bot(120, replicas=None))
    state = later(put(state, HPAS, "web", rendered(3, 6)), 120)
    fixed = later(put(cluster(), DEPLOYMENTS, "web", bot(120, replicas=3)), 120)
    assert get(state, DEPLOYMENTS, "web")["spec"]["replicas"] == 3
    assert state.deployments[f"{NS}/web"].pod_sessions == fixed.deployments[f"{NS}/web"].pod_sessions


def test_an_autoscaler_without_its_target_says_so() -> None:
    state = later(put(cluster(), HPAS, "web", autoscaler(50)), 60)
    assert condition(get(state, HPAS, "web"), "AbleToScale")["reason"] == "FailedGetScale"
