"""What an API server says of an object: decoded, filled with defaults, held against the rules of its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ecpmon.kube import crds, names, schemas
from ecpmon.kube.admission_policies import binding_causes, policy_causes
from ecpmon.kube.autoscalers import autoscaler_causes
from ecpmon.kube.causes import Cause, Causes, Document, forbidden, required
from ecpmon.kube.certificates import signing_request_causes
from ecpmon.kube.claims import claim_causes
from ecpmon.kube.cluster import (
    api_service_causes,
    lease_causes,
    namespace_causes,
    node_causes,
    pod_template_causes,
    priority_class_causes,
    revision_causes,
    runtime_class_causes,
)
from ecpmon.kube.configs import config_map_causes, secret_causes
from ecpmon.kube.decoding import Findings, decode
from ecpmon.kube.defaults import fill_defaults
from ecpmon.kube.endpoints import endpoint_slice_causes, endpoints_causes
from ecpmon.kube.events import event_causes
from ecpmon.kube.ingresses import ingress_causes, ingress_class_causes
from ecpmon.kube.jobs import cron_job_causes, job_causes
from ecpmon.kube.metadata import metadata_causes
from ecpmon.kube.pods import pod_causes
from ecpmon.kube.policies import disruption_budget_causes, network_policy_causes
from ecpmon.kube.quotas import limit_range_causes, quota_causes
from ecpmon.kube.rbac import (
    GROUP,
    cluster_role_binding_causes,
    cluster_role_causes,
    role_binding_causes,
    role_causes,
)
from ecpmon.kube.schemas import Node
from ecpmon.kube.services import service_causes
from ecpmon.kube.storage import (
    attachment_causes,
    attributes_class_causes,
    driver_object_causes,
    storage_capacity_causes,
    storage_class_causes,
    storage_node_causes,
    volume_causes,
)
from ecpmon.kube.webhooks import webhook_configuration_causes
from ecpmon.kube.workloads import (
    MAX_UNAVAILABLE_SINCE,
    daemon_set_causes,
    deployment_causes,
    replica_set_causes,
    replication_controller_causes,
    stateful_set_causes,
    unavailable_causes,
)

Check = Callable[[Document, Document | None], Causes]


def _nothing(_: Document, __: Document | None) -> Causes:
    return iter(())


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a kind: its own rules, the syntax of its names, whether it lives in a namespace."""

    check: Check = _nothing
    name: names.Rule = names.dns_subdomain
    namespaced: bool = True


_ADMISSION: Final = "admissionregistration.k8s.io"
_ANY_NAME: Final = names.path_segment
_RULES: Final[dict[tuple[str, str], Rules]] = {
    ("", "ConfigMap"): Rules(config_map_causes),
    ("", "Endpoints"): Rules(endpoints_causes),
    ("", "Event"): Rules(event_causes),
    ("", "LimitRange"): Rules(limit_range_causes),
    ("", "Namespace"): Rules(namespace_causes, names.dns_label, False),
    ("", "Node"): Rules(node_causes, namespaced=False),
    ("", "PersistentVolume"): Rules(volume_causes, namespaced=False),
    ("", "PersistentVolumeClaim"): Rules(claim_causes),
    ("", "Pod"): Rules(pod_causes),
    ("", "PodTemplate"): Rules(pod_template_causes),
    ("", "ReplicationController"): Rules(replication_controller_causes),
    ("", "ResourceQuota"): Rules(quota_causes),
    ("", "Secret"): Rules(secret_causes),
    ("", "Service"): Rules(service_causes, names.dns_label),
    ("", "ServiceAccount"): Rules(),
    (_ADMISSION, "MutatingWebhookConfiguration"): Rules(webhook_configuration_causes, namespaced=False),
    (_ADMISSION, "ValidatingAdmissionPolicy"): Rules(policy_causes, namespaced=False),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): Rules(binding_causes, namespaced=False),
    (_ADMISSION, "ValidatingWebhookConfiguration"): Rules(webhook_configuration_causes, namespaced=False),
    (crds.GROUP, crds.KIND): Rules(crds.definition_causes, namespaced=False),
    ("apiregistration.k8s.io", "APIService"): Rules(api_service_causes, _ANY_NAME, False),
    ("apps", "ControllerRevision"): Rules(revision_causes),
    ("apps", "DaemonSet"): Rules(daemon_set_causes),
    ("apps", "Deployment"): Rules(deployment_causes),
    ("apps", "ReplicaSet"): Rules(replica_set_causes),
    ("apps", "StatefulSet"): Rules(stateful_set_causes, names.dns_label),
    ("autoscaling", "HorizontalPodAutoscaler"): Rules(autoscaler_causes),
    ("batch", "CronJob"): Rules(cron_job_causes),
    ("batch", "Job"): Rules(job_causes),
    ("certificates.k8s.io", "CertificateSigningRequest"): Rules(signing_request_causes, _ANY_NAME, False),
    ("coordination.k8s.io", "Lease"): Rules(lease_causes),
    ("discovery.k8s.io", "EndpointSlice"): Rules(endpoint_slice_causes),
    ("networking.k8s.io", "Ingress"): Rules(ingress_causes),
    ("networking.k8s.io", "IngressClass"): Rules(ingress_class_causes, namespaced=False),
    ("networking.k8s.io", "NetworkPolicy"): Rules(network_policy_causes),
    ("node.k8s.io", "RuntimeClass"): Rules(runtime_class_causes, namespaced=False),
    ("policy", "PodDisruptionBudget"): Rules(disruption_budget_causes, _ANY_NAME),
    (GROUP, "ClusterRole"): Rules(cluster_role_causes, _ANY_NAME, False),
    (GROUP, "ClusterRoleBinding"): Rules(cluster_role_binding_causes, _ANY_NAME, False),
    (GROUP, "Role"): Rules(role_causes, _ANY_NAME),
    (GROUP, "RoleBinding"): Rules(role_binding_causes, _ANY_NAME),
    ("scheduling.k8s.io", "PriorityClass"): Rules(priority_class_causes, namespaced=False),
    ("storage.k8s.io", "CSIDriver"): Rules(driver_object_causes, namespaced=False),
    ("storage.k8s.io", "CSINode"): Rules(storage_node_causes, namespaced=False),
    ("storage.k8s.io", "CSIStorageCapacity"): Rules(storage_capacity_causes),
    ("storage.k8s.io", "StorageClass"): Rules(storage_class_causes, namespaced=False),
    ("storage.k8s.io", "VolumeAttachment"): Rules(attachment_causes, namespaced=False),
    ("storage.k8s.io", "VolumeAttributesClass"): Rules(attributes_class_causes, namespaced=False),
}
# Of objects of these groups, as of custom kinds, the server takes finalizers without a domain.
_APART: Final = (
    crds.GROUP, _ADMISSION, "apiregistration.k8s.io", "coordination.k8s.io", "node.k8s.io",
)  # fmt: skip
# The server makes up the name itself, when there is none.
_NAMELESS: Final = (("", "LimitRange"),)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the server makes of an object. `document` has its defaults; it is of no use when `findings` are not
    fine, and then there are no causes."""

    document: Document
    findings: Findings
    causes: tuple[Cause, ...] = ()

    @property
    def valid(self) -> bool:
        return self.findings.fine and not self.causes


def split_version(api_version: str) -> tuple[str, str]:
    """`apps/v1` as group and version."""
    group, _, version = api_version.rpartition("/")
    return group, version


def check(document: Document, *, old: Document | None = None, minor: str = schemas.SERVER_MINOR) -> Verdict:
    """An object by its apiVersion and kind, as if it were created or put in the place of `old`; types are those
    of that version of Kubernetes, rules those of the newest that is known here."""
    group, version = split_version(str(document.get("apiVersion", "")))
    kind = str(document.get("kind", ""))
    decoded, findings = decoded_as(group, version, kind, document, minor)
    if not findings.fine:
        return Verdict(decoded, findings)
    fill_defaults(group, kind, decoded)
    return Verdict(decoded, findings, tuple(causes_of(group, version, kind, decoded, old, minor)))


def decoded_as(
    group: str, version: str, kind: str, document: Document, minor: str = schemas.SERVER_MINOR
) -> tuple[Document, Findings]:
    """The object by its schema; of a kind without one only the metadata is looked at."""
    name = schemas.definition_name(group, version, kind, minor)
    if name is not None:
        decoded, findings = decode(document, schemas.reference(name), minor)
    else:
        metadata, findings = decode({"metadata": document.get("metadata") or {}}, _ONLY_METADATA, minor)
        decoded = {**document, **metadata}
    if isinstance(decoded, dict):
        decoded.setdefault("metadata", {})
    return decoded, findings


_ONLY_METADATA: Final[Node] = {
    "type": "object",
    "properties": {"metadata": schemas.reference(f"{schemas.META}ObjectMeta")},
}


def causes_of(
    group: str,
    version: str,
    kind: str,
    document: Document,
    old: Document | None = None,
    minor: str = schemas.SERVER_MINOR,
) -> Iterator[Cause]:
    """Everything wrong with a decoded object that has its defaults; `old` is what it takes the place of. Where a server
    of another version refuses more, `minor` says which it is."""
    typed = schemas.definition_name(group, version, kind) is not None
    rules = _RULES.get((group, kind)) if typed else None  # they rely on what decoding gives
    found = rules or Rules(namespaced="namespace" in document["metadata"])
    named = document["metadata"].get("name") or (group, kind) not in _NAMELESS
    shown = document if named else {**document, "metadata": {**document["metadata"], "name": "any"}}
    custom = not typed or group in _APART
    yield from metadata_causes(shown, found.name, namespaced=found.namespaced, custom=custom)
    yield from _late_finalizers(document["metadata"], old)
    yield from found.check(document, old)
    if (group, kind) == ("apps", "StatefulSet") and _number(minor) >= MAX_UNAVAILABLE_SINCE:
        yield from unavailable_causes(document)
    if rules is None:
        node = schemas.schema_of_kind(group, version, kind)
        yield from _missing(document, node, "")


def _number(minor: str) -> int:
    return int(minor.rpartition(".")[2])


def _late_finalizers(metadata: Document, old: Document | None) -> Causes:
    before = old["metadata"] if old else {}
    late = set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ())
    if before.get("deletionTimestamp") and late:
        detail = "no new finalizers can be added if the object is being deleted, found new finalizers"
        yield forbidden("metadata.finalizers", f"{detail} {sorted(late)}")


def _missing(value: Any, node: Node | None, path: str) -> Causes:
    """What the schema asks for, of kinds whose rules are not known here; the status is the server's own."""
    if node is None or path == "status":
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _missing(item, schemas.element(node), f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    for key in node.get("required", ()):
        if key not in value:
            yield required(f"{path}.{key}".removeprefix("."))
    for key, item in value.items():
        yield from _missing(item, schemas.child(node, key), f"{path}.{key}".removeprefix("."))
