"""Label and field selectors of list and watch requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.status import Document, bad_request

Predicate = Callable[[Document], bool]
_Term = Callable[[Mapping[str, str]], bool]

_NAME = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)"
KEY: Final = re.compile(rf"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?{_NAME}")
VALUE: Final = re.compile(rf"{_NAME}?")
# Without blanks around them.
_SET = re.compile(r"(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUALS = re.compile(r"(?P<key>[^\s=!<>]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s=!]*)")
_EXISTS = re.compile(r"(?P<op>!?)\s*(?P<key>[^\s=!()<>]+)")

# What the real server can select by, besides metadata.name and metadata.namespace.
_FIELDS: Final[dict[str, frozenset[str]]] = {
    "pods": frozenset(
        (
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        )
    ),
    "events": frozenset(
        (
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        )
    ),
    "namespaces": frozenset({"status.phase"}),
    "nodes": frozenset({"spec.unschedulable"}),
    "secrets": frozenset({"type"}),
    "replicasets.apps": frozenset({"status.replicas"}),
    "jobs.batch": frozenset({"status.successful"}),
}
_COMMON: Final = frozenset({"metadata.name", "metadata.namespace"})
_EMPTY: Final = {"spec.unschedulable": "false", "spec.hostNetwork": "false", "status.replicas": "0"}


def label_selector(text: str) -> Predicate | None:
    """The predicate of `?labelSelector=`, None when it selects everything; ApiError 400 when unreadable."""
    terms = [_label_term(part) for part in _split(text)]
    if not terms:
        return None

    def matches(document: Document) -> bool:
        labels = document["metadata"].get("labels") or {}
        return all(term(labels) for term in terms)

    return matches


def _split(text: str) -> list[str]:
    """Requirements are separated by commas, except within parentheses; without blanks around them."""
    parts, within = [""], False
    for piece in re.split(r"([,()])", text):
        if piece == "," and not within:
            parts.append("")
            continue
        within = piece == "(" or (within and piece != ")")
        parts[-1] += piece
    return [bare for part in parts if (bare := part.strip())]


def _label_term(part: str) -> _Term:
    if found := _SET.fullmatch(part):
        key, wanted = found["key"], {value.strip() for value in found["values"].split(",")}
        _check_label(part, key, *wanted)
        if found["op"] == "in":
            return lambda labels: labels.get(key) in wanted
        return lambda labels: labels.get(key) not in wanted
    if found := _EQUALS.fullmatch(part):
        key, value = found["key"], found["value"]
        _check_label(part, key, value)
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.fullmatch(part):
        key, wanted_there = found["key"], not found["op"]
        _check_label(part, key)
        return lambda labels: (key in labels) is wanted_there
    raise bad_request(f'unable to parse requirement: "{part}" is not a label requirement')


def _check_label(part: str, key: str, *values: str) -> None:
    if not KEY.fullmatch(key) or len(key.rpartition("/")[2]) > 63:
        raise bad_request(f'unable to parse requirement: "{key}" in "{part}" is not a label key')
    for value in values:
        if not VALUE.fullmatch(value) or len(value) > 63:
            raise bad_request(f'unable to parse requirement: "{value}" in "{part}" is not a label value')


def field_selector(resource: Resource, text: str) -> Predicate | None:
    """The predicate of `?fieldSelector=`; ApiError 400 for fields that cannot be selected by."""
    known = _COMMON | _FIELDS.get(resource.name, frozenset())
    terms: list[tuple[tuple[str, ...], str, bool]] = []
    for part in _split(text):
        found = _EQUALS.fullmatch(part)
        if found is None:
            raise bad_request(f'invalid selector: "{text}"; can\'t understand "{part}"')
        if found["key"] not in known:
            raise bad_request(
                f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match label '
                f'selector "", field selector "{text}": field label not supported: {found["key"]}'
            )
        terms.append((tuple(found["key"].split(".")), found["value"], found["op"] != "!="))
    if not terms:
        return None

    def matches(document: Document) -> bool:
        return all((_at(document, path) == value) is wanted for path, value, wanted in terms)

    return matches


def exact_name(text: str) -> str | None:
    """The name when the field selector is `metadata.name=…` alone; saves reading the whole collection."""
    found = _EQUALS.fullmatch(text.strip())
    return found["value"] if found and found["key"] == "metadata.name" and found["op"] != "!=" else None


def _at(document: Document, path: tuple[str, ...]) -> str:
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if path == ("source",):
        value = (document.get("source") or {}).get("component")
    if isinstance(value, bool):
        return str(value).lower()
    return _EMPTY.get(".".join(path), "") if value is None else str(value)


def both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
    """Both predicates at once, None standing for "everything"."""
    if first is None or second is None:
        return first or second
    one, other = first, second
    return lambda document: one(document) and other(document)
