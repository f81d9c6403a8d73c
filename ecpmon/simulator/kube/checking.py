"""Whether a written object may be stored: pruned, defaulted, valid, or refused; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.defaults import with_defaults
from ecpmon.simulator.kube.pod_validation import required, unsupported
from ecpmon.simulator.kube.schemas import Findings, examine, object_meta, schema_of
from ecpmon.simulator.kube.status import ApiError, Document, bad_request, invalid
from ecpmon.simulator.kube.validation import causes_of

STRICT: Final = "Strict"
WARN: Final = "Warn"
IGNORE: Final = "Ignore"


@dataclass(slots=True)
class Write:
    """How a write is meant; `warnings` collects what goes into Warning headers."""

    manager: str
    validation: str = WARN
    force: bool = False
    warnings: list[str] = field(default_factory=list)


def checked(resource: Resource, document: Document, old: Document | None, write: Write) -> Document:
    """The document pruned, defaulted and found valid; ApiError 400 or 422."""
    pruned, findings = _examined(resource, document)
    _refuse_types(resource, findings, write)
    filled = with_defaults(resource, pruned)
    # The status of an object is the server's own business.
    causes = [required(path) for path in findings.missing if not path.startswith("status.")]
    causes += [unsupported(path, value, allowed) for path, value, allowed in findings.unsupported]
    said = {cause.field for cause in causes}
    causes += [cause for cause in causes_of(resource, filled, old) if cause.field not in said]
    if causes:
        name = filled["metadata"].get("name") or ""
        raise invalid(resource.kind, resource.group, name, causes)
    return filled


def checked_types(resource: Resource, document: Document, write: Write) -> Document:
    pruned, findings = _examined(resource, document)
    _refuse_types(resource, findings, write)
    return pruned


def _examined(resource: Resource, document: Document) -> tuple[Document, Findings]:
    """The document held against its schema; of custom resources only the metadata has one."""
    schema = schema_of(resource)
    if schema is not None:
        return examine(document, schema)
    metadata, findings = examine(document["metadata"], object_meta(), "metadata")
    return {**document, "metadata": metadata}, findings


def _refuse_types(resource: Resource, findings: Findings, write: Write) -> None:
    if findings.mistyped:
        path, found, wanted = findings.mistyped[0]
        if wanted == "quantity":
            form = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            raise _undecodable(resource, f"{path}: quantities must match the regular expression {form}")
        raise _undecodable(
            resource, f"json: cannot unmarshal {found} into Go struct field {path} of type {wanted}"
        )
    texts = [f'unknown field "{path}"' for path in findings.unknown]
    if texts and write.validation == STRICT:
        raise _undecodable(resource, f"strict decoding error: {', '.join(texts)}")
    if write.validation == WARN:
        write.warnings += [text for text in texts if text not in write.warnings]


def _undecodable(resource: Resource, why: str) -> ApiError:
    kind, version = resource.kind, resource.api_version
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
