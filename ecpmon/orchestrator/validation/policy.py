"""What a tenant's manifest may do: the Pod Security Standards, and walls of our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ecpmon.kube.scopes import defined_kinds, is_cluster_scoped
from ecpmon.kube.shapes import items, mapping
from ecpmon.kube.standards import Standard, Violation, standard_met, violations
from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding, Severity

PREFIX: Final = "ecp-ai-"
TENANT_LABEL: Final = "ecp.ai/tenant"
_RBAC: Final = "rbac.authorization.k8s.io"
# What these may do, a tenant's own people and programs do not need; `edit` reads every Secret.
_TOO_POWERFUL: Final = ("cluster-admin", "admin")
_DOUBTFUL: Final = ("edit",)
_EVERYBODY: Final = (
    "system:authenticated",
    "system:unauthenticated",
    "system:masters",
    "system:serviceaccounts",
)
_DANGEROUS_VERBS: Final = ("*", "escalate", "bind", "impersonate")


def pod_violations(document: Document) -> list[Violation]:
    return [v for template in document.templates for v in violations(template)]


def pod_findings(document: Document, found: Sequence[Violation]) -> Iterator[Finding]:
    """Baseline violations are errors, those of restricted warnings."""
    for violation in found:
        severity = Severity.ERROR if violation.standard is Standard.BASELINE else Severity.WARNING
        yield document.finding(severity, violation.code, violation.path, value=violation.value)
    for template in document.templates:
        if template.spec.get("nodeName"):
            yield document.warning("NODE_NAME", f"{template.path}.nodeName")


def standard_of(found: Sequence[Violation]) -> str:
    return standard_met(list(found)).name.lower()


def own_namespace(documents: Sequence[Document], tenant_id: str, usual: str) -> str:
    """The one that a whole manifest agrees on, when a Namespace in it is marked as this tenant's; else the usual."""
    marked = {
        d.name for d in documents
        if d.kind == "Namespace" and mapping(d.metadata.get("labels")).get(TENANT_LABEL) == tenant_id
    }  # fmt: skip
    if len(marked) != 1 or next(iter(marked)).startswith(PREFIX):
        return usual
    used = {d.namespace for d in documents if not is_cluster_scoped(d.body)}
    return next(iter(marked)) if used <= marked else usual


def tenant_findings(documents: Sequence[Document], tenant_id: str, namespace: str) -> Iterator[Finding]:
    """Objects that would land elsewhere, or belong to somebody else."""
    custom = frozenset(key for key, wide in defined_kinds([d.body for d in documents]).items() if wide)
    for d in documents:
        if d.kind == "Namespace" and d.group == "":
            yield from _elsewhere(d, "metadata.name", d.name, namespace)
        elif is_cluster_scoped(d.body, custom):
            yield d.error("CLUSTER_SCOPED", "kind")
        else:
            yield from _elsewhere(d, "metadata.namespace", d.namespace, namespace)
        label = mapping(d.metadata.get("labels")).get(TENANT_LABEL)
        if label is None:
            yield d.warning("MISSING_TENANT_LABEL", "metadata.labels", tenant=tenant_id)
        elif label != tenant_id:
            path = f"metadata.labels.{TENANT_LABEL}"
            yield d.error("WRONG_TENANT_LABEL", path, found=str(label)[:70], tenant=tenant_id)


def _elsewhere(d: Document, path: str, found: str, namespace: str) -> Iterator[Finding]:
    if found != namespace:
        yield d.error("WRONG_NAMESPACE", path, expected=namespace, found=found[:70])


def rbac_findings(document: Document) -> Iterator[Finding]:
    """Bindings to powerful roles, and roles that are powerful themselves."""
    if document.group != _RBAC:
        return
    if document.kind in ("RoleBinding", "ClusterRoleBinding"):
        yield from _binding(document)
    elif document.kind in ("Role", "ClusterRole"):
        yield from _role(document)


def _binding(d: Document) -> Iterator[Finding]:
    role = str(mapping(d.body.get("roleRef")).get("name", ""))
    if mapping(d.body.get("roleRef")).get("kind") == "ClusterRole":
        if role in _TOO_POWERFUL or role.startswith("system:"):
            yield d.error("POWERFUL_BINDING", "roleRef.name", role=role[:80])
        elif role in _DOUBTFUL:
            yield d.warning("POWERFUL_BINDING", "roleRef.name", role=role)
    for number, subject in enumerate(items(d.body.get("subjects"))):
        name, kind = str(mapping(subject).get("name", "")), mapping(subject).get("kind")
        if kind == "ServiceAccount" and not mapping(subject).get("namespace") and d.kind == "RoleBinding":
            yield d.warning("NOBODYS_ACCOUNT", f"subjects.{number}.namespace", name=name[:80])
        if kind == "Group" and name in _EVERYBODY:
            yield d.error("WIDE_SUBJECT", f"subjects.{number}.name", subject=name)


def _role(d: Document) -> Iterator[Finding]:
    for number, rule in enumerate(items(d.body.get("rules"))):
        for part, risky in (("verbs", _DANGEROUS_VERBS), ("resources", ("*",)), ("apiGroups", ("*",))):
            for place, value in enumerate(items(mapping(rule).get(part))):
                if value in risky:
                    yield d.warning(
                        "POWERFUL_ROLE", f"rules.{number}.{part}.{place}", what=f"{part}: {value}"
                    )
