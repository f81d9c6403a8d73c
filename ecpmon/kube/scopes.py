"""Which kinds belong to the whole cluster."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.kube.shapes import group_of, mapping
from ecpmon.kube.templates import NATIVE_GROUPS

_NATIVE: Final = frozenset({
    "APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding",
    "ClusterTrustBundle", "ComponentStatus", "CustomResourceDefinition", "DeviceClass", "DeviceTaintRule",
    "FlowSchema", "IPAddress", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass",
    "PriorityLevelConfiguration", "ResourceSlice", "RuntimeClass", "SelfSubjectReview", "ServiceCIDR",
    "StorageClass", "StorageVersion", "StorageVersionMigration", "TokenReview", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "VolumeAttachment",
    "VolumeAttributesClass",
})  # fmt: skip
_CUSTOM: Final = frozenset({
    "CiliumClusterwideNetworkPolicy", "ClusterAnalysisTemplate", "ClusterCleanupPolicy", "ClusterDomainClaim",
    "ClusterExternalSecret", "ClusterGenerator", "ClusterImageCatalog", "ClusterInterceptor", "ClusterIssuer",
    "ClusterPolicy", "ClusterPolicyReport", "ClusterPushSecret", "ClusterQueue", "ClusterSecretStore",
    "ClusterServingRuntime", "ClusterStorageContainer", "ClusterTask", "ClusterTriggerAuthentication",
    "ClusterTriggerBinding", "ClusterWorkflowTemplate", "CompositeResourceDefinition", "Composition",
    "ConstraintTemplate", "EC2NodeClass", "GatewayClass", "GlobalNetworkPolicy", "NodeClaim", "NodePool",
    "ResourceFlavor", "VolumeSnapshotClass", "VolumeSnapshotContent",
})  # fmt: skip


def is_cluster_scoped(body: dict[str, Any], own: frozenset[tuple[str, str]] = frozenset()) -> bool:
    """Whether the object belongs to no namespace. `own`: (group, kind) of cluster-wide CRDs beside it."""
    kind, group = str(body.get("kind", "")), group_of(body)
    if (group, kind) in own:
        return True
    return kind in (_NATIVE if group in NATIVE_GROUPS else _CUSTOM)


def defined_kinds(bodies: list[dict[str, Any]]) -> dict[tuple[str, str], bool]:
    """(group, kind) of the CRDs among these objects; whether each belongs to the whole cluster."""
    found = {}
    for body in bodies:
        if body.get("kind") == "CustomResourceDefinition":
            spec = mapping(body.get("spec"))
            kind = mapping(spec.get("names")).get("kind")
            found[(str(spec.get("group", "")), str(kind))] = spec.get("scope") == "Cluster"
    return found
