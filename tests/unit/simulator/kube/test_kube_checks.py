"""Types, defaults and rules: what the API fills in and what it refuses, by field."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ecpmon.simulator.kube.catalogue import CATALOGUE, RESOURCES, Resource
from ecpmon.simulator.kube.defaults import with_defaults
from ecpmon.simulator.kube.schemas import examine, schema_of
from ecpmon.simulator.kube.validation import causes_of

Document = dict[str, Any]


def resource(group: str, plural: str, version: str = "v1") -> Resource:
    found = CATALOGUE.find(group, version, plural)
    assert found is not None
    return found


DEPLOYMENTS = resource("apps", "deployments")


def deployment() -> Document:
    labels = {"app": "web"}
    container = {"name": "web", "image": "registry.example/web:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def changed(path: str, value: Any) -> Document:
    """The deployment with one field set (or removed: None); numbers in the path index lists."""
    document = deployment()
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at: Any = document
    for step in steps:
        at = at.setdefault(step, {}) if isinstance(step, str) else at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return document


def fields(kind: Resource, document: Document, old: Document | None = None) -> set[str]:
    return {cause.field for cause in causes_of(kind, with_defaults(kind, document), old)}


CONTAINER = "spec.template.spec.containers.0"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("metadata.name", "Web", "metadata.name"),
        ("metadata.name", "a" * 254, "metadata.name"),
        ("metadata.name", None, "metadata.name"),
        ("metadata.labels", {"bad key": "x"}, "metadata.labels"),
        ("metadata.labels", {"k": "v" * 64}, "metadata.labels"),
        ("spec.replicas", -1, "spec.replicas"),
        ("spec.selector", {}, "spec.selector"),
        ("spec.selector.matchLabels", {"app": "other"}, "spec.template.metadata.labels"),
        ("spec.strategy", {"type": "Sometimes"}, "spec.strategy.type"),
        ("spec.strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
         "spec.strategy.rollingUpdate.maxUnavailable"),
        ("spec.template.spec.containers", [], "spec.template.spec.containers"),
        ("spec.template.spec.restartPolicy", "Never", "spec.template.spec.restartPolicy"),
        (f"{CONTAINER}.name", "Bad_Name", "spec.template.spec.containers[0].name"),
        (f"{CONTAINER}.image", "", "spec.template.spec.containers[0].image"),
        (f"{CONTAINER}.imagePullPolicy", "Often", "spec.template.spec.containers[0].imagePullPolicy"),
        (f"{CONTAINER}.ports", [{"containerPort": 70000}],
         "spec.template.spec.containers[0].ports[0].containerPort"),
        (f"{CONTAINER}.resources", {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
         "spec.template.spec.containers[0].resources.requests"),
        (f"{CONTAINER}.resources", {"limits": {"nvidia.com/gpu": "500m"}},
         "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]"),
        (f"{CONTAINER}.volumeMounts", [{"name": "none", "mountPath": "/x"}],
         "spec.template.spec.containers[0].volumeMounts[0].name"),
    ],
)  # fmt: skip
def test_one_wrong_field_is_named(path: str, value: Any, field: str) -> None:
    assert fields(DEPLOYMENTS, changed(path, value)) == {field}


def test_a_right_deployment_has_no_findings() -> None:
    assert fields(DEPLOYMENTS, deployment()) == set()


def test_selectors_do_not_change() -> None:
    new = deployment()
    new["spec"]["selector"]["matchLabels"] = {"app": "b"}
    new["spec"]["template"]["metadata"]["labels"] = {"app": "b"}
    assert fields(DEPLOYMENTS, new, deployment()) == {"spec.selector"}


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        (resource("", "services"), {"ports": []}, "spec.ports"),
        (resource("", "services"), {"ports": [{"port": 0}]}, "spec.ports[0].port"),
        (resource("", "services"), {"ports": [{"port": 1, "name": "a"}, {"port": 2}]}, "spec.ports[1].name"),
        (resource("", "services"), {"type": "Nothing", "ports": [{"port": 1}]}, "spec.type"),
        (resource("autoscaling", "horizontalpodautoscalers", "v2"),
         {"minReplicas": 3, "maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "w"}},
         "spec.maxReplicas"),
        (resource("policy", "poddisruptionbudgets"), {"minAvailable": "half"}, "spec.minAvailable"),
        (resource("policy", "poddisruptionbudgets"), {"minAvailable": 1, "maxUnavailable": 1}, "spec"),
    ],
)  # fmt: skip
def test_rules_of_other_kinds(kind: Resource, spec: Document, field: str) -> None:
    assert fields(kind, {"metadata": {"name": "x", "namespace": "n"}, "spec": spec}) == {field}


def test_pods_keep_all_but_a_few_fields() -> None:
    pods = resource("", "pods")
    old = with_defaults(
        pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x:1"}]}}
    )
    image, node = deepcopy(old), deepcopy(old)
    image["spec"]["containers"][0]["image"] = "x:2"
    node["spec"]["nodeName"] = "elsewhere"
    assert fields(pods, image, old) == set()
    assert fields(pods, node, old) == {"spec"}


def test_types_unknown_fields_and_quantities_are_found_by_path() -> None:
    document = deployment()
    document["spec"]["replicas"] = "2"
    document["spec"]["template"]["spec"]["containers"][0] |= {
        "imag": "x", "resources": {"requests": {"cpu": "lots"}}, "stdin": None
    }  # fmt: skip
    del document["spec"]["selector"]
    pruned, found = examine(document, schema_of(DEPLOYMENTS))
    container = "spec.template.spec.containers[0]"
    assert found.unknown == [f"{container}.imag"]
    assert ("spec.replicas", "string", "integer") in found.mistyped
    assert (f"{container}.resources.requests.cpu", "lots", "quantity") in found.mistyped
    assert found.missing == ["spec.selector"]
    assert "imag" not in pruned["spec"]["template"]["spec"]["containers"][0]
    assert "stdin" not in pruned["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 10**30, 1.5, True])
def test_numbers_that_go_cannot_hold_are_refused(number: float) -> None:
    document = deployment()
    document["spec"]["replicas"] = number
    document["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": number}}
    paths = {path for path, _, _ in examine(document, schema_of(DEPLOYMENTS))[1].mistyped}
    assert paths == {"spec.replicas", "spec.strategy.rollingUpdate.maxSurge"}


def test_defaults_are_those_of_the_real_server_and_stay_put() -> None:
    filled = with_defaults(DEPLOYMENTS, deployment())
    spec = filled["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    pod = spec["template"]["spec"]
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert (pod["dnsPolicy"], pod["terminationGracePeriodSeconds"]) == ("ClusterFirst", 30)
    assert with_defaults(DEPLOYMENTS, filled) == filled
    _, found = examine(filled, schema_of(DEPLOYMENTS))
    assert (found.unknown, found.mistyped, found.missing) == ([], [], [])


def test_written_secrets_are_encoded() -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
    assert with_defaults(resource("", "secrets"), secret)["data"] == {"a": "Yg=="}
    assert "stringData" in secret


@pytest.mark.parametrize("kind", [r for r in RESOURCES if not r.schemaless], ids=lambda r: r.name)
def test_every_kind_has_a_schema_and_survives_odd_documents(kind: Resource) -> None:
    """Defaults and rules run on what the types let pass, and must not trip over what is absent."""
    assert schema_of(kind) is not None
    empty: dict[str, Any] = (
        {"metadata": {"name": "x"}, "spec": {}} if kind.has_status else {"metadata": {"name": "x"}}
    )
    for document in (empty, {"metadata": {}}):
        pruned, _ = examine(document, schema_of(kind))
        causes_of(kind, with_defaults(kind, pruned), None)
