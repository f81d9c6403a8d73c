"""The values an API server fills in before it looks for mistakes.

`_set` fills what is absent, `_set_empty` also what is empty: in Go only a pointer knows the difference.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

from ecpmon.kube import crds
from ecpmon.kube.admission_policies import fill_policy, fill_policy_binding
from ecpmon.kube.causes import Document
from ecpmon.kube.cluster import fill_node
from ecpmon.kube.endpoints import fill_endpoint_slice, fill_endpoints
from ecpmon.kube.ingresses import fill_ingress_class
from ecpmon.kube.pod_defaults import fill_pod, fill_pod_spec
from ecpmon.kube.rbac import GROUP
from ecpmon.kube.storage import fill_driver, fill_storage_class
from ecpmon.kube.webhooks import fill_webhooks

_AFFINITY_SECONDS: Final = 10_800
_BACKOFF: Final = 6


def fill_defaults(group: str, kind: str, document: Document) -> None:
    """Every default, in place; `document` is what decoding gave."""
    fill = _FILLERS.get((group, kind))
    if fill is not None:
        fill(document)


def _set(target: Document, **values: Any) -> None:
    for key, value in values.items():
        if key not in target:
            target[key] = deepcopy(value)


def _set_empty(target: Document, **values: Any) -> None:
    for key, value in values.items():
        if not target.get(key):
            target[key] = deepcopy(value)


def _spec(document: Document) -> Document:
    spec: Document = document.setdefault("spec", {})
    return spec


def _template(document: Document) -> Document:
    spec = _spec(document)
    fill_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    return spec


def _deployment(document: Document) -> None:
    spec = _template(document)
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _set_empty(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxSurge="25%", maxUnavailable="25%")


def _replica_set(document: Document) -> None:
    _set(_template(document), replicas=1)


def _replication_controller(document: Document) -> None:
    spec = _spec(document)
    _set(spec, replicas=1)
    if "template" not in spec:
        return
    _template(document)
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if labels:
        _set_empty(spec, selector=labels)
    _label(document)


def _stateful_set(document: Document) -> None:
    spec = _template(document)
    _set(spec, replicas=1, revisionHistoryLimit=10)
    _set_empty(spec, podManagementPolicy="OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    _set_empty(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), partition=0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    _set_empty(retention, whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates") or ():
        _set(claim.setdefault("spec", {}), volumeMode="Filesystem")


def _daemon_set(document: Document) -> None:
    spec = _template(document)
    _set(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _set_empty(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxSurge=0, maxUnavailable=1)


def _job(document: Document) -> None:
    _fill_job(_template(document))
    _label(document)


def _label(document: Document) -> None:
    """An object without labels has those of its pods."""
    labels = (document["spec"]["template"].get("metadata") or {}).get("labels")
    if labels:
        _set_empty(document.setdefault("metadata", {}), labels=labels)


def _fill_job(spec: Document) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _set(
        spec,
        parallelism=1,
        backoffLimit=2**31 - 1 if "backoffLimitPerIndex" in spec else _BACKOFF,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy="Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed",
    )


def _cron_job(document: Document) -> None:
    spec = _spec(document)
    _set_empty(spec, concurrencyPolicy="Allow")
    _set(spec, suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    fill_pod_spec(job.setdefault("template", {}).setdefault("spec", {}))


def _service(document: Document) -> None:
    spec = _spec(document)
    _set_empty(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        _set(config, timeoutSeconds=_AFFINITY_SECONDS)
    elif spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    for port in spec.get("ports") or ():
        _set_empty(port, protocol="TCP")
        _set_empty(port, targetPort=port.get("port", 0))
    if spec["type"] == "ExternalName":
        return
    _set(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set_empty(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)


def _autoscaler(document: Document) -> None:
    spec = _spec(document)
    _set(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _network_policy(document: Document) -> None:
    spec = _spec(document)
    _set(spec, podSelector={})
    _set_empty(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            _set(port, protocol="TCP")


def _secret(document: Document) -> None:
    _set_empty(document, type="Opaque")
    written = document.pop("stringData", None)
    if written:
        data = document.setdefault("data", {})
        data |= {key: base64.b64encode(value.encode()).decode() for key, value in written.items()}


def _claim(document: Document) -> None:
    spec = _spec(document)
    _set(spec, volumeMode="Filesystem")
    _same_source(spec)


def _same_source(spec: Document) -> None:
    """The two spellings of a claim's source are one. Of the older one only claims and snapshots are kept, of the newer
    one nothing of another namespace."""
    if (spec.get("dataSourceRef") or {}).get("namespace"):
        del spec["dataSourceRef"]
    older, newer = spec.get("dataSource"), spec.get("dataSourceRef")
    if older is not None and newer is None:
        named = older.get("apiGroup", ""), older.get("kind", "")
        if named in (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")):
            spec["dataSourceRef"] = dict(older)
        else:
            del spec["dataSource"]
    elif newer is not None and older is None:
        spec["dataSource"] = {key: value for key, value in newer.items() if key != "namespace"}


def _volume(document: Document) -> None:
    spec = _spec(document)
    _set_empty(spec, persistentVolumeReclaimPolicy="Retain")
    _set(spec, volumeMode="Filesystem")


def _limit_range(document: Document) -> None:
    for limit in _spec(document).get("limits") or ():
        if limit.get("type") != "Container":
            continue
        default, request = dict(limit.get("default") or {}), dict(limit.get("defaultRequest") or {})
        _set(default, **(limit.get("max") or {}))
        _set(request, **default)
        _set(request, **(limit.get("min") or {}))
        for key, amounts in (("default", default), ("defaultRequest", request)):
            if amounts:
                limit[key] = amounts


def _binding(document: Document) -> None:
    role = document.setdefault("roleRef", {})
    _set_empty(role, apiGroup=GROUP)
    for subject in document.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            _set_empty(subject, apiGroup=GROUP)


def _pod_template(document: Document) -> None:
    fill_pod_spec(document.setdefault("template", {}).setdefault("spec", {}))


def _priority_class(document: Document) -> None:
    _set(document, preemptionPolicy="PreemptLowerPriority")


_FILLERS: Final[dict[tuple[str, str], Callable[[Document], None]]] = {
    ("", "Endpoints"): fill_endpoints,
    ("", "Node"): fill_node,
    ("", "Pod"): fill_pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): _replication_controller,
    ("", "Service"): _service,
    ("", "Secret"): _secret,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "LimitRange"): _limit_range,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): fill_webhooks,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): fill_policy,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): fill_policy_binding,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): fill_webhooks,
    (crds.GROUP, crds.KIND): crds.fill_definition,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("discovery.k8s.io", "EndpointSlice"): fill_endpoint_slice,
    ("networking.k8s.io", "IngressClass"): fill_ingress_class,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    (GROUP, "RoleBinding"): _binding,
    (GROUP, "ClusterRoleBinding"): _binding,
    ("storage.k8s.io", "CSIDriver"): fill_driver,
    ("storage.k8s.io", "StorageClass"): fill_storage_class,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
}
