"""All checks over one manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any, Final

from ecpmon.errors import ValidationFailed
from ecpmon.kube.scopes import defined_kinds
from ecpmon.kube.standards import Violation
from ecpmon.kube.versions import DEFAULT_VERSION, VERSIONS
from ecpmon.orchestrator.catalogue import Catalogue, default_catalogue, memory_text, storage_text
from ecpmon.orchestrator.manifests import namespace_of
from ecpmon.orchestrator.validation import advice, policy, pricing, relations
from ecpmon.orchestrator.validation.places import Lines
from ecpmon.orchestrator.validation.reading import MAX_CONTAINERS, Document, read
from ecpmon.orchestrator.validation.references import reference_findings
from ecpmon.orchestrator.validation.report import Finding, Report, Severity
from ecpmon.orchestrator.validation.rules import Kinds, api_findings
from ecpmon.orchestrator.validation.simulated import is_simulated
from ecpmon.orchestrator.validation.surroundings import Surroundings
from ecpmon.orchestrator.validation.totals import Totals, gpu_findings, quota_findings, totals

MAX_FINDINGS: Final = 1_000  # of each sort; nobody reads more, and a hostile file has millions
MAX_OF_ONE: Final = 200  # of one object


def validate_manifest(
    tenant_id: str,
    content: str,
    *,
    namespace: str | None = None,
    version: str = DEFAULT_VERSION,
    strict: bool = False,
    cluster_gpus: int | None = None,
    cluster_nodes: int = 1,
    catalogue: Catalogue | None = None,
) -> Report:
    """Never raises for bad content. `strict`: warnings count as errors. `cluster_gpus` None: not known.

    Without `namespace` it is the tenant's usual one, or the one that a manifest of this tenant agrees on.
    Raises ValidationFailed for a Kubernetes version there are no schemas of.
    """
    if version not in VERSIONS:
        said = f"known are {', '.join(VERSIONS)}"
        raise ValidationFailed(
            f"kubernetes_version: {said}", fields=[{"field": "kubernetes_version", "message": said}]
        )
    documents, found, lines = read(content)
    around = Surroundings(documents, cluster_nodes)
    seen: list[Violation] = []
    where = namespace or policy.own_namespace(documents, tenant_id, namespace_of(tenant_id))
    together = chain(
        relations.duplicate_findings(documents),
        policy.tenant_findings(documents, tenant_id, where),
        relations.relation_findings(around),
        reference_findings(around),
        quota_findings(around),
        gpu_findings(around, cluster_gpus),
    )
    found += islice(_of_each(around, version, seen), MAX_FINDINGS)
    found += islice(together, MAX_FINDINGS)
    if strict:
        found = [replace(f, severity=Severity.ERROR) for f in found]
    return _report(around, found, policy.standard_of(seen), catalogue or default_catalogue(), lines)


def _of_each(around: Surroundings, version: str, seen: list[Violation]) -> Iterator[Finding]:
    own = defined_kinds([d.body for d in around.documents])
    for document in around.documents:
        yield from islice(_of_one(document, around, version, own, seen), MAX_OF_ONE)


def _of_one(
    document: Document, around: Surroundings, version: str, own: Kinds, seen: list[Violation]
) -> Iterator[Finding]:
    if document.crowded:
        yield document.error("TOO_MANY_CONTAINERS", "spec", limit=MAX_CONTAINERS)
        return
    violations = policy.pod_violations(document)
    seen += violations
    yield from api_findings(document, version, own)
    yield from policy.pod_findings(document, violations)
    yield from policy.rbac_findings(document)
    yield from advice.container_findings(document, around)


def _report(
    around: Surroundings, found: list[Finding], standard: str, catalogue: Catalogue, lines: Lines
) -> Report:
    errors = tuple(f for f in found if f.severity is Severity.ERROR)
    sums = totals(around)
    priced = pricing.price(around, sums, catalogue) if around.documents else None
    return Report(
        errors=errors,
        warnings=tuple(f for f in found if f.severity is Severity.WARNING),
        simulator_compatible=not errors and is_simulated(around.documents),
        pod_security=standard,
        resource_summary=_summary(around, sums),
        estimated_cost=priced.cost if priced else None,
        deployment_time=priced.time if priced else None,
        lines=lines,
    )


def _summary(around: Surroundings, sums: Totals) -> dict[str, Any]:
    kinds = Counter(d.kind for d in around.documents)
    return {
        "namespaces": kinds["Namespace"],
        "deployments": kinds["Deployment"],
        "services": kinds["Service"],
        "configmaps": kinds["ConfigMap"],
        "secrets": kinds["Secret"],
        "total_cpu": f"{sums.cpu}m",
        "total_memory": memory_text(sums.memory),
        "total_gpu": sums.gpu,
        "total_storage": storage_text(sums.storage),
        "estimated_pods": sums.pods,
    }
