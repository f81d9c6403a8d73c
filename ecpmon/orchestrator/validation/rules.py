"""What an API server says of each object, told by path; and kinds that it would not know.

The rules are those of `ecpmon.kube`, which the simulator's admission has as well: they cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any, Final

from ecpmon.kube.causes import Cause
from ecpmon.kube.checks import causes_of, decoded_as, split_version
from ecpmon.kube.decoding import Findings
from ecpmon.kube.defaults import fill_defaults
from ecpmon.kube.operators import is_operators, meant_kind
from ecpmon.kube.schemas import definition_name, definitions
from ecpmon.kube.templates import NATIVE_GROUPS
from ecpmon.orchestrator.validation.customs import custom_findings
from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding

# (group, kind) of the CRDs among the objects; whether each belongs to the whole cluster.
Kinds = Mapping[tuple[str, str], bool]

_CODES: Final = {
    "FieldValueRequired": "REQUIRED",
    "FieldValueNotSupported": "NOT_SUPPORTED",
    "FieldValueDuplicate": "DUPLICATE_VALUE",
    "FieldValueForbidden": "NOT_ALLOWED",
    "FieldValueTooLong": "TOO_LONG",
    "FieldValueTooMany": "TOO_LONG",
    "FieldValueNotFound": "NOT_FOUND",
}
_STEP: Final = re.compile(r"\[([^\[\]]*)\]")
# The server leaves out `metadata` where it looks at a template's labels, and calls one field as Go does.
_GO: Final = ("LoadBalancerSourceRanges", "loadBalancerSourceRanges")
_OF_TEMPLATE: Final = re.compile(r"(template)\.(labels|annotations)\b", re.IGNORECASE)
_AGAINST: Final = re.compile(r"must be (?:less than or )?equal to (\S+) limit of")
_LONGEST: Final = 500


def api_findings(document: Document, version: str, own: Kinds) -> Iterator[Finding]:
    """Everything that keeps the object from being created. `own`: what CRDs beside it define."""
    api, kind = document.body.get("apiVersion"), document.body.get("kind")
    for name, value in (("apiVersion", api), ("kind", kind)):
        if not isinstance(value, str) or not value:
            yield document.error("NO_TYPE", name, field=name)
            return
    known = definition_name(*split_version(str(api)), str(kind), version) is not None
    if not known and (document.group, kind) not in own:
        said = list(_unknown(document, str(api), str(kind), version))
        yield from said
        if any(f.code != "UNCHECKED_KIND" for f in said):
            return
    yield from _refusals(document, version)


def _refusals(document: Document, version: str) -> Iterator[Finding]:
    (group, number), kind = split_version(document.body["apiVersion"]), document.kind
    decoded, findings = decoded_as(group, number, kind, document.body, version)
    yield from _not_decoded(document, findings)
    if findings.mistyped:
        return
    # Of unknown fields the server says no more than that; whoever mends a manifest wants to hear the rest as well.
    fill_defaults(group, kind, decoded)
    for cause in causes_of(group, number, kind, decoded, minor=version):
        yield document.error(_code(cause), _path(cause), detail=cause.message[:_LONGEST])


def _not_decoded(document: Document, findings: Findings) -> Iterator[Finding]:
    for field, message in findings.mistyped:
        code = "INVALID_QUANTITY" if message.startswith("quantities must") else "SCHEMA"
        yield document.error(code, dotted(field), detail=message[:_LONGEST])
    for field in findings.unknown:
        yield document.error("UNKNOWN_FIELD", dotted(field), detail=f'unknown field "{field[:200]}"')


def _code(cause: Cause) -> str:
    if cause.field in ("metadata.name", "metadata.generateName"):
        return "INVALID_NAME"
    return _CODES.get(cause.reason, "INVALID")


def _path(cause: Cause) -> str:
    """The field that the server names, as far as it can be told within it."""
    path = dotted(cause.place or cause.field)
    found = _AGAINST.search(cause.message)
    return f"{path}.{found[1]}" if found and path.endswith(".requests") else path


def dotted(field: str) -> str:
    """`spec.containers[0].image` as `spec.containers.0.image`."""
    return _OF_TEMPLATE.sub(r"\1.metadata.\2", _STEP.sub(r".\1", field.replace(*_GO))).removeprefix(".")


def _unknown(document: Document, api: str, kind: str, version: str) -> Iterator[Finding]:
    group, said = document.group, {"kind": kind[:60], "api": api[:80]}
    checked = custom_findings(document)
    if checked is not None:
        yield from checked
    elif group in NATIVE_GROUPS or not is_operators(group):
        path = "apiVersion" if kind in _kinds(version) else "kind"
        yield document.error("UNKNOWN_KIND", path, version=version, **said)
    elif (meant := meant_kind(group, kind)) is not None:
        yield document.error("MISSPELT_KIND", "kind", meant=meant, **said)
    else:
        yield document.warning("UNCHECKED_KIND", "kind", **said)


@cache
def _kinds(version: str) -> frozenset[str]:
    """The names of all kinds of a version, whatever their group."""
    nodes = definitions(version).values()
    listed: Iterator[dict[str, Any]] = chain.from_iterable(
        node.get("x-kubernetes-group-version-kind", ()) for node in nodes
    )
    return frozenset(str(found["kind"]) for found in listed)
