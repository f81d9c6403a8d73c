"""CustomResourceDefinitions: their names and versions; their schemas are `structural_schemas`.

Not looked at: CEL rules (`x-kubernetes-validations`), and whether selectable fields are in the schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    forbidden,
    immutable,
    invalid,
    needed,
    of_messages,
    one_of,
    placed,
    required,
)
from ecpmon.kube.structural_schemas import schema_causes
from ecpmon.kube.webhooks import client_causes, review_causes

GROUP: Final = "apiextensions.k8s.io"
KIND: Final = "CustomResourceDefinition"
_SCOPES: Final = ("Cluster", "Namespaced")
_STRATEGIES: Final = ("None", "Webhook")
_LONGEST_WARNING: Final = 256
_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
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
    yield from _word(spec, "scope", _SCOPES, "spec")
    if spec.get("preserveUnknownFields"):
        why = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        yield invalid("spec.preserveUnknownFields", True, why)
    yield from _names(own)
    yield from _versions(spec.get("versions") or [])
    yield from _conversion(spec.get("conversion") or {}, "spec.conversion")
    if old is not None:
        yield from _changes(spec, old)


def _word(holder: Document, key: str, allowed: tuple[str, ...], path: str) -> Causes:
    """A word of a fixed choice that has to be there."""
    if not holder.get(key):
        yield required(f"{path}.{key}")
    else:
        yield from one_of(holder, key, allowed, path)


def _conversion(conversion: Document, at: str) -> Causes:
    """How versions are made of one another; the server calls two fields as it did in former versions."""
    hook, strategy = conversion.get("webhook"), conversion.get("strategy", "")
    yield from _word(conversion, "strategy", _STRATEGIES, at)
    if strategy != "Webhook":
        if hook is not None:
            detail = "should not be set when strategy is not set to Webhook"
            yield from placed(f"{at}.webhook", [forbidden(f"{at}.webhookClientConfig", detail)])
        return
    client, versions = (hook or {}).get("clientConfig"), (hook or {}).get("conversionReviewVersions") or ()
    if client is None:
        detail = "required when strategy is set to Webhook"
        found = [required(f"{at}.webhookClientConfig", detail)]
        yield from placed(f"{at}.webhook.clientConfig", found)
    else:
        for cause in client_causes(client, f"{at}.webhookClientConfig"):
            place = (cause.place or cause.field).replace("webhookClientConfig", "webhook.clientConfig", 1)
            yield from placed(place, [cause])
    for cause in review_causes(versions, f"{at}.conversionReviewVersions", detail=""):
        place = cause.field.replace("conversionReviewVersions", "webhook.conversionReviewVersions", 1)
        yield from placed(place, [cause])


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
            yield from _label(own[key], f"spec.names.{key}")
    for key in ("kind", "listKind"):
        found = names.dns_1035_label(own.get(key, "a").lower())
        if own.get(key) and found:
            detail = f"may have mixed case, but should otherwise match: {','.join(found)}"
            yield invalid(f"spec.names.{key}", own[key], detail)
    for key in ("shortNames", "categories"):
        for index, word in enumerate(own.get(key) or ()):
            yield from _label(word, f"spec.names.{key}[{index}]")
    if own.get("kind") and own.get("kind") == own.get("listKind"):
        yield invalid("spec.names.listKind", own["listKind"], "kind and listKind may not be the same")


def _label(text: str, at: str) -> Causes:
    found = names.dns_1035_label(text)
    if found:
        yield invalid(at, text, ",".join(found))


def _versions(versions: list[Document]) -> Causes:
    if not versions:
        yield required("spec.versions", "must have at least one version")
        return
    known = [str(version.get("name", "")) for version in versions]
    for index, name in enumerate(known):
        yield from _label(name, f"spec.versions[{index}].name")
    if len(set(known)) != len(known):
        yield invalid("spec.versions", known, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid("spec.versions", known, "must have exactly one version marked as storage version")
    # As the real server, which keeps what all versions share in one place, and names that.
    schemas = [version.get("schema") for version in versions]
    shared = all(schema == schemas[0] for schema in schemas)
    for index, version in enumerate(versions):
        at = f"spec.versions[{index}]"
        yield from _deprecation(version, at)
        yield from _columns(version.get("additionalPrinterColumns") or (), at)
        for number, field in enumerate(version.get("selectableFields") or ()):
            yield from needed(field, ("jsonPath",), f"{at}.selectableFields[{number}]")
        yield from _scale((version.get("subresources") or {}).get("scale"), at)
        if shared and index:
            continue
        where = "spec.validation" if shared and schemas[0] else f"{at}.schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield required(f"{at}.schema.openAPIV3Schema", "schemas are required")
        else:
            yield from schema_causes(schema, f"{where}.openAPIV3Schema")


def _deprecation(version: Document, at: str) -> Causes:
    text, where = version.get("deprecationWarning"), f"{at}.deprecationWarning"
    if text is None:
        return
    if not version.get("deprecated"):
        yield invalid(where, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > _LONGEST_WARNING:
        yield invalid(where, text, f"must be <= {_LONGEST_WARNING} characters long")
    if not text:
        yield invalid(where, text, "must not be an empty string")
    hidden = next((index for index, sign in enumerate(text) if not sign.isprintable()), None)
    if hidden is not None:
        detail = "must only contain printable UTF-8 characters; non-printable character found at index"
        yield invalid(where, text, f"{detail} {hidden}")


def _columns(columns: Iterable[Document], at: str) -> Causes:
    for index, column in enumerate(columns):
        where = f"{at}.additionalPrinterColumns[{index}]"
        yield from needed(column, ("name", "type"), where)
        if column.get("type") and column["type"] not in _COLUMN_TYPES:
            why = f"must be one of {','.join(_COLUMN_TYPES)}"
            yield invalid(f"{where}.type", column["type"], why)
        if column.get("format") and column["format"] not in _FORMATS:
            yield invalid(f"{where}.format", column["format"], f"must be one of {','.join(_FORMATS)}")
        yield from placed(f"{where}.jsonPath", _simple_path(column.get("jsonPath", ""), f"{where}.JSONPath"))


def _simple_path(path: str, at: str) -> Causes:
    if not path:
        yield required(at)
    elif not path.startswith("."):
        yield invalid(at, path, "must be a simple json path starting with .")


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
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
