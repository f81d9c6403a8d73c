"""Whether a written object may be stored: well typed, filled with defaults, valid, or refused; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ecpmon.kube import structural
from ecpmon.kube.checks import causes_of, decoded_as
from ecpmon.kube.decoding import Findings
from ecpmon.kube.defaults import fill_defaults
from ecpmon.simulator.kube.assigned import assign
from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.status import ApiError, Document, bad_request, invalid

STRICT: Final = "Strict"
WARN: Final = "Warn"
IGNORE: Final = "Ignore"


@dataclass(slots=True)
class Write:
    """How a write is meant; `warnings` collects what goes into Warning headers. `own`: what the simulator says of
    itself, at addresses of loopback, which a real server takes from nobody."""

    manager: str
    validation: str = WARN
    force: bool = False
    own: bool = False
    warnings: list[str] = field(default_factory=list)


def checked(resource: Resource, document: Document, old: Document | None, write: Write) -> Document:
    """The document decoded, defaulted and found valid; ApiError 400 or 422."""
    filled = checked_types(resource, document, write)
    if resource.custom:
        filled = structural.filled(filled, resource.custom.schema)
    else:
        fill_defaults(resource.group, resource.kind, filled)
        assign(resource, filled)
    causes = list(causes_of(resource.group, resource.version, resource.kind, filled, old))
    if resource.custom:
        causes += structural.object_causes(filled, resource.custom.schema)
    if causes and not write.own:
        name = filled["metadata"].get("name", "")
        raise invalid(resource.kind, resource.group, name, causes)
    return filled


def checked_types(resource: Resource, document: Document, write: Write) -> Document:
    """The document decoded; ApiError 400."""
    decoded, findings = decoded_as(resource.group, resource.version, resource.kind, document)
    if resource.custom:
        decoded, unknown = structural.pruned(decoded, resource.custom.schema)
        findings.unknown += unknown
        if resource.custom.warning and resource.custom.warning not in write.warnings:
            write.warnings.append(resource.custom.warning)
    _refuse_types(resource, findings, write)
    _let_empty_ones_go(decoded, of_templates=not resource.custom)
    return decoded


# Fields that a server does not write when they are empty (`omitempty` of its types), as people write them.
_OF_METADATA: Final = ("labels", "annotations", "finalizers", "ownerReferences")
_OF_OBJECTS: Final = ("data", "binaryData", "stringData")
_HOLDS_TEMPLATES: Final = frozenset(
    {"spec", "template", "jobTemplate", "volumeClaimTemplates", "volumes", "ephemeral", "volumeClaimTemplate"}
)


def _let_empty_ones_go(document: Document, *, of_templates: bool) -> None:
    """In place. What a custom resource holds below its metadata is its own."""
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        _drop_empty(metadata, _OF_METADATA)
    if not of_templates:
        return
    _drop_empty(document, _OF_OBJECTS)
    for name in _HOLDS_TEMPLATES & document.keys():
        held = document[name]
        for part in held if isinstance(held, list) else (held,):
            if isinstance(part, dict):
                _let_empty_ones_go(part, of_templates=True)


def _drop_empty(document: Document, names: tuple[str, ...]) -> None:
    for name in names:
        if name in document and document[name] in ({}, [], None):
            del document[name]


def _refuse_types(resource: Resource, findings: Findings, write: Write) -> None:
    if findings.mistyped:
        raise _undecodable(resource, findings.mistyped[0][1])
    texts = [f'unknown field "{path}"' for path in findings.unknown]
    if texts and write.validation == STRICT:
        raise _undecodable(resource, f"strict decoding error: {', '.join(texts)}")
    if write.validation == WARN:
        write.warnings += [text for text in texts if text not in write.warnings]


def _undecodable(resource: Resource, why: str) -> ApiError:
    kind, version = resource.kind, resource.api_version
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
