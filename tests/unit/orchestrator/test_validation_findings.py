"""What validation counts, prices, forbids and advises, one rule after the other."""

from __future__ import annotations

import re
from string import Formatter
from typing import Any

import pytest
import yaml
from test_manifests import rendered

from ecpmon.orchestrator.manifests import to_yaml
from ecpmon.orchestrator.validation import Report, validate_manifest
from ecpmon.orchestrator.validation.sentences import SENTENCES

_APIS = {
    "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2", "PodDisruptionBudget": "policy/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1", "Ingress": "networking.k8s.io/v1",
}  # fmt: skip
_TEMPLATE = """template:
  metadata: {labels: {app: a}}
  spec: {containers: [{name: a, image: "a:1", resources: {limits: {cpu: 1, memory: 1Gi}}}]}
"""


def one(kind: str, body: str, name: str = "a", api: str = "") -> str:
    """An object of the tenant's namespace, its parts beside metadata as YAML."""
    metadata = {"name": name, "namespace": "ecp-ai-acme", "labels": {"ecp.ai/tenant": "acme"}}
    parts = {
        "apiVersion": api or _APIS.get(kind, "v1"),
        "kind": kind,
        "metadata": metadata,
        **yaml.safe_load(body),
    }
    return yaml.safe_dump(parts, sort_keys=False)


def workload(kind: str = "Deployment", more: str = "", **parts: Any) -> str:
    spec = {**yaml.safe_load(_TEMPLATE), **(yaml.safe_load(more) or {}), **parts}
    if kind in ("Deployment", "StatefulSet", "DaemonSet"):
        spec["selector"] = {"matchLabels": {"app": "a"}}
    return one(kind, yaml.safe_dump({"spec": spec}))


def check(*texts: str, **asked: Any) -> Report:
    return validate_manifest("acme", "---\n".join(texts), **asked)


def codes(report: Report, *categories: str) -> set[tuple[str, str]]:
    found = (*report.errors, *report.warnings)
    return {(f.code, f.path) for f in found if not categories or f.category in categories}


def counted(report: Report) -> tuple[int, str, str, int]:
    s = report.resource_summary
    return s["estimated_pods"], s["total_cpu"], s["total_memory"], s["total_gpu"]


def test_fifty_privileged_pods_of_a_replication_controller_are_neither_free_nor_fine() -> None:
    spec = {
        "replicas": 50, "selector": {"app": "a"}, "template": {"metadata": {"labels": {"app": "a"}}, "spec": {
            "hostNetwork": True, "containers": [{"name": "a", "image": "a:1", "securityContext": {"privileged": True},
            "resources": {"limits": {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": 1}}}]}},
    }  # fmt: skip
    report = check(one("ReplicationController", yaml.safe_dump({"spec": spec})), cluster_gpus=8)
    assert counted(report) == (50, "50000m", "50Gi", 50)
    assert {e.code for e in report.errors} >= {"HOST_ACCESS", "PRIVILEGED", "GPU_BEYOND_CLUSTER"}
    assert (report.valid, report.pod_security) == (False, "privileged")
    assert int(re.sub(r"[^0-9]", "", str(report.estimated_cost))) > 1_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (workload(replicas=3), (3, "3000m", "3Gi", 0)),
        (workload("DaemonSet"), (4, "4000m", "4Gi", 0)),
        (workload("StatefulSet", replicas=2, serviceName="a"), (2, "2000m", "2Gi", 0)),
        (workload("Job", "template: {spec: {restartPolicy: Never, containers: [{name: a, image: 'a:1', resources: "
                  "{requests: {cpu: 2}}}]}}", parallelism=3), (3, "6000m", "0Mi", 0)),
        (workload() + "---\n" + one("HorizontalPodAutoscaler", "spec: {minReplicas: 5, maxReplicas: 9, scaleTargetRef: "
                                    "{apiVersion: apps/v1, kind: Deployment, name: a}}"), (5, "5000m", "5Gi", 0)),
        (workload(replicas=7) + "---\n" + one("HorizontalPodAutoscaler", "spec: {maxReplicas: 4, scaleTargetRef: "
            "{apiVersion: apps/v1, kind: Deployment, name: a}}"), (4, "4000m", "4Gi", 0)),
    ],
)  # fmt: skip
def test_pods_are_counted_as_the_cluster_would(text: str, found: tuple[Any, ...]) -> None:
    assert counted(check(text, cluster_nodes=4)) == found


def test_claims_are_counted_with_those_of_pods() -> None:
    claim = "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 100G}}}"
    sets = f"volumeClaimTemplates: [{{metadata: {{name: a}}, spec: {claim}}}]"
    text = workload("StatefulSet", sets, replicas=3, serviceName="a")
    report = check(text, one("PersistentVolumeClaim", f"spec: {claim}"))
    assert report.resource_summary["total_storage"] == "0.4TB"
    assert report.estimated_cost == "$308/month"  # more than the 0.25 TB of the smallest preset


@pytest.mark.parametrize("preset", ["small", "medium", "large"])
def test_a_presets_own_manifest_costs_what_the_preset_costs(preset: str) -> None:
    text = to_yaml(rendered({"chatbot": 10}))
    named = re.sub(r"ecp.ai/preset: \w+", f"ecp.ai/preset: {preset}", text)
    costs = {"small": "$308/month", "medium": "$350/month", "large": "$450/month"}
    assert check(named).estimated_cost == costs[preset]


def test_a_preset_that_is_only_claimed_is_not_believed() -> None:
    text = workload(replicas=20).replace(
        "ecp.ai/tenant: acme", "ecp.ai/tenant: acme\n    ecp.ai/preset: micro", 1
    )
    assert check(text).estimated_cost == "$350/month"


def test_nothing_costs_nothing_and_beyond_the_largest_preset_costs_more_than_it() -> None:
    assert check(one("ConfigMap", "data: {}")).estimated_cost == "$0/month"
    assert check(workload(replicas=1000)).estimated_cost == "$1747/month"


@pytest.mark.parametrize(
    "text",
    [
        one("ClusterRole", "rules: []", api="rbac.authorization.k8s.io/v1"),
        one("ValidatingWebhookConfiguration", "webhooks: []", api="admissionregistration.k8s.io/v1"),
        one("CustomResourceDefinition", "spec: {}", api="apiextensions.k8s.io/v1"),
        one("APIService", "spec: {}", api="apiregistration.k8s.io/v1"),
        one("PersistentVolume", "spec: {}"),
        one("ClusterIssuer", "spec: {}", api="cert-manager.io/v1"),
    ],
)
def test_what_belongs_to_the_whole_cluster_is_refused_whatever_namespace_it_names(text: str) -> None:
    assert ("CLUSTER_SCOPED", "kind") in codes(check(text), "policy")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (one("RoleBinding", "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}"),
         ("POWERFUL_BINDING", "roleRef.name")),
        (one("RoleBinding", "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}\nsubjects: "
             "[{kind: Group, name: 'system:authenticated', apiGroup: rbac.authorization.k8s.io}]"),
         ("WIDE_SUBJECT", "subjects.0.name")),
        (one("Role", "rules: [{apiGroups: [''], resources: [pods], verbs: [get, '*']}]"),
         ("POWERFUL_ROLE", "rules.0.verbs.1")),
        (workload("Job", "template: {spec: {nodeName: node-1, restartPolicy: Never, containers: [{name: a}]}}"),
         ("NODE_NAME", "spec.template.spec.nodeName")),
    ],
)  # fmt: skip
def test_ways_around_the_walls_are_named(text: str, found: tuple[str, str]) -> None:
    assert found in codes(check(text), "policy")


def test_the_standard_that_is_met_is_said_and_strict_raises_it() -> None:
    plain = check(workload())
    assert (plain.valid, plain.pod_security) == (True, "baseline")
    assert {w.code for w in plain.warnings} >= {"PRIVILEGE_ESCALATION", "MAY_BE_ROOT", "NO_SECCOMP"}
    assert not check(workload(), strict=True).valid
    assert check(to_yaml(rendered({"chatbot": 10}))).pod_security == "restricted"


_HPA = "spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}}"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([workload(), one("HorizontalPodAutoscaler", _HPA % "a"), one("HorizontalPodAutoscaler", _HPA % "a", "b")],
         ("TWO_AUTOSCALERS", "spec.scaleTargetRef")),
        ([workload(), one("HorizontalPodAutoscaler", _HPA % "b")], ("MISSING_TARGET", "spec.scaleTargetRef.name")),
        ([workload(replicas=2),
          one("PodDisruptionBudget", "spec: {minAvailable: 2, selector: {matchLabels: {app: a}}}")],
         ("BUDGET_BLOCKS", "spec.minAvailable")),
        ([workload(), one("PodDisruptionBudget", "spec: {minAvailable: 100%, selector: {matchLabels: {app: a}}}")],
         ("BUDGET_BLOCKS", "spec.minAvailable")),
        ([one("Ingress", "spec: {defaultBackend: {service: {name: b, port: {number: 80}}}}")],
         ("MISSING_TARGET", "spec.defaultBackend.service.name")),
        ([workload(), one("Service", "spec: {selector: {app: a}, ports: [{port: 80, targetPort: web}]}")],
         ("TARGET_PORT", "spec.ports.0.targetPort")),
        ([one("Service", "spec: {selector: {app: a}, ports: [{port: 80}]}")],
         ("SERVICE_WITHOUT_WORKLOAD", "spec.selector")),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_a_warning(texts: list[str], found: tuple[str, str]) -> None:
    report = check(*texts)
    assert found in {(w.code, w.path) for w in report.warnings}
    assert report.valid


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ("resources: {limits: {memory: 512m}}", ("MILLI_MEMORY", "resources.limits.memory")),
        ("env: [{name: A, value: a}, {name: A, value: b}]", ("DUPLICATE_ENV", "env.1.name")),
        ("readinessProbe: {httpGet: {port: web}}", ("PROBE_PORT", "readinessProbe.httpGet.port")),
        (
            "livenessProbe: {tcpSocket: {port: 1}, periodSeconds: 5}",
            ("SHORT_LIVENESS", "livenessProbe.periodSeconds"),
        ),
        ("image: a", ("LATEST_TAG", "image")),
        ("resources: {}", ("MISSING_RESOURCES", "resources.limits.cpu")),
    ],
)
def test_what_is_not_wise_is_a_warning(container: str, found: tuple[str, str]) -> None:
    made = {"name": "a", "image": "a:1", **yaml.safe_load(container)}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [made]}}
    report = check(workload(template=template))
    where = f"spec.template.spec.containers.0.{found[1]}"
    assert (found[0], where) in {(w.code, w.path) for w in report.warnings}
    assert report.valid


def test_what_a_quota_insists_on_is_an_error_unless_a_limit_range_supplies_it() -> None:
    quota = one("ResourceQuota", "spec: {hard: {limits.cpu: 4}}", "q")
    silent = workload(
        "Job", "template: {spec: {restartPolicy: Never, containers: [{name: a, image: 'a:1'}]}}"
    )
    where = "spec.template.spec.containers.0.resources.limits.cpu"
    assert [(e.code, e.path) for e in check(quota, silent).errors] == [("UNSTATED_RESOURCES", where)]
    supplied = one("LimitRange", "spec: {limits: [{type: Container, default: {cpu: 1}}]}", "l")
    assert check(quota, silent, supplied).valid
    over = one("ResourceQuota", "spec: {hard: {limits.cpu: 500m}}", "q")
    assert [e.code for e in check(over, silent, supplied).errors] == ["QUOTA_EXCEEDED"]


def test_kinds_of_operators_are_doubtful_and_misspelt_ones_are_wrong() -> None:
    known = check(one("Kafka", "spec: {}", api="kafka.strimzi.io/v1"))
    assert (known.valid, codes(known)) == (True, {("UNCHECKED_KIND", "kind")})
    assert not check(one("Kafka", "spec: {}", api="kafka.strimzi.io/v1"), strict=True).valid
    assert codes(check(one("Aplication", "spec: {}", api="argoproj.io/v1alpha1"))) == {
        ("MISSPELT_KIND", "kind")
    }
    assert codes(check(one("Thing", "spec: {}", api="nobody.example/v1"))) == {("UNKNOWN_KIND", "kind")}


def test_a_kind_that_the_manifest_defines_is_known() -> None:
    names = "names: {kind: Thing, plural: things}, versions: [{name: v1, served: true, storage: true}]"
    crd = one("CustomResourceDefinition", f"spec: {{group: x.example, scope: Namespaced, {names}}}", "things.x.example",
              "apiextensions.k8s.io/v1")  # fmt: skip
    assert "UNKNOWN_KIND" not in {
        c for c, _ in codes(check(crd, one("Thing", "spec: {}", api="x.example/v1")))
    }


@pytest.mark.parametrize("code", SENTENCES)
def test_every_reason_is_said_in_both_languages_with_the_same_particulars(code: str) -> None:
    sentence = SENTENCES[code]
    parts = [
        {name for _, name, _, _ in Formatter().parse(text) if name} for text in (sentence.en, sentence.ko)
    ]
    assert parts[0] - {"kind", "detail"} <= parts[1] | {"name"}
    assert re.search("[가-힣]", sentence.ko)


def test_a_manifest_whose_yaml_breaks_off_is_looked_at_as_far_as_it_goes() -> None:
    report = check(one("Service", "spec: {}"), "a: [")
    assert {(f.code, f.document) for f in report.errors} == {("REQUIRED", 0), ("YAML_MALFORMED", 1)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (workload(replicas=-1), "값이 올바르지 않습니다: -1: 0 이상이어야 합니다"),
        (workload(replicas="3"), "스키마에 맞지 않습니다: spec.replicas에는 int32 형식이 필요한데 string입니다"),
        (workload(replica=3), '알 수 없는 필드입니다: "spec.replica"'),
        (one("Service", "spec: {ports: [{port: 70000}]}"),
         "값이 올바르지 않습니다: 70000: 1 이상 65535 이하여야 합니다"),
        (one("Service", "spec: {type: Loadbalancer, ports: [{port: 80}]}"),
         '지원하지 않는 값입니다: "Loadbalancer": 가능한 값은 "ClusterIP", '),
        (one("Ingress", "spec: {}"), "값이 올바르지 않습니다"),
    ],
)  # fmt: skip
def test_what_the_server_says_is_said_in_korean(text: str, said: str) -> None:
    assert check(text).errors[0].said(korean=True).startswith(said)


@pytest.mark.parametrize("memory", ["128Mi ", "00000000000000000000128Mi", "128.0000000000000Mi"])
def test_whatever_a_server_reads_as_a_quantity_counts(memory: str) -> None:
    limits = {"cpu": 1, "memory": memory}
    pod = yaml.safe_dump(
        {"spec": {"containers": [{"name": "a", "image": "a:1", "resources": {"limits": limits}}]}}
    )
    assert counted(check(one("Pod", pod))) == (1, "1000m", "128Mi", 0)


def test_a_claim_with_a_blank_behind_its_size_costs_something() -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi "}}}
    assert check(one("PersistentVolumeClaim", yaml.safe_dump({"spec": spec}))).estimated_cost == "$277/month"


@pytest.mark.parametrize(
    ("api", "kind"),
    [("operator.tigera.io/v1", "Installation"), ("databases.spotahome.com/v1", "RedisFailover"),
     ("nfd.k8s-sigs.io/v1alpha1", "NodeFeatureRule"), ("aigateway.envoyproxy.io/v1beta1", "AIGatewayRoute"),
     ("actions.github.com/v1alpha1", "AutoscalingRunnerSet"), ("fluentbit.fluent.io/v1alpha2", "FluentBit")],
)  # fmt: skip
def test_a_kind_of_a_well_known_operator_is_doubtful_and_not_wrong(api: str, kind: str) -> None:
    report = check(one(kind, "spec: {}", api=api))
    assert [f.code for f in report.errors if f.category == "api"] == []
    assert [f.code for f in report.warnings if f.path == "kind"] == ["UNCHECKED_KIND"]


def test_an_empty_source_is_told_by_its_place_in_the_list() -> None:
    container = {"name": "a", "image": "a:1", "envFrom": [{"prefix": "a"}]}
    found = codes(check(one("Pod", yaml.safe_dump({"spec": {"containers": [container]}}))), "api")
    assert ("INVALID", "spec.containers.0.envFrom.0") in found
