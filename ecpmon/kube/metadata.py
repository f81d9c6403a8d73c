"""Rules of `metadata` that hold for every kind, and of labels and their selectors wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    Document,
    forbidden,
    invalid,
    not_negative,
    of_messages,
    placed,
    required,
    too_long,
    without,
)

MAX_ANNOTATIONS: Final = 256 * 1024
# How much of a prefix the server keeps, and what stands for what it makes up.
_MADE_FROM: Final = 58
_MADE_UP: Final = "xxxxx"
_CORE_FINALIZERS: Final = ("kubernetes", "orphan", "foregroundDeletion")


def metadata_causes(
    document: Document, rule: names.Rule, *, namespaced: bool, custom: bool = False
) -> Causes:
    """Everything wrong with `metadata`; `rule` is the syntax of this kind's names, `custom`: of a CRD's kind."""
    metadata = document.get("metadata") or {}
    yield from _names(metadata, rule)
    yield from _namespace(metadata, namespaced)
    yield from not_negative(metadata, ("generation",), "metadata")
    yield from label_causes(metadata.get("labels") or {}, "metadata.labels")
    yield from annotation_causes(metadata.get("annotations") or {}, "metadata.annotations")
    yield from _owners(metadata.get("ownerReferences") or ())
    yield from _finalizers(metadata.get("finalizers") or (), custom)


def _names(metadata: Mapping[str, Any], rule: names.Rule) -> Causes:
    prefix, name = metadata.get("generateName", ""), metadata.get("name", "")
    if prefix:
        # As the server does it: of a dash at the end, the sign before it is not looked at either.
        masked = f"{prefix[:-2]}a" if prefix.endswith("-") and len(prefix) > 1 else prefix
        yield from of_messages("metadata.generateName", prefix, rule(masked))
    if name:
        yield from of_messages("metadata.name", name, rule(name))
    elif prefix:
        made = made_from(prefix)
        yield from placed("metadata.generateName", of_messages("metadata.name", made, rule(made)))
    else:
        yield required("metadata.name", "name or generateName is required")


def made_from(prefix: str) -> str:
    """A name as the server makes it up, by its length and its signs."""
    return f"{prefix[:_MADE_FROM]}{_MADE_UP}"


def future_name(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """The field that an object has its name from, and the name, which the server makes up if it was given none before
    it looks at anything else."""
    name, prefix = metadata.get("name", ""), metadata.get("generateName", "")
    return ("metadata.generateName", made_from(prefix)) if prefix and not name else ("metadata.name", name)


def _namespace(metadata: Mapping[str, Any], namespaced: bool) -> Causes:
    namespace = metadata.get("namespace", "")
    # Of what belongs to the whole cluster the server takes the namespace away, and says nothing.
    if namespaced and namespace:
        yield from of_messages("metadata.namespace", namespace, names.dns_label(namespace))


def label_causes(labels: Mapping[str, str], path: str) -> Causes:
    """Keys and values of a label map; every cause names the map, as the server does."""
    for key, value in labels.items():
        if not names.is_label(key, value):
            yield from of_messages(path, key, names.qualified_name(key))
            yield from of_messages(path, value, names.label_value(value))


def annotation_causes(annotations: Mapping[str, str], path: str) -> Causes:
    size = 0
    for key, value in annotations.items():
        if not names.is_label(key, ""):
            yield from of_messages(path, key, names.qualified_name(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > MAX_ANNOTATIONS:
        yield too_long(path, MAX_ANNOTATIONS)


def _owners(owners: Any) -> Causes:
    path, first = "metadata.ownerReferences", ""
    for index, owner in enumerate(owners):
        yield from without(f"[{index}]", _owner(owner, f"{path}[{index}]"))
        if owner.get("controller"):
            name = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if first:
                found = f'Found "true" in references for {first} and {name}'
                detail = f"Only one reference can have Controller set to true. {found}"
                yield invalid(path, list(owners), detail)
            first = first or name


def _owner(owner: Mapping[str, Any], at: str) -> Causes:
    version = owner.get("apiVersion", "")
    if not version.rpartition("/")[2] or version.count("/") > 1:
        yield invalid(f"{at}.apiVersion", version, "version must not be empty")
    for key in ("kind", "name", "uid"):
        if not owner.get(key):
            yield invalid(f"{at}.{key}", "", "must not be empty")
    if version == "v1" and owner.get("kind") == "Event":
        yield invalid(at, dict(owner), "/v1, Kind=Event is disallowed from being an owner")


def _finalizers(finalizers: Any, custom: bool) -> Causes:
    """Of custom resources the server asks only for a qualified name."""
    path = "metadata.finalizers"
    for index, name in enumerate(finalizers):
        yield from placed(f"{path}[{index}]", of_messages(path, name, names.qualified_name(name)))
        if not custom:
            yield from standard_finalizer_causes(name, f"{path}[{index}]")
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        yield invalid(path, list(finalizers), detail)


def standard_finalizer_causes(name: str, at: str) -> Causes:
    """A name without a domain has to be one of the server's own."""
    if "/" not in name and name not in _CORE_FINALIZERS:
        yield invalid(at, name, "name is neither a standard finalizer name nor is it fully qualified")


def selector_causes(selector: Mapping[str, Any] | None, path: str) -> Causes:
    """A LabelSelector; None, which selects nothing, is fine."""
    if selector is None:
        return
    yield from label_causes(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        yield from _expression(expression, f"{path}.matchExpressions[{index}]")


def _expression(expression: Mapping[str, Any], at: str) -> Causes:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{at}.values", detail)
    else:
        yield invalid(f"{at}.operator", operator, "not a valid selector operator")
    key = expression.get("key", "")
    yield from of_messages(f"{at}.key", key, names.qualified_name(key))
    for index, value in enumerate(values):
        yield from of_messages(f"{at}.values[{index}]", value, names.label_value(value))


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects `labels`; an absent one selects nothing, an empty one everything."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(item, labels) for item in selector.get("matchExpressions") or ())


def _holds(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(item.get("key", "")), item.get("values") or ()
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(item.get("operator", ""), False)


def is_empty(selector: Mapping[str, Any]) -> bool:
    """Whether it names nothing, and so selects everything."""
    return not selector.get("matchLabels") and not selector.get("matchExpressions")
