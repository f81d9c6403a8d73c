"""Text to documents, within limits: YAML that is too large, too deep or full of aliases is refused unread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ecpmon.kube.shapes import group_of, items, mapping
from ecpmon.kube.templates import pod_templates
from ecpmon.orchestrator.validation.kubectl_yaml import Limits, Stream, TooMuch, read_stream
from ecpmon.orchestrator.validation.places import Lines
from ecpmon.orchestrator.validation.report import Finding, Severity

MAX_CHARACTERS: Final = 1_000_000
MAX_CONTAINERS: Final = 500  # of one pod; a whole node has room for some 100 pods
MAX_OBJECTS: Final = 1_000  # with those of Lists
LIMITS: Final = Limits()
_CODES: Final = {
    "documents": "TOO_MANY_DOCUMENTS",
    "levels": "TOO_DEEP",
    "aliases": "TOO_MANY_ALIASES",
    "values": "TOO_MANY_VALUES",
    "collections": "TOO_MANY_COLLECTIONS",
}


class Document:
    """One object with its place in the stream, `index`. `namespace` is "" for none. `templates` are those of its pods,
    but if it is `crowded`: of pods with so many containers that nobody looks at them."""

    __slots__ = (
        "body", "crowded", "group", "index", "kind", "metadata", "name", "namespace", "spec", "templates",
    )  # fmt: skip

    def __init__(self, index: int, body: dict[str, Any]) -> None:
        self.index = index
        self.body = body
        self.kind = str(body.get("kind", ""))
        self.group = group_of(body)
        self.metadata = mapping(body.get("metadata"))
        self.name = str(self.metadata.get("name", ""))
        self.namespace = str(self.metadata.get("namespace") or "")
        self.spec = mapping(body.get("spec"))
        templates = pod_templates(body)
        self.crowded = any(template.size() > MAX_CONTAINERS for template in templates)
        self.templates = [] if self.crowded else templates

    def finding(self, severity: Severity, code: str, path: str, **values: Any) -> Finding:
        return Finding(severity, code, self.index, f"{self.kind}/{self.name}"[:200], path[:500], values)

    def error(self, code: str, path: str, **values: Any) -> Finding:
        return self.finding(Severity.ERROR, code, path, **values)

    def warning(self, code: str, path: str, **values: Any) -> Finding:
        return self.finding(Severity.WARNING, code, path, **values)


def read(text: str) -> tuple[list[Document], list[Finding], Lines]:
    """The documents that could be read, lists opened, what could not, and where everything stands."""
    nowhere = Lines(Stream())
    if len(text) > MAX_CHARACTERS:
        return [], [_stream("TOO_LARGE", limit=MAX_CHARACTERS)], nowhere
    try:
        stream = read_stream(text, LIMITS)
    except TooMuch as over:
        return [], [_stream(_CODES[over.what], limit=over.limit)], nowhere
    return *_documents(stream), Lines(stream)


def _documents(stream: Stream) -> tuple[list[Document], list[Finding]]:
    documents: list[Document] = []
    bad: list[Finding] = []
    for index, body in enumerate(stream.documents):
        for item in _opened(body):
            if isinstance(item, dict):
                documents.append(Document(index, item))
            else:
                values = {"found": type(item).__name__}
                bad.append(Finding(Severity.ERROR, "NOT_A_MAPPING", index, values=values))
    if len(documents) + len(bad) > MAX_OBJECTS:
        return [], [_stream("TOO_MANY_OBJECTS", limit=MAX_OBJECTS)]
    bad += _doubled(stream)
    if stream.broken is not None:
        bad.append(
            Finding(
                Severity.ERROR, "YAML_MALFORMED", len(stream.documents), values={"problem": stream.broken}
            )
        )
    if not documents and not bad:
        bad.append(_stream("EMPTY"))
    return documents, bad


def _opened(body: Any) -> list[Any]:
    """The objects of a document: those of a list, which need not repeat what its kind says."""
    if body is None:
        return []
    kind = body.get("kind") if isinstance(body, dict) else None
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(body.get("items"), list):
        return [body]
    if kind == "List":
        return items(body["items"])
    common = {"apiVersion": body.get("apiVersion"), "kind": kind.removesuffix("List")}
    return [{**common, **item} if isinstance(item, dict) else item for item in body["items"]]


def _doubled(stream: Stream) -> Iterator[Finding]:
    for index, path in stream.doubled:
        body = mapping(stream.documents[index]) if index < len(stream.documents) else {}
        key = path.rpartition(".")[2]
        yield Document(index, body).error("DUPLICATE_KEY", path, key=key[:60])


def _stream(code: str, **values: Any) -> Finding:
    return Finding(Severity.ERROR, code, values=values)
