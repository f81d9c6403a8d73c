"""OpenAPI v2 in protobuf, which is all that kubectl takes of it: the messages of gnostic's `openapi.v2.Document`.

Only what `openapi.swagger` has: types, without operations. Fields are numbered as in `OpenAPIv2.proto`.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

import orjson

from ecpmon.simulator.kube.catalogue import CATALOGUE, Catalogue, Resource
from ecpmon.simulator.kube.openapi import swagger

MEDIA: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# What kubectl asks for. It cannot read an answer that is called so: "@" is not allowed in a media type.
_ASKED: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_TEXTS: Final = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}
_DOUBLES: Final = {"multipleOf": 6, "maximum": 7, "minimum": 9}
_FLAGS: Final = {"exclusiveMaximum": 8, "exclusiveMinimum": 10, "uniqueItems": 16, "readOnly": 28}
_NUMBERS: Final = {
    "maxLength": 11, "minLength": 12, "maxItems": 14, "minItems": 15, "maxProperties": 17, "minProperties": 18,
}  # fmt: skip


def is_wanted(accepted: str) -> bool:
    """Whether an Accept header asks for this form."""
    return MEDIA in accepted or _ASKED in accepted


def v2(catalogue: Catalogue = CATALOGUE) -> bytes:
    """One document of everything."""
    return _v2(tuple(catalogue.all))


@lru_cache(2)
def _v2(resources: tuple[Resource, ...]) -> bytes:
    document = swagger(Catalogue(resources))
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    named = b"".join(_message(1, _named(name, node)) for name, node in document["definitions"].items())
    return _text(1, document["swagger"]) + _message(2, info) + _message(8, b"") + _message(9, named)


def _named(name: str, node: Any) -> bytes:
    return _text(1, name) + _message(2, _schema(node))


def _schema(node: dict[str, Any]) -> bytes:
    parts = [_text(number, str(node[key])) for key, number in _TEXTS.items() if node.get(key)]
    parts += [_double(number, node[key]) for key, number in _DOUBLES.items() if node.get(key) is not None]
    parts += [_number(number, 1) for key, number in _FLAGS.items() if node.get(key) is True]
    parts += [_number(number, int(node[key])) for key, number in _NUMBERS.items() if node.get(key)]
    if "default" in node:
        parts.append(_message(5, _any(node["default"])))
    parts += [_text(19, name) for name in node.get("required") or ()]
    parts += [_message(20, _any(value)) for value in node.get("enum") or ()]
    parts.append(_additional(node.get("additionalProperties")))
    if node.get("type"):
        parts.append(_message(22, _text(1, str(node["type"]))))
    if isinstance(node.get("items"), dict):
        parts.append(_message(23, _message(1, _schema(node["items"]))))
    if node.get("properties"):
        named = (_message(1, _named(name, inner)) for name, inner in node["properties"].items())
        parts.append(_message(25, b"".join(named)))
    parts += [
        _message(31, _text(1, key) + _message(2, _any(value)))
        for key, value in node.items()
        if key.startswith("x-")
    ]
    return b"".join(parts)


def _additional(additional: Any) -> bytes:
    if isinstance(additional, dict):
        return _message(21, _message(1, _schema(additional)))
    return _message(21, _number(2, int(additional))) if isinstance(additional, bool) else b""


def _any(value: Any) -> bytes:
    """As YAML, of which JSON is a part."""
    return _text(2, orjson.dumps(value).decode())


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value & 2**64 - 1)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())
