"""CustomResourceDefinitions: their names and versions; their schemas are `structural_schemas`.

Not looked at: CEL rules (`x-kubernetes-validations`), conversion webhooks, selectable fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    immutable,
    invalid,
    needed,
    of_messages,
    required,
    unsupported,
)
from ecpmon.kube.structural_schemas import schema_causes

GROUP: Final = "apiextensions.k8s.io"
KIND: Final = "CustomResourceDefinition"
_SCOPES: Final = ("Cluster", "Namespaced")
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_APPROVED: Final = "api-approved.kubernetes.io"
_PROTECTED: Final = ("k8s.io", "kubernetes.io")


def definition_causes(document: Document, old: Document | None) -> Causes:
    """Everything wrong with a definition that has its defaults."""
    spec, metadata = document.get("spec") or {}, document["metadata"]
    group, own = spec.get("group", ""), spec.get("names") or {}
    name = metadata.get("name", "")
    if name and name != f"{own.get('plural', '')}.{group}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _approval(metadata, group)
    yield from _group(group)
    if spec.get("scope", "") not in _SCOPES:
        yield unsupported("spec.scope", spec.get("scope", ""), _SCOPES)
    if spec.get("preserveUnknownFields"):
        why = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        yield invalid("spec.preserveUnknownFields", True, why)
    yield from _names(own)
    yield from _versions(spec.get("versions") or [])
    if old is not None:
        yield from _changes(spec, old)


def _approval(metadata: Document, group: str) -> Causes:
    """Groups of Kubernetes itself need its approval."""
    protected = any(group == suffix or group.endswith(f".{suffix}") for suffix in _PROTECTED)
    if protected and not (metadata.get("annotations") or {}).get(_APPROVED):
        why = (
            f'protected groups must have approval annotation "{_APPROVED}", '
            "see https://github.com/kubernetes/enhancements/pull/1111"
        )
        yield required(f"metadata.annotations[{_APPROVED}]", why)


def _group(group: str) -> Causes:
    if not group:
        yield required("spec.group")
        return
    messages = names.dns_subdomain(group)
    yield from of_messages("spec.group", group, messages)
    if not messages and "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")


def _names(own: Document) -> Causes:
    yield from needed(own, ("plural", "singular", "kind", "listKind"), "spec.names")
    for key in ("plural", "singular"):
        if own.get(key):
            yield from of_messages(f"spec.names.{key}", own[key], names.dns_label(own[key]))
    for key in ("kind", "listKind"):
        if own.get(key):
            found = names.dns_label(own[key].lower())
            yield from of_messages(
                f"spec.names.{key}", own[key], [f"may have mixed case, but should otherwise match: {m}" for m in found]
            )  # fmt: skip
    for key in ("shortNames", "categories"):
        for index, word in enumerate(own.get(key) or ()):
            yield from of_messages(f"spec.names.{key}[{index}]", word, names.dns_label(word))
    if own.get("kind") and own.get("kind") == own.get("listKind"):
        yield invalid("spec.names.listKind", own["listKind"], "kind and listKind may not be the same")


def _versions(versions: list[Document]) -> Causes:
    if not versions:
        yield required("spec.versions", "must have at least one version")
        return
    known = [str(version.get("name", "")) for version in versions]
    for index, name in enumerate(known):
        yield from of_messages(f"spec.versions[{index}].name", name, names.dns_label(name))
    if len(set(known)) != len(known):
        yield invalid("spec.versions", known, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid("spec.versions", known, "must have exactly one version marked as storage version")
    # As the real server, which keeps what all versions share in one place, and names that.
    schemas = [version.get("schema") for version in versions]
    shared = all(schema == schemas[0] for schema in schemas)
    for index, version in enumerate(versions):
        at = f"spec.versions[{index}]"
        yield from _columns(version.get("additionalPrinterColumns") or (), at)
        yield from _scale((version.get("subresources") or {}).get("scale"), at)
        if shared and index:
            continue
        where = "spec.validation" if shared and schemas[0] else f"{at}.schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield required(f"{at}.schema.openAPIV3Schema", "schemas are required")
        else:
            yield from schema_causes(schema, f"{where}.openAPIV3Schema")


def _columns(columns: Iterable[Document], at: str) -> Causes:
    for index, column in enumerate(columns):
        where = f"{at}.additionalPrinterColumns[{index}]"
        yield from needed(column, ("name", "type"), where)
        if column.get("type") and column["type"] not in _COLUMN_TYPES:
            why = f"must be one of {','.join(_COLUMN_TYPES)}"
            yield invalid(f"{where}.type", column["type"], why)
        path = column.get("jsonPath", "")
        if not path:
            yield required(f"{where}.JSONPath")
        elif not path.startswith("."):
            yield invalid(f"{where}.JSONPath", path, f"must be a simple json path starting with .: {path}")


def _scale(scale: Document | None, at: str) -> Causes:
    if scale is None:
        return
    for key, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        where, path = f"{at}.subresources.scale.{key}", scale.get(key, "")
        if not path:
            yield required(where)
        elif not path.startswith(f"{root}."):
            yield invalid(where, path, f"should be a json path under {root}")
    path = scale.get("labelSelectorPath", "")
    if path and not path.startswith((".spec.", ".status.")):
        yield invalid(
            f"{at}.subresources.scale.labelSelectorPath",
            path,
            "should be a json path under either .spec or .status",
        )


def _changes(spec: Document, old: Document) -> Causes:
    before = old.get("spec") or {}
    established = any(
        c.get("type") == "Established" and c.get("status") == "True"
        for c in (old.get("status") or {}).get("conditions") or ()
    )
    pairs = [("spec.group", spec.get("group"), before.get("group"))]
    own, former = spec.get("names") or {}, before.get("names") or {}
    pairs.append(("spec.names.plural", own.get("plural"), former.get("plural")))
    if established:
        pairs.append(("spec.scope", spec.get("scope"), before.get("scope")))
        pairs.append(("spec.names.kind", own.get("kind"), former.get("kind")))
    for path, new, was in pairs:
        if new != was:
            yield immutable(path, new)
    served = {version.get("name") for version in spec.get("versions") or ()}
    for index, name in enumerate((old.get("status") or {}).get("storedVersions") or ()):
        if name not in served:
            why = f"missing from spec.versions; {name} was previously a storage version, and must remain in "
            why += "spec.versions until a storage migration ensures no data remains persisted in it"
            yield invalid(
                f"status.storedVersions[{index}]", name, f"{why} and removes it from status.storedVersions"
            )


def fill_definition(document: Document) -> None:
    """The defaults of a definition, in place."""
    spec = document.setdefault("spec", {})
    own = spec.setdefault("names", {})
    if own.get("kind"):
        own["singular"] = own.get("singular") or own["kind"].lower()
        own["listKind"] = own.get("listKind") or f"{own['kind']}List"
    spec.setdefault("conversion", {"strategy": "None"})
