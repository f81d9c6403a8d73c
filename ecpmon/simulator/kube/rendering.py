"""An object or a list in the form the client asked for: as it is, as a table, or its metadata only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.more_columns import COLUMNS, DEFAULT
from ecpmon.simulator.kube.negotiation import Form
from ecpmon.simulator.kube.status import Document, bad_request
from ecpmon.simulator.model.times import Micros

META: Final = "meta.k8s.io/v1"
_INCLUDES: Final = ("None", "Metadata", "Object", "")


def one(resource: Resource, document: Document, form: Form, now: Micros, include: str = "") -> Document:
    """One object for a GET, a write or a watch event."""
    if form is Form.TABLE:
        version = document["metadata"].get("resourceVersion", "")
        return table(resource, [document], {"resourceVersion": version}, now, include)
    return metadata_only(document) if form in (Form.METADATA, Form.METADATA_LIST) else document


def many(
    resource: Resource,
    documents: Sequence[Document],
    metadata: Document,
    form: Form,
    now: Micros,
    include: str = "",
) -> Document:
    """A list; `metadata` is the list's own (resourceVersion, continue, remainingItemCount)."""
    if form is Form.TABLE:
        return table(resource, documents, metadata, now, include)
    if form in (Form.METADATA, Form.METADATA_LIST):
        items: list[Document] = [metadata_only(document) for document in documents]
        return {"kind": Form.METADATA_LIST, "apiVersion": META, "metadata": metadata, "items": items}
    return {
        "kind": resource.list_kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "items": documents,
    }


def metadata_only(document: Document) -> Document:
    return {"kind": Form.METADATA, "apiVersion": META, "metadata": document["metadata"]}


def table(
    resource: Resource, documents: Iterable[Document], metadata: Document, now: Micros, include: str
) -> Document:
    """A `Table`; `include` says what of each object comes along. ApiError 400 for another word."""
    if include not in _INCLUDES:
        raise bad_request(f'unrecognized includeObject value: "{include}"')
    columns = resource.custom.columns if resource.custom else COLUMNS.get(resource.name, DEFAULT)
    rows = []
    for document in documents:
        row: dict[str, Any] = {"cells": [column.cell(document, now) for column in columns]}
        if include != "None":
            row["object"] = document if include == "Object" else metadata_only(document)
        rows.append(row)
    definitions = [column.as_document() for column in columns]
    return {
        "kind": Form.TABLE,
        "apiVersion": META,
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }
