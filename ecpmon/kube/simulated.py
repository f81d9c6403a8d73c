"""What the simulated cluster does not have, though a real one would: its kinds and its bounds.

Asked by the simulator before it stores an object and by the validation of manifests, so that what the one refuses
the other does not call compatible.
"""

from __future__ import annotations

from typing import Any, Final

from ecpmon.kube.causes import Document

MAX_REPLICAS: Final = 1000  # of one workload; a simulation has to hold them all
# (group, kind) of all objects that it stores.
SIMULATED: Final = frozenset(
    {
        *(("", kind) for kind in (
            "ConfigMap", "Endpoints", "Event", "LimitRange", "Namespace", "Node", "PersistentVolume",
            "PersistentVolumeClaim", "Pod", "ReplicationController", "ResourceQuota", "Secret", "Service",
            "ServiceAccount",
        )),
        *(("apps", kind) for kind in (
            "ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet",
        )),
        *(("batch", kind) for kind in ("CronJob", "Job")),
        *(("networking.k8s.io", kind) for kind in ("Ingress", "IngressClass", "NetworkPolicy")),
        *(("rbac.authorization.k8s.io", kind) for kind in (
            "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
        )),
        *(("monitoring.coreos.com", kind) for kind in ("PodMonitor", "PrometheusRule", "ServiceMonitor")),
        *(("argoproj.io", kind) for kind in ("Application", "AppProject")),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("coordination.k8s.io", "Lease"),
        ("discovery.k8s.io", "EndpointSlice"),
        ("policy", "PodDisruptionBudget"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
    }
)  # fmt: skip


def too_many_pods(spec: dict[str, Any]) -> tuple[str, int, str] | None:
    """The field of a workload's spec that asks for more pods at once than a simulation holds, its value, and why."""
    for name in ("replicas", "parallelism"):
        found = spec.get(name)
        # A Job has no more pods at once than it needs to complete.
        if found is not None and not 0 <= min(found, spec.get("completions", found)) <= MAX_REPLICAS:
            return f"spec.{name}", found, f"must be between 0 and {MAX_REPLICAS} in this simulator"
    return None


def can_be_simulated(group: str, kind: str, document: Document) -> bool:
    """Whether the simulated cluster takes a valid object of this kind."""
    spec = document.get("spec")
    return (group, kind) in SIMULATED and not (isinstance(spec, dict) and too_many_pods(spec))
