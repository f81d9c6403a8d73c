"""The kinds that CustomResourceDefinitions of a state define, as this API serves them; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ecpmon.kube.schemas import META, Node, reference
from ecpmon.simulator.kube.catalogue import (
    CATALOGUE,
    SCALE,
    STATUS,
    Catalogue,
    Custom,
    Resource,
)
from ecpmon.simulator.kube.cells import AGE, NAME, Column, since
from ecpmon.simulator.kube.jsonpath import Path, first, parsed
from ecpmon.simulator.kube.status import Document
from ecpmon.simulator.model.definitions import CRDS, is_true
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import Micros

_PREFIX: Final = f"{CRDS}/"
_OWN: Final[Node] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": reference(f"{META}ObjectMeta"),
}


class _Kept:
    """The catalogue that was made last: most requests find the same definitions as the one before."""

    def __init__(self) -> None:
        self.objects: Mapping[str, Document] | None = None
        self.definitions: list[Document] = []
        self.catalogue = CATALOGUE


_KEPT: Final = _Kept()


def catalogue_of(state: ClusterState) -> Catalogue:
    """What the API serves in this state: everything built in, and what is defined."""
    objects = state.objects.get("", {})
    if objects is _KEPT.objects:
        return _KEPT.catalogue
    found = [document for path, document in objects.items() if path.startswith(_PREFIX)]
    same = len(found) == len(_KEPT.definitions) and all(
        one is other for one, other in zip(found, _KEPT.definitions, strict=True)
    )
    if not same:
        _KEPT.definitions = found
        made = [resource for document in found for resource in _resources(document)]
        _KEPT.catalogue = CATALOGUE.extended(made) if made else CATALOGUE
    _KEPT.objects = objects
    return _KEPT.catalogue


def _resources(definition: Document) -> Iterator[Resource]:
    if not is_true(definition, "Established"):
        return
    spec, status = definition["spec"], definition["status"]
    names = status["acceptedNames"]
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        yield Resource(
            spec["group"],
            version["name"],
            names["kind"],
            names["plural"],
            spec["scope"] == "Namespaced",
            tuple(names.get("shortNames") or ()),
            tuple(sub for sub in (STATUS, SCALE) if sub.name in subresources),
            tuple(names.get("categories") or ()),
            schemaless=True,
            custom=_custom(definition, names, version),
        )


def _custom(definition: Document, names: Document, version: Document) -> Custom:
    metadata = definition["metadata"]
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return Custom(
        identity=f"{metadata['uid']}/{metadata['resourceVersion']}",
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        ending=bool(metadata.get("deletionTimestamp")),
        schema=schema,
        node={**schema, "type": "object", "properties": {**(schema.get("properties") or {}), **_OWN}},
        columns=_columns(version),
        scale=(version.get("subresources") or {}).get("scale") or {},
        warning=_deprecation(definition, names, version),
    )


def _deprecation(definition: Document, names: Document, version: Document) -> str:
    if not version.get("deprecated"):
        return ""
    group = definition["spec"]["group"]
    return version.get("deprecationWarning") or f"{group}/{version['name']} {names['kind']} is deprecated"


def _columns(version: Document) -> tuple[Column, ...]:
    columns = version.get("additionalPrinterColumns")
    if not columns:
        return (NAME, AGE)
    return (NAME, *(_column(column) for column in columns))


def _column(column: Document) -> Column:
    kind, path = column["type"], parsed(column["jsonPath"])
    return Column(
        column["name"],
        _date(path) if kind == "date" else _plain(path, kind),
        "string" if kind == "date" else kind,
        wide=column.get("priority", 0) > 0,
        form=column.get("format", ""),
    )


def _date(path: Path) -> Any:
    def cell(document: Document, now: Micros) -> Any:
        found = first(document, path)
        return None if found is None else since(found, now)

    return cell


def _plain(path: Path, kind: str) -> Any:
    """A value of another kind than the column's is left out, as the real server does."""
    kinds = {"integer": int, "number": int | float, "boolean": bool}

    def cell(document: Document, _: Micros) -> Any:
        found = first(document, path)
        if found is None:
            return None
        if kind == "string":
            return found if isinstance(found, str) else str(found)
        return found if isinstance(found, kinds[kind]) else None

    return cell


def in_version(document: Document, resource: Resource) -> Document:
    """A custom resource in the version that it is asked for; all versions of a kind are one store."""
    if resource.custom is None or document.get("apiVersion") == resource.api_version:
        return document
    return {**document, "apiVersion": resource.api_version}
