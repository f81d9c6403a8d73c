"""YAML that strangers send: several documents, no aliases, no surprises. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

import yaml

from ecpmon.errors import PayloadTooLarge, ValidationFailed

MAX_CHARACTERS: Final = 262_144
MAX_DOCUMENTS: Final = 200
MAX_DEPTH: Final = 30
# Scalars, lists and mappings, in all documents; an SLO has some 50.
MAX_NODES: Final = 20_000
# What PyYAML's constructors raise for a value that is not what its tag says, such as `!!timestamp soon`.
UNREADABLE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Safe tags only; times stay text; aliases, doubled keys and deep nesting are refused."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML wants a class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0
    _nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not supported")
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES} values; send it in parts")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"is nested deeper than {MAX_DEPTH}")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [k.value for k, _ in node.value]
        if any(not isinstance(k, yaml.ScalarNode) or k.tag.endswith(":merge") for k, _ in node.value):
            raise yaml.YAMLError("keys must be plain")
        if len(set(keys)) != len(keys):
            raise yaml.YAMLError(f"a key is given twice in line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep=True)


def load(text: str) -> list[Any]:
    """The documents of a stream; empty ones are left out. Raises ValidationFailed, PayloadTooLarge."""
    if len(text) > MAX_CHARACTERS:
        raise PayloadTooLarge(f"the YAML is longer than {MAX_CHARACTERS} characters; send it in parts")
    found: list[Any] = []
    try:
        for document in yaml.load_all(text, _Loader):
            if document is not None:
                found.append(document)
            if len(found) > MAX_DOCUMENTS:
                raise yaml.YAMLError(f"more than {MAX_DOCUMENTS} documents")
    except (yaml.YAMLError, *UNREADABLE) as error:
        message = f"is not usable YAML: {' '.join(str(error).split())[:300]}"
        raise ValidationFailed(message, fields=[{"field": "", "message": message}]) from error
    return found


class _Dumper(yaml.SafeDumper):
    """Text that is not one printable line is quoted: PyYAML folds U+0085 and its like in other styles."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = None if text.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


def dump(documents: Iterable[Any]) -> str:
    """A stream that reads back as the same values, byte for byte the same for the same values."""
    return yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, explicit_start=True, allow_unicode=True, width=110
    )
