"""Text to documents, within limits: YAML that is too large, too deep or full of aliases is refused unread."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import yaml

from ecpmon.orchestrator.validation.report import Finding, Severity
from ecpmon.sla.yamlstream import UNREADABLE

try:  # libyaml: twenty times as fast
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # a PyYAML that was built without it
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

MAX_CHARACTERS: Final = 1_000_000
MAX_DOCUMENTS: Final = 500
MAX_OBJECTS: Final = 1_000  # with those of Lists; selectors are compared pairwise
MAX_DEPTH: Final = 60
# Aliases of aliases multiply; `MAX_NODES` counts what they stand for.
MAX_ALIASES: Final = 10
# Scalars, lists and mappings. A megabyte of what we render has some 60,000.
MAX_NODES: Final = 120_000
_MAX_NUMBER: Final = 40


@dataclass(frozen=True, slots=True)
class Document:
    """One object with its place in the stream."""

    index: int
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def metadata(self) -> dict[str, Any]:
        return mapping(self.body.get("metadata"))

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def spec(self) -> dict[str, Any]:
        return mapping(self.body.get("spec"))

    def finding(self, severity: Severity, code: str, path: str, message: str) -> Finding:
        return Finding(severity, code, message, self.index, f"{self.kind}/{self.name}"[:200], path)

    def error(self, code: str, path: str, message: str) -> Finding:
        return self.finding(Severity.ERROR, code, path, message)

    def warning(self, code: str, path: str, message: str) -> Finding:
        return self.finding(Severity.WARNING, code, path, message)


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is a mapping, else an empty one: the schema says what is wrong with it."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class _Loader(_SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"key {key.value[:60]!r} occurs twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(getattr(key, "value", "") if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


def _number(loader: _Loader, node: yaml.ScalarNode) -> int | float | str:
    """A number; `22:22` is text, as in kubectl. Raises ConstructorError for digits without end."""
    text = str(loader.construct_scalar(node))
    if ":" in text:
        return text
    if len(text) > _MAX_NUMBER:
        problem = f"a number of more than {_MAX_NUMBER} characters"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    is_int = node.tag.endswith(":int")
    return loader.construct_yaml_int(node) if is_int else loader.construct_yaml_float(node)


# Kubernetes reads JSON: a date is a string, as it is in kubectl, and so is a lone `=`.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)
_Loader.add_constructor("tag:yaml.org,2002:value", _text)
_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def read(text: str) -> tuple[list[Document], list[Finding]]:
    """The documents that could be read, `List`s opened, and what could not."""
    if len(text) > MAX_CHARACTERS:
        return [], [_stream("TOO_LARGE", f"more than {MAX_CHARACTERS} characters; send it in parts")]
    try:
        refused = _hostile(text)
        if refused is not None:
            return [], [refused]
        found = [_plain(body) for body in yaml.load_all(text, Loader=_Loader)]
    except yaml.YAMLError as error:
        return [], [_stream("YAML_MALFORMED", f"not YAML: {_where(error)}")]
    except UNREADABLE as error:  # such as `!!bool maybe`
        return [], [_stream("YAML_MALFORMED", f"not YAML that can be read: {error}")]
    return _documents(found)


def _plain(value: Any) -> Any:
    """As JSON has it: keys are text. Raises RecursionError for what contains itself."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _hostile(text: str) -> Finding | None:
    """Counts events without building anything."""
    aliases = documents = nodes = 0
    begun: list[tuple[str | None, int]] = []  # the open collections: anchor, nodes before
    sizes: dict[str, int] = {}  # nodes below each anchor
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            begun.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = begun.pop()
            sizes[anchor or ""] = nodes - before
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            nodes += sizes.get(event.anchor or "", 1)
        nodes += isinstance(event, yaml.ScalarEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        refused = _over(len(begun), aliases, documents, nodes)
        if refused is not None:
            return refused
    return None


def _over(depth: int, aliases: int, documents: int, nodes: int) -> Finding | None:
    if depth > MAX_DEPTH:
        return _stream("TOO_DEEP", f"nested more than {MAX_DEPTH} levels")
    if aliases > MAX_ALIASES:
        return _stream("TOO_MANY_ALIASES", f"more than {MAX_ALIASES} aliases; write the values out")
    if documents > MAX_DOCUMENTS:
        return _stream("TOO_MANY_DOCUMENTS", f"more than {MAX_DOCUMENTS} documents; send them in parts")
    if nodes > MAX_NODES:
        return _stream("TOO_MANY_VALUES", f"more than {MAX_NODES} values, aliases included; send it in parts")
    return None


def _documents(found: list[Any]) -> tuple[list[Document], list[Finding]]:
    documents: list[Document] = []
    bad: list[Finding] = []
    for index, body in enumerate(found):
        if body is None:
            continue
        opened = body.get("items") if isinstance(body, dict) and body.get("kind") == "List" else [body]
        for item in items(opened):
            if isinstance(item, dict):
                documents.append(Document(index, item))
            else:
                what = f"expected a mapping (an object), found {type(item).__name__}"
                bad.append(Finding(Severity.ERROR, "NOT_A_MAPPING", what, index))
    if len(documents) + len(bad) > MAX_OBJECTS:
        return [], [_stream("TOO_MANY_DOCUMENTS", f"more than {MAX_OBJECTS} objects; send them in parts")]
    if not documents and not bad:
        bad.append(_stream("EMPTY", "there is no object in it"))
    return documents, bad


def _stream(code: str, message: str) -> Finding:
    return Finding(Severity.ERROR, code, message)


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)[:200]
    return f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else problem
