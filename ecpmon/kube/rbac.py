"""Roles and what binds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, Document, immutable, invalid, of_messages, required, unsupported
from ecpmon.kube.metadata import selector_causes

GROUP: Final = "rbac.authorization.k8s.io"
_SUBJECTS: Final = ("ServiceAccount", "User", "Group")


def role_causes(document: Document, _: Document | None) -> Causes:
    yield from _rules(document, namespaced=True)


def cluster_role_causes(document: Document, _: Document | None) -> Causes:
    yield from _rules(document, namespaced=False)
    rule = document.get("aggregationRule")
    if rule is None:
        return
    selectors, path = rule.get("clusterRoleSelectors") or (), "aggregationRule.clusterRoleSelectors"
    if not selectors:
        yield required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for index, selector in enumerate(selectors):
        wrong = list(selector_causes(selector, f"{path}[{index}]"))
        yield from wrong
        if wrong:
            yield invalid(f"{path}[{index}]", selector, "invalid label selector")


def _rules(document: Document, *, namespaced: bool) -> Causes:
    for index, rule in enumerate(document.get("rules") or ()):
        at = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{at}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            yield from _addresses(rule, f"{at}.nonResourceURLs", namespaced)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{at}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{at}.resources", "resource rules must supply at least one resource")


def _addresses(rule: Mapping[str, Any], at: str, namespaced: bool) -> Causes:
    if namespaced:
        detail = "namespaced rules cannot apply to non-resource URLs"
        yield invalid(at, rule["nonResourceURLs"], detail)
    if any(rule.get(key) for key in ("apiGroups", "resources", "resourceNames")):
        detail = "rules cannot apply to both regular resources and non-resource URLs"
        yield invalid(at, rule["nonResourceURLs"], detail)


def role_binding_causes(document: Document, old: Document | None) -> Causes:
    yield from _binding(document, old, namespaced=True)


def cluster_role_binding_causes(document: Document, old: Document | None) -> Causes:
    yield from _binding(document, old, namespaced=False)


def _binding(document: Document, old: Document | None, *, namespaced: bool) -> Causes:
    role = document.get("roleRef") or {}
    if role.get("apiGroup") != GROUP:
        yield unsupported("roleRef.apiGroup", role.get("apiGroup"), (GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if role.get("kind", "") not in kinds:
        yield unsupported("roleRef.kind", role.get("kind", ""), kinds)
    name = role.get("name", "")
    if not name:
        yield required("roleRef.name")
    yield from of_messages("roleRef.name", name, names.path_segment(name))
    for index, subject in enumerate(document.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", namespaced)
    if old is not None and role != old.get("roleRef"):
        yield immutable("roleRef", role, "cannot change roleRef")


def _subject(subject: Mapping[str, Any], at: str, namespaced: bool) -> Causes:
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    if not name:
        yield required(f"{at}.name")
    if kind == "ServiceAccount":
        if name:
            yield from of_messages(f"{at}.name", name, names.dns_subdomain(name))
        if group:
            yield unsupported(f"{at}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{at}.namespace")
    elif kind not in _SUBJECTS:
        yield unsupported(f"{at}.kind", kind, _SUBJECTS)
    elif group != GROUP:
        yield unsupported(f"{at}.apiGroup", group, (GROUP,))
