"""Objects in protobuf, as `kubectl create <kind>` and Go's typed clients send them, to what JSON would have said.

`protobuf_fields.json` holds, per type, field number → `name:` and how the value is read: `!` when zero means
something (a pointer, or a field that JSON always has), `[]` a list, `{}` a map, then a scalar or a type; the name
`^` stands for fields that JSON shows one level higher. It was made from the tags of the Go types, release 1.37.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

from ecpmon.kube.schemas import definition_name
from ecpmon.simulator.kube.protobuf import broken, envelope, fields_of, text_of
from ecpmon.simulator.kube.status import Document, bad_request

_MAX_DEPTH: Final = 100
# Kinds that the schemas do not know.
_UNTYPED: Final = {
    (
        "authorization.k8s.io",
        "v1",
        "SelfSubjectRulesReview",
    ): "io.k8s.api.authorization.v1.SelfSubjectRulesReview"
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def _types() -> dict[str, dict[int, str]]:
    found = orjson.loads(files("ecpmon.simulator.kube").joinpath("protobuf_fields.json").read_bytes())
    return {name: {int(number): how for number, how in fields.items()} for name, fields in found.items()}


def document(raw: bytes) -> Document:
    """The object in a body. ApiError 400 for one that is broken or of a kind that is not known here."""
    version, kind, message = envelope(raw)
    group, _, short = version.rpartition("/")
    name = definition_name(group, short, kind) or _UNTYPED.get((group, short, kind))
    if name is None or name not in _types():
        raise bad_request(f'no kind "{kind}" is registered for version "{version}"')
    return {"apiVersion": version, "kind": kind, **_message(name, message, 0)}


def _message(name: str, message: bytes, depth: int) -> Document:
    if depth > _MAX_DEPTH:
        raise broken()
    fields = _types()[name]
    result: Document = {}
    for number, value in fields_of(message):
        how = fields.get(number)
        if how is not None:  # what a newer client knows is passed over
            _add(result, how, value, depth)
    return result


def _add(result: Document, how: str, value: int | bytes, depth: int) -> None:
    name, _, kind = how.partition(":")
    keeps_zero, kind = kind.startswith("!"), kind.removeprefix("!")
    if kind.startswith("{}"):
        key, item = _entry(kind[2:], value, depth)
        result.setdefault(name, {})[key] = item
    elif kind.startswith("[]"):
        result.setdefault(name, []).append(_value(kind[2:], value, depth))
    else:
        found = _value(kind, value, depth)
        if name == "^":
            result.update(found)
        elif found is not None and (keeps_zero or found not in ("", 0) or isinstance(found, dict)):
            result[name] = found


def _entry(kind: str, value: int | bytes, depth: int) -> tuple[str, Any]:
    parts = dict(fields_of(_bytes(value)))
    empty: int | bytes = 0 if kind in ("int", "bool") else b""
    return text_of(parts.get(1, b"")), _value(kind, parts.get(2, empty), depth)


def _value(kind: str, value: int | bytes, depth: int) -> Any:
    read = _SCALARS.get(kind)
    return _message(kind, _bytes(value), depth + 1) if read is None else read(value)


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise broken()
    return value


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise broken()
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def _double(value: int | bytes) -> float:
    raw = _bytes(value)
    if len(raw) != 8:
        raise broken()
    return float(struct.unpack("<d", raw)[0])


def _instant(value: int | bytes) -> datetime | None:
    """None for Go's zero time."""
    parts = dict(fields_of(_bytes(value)))
    seconds, nanos = _int(parts.get(1, 0)), _int(parts.get(2, 0))
    if not parts or seconds == -62135596800:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise broken() from None


def _time(value: int | bytes) -> str | None:
    instant = _instant(value)
    return None if instant is None else f"{instant.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _micro_time(value: int | bytes) -> str | None:
    instant = _instant(value)
    return None if instant is None else f"{instant.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _quantity(value: int | bytes) -> str:
    return text_of(dict(fields_of(_bytes(value))).get(1, b"")) or "0"


def _int_or_string(value: int | bytes) -> int | str:
    parts = dict(fields_of(_bytes(value)))
    return text_of(parts.get(3, b"")) if _int(parts.get(1, 0)) else _int(parts.get(2, 0))


def _raw(value: int | bytes) -> Any:
    raw = _bytes(dict(fields_of(_bytes(value))).get(1, b"")) or b"{}"
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise broken() from None


_SCALARS: Final[dict[str, Callable[[int | bytes], Any]]] = {
    "string": text_of,
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
    "int": _int,
    "bool": lambda value: bool(_int(value)),
    "double": _double,
    "time": _time,
    "microtime": _micro_time,
    "quantity": _quantity,
    "intstr": _int_or_string,
    "raw": _raw,
}
