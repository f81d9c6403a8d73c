"""Whether a written object may be stored: well typed, filled with defaults, valid, or refused; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ecpmon.kube import structural
from ecpmon.kube.checks import causes_of, decoded_as
from ecpmon.kube.decoding import Findings
from ecpmon.kube.defaults import fill_defaults
from ecpmon.kube.omitted import METADATA, without_empty
from ecpmon.kube.schemas import definition_name
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
    # What must not change is compared with what is stored, in which nothing is empty.
    if old is not None:
        filled = stored(resource, filled)
    causes = list(causes_of(resource.group, resource.version, resource.kind, filled, old))
    if resource.custom:
        causes += structural.object_causes(filled, resource.custom.schema)
    if causes and not write.own:
        name = filled["metadata"].get("name", "")
        raise invalid(resource.kind, resource.group, name, causes)
    return stored(resource, filled)


def checked_types(resource: Resource, document: Document, write: Write) -> Document:
    """The document decoded; ApiError 400."""
    decoded, findings = decoded_as(resource.group, resource.version, resource.kind, document)
    if resource.custom:
        decoded, unknown = structural.pruned(decoded, resource.custom.schema)
        findings.unknown += unknown
        if resource.custom.warning and resource.custom.warning not in write.warnings:
            write.warnings.append(resource.custom.warning)
    _refuse_types(resource, findings, write)
    return decoded


def stored(resource: Resource, document: Document) -> Document:
    """As a server keeps it: without lists and maps that are empty. What a custom resource holds below its metadata is
    its own."""
    name = None if resource.custom else definition_name(resource.group, resource.version, resource.kind)
    if name is not None:
        return without_empty(document, name)
    metadata = document.get("metadata")
    return {**document, "metadata": without_empty(metadata, METADATA)} if metadata else document


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
