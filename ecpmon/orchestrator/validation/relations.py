"""What only shows when the objects are seen together: selectors, duplicates, namespaces, sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from ecpmon.orchestrator.validation.quantities import amount, quantity
from ecpmon.orchestrator.validation.reading import Document, items, mapping
from ecpmon.orchestrator.validation.report import Finding
from ecpmon.orchestrator.validation.workloads import WORKLOADS, pod_of

_GPU: Final = "nvidia.com/gpu"
_CLUSTER_KINDS: Final = (
    "Namespace", "ClusterRole", "ClusterRoleBinding", "PersistentVolume", "StorageClass", "PriorityClass",
)  # fmt: skip


def duplicate_findings(documents: Sequence[Document]) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], int] = {}
    for d in documents:
        key = (str(d.body.get("apiVersion")), d.kind, str(d.metadata.get("namespace")), d.name)
        if key in seen:
            said = f"the same object stands in document {seen[key]}; the later one would win without a word"
            yield d.error("DUPLICATE", "metadata.name", said)
        seen.setdefault(key, d.index)


def tenant_findings(documents: Sequence[Document], tenant_id: str, namespace: str) -> Iterator[Finding]:
    """Objects that would land elsewhere, or belong to somebody else."""
    for d in documents:
        path = "metadata.name" if d.kind == "Namespace" else "metadata.namespace"
        found = d.name if d.kind == "Namespace" else d.metadata.get("namespace")
        if d.kind in _CLUSTER_KINDS and d.kind != "Namespace":
            yield d.error("CLUSTER_SCOPED", "kind", "a tenant's manifest may not change the whole cluster")
        elif found != namespace:
            said = f"expected the tenant's namespace {namespace!r}, found {str(found)[:70]!r}"
            yield d.error("WRONG_NAMESPACE", path, said)
        label = mapping(d.metadata.get("labels")).get("ecp.ai/tenant")
        if label is None:
            said = f"without ecp.ai/tenant: {tenant_id} the object is not found when the tenant is pruned"
            yield d.warning("MISSING_TENANT_LABEL", "metadata.labels", said)
        elif label != tenant_id:
            said = f"belongs to {str(label)[:70]!r}, expected {tenant_id!r}"
            yield d.error("WRONG_TENANT_LABEL", "metadata.labels.ecp.ai/tenant", said)


def selector_findings(documents: Sequence[Document]) -> Iterator[Finding]:
    pods = [(d.metadata.get("namespace"), pod_of(d)[1]) for d in documents if d.kind in WORKLOADS]
    for d in documents:
        own = mapping(mapping(d.spec.get("selector")).get("matchLabels"))
        if d.kind in ("Deployment", "StatefulSet", "DaemonSet") and not _matches(own, pod_of(d)[1]):
            said = "does not match the labels of its own pods; the API server refuses it"
            yield d.error("SELECTOR_MISMATCH", "spec.selector.matchLabels", said)
        space = [labels for where, labels in pods if where == d.metadata.get("namespace")]
        if d.kind == "Service" and d.spec.get("selector"):
            if not any(_matches(mapping(d.spec["selector"]), labels) for labels in space):
                said = "no workload of this manifest has these labels: the Service would have no endpoint"
                yield d.error("SERVICE_WITHOUT_WORKLOAD", "spec.selector", said)
        elif d.kind == "PodDisruptionBudget" and own and not any(_matches(own, labels) for labels in space):
            said = "no workload of this manifest has these labels"
            yield d.warning("SELECTOR_MATCHES_NOTHING", "spec.selector.matchLabels", said)


def _matches(selector: dict[str, Any], labels: dict[str, Any]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def replicas_of(document: Document, scaled: Mapping[tuple[str, str, str], int]) -> int:
    """Of a workload that says no number, its autoscaler's least (`scaled_to`)."""
    if document.kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
        return 1
    place = (str(document.metadata.get("namespace")), document.kind, document.name)
    count = document.spec.get("replicas", scaled.get(place, 1))
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else 1


def scaled_to(documents: Sequence[Document]) -> dict[tuple[str, str, str], int]:
    """By namespace, kind and name of a target: the least replicas that an autoscaler keeps."""
    found: dict[tuple[str, str, str], int] = {}
    for d in documents:
        if d.kind == "HorizontalPodAutoscaler":
            target, least = mapping(d.spec.get("scaleTargetRef")), d.spec.get("minReplicas", 1)
            if isinstance(least, int) and not isinstance(least, bool) and least >= 0:
                place = (str(d.metadata.get("namespace")), str(target.get("kind")), str(target.get("name")))
                found[place] = least
    return found


def totals(documents: Sequence[Document]) -> dict[str, Decimal]:
    """`requests.cpu`, `limits.memory`, … as a ResourceQuota counts them; a limit stands in for a request."""
    sums: dict[str, Decimal] = {}
    scaled = scaled_to(documents)
    for d in documents:
        if d.kind not in WORKLOADS:
            continue
        for container in items(pod_of(d)[2].get("containers")):
            resources = mapping(mapping(container).get("resources"))
            limits = mapping(resources.get("limits"))
            sides = {"limits": limits, "requests": {**limits, **mapping(resources.get("requests"))}}
            for side, values in sides.items():
                for name, value in values.items():
                    key = f"{side}.{name}"
                    sums[key] = sums.get(key, Decimal(0)) + amount(value) * replicas_of(d, scaled)
    return sums


def capacity_findings(documents: Sequence[Document], cluster_gpus: int | None) -> Iterator[Finding]:
    used = totals(documents)
    for d in documents:
        if d.kind != "ResourceQuota":
            continue
        for name, hard in mapping(d.spec.get("hard")).items():
            path = f"spec.hard.{name}"
            try:
                granted = quantity(hard)
            except ValueError as error:
                yield d.error("INVALID_QUANTITY", path, str(error))
                continue
            asked = used.get(str(name) if "." in str(name) else f"requests.{name}", Decimal(0))
            if asked > granted:
                said = f"the pods add up to {asked.normalize():f}, more than {hard}: some would not start"
                yield d.error("QUOTA_EXCEEDED", path, said)
    gpus = used.get(f"requests.{_GPU}", Decimal(0))
    if cluster_gpus is not None and gpus * 10 > cluster_gpus * 8:
        said = f"{gpus.normalize():f} of the cluster's {cluster_gpus} GPUs: more than 80 %"
        first = next(d for d in documents if d.kind in WORKLOADS)
        yield first.warning("GPU_CAPACITY", "spec", said)
