"""From JSON to what the server makes of it, strictly: every field known and of its type.

Types come from Kubernetes' own schemas, compiled once into functions. As in Go, a null is the zero value: absent
as a field, "" or 0 as an item of a list or a map. Numbers as quantities become text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from ecpmon.kube import schemas
from ecpmon.kube.causes import Document
from ecpmon.kube.quantities import WORDS, parsed
from ecpmon.kube.schemas import Node

_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_NEVER: Final = "0001-01-01T00:00:00Z"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

_ONLY_TEXT: Final = frozenset((str,))  # what thousands of values are, asked of all at once

# The way to a value, from the inside out: (outer way, key or index); rendered only where something is wrong.
_Way = tuple[Any, Any] | None


@dataclass(slots=True)
class Findings:
    """What keeps a document from being decoded; paths as in `spec.containers[0].image`."""

    unknown: list[str] = field(default_factory=list)
    mistyped: list[tuple[str, str]] = field(default_factory=list)  # path, the server's words

    @property
    def fine(self) -> bool:
        return not self.unknown and not self.mistyped


_Decoder = Callable[[Any, _Way, Findings], Any]


class _Type(NamedTuple):
    decode: _Decoder
    zero: Callable[[], Any]


def decode(document: Any, node: Node, minor: str = schemas.SERVER_MINOR) -> tuple[Any, Findings]:
    """The document well typed (what is not is left out), and what was found; types are of that version."""
    findings = Findings()
    return _compiled(node, minor).decode(document, None, findings), findings


def rendered(way: _Way) -> str:
    """`spec.containers[0].image`."""
    parts: list[str] = []
    while way is not None:
        way, key = way
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")


def _compiled(node: Node, minor: str) -> _Type:
    name = schemas.ref_name(node)
    return _build(node, minor) if name is None else _named(name, minor)


@cache
def _named(name: str, minor: str) -> _Type:
    """The type of a definition."""
    if name == schemas.QUANTITY:
        return _Type(_quantity, lambda: "0")
    if name == _INT_OR_STRING:
        return _Type(_int_or_string, lambda: 0)
    return _build(schemas.definitions(minor)[name], minor)


def _build(node: Node, minor: str) -> _Type:
    if "oneOf" in node:
        return _Type(_anything, lambda: None)
    kinds = schemas.kinds_of(node)
    if "object" in kinds:
        return _object(node, minor)
    if "array" in kinds:
        inner = node.get("items")
        return _list(_compiled(inner, minor)) if isinstance(inner, dict) else _Type(_anything, list)
    return _scalar(kinds, str(node.get("format", "")))


def _scalar(kinds: list[str], form: str) -> _Type:
    if "string" in kinds:
        if form == "date-time":
            return _Type(_time, lambda: _NEVER)
        return _Type(_bytes if form == "byte" else _string, str)
    if "integer" in kinds:
        return _integer(32 if form == "int32" else 64)
    if "number" in kinds:
        return _Type(_number, int)
    if "boolean" in kinds:
        return _Type(_boolean, bool)
    return _Type(_anything, lambda: None)


def _object(node: Node, minor: str) -> _Type:
    properties, additional = node.get("properties"), node.get("additionalProperties")
    if properties is not None:
        keep = bool(node.get("x-kubernetes-preserve-unknown-fields"))
        return _struct(properties, keep, minor)
    if isinstance(additional, dict):
        return _map(_compiled(additional, minor))
    return _Type(_open_object, dict)


def _struct(fields: dict[str, Node], keep: bool, minor: str) -> _Type:
    # Filled when the first object comes: definitions refer to one another in circles.
    decoders: dict[str, _Decoder] = {}

    def decode_struct(value: Any, way: _Way, found: Findings) -> Any:
        if value.__class__ is not dict:
            return _wrong(value, way, found, "object", {})
        if not decoders:
            decoders.update({key: _compiled(inner, minor).decode for key, inner in fields.items()})
        result: Document = {}
        for key, item in value.items():
            decoder = decoders.get(key)
            if decoder is _string and item.__class__ is str:  # most fields
                result[key] = item
            elif decoder is not None:
                if item is not None:
                    result[key] = decoder(item, (way, key), found)
            elif keep:
                result[key] = item
            else:
                found.unknown.append(rendered((way, key)))
        return result

    return _Type(decode_struct, dict)


def _map(inner: _Type) -> _Type:
    decoder, zero = inner
    texts = decoder is _string

    def decode_map(value: Any, way: _Way, found: Findings) -> Any:
        if value.__class__ is not dict:
            return _wrong(value, way, found, "map[string]string", {})
        if texts and _ONLY_TEXT.issuperset(map(type, value.values())):
            return value.copy()
        return {
            key: zero() if item is None else decoder(item, (way, key), found) for key, item in value.items()
        }

    return _Type(decode_map, dict)


def _list(inner: _Type) -> _Type:
    decoder, zero = inner
    texts = decoder is _string

    def decode_list(value: Any, way: _Way, found: Findings) -> Any:
        if value.__class__ is not list:
            return _wrong(value, way, found, "array", [])
        if texts and _ONLY_TEXT.issuperset(map(type, value)):
            return value.copy()
        return [
            zero() if item is None else decoder(item, (way, index), found) for index, item in enumerate(value)
        ]

    return _Type(decode_list, list)


def _integer(bits: int) -> _Type:
    most = 2 ** (bits - 1)

    def decode_integer(value: Any, way: _Way, found: Findings) -> Any:
        if value.__class__ is not int:
            return _wrong(value, way, found, f"int{bits}", 0)
        if not -most <= value < most:
            return _wrong(value, way, found, f"int{bits}", 0, f"number {value}")
        return value

    return _Type(decode_integer, int)


def _string(value: Any, way: _Way, found: Findings) -> Any:
    return value if value.__class__ is str else _wrong(value, way, found, "string", "")


def _boolean(value: Any, way: _Way, found: Findings) -> Any:
    return value if value.__class__ is bool else _wrong(value, way, found, "bool", False)


def _number(value: Any, way: _Way, found: Findings) -> Any:
    return value if value.__class__ in (int, float) else _wrong(value, way, found, "float64", 0)


def _anything(value: Any, _: _Way, __: Findings) -> Any:
    return value


def _open_object(value: Any, way: _Way, found: Findings) -> Any:
    return value if value.__class__ is dict else _wrong(value, way, found, "object", {})


def _quantity(value: Any, way: _Way, found: Findings) -> Any:
    """Blanks around it do not matter to the server."""
    if value.__class__ not in (str, int, float):
        return _said(way, found, WORDS, "0")
    text = value.strip() if value.__class__ is str else str(value)
    try:
        parsed(text)
    except ValueError as error:
        return _said(way, found, str(error), "0")
    return text


def _int_or_string(value: Any, way: _Way, found: Findings) -> Any:
    if value.__class__ is str:
        return value
    if value.__class__ is not int or not -(2**31) <= value < 2**31:
        return _wrong(value, way, found, "int32", 0)
    return value


def _bytes(value: Any, way: _Way, found: Findings) -> Any:
    """Base64; Go reads a list of small numbers as bytes as well."""
    if value.__class__ is list:
        if all(item is None or (item.__class__ is int and 0 <= item < 256) for item in value):
            return base64.b64encode(bytes(item or 0 for item in value)).decode()
        return _wrong(value, way, found, "[]uint8", "")
    if value.__class__ is not str:
        return _wrong(value, way, found, "[]uint8", "")
    try:
        base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return _said(way, found, "illegal base64 data", "")
    return value


def _time(value: Any, way: _Way, found: Findings) -> Any:
    if value.__class__ is not str:
        return _wrong(value, way, found, "string", "")
    try:
        if _TIME.fullmatch(value) is None:
            raise ValueError(value)
        datetime.fromisoformat(f"{value[:19]}+00:00")
    except ValueError:
        return _said(way, found, f'parsing time "{value[:60]}" as "2006-01-02T15:04:05Z07:00"', "")
    return value


def _wrong(value: Any, way: _Way, found: Findings, wanted: str, instead: Any, what: str = "") -> Any:
    path = rendered(way)
    where = f"Go struct field {path}" if path else "Go value"
    said = f"json: cannot unmarshal {what or _go_kind(value)} into {where} of type {wanted}"
    return _said(way, found, said, instead)


def _said(way: _Way, found: Findings, message: str, instead: Any) -> Any:
    found.mistyped.append((rendered(way), message))
    return instead


def _go_kind(value: Any) -> str:
    names = {bool: "bool", str: "string", int: "number", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")
