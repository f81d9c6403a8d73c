"""What the deployment simulator can be given: the kinds that its Kubernetes API serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ecpmon.orchestrator.validation.reading import Document

# By apiVersion; a test holds them against the simulator's own catalogue.
SERVED: Final[dict[str, frozenset[str]]] = {
    "v1": frozenset({
        "ConfigMap", "Endpoints", "Event", "LimitRange", "Namespace", "Node", "PersistentVolume",
        "PersistentVolumeClaim", "Pod", "ReplicationController", "ResourceQuota", "Secret", "Service",
        "ServiceAccount",
    }),
    "apiextensions.k8s.io/v1": frozenset({"CustomResourceDefinition"}),
    "apps/v1": frozenset({"ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"}),
    "argoproj.io/v1alpha1": frozenset({"AppProject", "Application"}),
    "autoscaling/v2": frozenset({"HorizontalPodAutoscaler"}),
    "batch/v1": frozenset({"CronJob", "Job"}),
    "coordination.k8s.io/v1": frozenset({"Lease"}),
    "discovery.k8s.io/v1": frozenset({"EndpointSlice"}),
    "monitoring.coreos.com/v1": frozenset({"PodMonitor", "PrometheusRule", "ServiceMonitor"}),
    "networking.k8s.io/v1": frozenset({"Ingress", "IngressClass", "NetworkPolicy"}),
    "node.k8s.io/v1": frozenset({"RuntimeClass"}),
    "policy/v1": frozenset({"PodDisruptionBudget"}),
    "rbac.authorization.k8s.io/v1": frozenset({"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}),
    "scheduling.k8s.io/v1": frozenset({"PriorityClass"}),
    "storage.k8s.io/v1": frozenset({"StorageClass"}),
}  # fmt: skip
# Stored and served, but nothing makes their pods.
_NEVER_RUN: Final = (("v1", "ReplicationController"),)


def is_simulated(documents: Sequence[Document]) -> bool:
    """Whether the simulator serves every kind, and runs what the objects ask for. They are valid otherwise."""
    return all(_is_served(d) for d in documents)


def _is_served(document: Document) -> bool:
    kind = str(document.body.get("apiVersion")), document.kind
    return kind[1] in SERVED.get(kind[0], ()) and kind not in _NEVER_RUN
