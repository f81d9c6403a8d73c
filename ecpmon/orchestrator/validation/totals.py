"""What the objects add up to, as the cluster would count them; what a quota and the cluster say to that."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ecpmon.kube.amounts import Amounts, added, amount, quantity, times
from ecpmon.kube.reckoning import pod_needs
from ecpmon.kube.shapes import items, mapping
from ecpmon.kube.templates import PodTemplate
from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding
from ecpmon.orchestrator.validation.surroundings import Surroundings

GPU: Final = "nvidia.com/gpu"
_MOST: Final = Decimal(2**63)
_COUNTED: Final = {
    "services": "Service", "configmaps": "ConfigMap", "secrets": "Secret",
    "persistentvolumeclaims": "PersistentVolumeClaim", "resourcequotas": "ResourceQuota",
    "replicationcontrollers": "ReplicationController", "count/deployments.apps": "Deployment",
    "count/statefulsets.apps": "StatefulSet", "count/jobs.batch": "Job", "count/cronjobs.batch": "CronJob",
    "count/replicasets.apps": "ReplicaSet", "count/ingresses.networking.k8s.io": "Ingress",
    "count/services": "Service", "count/configmaps": "ConfigMap", "count/secrets": "Secret",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    """Whole numbers: millicores, MiB, GPUs, GB of claims, pods. A container without a limit counts with its request."""

    cpu: int
    memory: int
    gpu: int
    storage: int
    pods: int


def totals(around: Surroundings) -> Totals:
    used: list[Amounts] = []
    pods = 0
    for document, template in around.pods:
        count = around.count(document, template)
        defaults = around.limit_ranges.get(document.namespace, [])
        used.append(times(pod_needs(template.spec, "limits", defaults, sound=True), count))
        pods += count
    sums = added(used)
    return Totals(
        cpu=_whole(sums.get("cpu", Decimal(0)) * 1000),
        memory=_whole(sums.get("memory", Decimal(0)) / 1024**2),
        gpu=_whole(sums.get(GPU, Decimal(0))),
        storage=_whole(sum(claimed(around).values(), Decimal(0)) / 1000**3),
        pods=pods,
    )


def _whole(value: Decimal) -> int:
    return math.ceil(min(value, _MOST))


def claimed(around: Surroundings) -> dict[str, Decimal]:
    """Bytes of volume claims by namespace, with those that pods bring along."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for d in around.documents:
        if d.kind == "PersistentVolumeClaim" and d.group == "":
            found[d.namespace] += _asked(d.body)
        for template in d.templates:
            each = sum((_asked(claim) for claim in (*template.claims, *_ephemeral(template))), Decimal(0))
            if each:
                found[d.namespace] += each * around.count(d, template)
    return found


def _asked(claim: dict[str, Any]) -> Decimal:
    resources = mapping(mapping(claim.get("spec")).get("resources"))
    return amount(mapping(resources.get("requests")).get("storage", 0))


def _ephemeral(template: PodTemplate) -> Iterator[dict[str, Any]]:
    for volume in items(template.spec.get("volumes")):
        yield mapping(mapping(mapping(volume).get("ephemeral")).get("volumeClaimTemplate"))


def quota_findings(around: Surroundings) -> Iterator[Finding]:
    """Quotas that the objects beside them go beyond, as admission counts."""
    for namespace, quotas in around.quotas.items():
        used = _used(around, namespace)
        for quota in quotas:
            for name, hard in mapping(quota.spec.get("hard")).items():
                plain = name if "." in name or "/" in name or name in used else f"requests.{name}"
                if plain in used:
                    yield from _against(quota, name, hard, used[plain])


def _against(quota: Document, name: str, hard: Any, asked: Decimal) -> Iterator[Finding]:
    try:
        granted = quantity(hard)
    except ValueError:
        return  # reported where it stands
    if asked > granted:
        said = f"{asked.normalize():f}"[:60]
        yield quota.error("QUOTA_EXCEEDED", f"spec.hard.{name}", asked=said, hard=str(hard)[:60])


def _used(around: Surroundings, namespace: str) -> Amounts:
    """By a quota's names."""
    used: list[Amounts] = [{"requests.storage": claimed(around).get(namespace, Decimal(0))}]
    defaults = around.limit_ranges.get(namespace, [])
    for document, template in around.pods:
        if document.namespace != namespace:
            continue
        count = around.count(document, template)
        used.append({"pods": Decimal(count), "count/pods": Decimal(count)})
        for side in ("requests", "limits"):
            needs = times(pod_needs(template.spec, side, defaults), count)
            used.append({f"{side}.{name}": value for name, value in needs.items()})
    inside = [d.kind for d in around.documents if d.namespace == namespace]
    used.append({name: Decimal(inside.count(kind)) for name, kind in _COUNTED.items()})
    return added(used)


def gpu_findings(around: Surroundings, cluster_gpus: int | None) -> Iterator[Finding]:
    """GPUs beyond what the cluster has, or nearly all of them; nothing when nobody knows what it has."""
    if cluster_gpus is None:
        return
    asked, first = 0, None
    for document, template in around.pods:
        needs = pod_needs(template.spec, "requests").get(GPU, Decimal(0)) * around.count(document, template)
        if needs and first is None:
            first = document, _gpu_path(template)
        asked += _whole(needs)
    if first is None or asked * 10 <= cluster_gpus * 8:
        return
    document, path = first
    finding = document.error if asked > cluster_gpus else document.warning
    code = "GPU_BEYOND_CLUSTER" if asked > cluster_gpus else "GPU_CAPACITY"
    yield finding(code, path, asked=asked, gpus=cluster_gpus)


def _gpu_path(template: PodTemplate) -> str:
    for _, path, container in template.containers():
        resources = mapping(container.get("resources"))
        for side in ("limits", "requests"):
            if GPU in mapping(resources.get(side)):
                return f"{path}.resources.{side}.{GPU}"
    return template.path
