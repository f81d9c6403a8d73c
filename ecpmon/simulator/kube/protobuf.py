"""Protobuf bodies, as Go clients send them for kinds that they know.

We answer in JSON, which those clients read as well. Here are the envelope, how to delete and what to evict;
whole objects are in `protobuf_objects.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ecpmon.simulator.kube.status import ApiError, Document, bad_request

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def envelope(raw: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, message) of a body; ApiError 400 when it is not one."""
    if not raw.startswith(_MAGIC):
        raise bad_request("the body is not Kubernetes' protobuf: its first bytes are others")
    fields = dict(fields_of(raw[len(_MAGIC) :]))
    about = dict(fields_of(_bytes(fields.get(1, b""))))
    return text_of(about.get(1, b"")), text_of(about.get(2, b"")), _bytes(fields.get(2, b""))


def delete_options(message: bytes) -> Document:
    """meta/v1 DeleteOptions."""
    found: Document = {}
    for number, value in fields_of(message):
        if number == 1:
            found["gracePeriodSeconds"] = value
        elif number == 2:
            conditions = dict(fields_of(_bytes(value)))
            names = {1: "uid", 2: "resourceVersion"}
            found["preconditions"] = {names[n]: text_of(v) for n, v in conditions.items() if n in names}
        elif number == 3:
            found["orphanDependents"] = bool(value)
        elif number == 4:
            found["propagationPolicy"] = text_of(value)
        elif number == 5:
            found.setdefault("dryRun", []).append(text_of(value))
    return found


def eviction(message: bytes) -> Document:
    """policy/v1 Eviction: its delete options; the pod stands in the path."""
    options = dict(fields_of(message)).get(2)
    return {"kind": "Eviction", **({"deleteOptions": delete_options(_bytes(options))} if options else {})}


def fields_of(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field number and value of each field; ApiError 400 for a message that ends in the middle of one."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise broken()
        if at + size > len(message):
            raise broken()
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, at
        shift += 7
    raise broken()


def broken() -> ApiError:
    """ApiError 400 for what is no protobuf of this kind."""
    return bad_request("the protobuf message is broken")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise broken()
    return value


def text_of(value: Any) -> str:
    """A string field; ApiError 400 when the field is a number."""
    return _bytes(value).decode(errors="replace")
