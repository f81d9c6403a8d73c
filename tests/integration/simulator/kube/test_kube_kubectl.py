"""Every kubectl command that the simulator promises, with the real program in two versions."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.integration.simulator.kube.conftest import Kubectl
from tests.integration.simulator.kube.kube_objects import (
    autoscaler,
    budget,
    config_map,
    daemon_set,
    deployment,
    job,
    namespace,
    quota,
    service,
    service_monitor,
    stateful_set,
    with_image,
)
from tests.waiting import PATIENCE, wait_until

_numbers = itertools.count(1)
WAIT = f"--timeout={PATIENCE:g}s"


@pytest.fixture
def space(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    kubectl.apply(namespace(name))
    yield name
    kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def rolled_out(kubectl: Kubectl, space: str) -> str:
    """A namespace with the deployment `web`, two pods of it ready."""
    kubectl.apply(deployment("web", space))
    kubectl("-n", space, "rollout", "status", "deployment/web", WAIT)
    return space


def _lines(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def _until_replaced(kubectl: Kubectl, space: str, before: set[str]) -> None:
    wait_until(
        lambda: not before & set(kubectl("-n", space, "get", "pods", "-o", "name").split()), "other pods"
    )


def test_apply_creates_changes_and_leaves_alone(kubectl: Kubectl, space: str) -> None:
    web = deployment("web", space)
    assert kubectl.apply(web).strip() == "deployment.apps/web created"
    assert kubectl.apply(web).strip() == "deployment.apps/web unchanged"
    before = kubectl.json("-n", space, "get", "deployment", "web")
    changed = with_image(web, "registry.example/web:2.0")
    del changed["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert kubectl.apply(changed).strip() == "deployment.apps/web configured"
    after = kubectl.json("-n", space, "get", "deployment", "web")
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/web:2.0"
    assert container["resources"] == {"requests": {"cpu": "100m", "memory": "64Mi"}}
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_server_side_apply_owns_fields_and_reports_conflicts(kubectl: Kubectl, space: str) -> None:
    web = deployment("web", space)
    first = ("--server-side", "--field-manager=first")
    second = ("--server-side", "--field-manager=second")
    assert "serverside-applied" in kubectl.apply(web, options=first)
    other = with_image(web, "registry.example/web:2.0")
    refused = kubectl.fails("apply", *second, "-f", "-", stdin=yaml.safe_dump(other))
    assert 'conflict with "first": .spec.template.spec.containers[name="web"].image' in refused
    kubectl.apply(other, options=(*second, "--force-conflicts"))
    stored = kubectl.json("-n", space, "get", "deployment", "web", "--show-managed-fields")
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:2.0"
    owners = {entry["manager"]: entry for entry in stored["metadata"]["managedFields"]}
    step = 'k:{"name":"web"}'
    fields = owners["second"]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"][step]
    assert "f:image" in fields
    fields = owners["first"]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"][step]
    assert "f:image" not in fields


def test_what_a_manager_no_longer_applies_is_removed(kubectl: Kubectl, space: str) -> None:
    options = ("--server-side", "--field-manager=ours")
    kubectl.apply(config_map("settings", space, keep="1", drop="2"), options=options)
    kubectl("-n", space, "patch", "configmap", "settings", "-p", '{"data":{"theirs":"3"}}')
    kubectl.apply(config_map("settings", space, keep="1"), options=options)
    assert kubectl.json("-n", space, "get", "cm", "settings")["data"] == {"keep": "1", "theirs": "3"}


def test_client_side_objects_move_to_server_side_apply(kubectl: Kubectl, space: str) -> None:
    web = deployment("web", space)
    kubectl.apply(web)
    kubectl.apply(with_image(web, "registry.example/web:3.0"), options=("--server-side",))
    stored = kubectl.json("-n", space, "get", "deployment", "web", "--show-managed-fields")
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:3.0"
    kinds = {(entry["manager"], entry["operation"]) for entry in stored["metadata"]["managedFields"]}
    assert ("kubectl", "Apply") in kinds
    assert ("kubectl-client-side-apply", "Update") not in kinds


def test_get_prints_the_columns_of_the_real_server(kubectl: Kubectl, rolled_out: str) -> None:
    def heads(*arguments: str) -> list[str]:
        return _lines(kubectl("-n", rolled_out, "get", *arguments))[0]

    pods = _lines(kubectl("-n", rolled_out, "get", "pods", "-o", "wide"))
    assert pods[0] == [
        "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"
    ]  # fmt: skip
    assert [row[1:4] for row in pods[1:]] == [["1/1", "Running", "0"]] * 2
    deployments = _lines(kubectl("-n", rolled_out, "get", "deployments", "-o", "wide"))
    assert deployments[0] == [
        "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"
    ]  # fmt: skip
    assert deployments[1][:4] == ["web", "2/2", "2", "2"]
    # Only now an autoscaler, which may take a pod away at any time.
    kubectl.apply(service("web", rolled_out), budget("web", rolled_out, at_least=1),
                  autoscaler("web", rolled_out), quota(rolled_out))  # fmt: skip
    assert heads("replicasets") == ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]
    assert heads("services") == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert heads("nodes") == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert heads("hpa") == ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]
    assert heads("pdb") == ["NAME", "MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS", "AGE"]
    assert heads("quota") == ["NAME", "REQUEST", "LIMIT", "AGE"]
    assert heads("namespaces") == ["NAME", "STATUS", "AGE"]


def test_get_in_every_output_form(kubectl: Kubectl, rolled_out: str) -> None:
    text = kubectl("-n", rolled_out, "get", "deployment", "web", "-o", "yaml")
    assert yaml.safe_load(text)["spec"]["progressDeadlineSeconds"] == 600
    names = kubectl("-n", rolled_out, "get", "pods", "-l", "app=web", "-o", "name").split()
    assert len(names) == 2
    assert all(name.startswith("pod/web-") for name in names)
    path = "{.items[*].status.phase}"
    assert kubectl("-n", rolled_out, "get", "pods", "-o", f"jsonpath={path}") == "Running Running"
    running = kubectl("-n", rolled_out, "get", "pods", "--field-selector=status.phase!=Running", "-o", "name")
    assert running == ""
    everything = kubectl("get", "pods", "-A", "--chunk-size=1", "-o", "name")
    assert set(names) <= set(everything.split())


def test_describe(kubectl: Kubectl, rolled_out: str) -> None:
    text = kubectl("-n", rolled_out, "describe", "deployment", "web")
    assert re.search(r"Replicas:\s+2 desired \| 2 updated \| 2 total \| 2 available", text)
    assert re.search(r"NewReplicaSet:\s+web-\w+ \(2/2 replicas created\)", text)
    text = kubectl("-n", rolled_out, "describe", "pods", "-l", "app=web")
    assert text.count("Controlled By:") == 2
    node = kubectl.json("get", "nodes")["items"][0]["metadata"]["name"]
    assert re.search(r"^Non-terminated Pods:", kubectl("describe", "node", node), re.MULTILINE)
    kubectl("describe", "namespace", rolled_out)


def test_describe_what_stands_around_a_deployment(kubectl: Kubectl, rolled_out: str) -> None:
    # The quota is read before the autoscaler, which may take a pod away, is there.
    kubectl.apply(quota(rolled_out))
    assert re.search(r"requests.cpu\s+200m\s+10", kubectl("-n", rolled_out, "describe", "quota", "quota"))
    kubectl.apply(budget("web", rolled_out, at_least=1), autoscaler("web", rolled_out))
    kubectl("-n", rolled_out, "expose", "deployment", "web", "--port=80", "--target-port=8080")
    text = kubectl("-n", rolled_out, "describe", "service", "web")
    assert re.search(r"^TargetPort:\s+8080/TCP", text, re.MULTILINE)
    assert re.search(r"^Endpoints:\s+[\d.]+:8080", text, re.MULTILINE)
    assert "Min available:" in kubectl("-n", rolled_out, "describe", "pdb", "web-pdb")
    assert re.search(r"Reference:\s+Deployment/web", kubectl("-n", rolled_out, "describe", "hpa", "web-hpa"))
    assert "Scheduled" in kubectl("-n", rolled_out, "events")


def test_scale(kubectl: Kubectl, rolled_out: str) -> None:
    kubectl("-n", rolled_out, "scale", "deployment/web", "--replicas=4")
    kubectl("-n", rolled_out, "rollout", "status", "deployment/web", WAIT)
    assert len(kubectl("-n", rolled_out, "get", "pods", "-l", "app=web", "-o", "name").split()) == 4
    refused = kubectl.fails(
        "-n", rolled_out, "scale", "deployment/web", "--replicas=1", "--current-replicas=2"
    )
    assert "Expected replicas to be 2, was 4" in refused


def test_rollout_status_restart_history_and_undo(kubectl: Kubectl, rolled_out: str) -> None:
    kubectl("-n", rolled_out, "set", "image", "deployment/web", "web=registry.example/web:2.0")
    assert "successfully rolled out" in kubectl("-n", rolled_out, "rollout", "status", "deploy/web", WAIT)
    assert [row[0].split()[0] for row in _lines(kubectl("-n", rolled_out, "rollout", "history", "deploy/web"))
            if row[0][:1].isdigit()] == ["1", "2"]  # fmt: skip
    kubectl("-n", rolled_out, "rollout", "undo", "deployment/web")
    kubectl("-n", rolled_out, "rollout", "status", "deployment/web", WAIT)
    stored = kubectl.json("-n", rolled_out, "get", "deployment", "web")
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:1.0"
    before = set(kubectl("-n", rolled_out, "get", "pods", "-o", "name").split())
    kubectl("-n", rolled_out, "rollout", "restart", "deployment/web")
    kubectl("-n", rolled_out, "rollout", "status", "deployment/web", WAIT)
    _until_replaced(kubectl, rolled_out, before)


def test_logs_and_top(kubectl: Kubectl, rolled_out: str) -> None:
    assert kubectl("-n", rolled_out, "logs", "deployment/web").strip()
    last = kubectl("-n", rolled_out, "logs", "-l", "app=web", "--tail=1").splitlines()
    assert len(last) == 2
    assert "previous terminated container" in kubectl.fails("-n", rolled_out, "logs", "deploy/web", "-p")
    pods = _lines(kubectl("-n", rolled_out, "top", "pods"))
    assert pods[0] == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert len(pods) == 3
    assert re.fullmatch(r"\d+m", pods[1][1])
    assert re.fullmatch(r"\d+Mi", pods[1][2])
    nodes = _lines(kubectl("top", "nodes"))
    assert len(nodes) == len(kubectl.json("get", "nodes")["items"]) + 1


def test_wait_for_conditions_and_deletion(kubectl: Kubectl, space: str) -> None:
    kubectl.apply(deployment("web", space))
    said = kubectl("-n", space, "wait", "--for=condition=Available", "deployment/web", WAIT)
    assert said.strip() == "deployment.apps/web condition met"
    kubectl("-n", space, "delete", "deployment", "web", "--wait=false")
    kubectl("-n", space, "wait", "--for=delete", "pod", "-l", "app=web", WAIT)
    assert kubectl("-n", space, "get", "pods,replicasets,deployments", "-o", "name") == ""


def test_watch_tells_what_happens(kubectl: Kubectl, rolled_out: str) -> None:
    watching = kubectl.start("-n", rolled_out, "get", "pods", "--watch", "-o", "name")
    try:
        assert watching.stdout is not None
        names = {watching.stdout.readline().strip() for _ in range(2)}
        kubectl("-n", rolled_out, "scale", "deployment/web", "--replicas=3")
        news = watching.stdout.readline().strip()
        assert news.startswith("pod/web-")
        wait_until(
            lambda: len(kubectl("-n", rolled_out, "get", "pods", "-o", "name").split()) == 3, "three pods"
        )
        while news in names:
            news = watching.stdout.readline().strip()
        assert news in kubectl("-n", rolled_out, "get", "pods", "-o", "name").split()
    finally:
        watching.kill()
        watching.communicate()


def test_diff_and_dry_run_change_nothing(kubectl: Kubectl, rolled_out: str) -> None:
    changed = yaml.safe_dump(with_image(deployment("web", rolled_out), "registry.example/web:9"))
    before = kubectl.json("-n", rolled_out, "get", "deployment", "web")
    difference = kubectl.run("diff", "-f", "-", stdin=changed)
    assert difference.returncode == 1, difference.stderr
    assert "+      - image: registry.example/web:9" in difference.stdout
    assert "(server dry run)" in kubectl("apply", "--dry-run=server", "-f", "-", stdin=changed)
    after = kubectl.json("-n", rolled_out, "get", "deployment", "web")
    assert after["spec"] == before["spec"]
    same = yaml.safe_dump(deployment("web", rolled_out))
    assert kubectl.run("diff", "-f", "-", stdin=same).returncode == 0


def test_patches_of_every_kind(kubectl: Kubectl, rolled_out: str) -> None:
    patch = ("-n", rolled_out, "patch", "deployment", "web")
    strategic = (
        '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}'
    )
    kubectl(*patch, "-p", strategic)
    kubectl(*patch, "--type=merge", "-p", '{"metadata":{"labels":{"tier":"front","app":null}}}')
    kubectl(*patch, "--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":2},'
            '{"op":"replace","path":"/spec/replicas","value":1}]')  # fmt: skip
    stored = kubectl.json("-n", rolled_out, "get", "deployment", "web")
    container = stored["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert container["image"] == "registry.example/web:1.0"
    assert stored["metadata"]["labels"] == {"tier": "front"}
    assert stored["spec"]["replicas"] == 1
    refused = kubectl.fails(*patch, "--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":7}]')
    assert "test" in refused


def test_a_running_pod_is_resized(kubectl: Kubectl, rolled_out: str) -> None:
    name = kubectl("-n", rolled_out, "get", "pods", "-o", "name").split()[0]
    wanted = {"spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "200m"}}}]}}
    kubectl("-n", rolled_out, "patch", name, "--subresource", "resize", "--patch", json.dumps(wanted))

    def has() -> bool:
        (container,) = kubectl.json("-n", rolled_out, "get", name)["status"]["containerStatuses"]
        return bool(container["resources"]["requests"]["cpu"] == "200m" and container["restartCount"] == 0)

    wait_until(has, "the new CPU is in effect")
    wanted["spec"]["containers"][0]["resources"] = {"requests": {"cpu": None}}
    refused = kubectl.fails(
        "-n", rolled_out, "patch", name, "--subresource", "resize", "--patch", json.dumps(wanted)
    )
    assert "resource requests cannot be removed" in refused


def test_custom_resources_are_stored_as_given(kubectl: Kubectl, space: str) -> None:
    kubectl.apply(service_monitor("web", space))
    kubectl.apply(service_monitor("web", space), options=("--server-side", "--force-conflicts"))
    stored = kubectl.json("-n", space, "get", "servicemonitors", "web")
    assert stored["spec"] == service_monitor("web", space)["spec"]
    kubectl("-n", space, "delete", "servicemonitor", "web")


def test_mistakes_are_refused_in_the_words_of_the_real_server(kubectl: Kubectl, space: str) -> None:
    def refused(document: dict[str, object], *options: str) -> str:
        return kubectl.fails("apply", *options, "-f", "-", stdin=yaml.safe_dump(document))

    unknown = deployment("web", space)
    unknown["spec"]["replica"] = 2
    assert 'unknown field "spec.replica"' in refused(unknown)
    mismatch = deployment("web", space)
    mismatch["spec"]["selector"]["matchLabels"] = {"app": "other"}
    assert "`selector` does not match template `labels`" in refused(mismatch)
    nameless = deployment("Web!", space)
    assert "metadata.name: Invalid value" in refused(nameless)
    mistyped = deployment("web", space)
    mistyped["spec"]["replicas"] = "two"
    assert "cannot be handled as a Deployment" in refused(mistyped, "--validate=false")
    nowhere = deployment("web", "no-such-namespace")
    assert 'namespaces "no-such-namespace" not found' in refused(nowhere)
    kubectl.apply(deployment("web", space))
    moved = deployment("web", space)
    moved["spec"]["selector"]["matchLabels"] = {"app": "else"}
    moved["spec"]["template"]["metadata"]["labels"] = {"app": "else"}
    assert "field is immutable" in refused(moved)
    assert 'deployments.apps "nothing" not found' in kubectl.fails("-n", space, "get", "deploy", "nothing")


def test_discovery_and_explain(kubectl: Kubectl) -> None:
    rows = kubectl("api-resources", "-o", "name").split()
    assert {
        "pods",
        "deployments.apps",
        "servicemonitors.monitoring.coreos.com",
        "pods.metrics.k8s.io",
    } <= set(rows)
    versions = kubectl("api-versions").split()
    assert {"v1", "apps/v1", "autoscaling/v2", "metrics.k8s.io/v1beta1", "policy/v1"} <= set(versions)
    assert "maxSurge" in kubectl("explain", "deployment.spec.strategy", "--recursive")
    assert kubectl("auth", "can-i", "delete", "nodes").strip() == "yes"
    assert "v1." in kubectl("version")


def test_evictions_respect_the_disruption_budget(kubectl: Kubectl, rolled_out: str) -> None:
    kubectl.apply(budget("web", rolled_out, at_least=2))
    pod = kubectl.json("-n", rolled_out, "get", "pods")["items"][0]
    node = pod["spec"]["nodeName"]
    drain = (
        "drain",
        node,
        "--force",
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--pod-selector=app=web",
    )
    waiting = kubectl.start(*drain)
    try:
        assert waiting.stdout is not None
        assert any("would violate the pod's disruption budget" in line for line in waiting.stdout)
        assert waiting.poll() is None  # it goes on trying
        kubectl("-n", rolled_out, "delete", "pdb", "web-pdb")
        said, _ = waiting.communicate(timeout=PATIENCE)
        assert waiting.returncode == 0, said
    finally:
        waiting.kill()
        waiting.communicate()
        kubectl("uncordon", node)
    left = kubectl.run(
        "-n", rolled_out, "get", "pod", pod["metadata"]["name"], "-o", "jsonpath={.metadata.uid}"
    )
    assert left.stdout != pod["metadata"]["uid"]


def test_delete_by_selector_and_by_file(kubectl: Kubectl, rolled_out: str) -> None:
    before = set(kubectl("-n", rolled_out, "get", "pods", "-o", "name").split())
    kubectl("-n", rolled_out, "delete", "pods", "-l", "app=web")
    _until_replaced(kubectl, rolled_out, before)
    said = kubectl("delete", "-f", "-", stdin=yaml.safe_dump(deployment("web", rolled_out)))
    assert 'deployment.apps "web" deleted' in said
    assert "NotFound" in kubectl.fails("-n", rolled_out, "delete", "deployment", "web")


def test_create_in_protobuf(kubectl: Kubectl) -> None:
    """`create <kind>` sends protobuf; what is stored is what the same command prints as YAML."""
    space = f"made-{next(_numbers)}"
    assert kubectl("create", "namespace", space).strip() == f"namespace/{space} created"
    commands = (
        ("deployment", "web", "--image=nginx:1.27", "--replicas=2", "--port=80"),
        ("deployment", "none", "--image=nginx:1.27", "--replicas=0"),
        ("configmap", "settings", "--from-literal=a=b"),
        ("secret", "generic", "key", "--from-literal=a=b"),
        ("service", "clusterip", "web", "--tcp=80:8080"),
        ("job", "once", "--image=busybox:1", "--", "sleep", "1"),
        ("cronjob", "often", "--image=busybox:1", "--schedule=* * * * *"),
        ("quota", "most", "--hard=pods=50"),
        ("poddisruptionbudget", "some", "--selector=app=web", "--min-available=1"),
        ("ingress", "way", "--rule=a.example/b=web:80"),
        ("role", "reader", "--verb=get", "--resource=pods"),
        ("serviceaccount", "robot"),
    )
    for command in commands:
        kubectl("-n", space, "create", *command)
        trial = (*command[:2], "--dry-run=client", "-o", "json", *command[2:])
        printed = kubectl("-n", space, "create", *trial)
        wanted = json.loads(printed)
        stored = kubectl.json("-n", space, "get", f"{wanted['kind']}/{wanted['metadata']['name']}")
        for key in ("spec", "data", "rules"):
            assert _holds(stored.get(key), wanted.get(key)), (command, stored.get(key), wanted.get(key))
    kubectl("-n", space, "rollout", "status", "deployment/web", WAIT)
    kubectl("delete", "namespace", space, "--wait=false")


def _holds(stored: Any, wanted: Any) -> bool:
    """Whether everything in `wanted` is in `stored` (which has defaults as well)."""
    if isinstance(wanted, dict):
        return isinstance(stored, dict) and all(
            _holds(stored.get(k), v) for k, v in wanted.items() if v != {}
        )
    if isinstance(wanted, list):
        return len(stored) == len(wanted) and all(map(_holds, stored, wanted))
    return wanted is None or bool(stored == wanted)


def test_prune_and_debug(kubectl: Kubectl, space: str) -> None:
    web, other = deployment("web", space), config_map("other", space, a="1")
    other["metadata"]["labels"] = {"set": "one"}
    web["metadata"].setdefault("labels", {})["set"] = "one"
    kubectl.apply(web, other)
    pruned = kubectl.apply(web, options=("--prune", "-l", "set=one", "-n", space))
    assert "configmap/other pruned" in pruned
    kubectl("-n", space, "rollout", "status", "deployment/web", WAIT)
    pod = kubectl.json("-n", space, "get", "pods")["items"][0]["metadata"]["name"]
    refused = kubectl.fails("-n", space, "debug", pod, "--image=busybox:1", "--container=x")
    assert "ephemeral containers are disabled" in refused
    assert "panic" not in refused


@pytest.mark.parametrize("kubectl", ["newer"], indirect=True)
def test_other_workloads_run_and_their_claims_go_last(kubectl: Kubectl, space: str) -> None:
    task = job("task", space)
    kubectl.apply(stateful_set("db", space), daemon_set("agent", space), task)
    for each in ("statefulset/db", "daemonset/agent"):
        said = kubectl("-n", space, "rollout", "status", each, WAIT)
        assert "complete" in said or "successfully rolled out" in said
    kubectl("-n", space, "wait", "--for=condition=complete", "job/task", WAIT)
    assert kubectl.apply(task).strip() == "job.batch/task unchanged"
    rows = {row[0]: row for row in _lines(kubectl("-n", space, "get", "pods"))}
    assert {"db-0", "db-1"} <= set(rows)
    assert "Completed" in next(row for name, row in rows.items() if name.startswith("task-"))
    assert "Complete" in kubectl("-n", space, "get", "job", "task")
    assert [row[1] for row in _lines(kubectl("-n", space, "get", "pvc"))[1:]] == ["Bound", "Bound"]
    kubectl("-n", space, "delete", "pvc", "data-db-1", "--wait=false")
    assert "Terminating" in kubectl("-n", space, "get", "pvc", "data-db-1")
    assert "standard (default)" in kubectl("get", "storageclass")
    assert f"{space}/data-db-1" in kubectl("get", "pv")
    kubectl("-n", space, "scale", "statefulset/db", "--replicas=1")
    kubectl("-n", space, "wait", "--for=delete", "pvc/data-db-1", WAIT)
    kubectl("-n", space, "rollout", "restart", "statefulset/db")
    kubectl("-n", space, "rollout", "status", "statefulset/db", WAIT)
    assert len(_lines(kubectl("-n", space, "rollout", "history", "statefulset/db"))) >= 4
    kubectl("-n", space, "delete", "statefulset/db", "daemonset/agent", "job/task", WAIT)
    kubectl("-n", space, "wait", "--for=delete", "pods", "--all", WAIT)
