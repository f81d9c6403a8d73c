"""All checks over one manifest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final

from ecpmon.errors import ValidationFailed
from ecpmon.orchestrator.catalogue import Catalogue, PresetSpec, default_catalogue, memory_text
from ecpmon.orchestrator.costs import cost_breakdown, cost_text, monthly_cost
from ecpmon.orchestrator.manifests import namespace_of
from ecpmon.orchestrator.validation import relations, workloads
from ecpmon.orchestrator.validation.reading import Document, read
from ecpmon.orchestrator.validation.report import Finding, Report, Severity
from ecpmon.orchestrator.validation.schemas import VERSIONS, schema_findings

DEFAULT_VERSION: Final = VERSIONS[-1]
MAX_FINDINGS: Final = 1_000  # of each sort; nobody reads more, and a hostile file has millions
# Kinds that the simulator acts on or stores; a pod from another workload would never run there.
_NOT_SIMULATED: Final = ("StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet")


def validate_manifest(
    tenant_id: str,
    content: str,
    *,
    namespace: str | None = None,
    version: str = DEFAULT_VERSION,
    strict: bool = False,
    cluster_gpus: int | None = None,
    catalogue: Catalogue | None = None,
) -> Report:
    """Never raises for bad content. `strict`: warnings count as errors. `cluster_gpus` None: not known.

    Raises ValidationFailed for a Kubernetes version there are no schemas of.
    """
    if version not in VERSIONS:
        said = f"known are {', '.join(VERSIONS)}"
        raise ValidationFailed(
            f"kubernetes_version: {said}", fields=[{"field": "kubernetes_version", "message": said}]
        )
    documents, found = read(content)
    of_each = chain.from_iterable(_of_one(document, version) for document in documents)
    together = chain(
        relations.duplicate_findings(documents),
        relations.tenant_findings(documents, tenant_id, namespace or namespace_of(tenant_id)),
        relations.selector_findings(documents),
        relations.capacity_findings(documents, cluster_gpus),
    )
    found += islice(of_each, MAX_FINDINGS)
    found += islice(together, MAX_FINDINGS)
    if strict:
        found = [replace(f, severity=Severity.ERROR) for f in found]
    return _report(documents, found, catalogue or default_catalogue())


def _of_one(document: Document, version: str) -> Iterator[Finding]:
    yield from schema_findings(document, version)
    yield from workloads.name_findings(document)
    yield from workloads.workload_findings(document)


def _report(documents: Sequence[Document], found: list[Finding], catalogue: Catalogue) -> Report:
    errors = tuple(f for f in found if f.severity is Severity.ERROR)
    sums = relations.totals(documents)
    preset = _preset(sums, catalogue) if documents else None
    low, high = preset.deployment_minutes if preset else (0, 0)
    cost = monthly_cost(cost_breakdown(preset, catalogue.prices)) if preset else None
    return Report(
        errors=errors,
        warnings=tuple(f for f in found if f.severity is Severity.WARNING),
        simulator_compatible=not errors and not any(d.kind in _NOT_SIMULATED for d in documents),
        resource_summary=_summary(documents, sums),
        estimated_cost=None if cost is None else cost_text(cost, catalogue.prices),
        deployment_time=f"{low}-{high} minutes" if preset else None,
    )


def _amounts(sums: dict[str, Decimal]) -> tuple[int, int, int]:
    """Millicores, MiB, GPUs: the sums of the limits, rounded up."""
    cpu = math.ceil(sums.get("limits.cpu", Decimal(0)) * 1000)
    memory = math.ceil(sums.get("limits.memory", Decimal(0)) / 1024**2)
    return cpu, memory, math.ceil(sums.get("requests.nvidia.com/gpu", Decimal(0)))


def _preset(sums: dict[str, Decimal], catalogue: Catalogue) -> PresetSpec | None:
    """The smallest preset that holds the limits; None beyond the largest."""
    cpu, memory, gpu = _amounts(sums)
    fits = (p for p in catalogue.presets.values() if p.cpu >= cpu and p.memory >= memory and p.gpu >= gpu)
    return next(fits, None)


def _summary(documents: Sequence[Document], sums: dict[str, Decimal]) -> dict[str, Any]:
    kinds = Counter(d.kind for d in documents)
    cpu, memory, gpu = _amounts(sums)
    scaled = relations.scaled_to(documents)
    pods = sum(relations.replicas_of(d, scaled) for d in documents if d.kind in workloads.WORKLOADS)
    return {
        "namespaces": kinds["Namespace"],
        "deployments": kinds["Deployment"],
        "services": kinds["Service"],
        "configmaps": kinds["ConfigMap"],
        "secrets": kinds["Secret"],
        "total_cpu": f"{cpu}m",
        "total_memory": memory_text(memory),
        "total_gpu": gpu,
        "estimated_pods": pods,
    }
