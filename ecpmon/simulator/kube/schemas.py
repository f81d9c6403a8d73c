"""The schemas of what this API serves, and documents of its own protocol held against theirs."""

from __future__ import annotations

from ecpmon.kube.decoding import decode
from ecpmon.kube.schemas import META, Node, reference, schema_of_kind
from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.status import Document, bad_request


def schema_of(resource: Resource) -> Node | None:
    """The schema of a resource's objects; None when it has none."""
    if resource.custom:
        return resource.custom.node
    if resource.schemaless:
        return None
    return schema_of_kind(resource.group, resource.version, resource.kind)


def well_typed(document: Document, kind: str) -> Document:
    """A document of `meta/v1`, such as DeleteOptions; ApiError 400 for fields of the wrong type."""
    found, findings = decode(document, reference(META + kind))
    if findings.mistyped:
        raise bad_request(f"{kind}: {findings.mistyped[0][1]}")
    return dict(found)
