"""Protobuf's wire format, as far as it has to be read: fields of a message, one after the other.

https://protobuf.dev/programming-guides/encoding: a field is a tag (number and wire type), then its value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST: Final = 10  # bytes of a varint
_WORD: Final = 1 << 64
_HALF: Final = 1 << 63
_DOUBLE: Final = struct.Struct("<d").unpack_from
_FLOAT: Final = struct.Struct("<I").unpack_from
_LONG: Final = struct.Struct("<Q").unpack_from
# A number, or where a nested message, text or packed field lies.
Value = int | tuple[int, int]


class Malformed(ValueError):
    """The bytes are no such message."""


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and where it ends. Raises Malformed."""
    value = shift = 0
    for place in range(at, min(at + _LONGEST, end)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (_WORD - 1), place + 1
        shift += 7
    raise Malformed("a number is cut short, or too long")


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, Value]]:
    """Number and value of each field in `data[at:end]`. Fixed 64-bit values come as their bits. Raises Malformed."""
    while at < end:
        tag, at = varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        value: Value
        if kind == _VARINT:
            value, at = varint(data, at, end)
        elif kind == _FIXED64:
            value, at = _fixed(data, at, end, 8), at + 8
        elif kind == _BYTES:
            length, begin = varint(data, at, end)
            at = begin + length
            if at > end:
                raise Malformed("a field ends after its message")
            value = begin, at
        elif kind == _FIXED32:
            value, at = _fixed(data, at, end, 4), at + 4
        else:
            raise Malformed(f"a field has the wire type {kind}")
        if not number:
            raise Malformed("a field has the number 0")
        yield number, value


def _fixed(data: bytes, at: int, end: int, size: int) -> int:
    if at + size > end:
        raise Malformed("a field ends after its message")
    found: int = (_LONG if size == 8 else _FLOAT)(data, at)[0]
    return found


def number(value: Value) -> int:
    """A field that is a number. Raises Malformed."""
    if isinstance(value, tuple):
        raise Malformed("a field is no number")
    return value


def span(value: Value) -> tuple[int, int]:
    """Where a field that is a message or a text lies. Raises Malformed."""
    if not isinstance(value, tuple):
        raise Malformed("a field is no message")
    return value


def text(data: bytes, value: Value) -> str:
    """Raises Malformed."""
    begin, end = span(value)
    try:
        return data[begin:end].decode()
    except UnicodeDecodeError:
        raise Malformed("a text is not UTF-8") from None


def double(value: Value) -> float:
    """Of the bits of a 64-bit float."""
    found: float = _DOUBLE(number(value).to_bytes(8, "little"))[0]
    return found


def signed(value: Value) -> int:
    """An int64, which is written as two's complement."""
    found = number(value)
    return found - _WORD if found >= _HALF else found


def zigzag(value: int) -> int:
    """An sint32 or sint64."""
    return (value >> 1) ^ -(value & 1)


def packed(data: bytes, value: Value) -> list[int]:
    """A repeated field of varints, packed or a single one. Raises Malformed."""
    if not isinstance(value, tuple):
        return [value]
    at, end = value
    found = []
    while at < end:
        each, at = varint(data, at, end)
        found.append(each)
    return found


def packed_doubles(data: bytes, value: Value) -> list[float]:
    """A repeated field of doubles, packed or a single one. Raises Malformed."""
    if not isinstance(value, tuple):
        return [double(value)]
    at, end = value
    if (end - at) % 8:
        raise Malformed("packed numbers are cut short")
    return [*struct.unpack_from(f"<{(end - at) // 8}d", data, at)]


def packed_fixed(data: bytes, value: Value) -> list[int]:
    """A repeated field of fixed 64-bit numbers, packed or a single one. Raises Malformed."""
    if not isinstance(value, tuple):
        return [value]
    at, end = value
    if (end - at) % 8:
        raise Malformed("packed numbers are cut short")
    return [*struct.unpack_from(f"<{(end - at) // 8}Q", data, at)]


def encoded_varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def encoded_field(number: int, data: bytes) -> bytes:
    """A nested message or a text."""
    return encoded_varint(number << 3 | _BYTES) + encoded_varint(len(data)) + data
