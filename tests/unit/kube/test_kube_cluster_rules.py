"""Kinds that the corpus of a real server's answers does not hold: a valid object of each, and what is refused.

Fields are those that the sources of a real server (1.34 to 1.36) name, odd ones among them.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ecpmon.kube.checks import check
from tests.apiserver_corpus import bases
from tests.unit.kube.test_kube_rules import fields, with_changes

Document = dict[str, Any]


def request_of_a_certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOK = {
    "name": "pods.hooks.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [RULE],
    "clientConfig": {"service": {"name": "hook", "namespace": "hooks", "path": "/validate"}},
}  # fmt: skip
VOLUME = {
    "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "csi": {"driver": "a.b", "volumeHandle": "x"},
}  # fmt: skip


def made(api: str, kind: str, name: str = "a", **rest: Any) -> Document:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **rest}


BASES: dict[str, Document] = {
    item["kind"]: item
    for item in (
        made("v1", "Namespace"),
        made("v1", "Node", spec={
            "taints": [{"key": "gpu", "effect": "NoSchedule"}], "podCIDRs": ["10.0.0.0/24", "2001:db8::/64"]},
            status={"capacity": {"cpu": "4", "nvidia.com/gpu": "1"}}),
        made("v1", "Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]),
        made("v1", "PodTemplate", template={"spec": {"containers": [{"name": "a", "image": "a:1"}]}}),
        made("v1", "PersistentVolume", spec=VOLUME),
        made("v1", "Event", involvedObject={"kind": "Pod", "name": "a"}),
        made("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4",
             endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"port": 80, "name": "http"}]),
        made("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", webhooks=[HOOK]),
        made("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", webhooks=[HOOK]),
        made("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", spec={
            "matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]}),
        made("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", spec={
            "policyName": "a", "validationActions": ["Deny"], "matchResources": {}}),
        made("networking.k8s.io/v1", "IngressClass", spec={
            "controller": "example.com/x", "parameters": {"kind": "A", "name": "a"}}),
        made("storage.k8s.io/v1", "StorageClass", provisioner="a.b", allowedTopologies=[
            {"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}]}]),
        made("storage.k8s.io/v1", "CSIDriver", spec={"tokenRequests": [{"audience": "a"}]}),
        made("storage.k8s.io/v1", "CSINode", spec={"drivers": [{"name": "a.b", "nodeID": "x", "topologyKeys": ["z"]}]}),
        made("storage.k8s.io/v1", "CSIStorageCapacity", storageClassName="a", capacity="1Gi"),
        made("storage.k8s.io/v1", "VolumeAttachment", spec={
            "attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "p"}}),
        made("storage.k8s.io/v1", "VolumeAttributesClass", driverName="a.b", parameters={"iops": "1"}),
        made("scheduling.k8s.io/v1", "PriorityClass", value=5),
        made("node.k8s.io/v1", "RuntimeClass", handler="runc", overhead={"podFixed": {"cpu": "10m"}}),
        made("coordination.k8s.io/v1", "Lease", spec={"leaseDurationSeconds": 15}),
        made("apps/v1", "ControllerRevision", data={}, revision=1),
        made("certificates.k8s.io/v1", "CertificateSigningRequest", spec={
            "request": request_of_a_certificate(), "signerName": "example.com/signer", "usages": ["client auth"]}),
        made("apiregistration.k8s.io/v1", "APIService", "v1.example.com", spec={
            "group": "example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": "a", "namespace": "b"}}),
    )
}  # fmt: skip

MISTAKES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("Namespace", {"spec": {"finalizers": ["mine"]}}, {"spec.finalizers"}),
    ("Namespace", {"spec": {"finalizers": ["kubernetes", "a.example/b"]}}, set()),
    ("Namespace", {"metadata.name": "a.b"}, {"metadata.name"}),
    ("Node", {"metadata.namespace": "taken-away"}, set()),
    ("Node", {"spec.taints.0": {"key": "", "value": "a b", "effect": "Never"}},
     {f"metadata.taints[0].{key}" for key in ("key", "value", "effect")}),
    ("Node", {"spec.taints": [{"key": "a", "effect": "NoExecute"}] * 2}, {"metadata.taints[1]"}),
    ("Node", {"spec.taints.0.effect": None}, {"metadata.taints[0].effect"}),
    ("Node", {"spec.podCIDRs.0": "10.0.0.1/24"}, {"spec.podCIDRs[0]"}),
    ("Node", {"spec.podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}, {"spec.podCIDRs"}),
    ("Node", {"status.capacity": {"cpu": "-1", "nvidia.com/gpu": "500m"}},
     {f"status.{side}.{name}" for side in ("capacity", "allocatable") for name in ("cpu", "nvidia.com/gpu")}),
    ("Endpoints", {"subsets.0.addresses": None}, {"subsets[0]"}),
    ("Endpoints", {"subsets.0.addresses.0": {"ip": "127.0.0.1", "hostname": "A", "nodeName": "B_"}},
     {f"subsets[0].addresses[0].{key}" for key in ("ip", "hostname", "nodeName")}),
    ("Endpoints", {"subsets.0.ports": [{"port": 0}, {"name": "B", "port": 1, "protocol": "ICMP"}]},
     {"subsets[0].ports[0].port", "subsets[0].ports[0].name", "subsets[0].ports[1].name",
      "subsets[0].ports[1].protocol"}),
    ("PodTemplate", {"template.spec.containers": []}, {"template.spec.containers"}),
    ("PodTemplate", {"template.metadata": {"labels": {"a b": "c"}}}, {"template.labels"}),
    ("PersistentVolume", {"spec.accessModes": ["ReadWriteOncePod", "ReadWriteMany"]}, {"spec.accessModes"}),
    ("PersistentVolume", {"spec.csi": None, "spec.hostPath": {"path": "/"}, "spec.volumeAttributesClassName": "",
                          "spec.persistentVolumeReclaimPolicy": "Recycle"},
     {"spec.persistentVolumeReclaimPolicy", "spec.volumeAttributesClassName", "spec.csi"}),
    ("Event", {"metadata.namespace": "a"}, {"involvedObject.namespace"}),
    ("Event", {"metadata.namespace": "default"}, set()),
    ("Event", {"involvedObject.namespace": "b"}, set()),
    ("Event", {"metadata.namespace": "a", "involvedObject.namespace": "a", "eventTime": "2026-11-01T00:00:00Z"},
     {"reportingComponent", "reportingInstance", "action", "reason"}),
    ("EndpointSlice", {"addressType": "IP"}, {"addressType"}),
    ("EndpointSlice", {"endpoints.0.addresses": ["::1"]}, {"endpoints[0].addresses[0]"}),
    ("EndpointSlice", {"addressType": "FQDN", "endpoints.0.addresses": ["a", "a.b."]},
     {"endpoints[0].addresses[0]"}),
    ("EndpointSlice", {"endpoints.0": {"addresses": [], "hostname": "A", "nodeName": "B_",
                                       "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}},
     {"endpoints[0].addresses", "endpoints[0].hostname", "endpoints[0].nodeName",
      "endpoints[0].hints.forZones[1].name"}),
    ("EndpointSlice", {"endpoints": [{"addresses": ["10.0.0.1"] * 101}]}, {"endpoints[0].addresses"}),
    ("EndpointSlice", {"ports": [{}, {}]}, {"ports[1].name"}),
    ("EndpointSlice", {"ports.0.protocol": "http"}, {"ports[0].protocol"}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.name": "a.b"}, {"webhooks[0].name"}),
    ("ValidatingWebhookConfiguration", {"webhooks.0": {}},
     {f"webhooks[0].{key}" for key in ("name", "sideEffects", "admissionReviewVersions", "clientConfig")}),
    ("ValidatingWebhookConfiguration", {"webhooks": [HOOK, HOOK]}, {"webhooks[1].name"}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.failurePolicy": "Never", "webhooks.0.matchPolicy": "x",
                                        "webhooks.0.sideEffects": "Some", "webhooks.0.timeoutSeconds": 31},
     {f"webhooks[0].{key}" for key in ("failurePolicy", "matchPolicy", "sideEffects", "timeoutSeconds")}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.admissionReviewVersions": ["v2", "v2", "1"]},
     {f"webhooks[0].admissionReviewVersions{index}" for index in ("", "[1]", "[2]")}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.rules.0": {"operations": ["*", "READ"], "apiVersions": [""]}},
     {f"webhooks[0].rules[0].{key}"
      for key in ("operations", "operations[1]", "apiVersions[0]", "apiGroups", "resources")}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.rules.0.resources": ["a/*", "a/b", "*/c", "d/c"]},
     {"webhooks[0].rules[0].resources[1]", "webhooks[0].rules[0].resources[3]"}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.rules.0.resources": ["*", "a"],
                                        "webhooks.0.rules.0.scope": "All"},
     {"webhooks[0].rules[0].resources", "webhooks[0].rules[0].scope"}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.clientConfig.url": "https://a/b"},
     {"webhooks[0].clientConfig"}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.clientConfig": {"url": "http://u@/x?y#z"}},
     {"webhooks[0].clientConfig.url"}),
    # A real server takes one for the other.
    ("ValidatingWebhookConfiguration", {"webhooks.0.clientConfig.service": {"name": "a", "port": 0, "path": "a//B"}},
     {f"webhooks[0].clientConfig.service.{key}" for key in ("name", "port", "path")}),
    ("ValidatingWebhookConfiguration", {"webhooks.0.matchConditions": [
        {"name": "a", "expression": "true"}, {"name": "a", "expression": " "}, {"expression": "x"}]},
     {f"webhooks[0].matchConditions[{key}" for key in ("1].name", "1].expression", "2].name")}),
    ("ValidatingWebhookConfiguration", {"metadata.finalizers": ["mine"]}, set()),
    ("MutatingWebhookConfiguration", {"webhooks.0.reinvocationPolicy": "x"}, {"webhooks[0].reinvocationPolicy"}),
    ("MutatingWebhookConfiguration", {"webhooks.0.objectSelector": {"matchLabels": {"a b": "c"}}},
     {"webhooks[0].objectSelector.matchLabels"}),
    ("ValidatingAdmissionPolicy", {"spec": {}},
     {"spec.matchConstraints", "spec.validations", "spec.auditAnnotations"}),
    ("ValidatingAdmissionPolicy", {"spec.matchConstraints": {}}, {"spec.matchConstraints.resourceRules"}),
    ("ValidatingAdmissionPolicy", {"spec.paramKind": {"apiVersion": "A/1", "kind": "1"},
                                   "spec.failurePolicy": "x"},
     {"spec.paramKind.apiVersion", "spec.paramKind.kind", "spec.failurePolicy"}),
    ("ValidatingAdmissionPolicy", {"spec.validations.0": {"message": " ", "messageExpression": " ", "reason": "x"}},
     {f"spec.validations[0].{key}" for key in ("expression", "message", "messageExpression", "reason")}),
    ("ValidatingAdmissionPolicy", {"spec.variables": [{"name": "in", "expression": "1"}, {}]},
     {"spec.variables[0].name", "spec.variables[1].name", "spec.variables[1].expression"}),
    ("ValidatingAdmissionPolicy", {"spec.auditAnnotations": [{"key": "a b", "valueExpression": "'x'"}, {"key": "a b"}]},
     {"spec.auditAnnotations[0].key", "spec.auditAnnotations[1].key", "spec.auditAnnotations[1].valueExpression"}),
    ("ValidatingAdmissionPolicyBinding", {"spec": {}}, {"spec.policyName", "spec.validationActions"}),
    ("ValidatingAdmissionPolicyBinding", {"spec.validationActions": ["Deny", "Warn", "Warn", "x"]},
     {"spec.validationActions", "spec.validationActions[2]", "spec.validationActions[3]"}),
    ("ValidatingAdmissionPolicyBinding", {"spec.paramRef": {"name": "a", "selector": {}}},
     {f"spec.paramRef.{key}" for key in ("name", "selector", "parameterNotFoundAction")}),
    ("ValidatingAdmissionPolicyBinding", {"spec.matchResources": {"matchPolicy": "x"}},
     {"spec.matchResouces.matchPolicy"}),
    ("IngressClass", {"spec.controller": "x", "spec.parameters.scope": "All"},
     {"spec.controller", "spec.parameters.scope"}),
    ("IngressClass", {"spec.controller": "A_/ b"}, {"spec.controller"}),
    ("IngressClass", {"spec.parameters.scope": "Namespace"}, {"spec.parameters.namespace"}),
    ("IngressClass", {"spec.parameters.namespace": "b"}, {"spec.parameters.namespace"}),
    ("StorageClass", {"provisioner": "A b"}, {"provisioner"}),
    ("StorageClass", {"volumeBindingMode": "Never"}, {"volumeBindingMode"}),
    ("StorageClass", {"allowedTopologies": [
        {"matchLabelExpressions": [{"key": "a b", "values": ["x", "x"]}, {"key": "a b"}]}, {}]},
     {f"allowedTopologies[0].matchLabelExpressions[{key}" for key in ("0].key", "0].values[1]", "1].key", "1].values")}
     | {"allowedTopologies[1].matchLabelExpressions"}),
    ("StorageClass", {"parameters": {str(n): "x" for n in range(513)}}, {"parameters"}),
    ("CSIDriver", {"spec": {"fsGroupPolicy": "x", "volumeLifecycleModes": ["x"],
                            "nodeAllocatableUpdatePeriodSeconds": 9}},
     {f"spec.{key}" for key in ("fsGroupPolicy", "volumeLifecycleModes", "nodeAllocatableUpdatePeriodSeconds")}),
    ("CSIDriver", {"spec.tokenRequests": [{"audience": "a", "expirationSeconds": 1}, {"audience": "a"}]},
     {"spec.tokenRequests[0].expirationSeconds", "spec.tokenRequests[1].audience"}),
    ("CSINode", {"spec.drivers.0": {"name": "A_", "nodeID": "", "allocatable": {"count": -1}, "topologyKeys": [""]}},
     {f"spec.drivers[0]{key}" for key in (".name", ".nodeID", ".allocatable.count", "")}),
    ("CSIStorageCapacity", {"storageClassName": "", "capacity": "-1"}, {"storageClassName", "capacity"}),
    ("VolumeAttachment", {"spec": {"attacher": "", "source": {}}},
     {"spec.attacher", "spec.source", "spec.nodeName"}),
    ("VolumeAttachment", {"spec.source": {"inlineVolumeSpec": VOLUME}},
     {"spec.source.inlineVolumeSpec.capacity"}),
    ("VolumeAttributesClass", {"parameters": {}}, {"parameters"}),
    ("PriorityClass", {"metadata.name": "system-mine"}, {"metadata.name"}),
    ("PriorityClass", {"metadata.name": "system-node-critical", "value": 2_000_001_000}, set()),
    ("PriorityClass", {"preemptionPolicy": "x"}, {"preemptionPolicy"}),
    ("RuntimeClass", {"handler": ""}, {"handler"}),
    ("RuntimeClass", {"overhead.podFixed": {"cpu": "-1"}, "scheduling": {
        "nodeSelector": {"a b": "c"}, "tolerations": [{"effect": "x", "operator": "Exists"}]}},
     {"overhead.limits[cpu]", "scheduling.nodeSelector", "scheduling.tolerations[0].effect"}),
    ("Lease", {"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1, "preferredHolder": "a"}},
     {"spec.leaseDurationSeconds", "spec.leaseTransitions", "spec.preferredHolder"}),
    ("Lease", {"spec.strategy": "Mine"}, {"spec.strategy.strategy"}),
    ("ControllerRevision", {"data": None, "revision": -1}, {"data", "revision"}),
    ("CertificateSigningRequest", {"spec": {"request": "YQ==", "signerName": "a", "usages": ["x", "x"],
                                            "expirationSeconds": 1}},
     {f"spec.{key}" for key in ("request", "signerName", "usages[0]", "usages[1]", "expirationSeconds")}),
    ("CertificateSigningRequest", {"spec.signerName": "kubernetes.io/legacy-unknown"}, {"spec.signerName"}),
    ("CertificateSigningRequest", {"metadata.name": "Whatever: you like"}, set()),
    ("APIService", {"metadata.name": "v1.other"}, {"metadata.name"}),
    ("APIService", {"metadata.name": "v1.", "spec.group": ""}, set()),
    ("APIService", {"metadata.name": "2.a", "spec": {"group": "a", "version": "2"}},
     {f"spec.{key}" for key in ("version", "groupPriorityMinimum", "versionPriority")}),
    ("APIService", {"spec.service": {"port": 0}, "spec.insecureSkipTLSVerify": True, "spec.caBundle": "YQ=="},
     {f"spec.{key}" for key in ("service.name", "service.namespace", "service.port", "insecureSkipTLSVerify")}),
]  # fmt: skip


@pytest.mark.parametrize("kind", BASES)
def test_the_bases_are_valid_new_and_as_they_were(kind: str) -> None:
    verdict = check(BASES[kind])
    assert (verdict.findings.unknown, verdict.findings.mistyped, verdict.causes) == ([], [], ())
    assert check(verdict.document, old=verdict.document).causes == ()


@pytest.mark.parametrize(("kind", "changes", "expected"), MISTAKES)
def test_a_mistake_is_refused_by_the_field_that_the_server_names(
    kind: str, changes: dict[str, Any], expected: set[str]
) -> None:
    assert fields(with_changes(BASES[kind], changes)) == expected


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("Node", {"spec.podCIDRs.0": "10.9.0.0/24"}, {"spec.podCIDRs"}),
        ("EndpointSlice", {"addressType": "IPv6", "endpoints": []}, {"addressType"}),
        ("IngressClass", {"spec.controller": "example.com/y"}, {"spec.controller"}),
        ("StorageClass", {"provisioner": "c.d", "volumeBindingMode": "WaitForFirstConsumer"},
         {"provisioner", "volumeBindingMode"}),
        ("CSIDriver", {"spec.attachRequired": False}, {"spec.attachedRequired"}),
        ("CSINode", {"spec.drivers.0.nodeID": "y"}, {"spec.drivers"}),
        ("VolumeAttachment", {"spec.nodeName": "m"}, {"spec"}),
        ("VolumeAttributesClass", {"driverName": "c.d"}, {"driverName"}),
        ("PriorityClass", {"value": 6, "preemptionPolicy": "Never"}, {"value", "preemptionPolicy"}),
        ("RuntimeClass", {"handler": "kata"}, {"handler"}),
        ("PersistentVolume", {"spec.csi.volumeHandle": "y", "spec.volumeMode": "Block"},
         {"spec.persistentvolumesource", "volumeMode"}),
        ("ControllerRevision", {"data": {"a": 1}}, {"data"}),
    ],
)  # fmt: skip
def test_what_never_changes(kind: str, changes: dict[str, Any], expected: set[str]) -> None:
    old = check(BASES[kind]).document
    assert fields(with_changes(old, changes), old) == expected


def test_owners_and_finalizers_are_named_as_the_server_names_them() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "u", "controller": True}
    event = {"apiVersion": "v1", "kind": "Event", "name": "a", "uid": "u"}
    lease = BASES["Lease"]
    assert fields(with_changes(lease, {"metadata.ownerReferences": [owner]})) == set()
    assert fields(with_changes(lease, {"metadata.ownerReferences": [owner, owner]})) == {
        "metadata.ownerReferences"
    }
    assert fields(with_changes(lease, {"metadata.ownerReferences": [event]})) == {"metadata.ownerReferences"}
    assert fields(with_changes(lease, {"metadata.ownerReferences": [{"apiVersion": "apps/"}]})) == {
        f"metadata.ownerReferences.{key}" for key in ("apiVersion", "kind", "name", "uid")
    }
    both = {"metadata.finalizers": ["orphan", "foregroundDeletion"]}
    assert fields(with_changes(BASES["Node"], both)) == {"metadata.finalizers"}


WINDOWS: list[tuple[dict[str, Any], set[str]]] = [
    ({"runAsUserName": "NT AUTHORITY\\SYSTEM", "gmsaCredentialSpecName": "a-b"}, set()),
    (
        {"gmsaCredentialSpecName": "A_", "gmsaCredentialSpec": ""},
        {"gmsaCredentialSpecName", "gmsaCredentialSpec"},
    ),
    *(
        ({"runAsUserName": name}, {"runAsUserName"})
        for name in ("", "a\tb", "a\\b\\c", "a:b\\c", "a\\", "..", "a*")
    ),
]


@pytest.mark.parametrize(("options", "expected"), WINDOWS)
def test_options_of_windows_are_held_against_its_rules(options: dict[str, Any], expected: set[str]) -> None:
    template = BASES["PodTemplate"]
    at = "template.spec.securityContext.windowsOptions"
    assert fields(with_changes(template, {at: options})) == {f"{at}.{key}" for key in expected}
    own = "template.spec.containers.0.securityContext.windowsOptions"
    where = own.replace("containers.0", "containers[0]")
    assert fields(with_changes(template, {own: options})) == {f"{where}.{key}" for key in expected}


def test_of_processes_of_the_host_all_containers_are_or_none() -> None:
    template = BASES["PodTemplate"]
    two = [{"name": name, "image": "a:1"} for name in "ab"]
    two[0]["securityContext"] = {"windowsOptions": {"hostProcess": True}}  # type: ignore[assignment]
    assert fields(with_changes(template, {"template.spec.containers": two})) == {
        "template.spec", "template.spec.hostNetwork",
    }  # fmt: skip
    whole = {"template.spec.containers": two[:1], "template.spec.hostNetwork": True}
    assert fields(with_changes(template, whole)) == set()
    other = {"template.spec.securityContext.windowsOptions.hostProcess": False}
    at = "template.spec.containers[0].securityContext.windowsOptions.hostProcess"
    assert fields(with_changes(template, {**whole, **other})) == {at}


def test_a_definition_that_is_converted_by_a_webhook_says_where_it_answers() -> None:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    names = {"plural": "as", "kind": "A"}
    spec = {"group": "b.example", "scope": "Namespaced", "names": names, "versions": [version]}
    base = made("apiextensions.k8s.io/v1", "CustomResourceDefinition", "as.b.example", spec=spec)
    hook = {"clientConfig": {"service": {"name": "a", "namespace": "b"}}, "conversionReviewVersions": ["v1"]}
    conversion = {"spec.conversion": {"strategy": "Webhook", "webhook": hook}}
    assert fields(with_changes(base, conversion)) == set()
    assert fields(with_changes(base, {"spec.conversion": {"strategy": "Webhook"}})) == {
        "spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions",
    }  # fmt: skip
    assert fields(with_changes(base, {"spec.conversion": {"strategy": "None", "webhook": hook}})) == {
        "spec.conversion.webhookClientConfig"
    }
    assert fields(with_changes(base, {"spec.versions.0.deprecationWarning": "old"})) == {
        "spec.versions[0].deprecationWarning"
    }


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"controller.kubernetes.io/pod-deletion-cost": "-5"}, set()),
        ({"controller.kubernetes.io/pod-deletion-cost": "+5"},
         {"template.annotations[controller.kubernetes.io/pod-deletion-cost]"}),
        ({"kubernetes.io/config.mirror": "x"}, {"template.annotations[kubernetes.io/config.mirror]"}),
        ({"container.apparmor.security.beta.kubernetes.io/a": "localhost/x"}, set()),
        ({"container.apparmor.security.beta.kubernetes.io/b": "mine"},
         {"template.annotations[container.apparmor.security.beta.kubernetes.io/b]"}),
        ({"seccomp.security.alpha.kubernetes.io/pod": "localhost/../x"},
         {"template.annotations.seccomp.security.alpha.kubernetes.io/pod"}),
        ({"container.seccomp.security.alpha.kubernetes.io/a": "unconfined"},
         {"template.spec.containers[0].securityContext.seccompProfile.type"}),
    ],
)  # fmt: skip
def test_annotations_of_pods_that_a_server_reads(annotations: dict[str, str], expected: set[str]) -> None:
    profile = {"template.spec.containers.0.securityContext.seccompProfile": {"type": "RuntimeDefault"}}
    changes = {"template.metadata.annotations": annotations, **profile}
    assert fields(with_changes(BASES["PodTemplate"], changes)) == expected


METADATA: list[tuple[dict[str, Any], set[str]]] = [
    ({"labels": {"a b": "c"}}, {"metadata.labels"}),
    ({"labels": {"a": "-"}}, {"metadata.labels"}),
    ({"annotations": {"a b": "c"}}, {"metadata.annotations"}),
    ({"annotations": {"Upper.example/a": "c"}}, set()),
    ({"generation": -1}, {"metadata.generation"}),
    ({"finalizers": ["a.example/b c"]}, {"metadata.finalizers"}),
    ({"finalizers": ["orphan", "foregroundDeletion"]}, {"metadata.finalizers"}),
    ({"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a"}]}, {"metadata.ownerReferences.uid"}),
    ({"name": "a/b"}, {"metadata.name"}),
    ({"name": None}, {"metadata.name"}),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), METADATA, ids=lambda value: str(value)[:60])
def test_metadata_is_judged_alike_whatever_the_kind(changes: dict[str, Any], expected: set[str]) -> None:
    paths = {f"metadata.{key}": value for key, value in changes.items()}
    for document in (*BASES.values(), *bases().values()):
        # A LimitRange without a name gets one from the server.
        if document["kind"] == "LimitRange" and changes == {"name": None}:
            continue
        found = fields(with_changes(document, paths))
        # A Job's pods have its name as a label.
        found -= {"spec.template.labels"} if document["kind"] == "Job" else set()
        assert found == expected, document["kind"]


@pytest.mark.parametrize("path", ["bogus", "metadata.bogus", "metadata.labels"])
def test_what_no_type_has_is_found_whatever_the_kind(path: str) -> None:
    for document in (*BASES.values(), *bases().values()):
        findings = check(with_changes(document, {path: 1})).findings
        told = findings.unknown if "bogus" in path else [where for where, _ in findings.mistyped]
        assert told == [path], document["kind"]
