"""The simulator's admission answers as a real API server does: tests/corpus/api-server, and what it fills in."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ecpmon.simulator.kube.catalogue import CATALOGUE, RESOURCES, Resource
from ecpmon.simulator.kube.checking import STRICT, Write, checked
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.status import ApiError
from ecpmon.simulator.kube.writing import apply_patch, create, delete, patch
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.admission import MAX_PODS
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import SECOND
from tests.apiserver_corpus import NAMESPACE, Answer, answers, bases

Document = dict[str, Any]


def resource(group: str, plural: str, version: str = "v1") -> Resource:
    found = CATALOGUE.find(group, version, plural)
    assert found is not None
    return found


DEPLOYMENTS = resource("apps", "deployments")
SERVICES = resource("", "services")
BY_NAME = {kind.plural: kind for kind in RESOURCES if kind.group != "metrics.k8s.io"}


@pytest.fixture(scope="module")
def state() -> ClusterState:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    target = Target(resource("", "namespaces"))
    return create(new_state(1, 1_000_000), target, namespace, Write("test"))[0]


def said_of(state: ClusterState, answer: Answer) -> tuple[int, frozenset[str], str]:
    target = Target(BY_NAME[answer.resource], NAMESPACE)
    try:
        create(state, target, answer.body, Write("test", STRICT))
    except ApiError as error:
        fields = frozenset(cause["field"] for cause in error.details.get("causes", ()))
        return error.code, fields, error.message
    except cluster.Refused as error:
        return error.code, frozenset(), error.message
    return 201, frozenset(), ""


def test_admission_answers_what_a_real_server_answered(state: ClusterState) -> None:
    wrong = []
    for answer in answers():
        code, fields, message = said_of(state, answer)
        if (code, fields) != (answer.status, answer.fields if answer.status == 422 else frozenset()):
            wrong.append(f"{answer.resource} {answer.about}: {answer.status}, here {code} {message[:200]}")
    assert wrong == []


@pytest.mark.parametrize(
    ("plural", "spec"),
    [
        ("deployments", {"replicas": 2**31 - 1}),
        ("statefulsets", {"replicas": 2**31 - 1, "podManagementPolicy": "Parallel"}),
        ("jobs", {"parallelism": 100_000, "completions": 2**31 - 1, "completionMode": "Indexed"}),
    ],
)
def test_any_number_of_replicas_is_taken_and_no_more_pods_than_a_simulation_holds_are_made(
    state: ClusterState, plural: str, spec: dict[str, Any]
) -> None:
    body = deepcopy(bases()[plural])
    target = Target(BY_NAME[plural], NAMESPACE, body["metadata"]["name"])
    own: Document = {"containers": [{"name": "web", "image": "web:1"}]}
    if plural == "jobs":
        own["restartPolicy"] = "Never"
    body["spec"] |= {**spec, "template": {**body["spec"]["template"], "spec": own}}
    body["spec"].pop("volumeClaimTemplates", None)
    after, _ = create(state, target, body, Write("test"))
    assert len(after.pods) - len(state.pods) == MAX_PODS
    # The next one is refused again and again, as by a quota: also when all the others have told what became of them.
    tried = step(after, 90 * SECOND)
    assert len(tried.pods) - len(state.pods) == MAX_PODS
    said = [event["message"] for event in cluster.items(tried, "events", NAMESPACE)]
    assert any(f"this simulator holds {MAX_PODS} pods of one workload" in message for message in said)
    emptied, _ = delete(after, target, {})
    assert len(emptied.pods) == len(state.pods)


def admitted(kind: Resource, document: Document, validation: str = STRICT) -> tuple[Document, list[str]]:
    write = Write("test", validation)
    return checked(kind, document, None, write), write.warnings


def test_unknown_fields_are_refused_warned_of_or_left_out() -> None:
    body = deepcopy(bases()["configmaps"])
    body["dat"] = {}
    with pytest.raises(ApiError, match='unknown field "dat"') as refused:
        admitted(BY_NAME["configmaps"], body)
    assert refused.value.code == 400
    stored, warnings = admitted(BY_NAME["configmaps"], body, "Warn")
    assert ("dat" in stored, warnings) == (False, ['unknown field "dat"'])
    assert admitted(BY_NAME["configmaps"], body, "Ignore")[1] == []


def test_defaults_are_those_of_the_real_server_and_stay_put() -> None:
    body = deepcopy(bases()["deployments"])
    for key in ("replicas", "revisionHistoryLimit", "strategy", "progressDeadlineSeconds"):
        del body["spec"][key]
    filled, _ = admitted(DEPLOYMENTS, body)
    spec = filled["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    pod = spec["template"]["spec"]
    assert pod["initContainers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert (pod["schedulerName"], pod["serviceAccount"]) == ("default-scheduler", "web")
    assert admitted(DEPLOYMENTS, filled)[0] == filled


def test_services_get_addresses_and_ports_of_nodes() -> None:
    body = deepcopy(bases()["services"])
    body["spec"]["type"] = "NodePort"
    spec = admitted(SERVICES, body)[0]["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert all(30000 <= port["nodePort"] <= 32767 for port in spec["ports"])
    assert spec["externalTrafficPolicy"] == "Cluster"
    assert admitted(SERVICES, body)[0]["spec"] == spec


def test_written_secrets_are_encoded_and_what_was_sent_stays_as_it_was() -> None:
    body = deepcopy(bases()["secrets"])
    assert admitted(BY_NAME["secrets"], body)[0]["data"] == {"p": "aGk=", "q": "cg=="}
    assert body == bases()["secrets"]


@pytest.mark.parametrize("kind", [r for r in RESOURCES if not r.schemaless], ids=lambda r: r.name)
def test_every_kind_is_admitted_or_refused_by_field(kind: Resource) -> None:
    """Defaults and rules run on what the types let pass, and must not trip over what is absent."""
    refused: list[ApiError] = []
    for document in ({"metadata": {"name": "x"}}, {"metadata": {}}):
        try:
            admitted(kind, document)
        except ApiError as error:
            refused.append(error)
    nameless = (r for r in refused if not r.details.get("name"))
    assert kind.plural == "limitranges" or "metadata.name" in {
        cause["field"] for error in nameless for cause in error.details["causes"]
    }
    assert {error.code for error in refused} <= {422}


def test_what_is_written_empty_is_not_stored() -> None:
    """As a server's types have it: what `kubectl apply` sends once is no difference to what it reads afterwards."""
    empty = {"labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **empty}, "data": {}}
    stored = checked(resource("", "configmaps"), config, None, Write("test", STRICT))
    assert stored == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert config["metadata"]["labels"] == {}  # what came is as it came
    nothing = {"nodeSelector": {}, "tolerations": [], "imagePullSecrets": []}
    container = {"name": "a", "image": "a", "env": [], "args": [], "resources": {"limits": {}}}
    pod = {"metadata": {"labels": {"app": "a"}, "annotations": {}},
           "spec": {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}], **nothing}}  # fmt: skip
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "annotations": {}},
                  "spec": {"selector": {"matchLabels": {"app": "a"}, "matchExpressions": []},
                           "template": pod}}  # fmt: skip
    stored = checked(DEPLOYMENTS, deployment, None, Write("test", STRICT))
    assert "annotations" not in stored["metadata"]
    assert stored["spec"]["selector"] == {"matchLabels": {"app": "a"}}
    assert stored["spec"]["template"]["metadata"] == {"labels": {"app": "a"}}
    spec = stored["spec"]["template"]["spec"]
    assert not spec.keys() & nothing.keys()
    assert spec["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert "env" not in spec["containers"][0]
    assert spec["containers"][0]["resources"] == {}, "a structure says something, empty or not"


def test_what_a_server_writes_empty_is_stored() -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r"},
        "rules": [],
    }
    stored = checked(resource("rbac.authorization.k8s.io", "roles"), role, None, Write("test", STRICT))
    assert stored["rules"] == []
    port = {"ports": [{"port": 80}], "selector": {}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": port}
    assert "selector" not in checked(SERVICES, service, None, Write("test", STRICT))["spec"]


def test_what_was_sent_empty_is_no_change_the_next_time(state: ClusterState) -> None:
    pod = {"metadata": {"labels": {"app": "a"}},
           "spec": {"containers": [{"name": "a", "image": "a", "args": []}], "nodeSelector": {}}}  # fmt: skip
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pod}}  # fmt: skip
    target = Target(DEPLOYMENTS, NAMESPACE, "d")
    state, _ = apply_patch(state, target, body, Write("one", STRICT))
    again, (_, created) = apply_patch(state, target, body, Write("one", STRICT))
    assert (again is state, created) == (True, False)
    assert (
        patch(state, target, lambda old: {**old, "spec": {**old["spec"], "template": pod}}, Write("two"))[0]
        is state
    )
    _, (found, _) = apply_patch(
        state, target, {**body, "spec": {**body["spec"], "replicas": 2}}, Write("one", STRICT)
    )
    assert found["spec"]["replicas"] == 2
    assert "nodeSelector" not in found["spec"]["template"]["spec"]


def test_what_never_changes_is_compared_as_it_is_stored() -> None:
    """`kubectl apply` of a file in which a Deployment's selector has an empty list, twice."""
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    selector = {"matchLabels": {"app": "a"}, "matchExpressions": []}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"selector": selector, "template": template}}  # fmt: skip
    found = checked(DEPLOYMENTS, body, None, Write("test", STRICT))
    assert checked(DEPLOYMENTS, body, found, Write("test", STRICT))["spec"] == found["spec"]
    with pytest.raises(ApiError, match="field is immutable"):
        checked(DEPLOYMENTS, {**body, "spec": {**body["spec"], "selector": {"matchLabels": {"app": "a", "b": "c"}},
                "template": {**template, "metadata": {"labels": {"app": "a", "b": "c"}}}}},
                found, Write("test", STRICT))  # fmt: skip
