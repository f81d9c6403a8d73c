"""Rows in the binary format of COPY that hold long arrays: made by columns of bytes, not value by value. Pure."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

CHAR, INT8, INT4, FLOAT8 = 18, 20, 23, 701
_CODES: Final = {INT8: "q", INT4: "i", FLOAT8: "d"}
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
NULL: Final = struct.pack(">i", -1)
_TURNED: Final = sys.byteorder == "little"


def row(fields: Sequence[bytes]) -> bytes:
    """A row of these fields, each with its length before it."""
    return struct.pack(">h", len(fields)) + b"".join(fields)


def int8(value: int) -> bytes:
    return struct.pack(">iq", 8, value)


def int4(value: int) -> bytes:
    return struct.pack(">ii", 4, value)


def int2(value: int) -> bytes:
    return struct.pack(">ih", 2, value)


def timestamptz(value: datetime) -> bytes:
    return int8((value - _EPOCH) // _TICK)


def numbers(kind: int, values: Sequence[float]) -> bytes:
    """An array of INT4, INT8 or FLOAT8. Raises OverflowError, TypeError for what is none."""
    told = array(_CODES[kind], values)
    if _TURNED:
        told.byteswap()
    return _array(kind, told.itemsize, told.tobytes())


def chars(values: bytes | bytearray) -> bytes:
    """An array of "char", which are bytes."""
    return _array(CHAR, 1, values)


def some_numbers(kind: int, values: Iterable[float | None]) -> bytes:
    """The same where some are NULL."""
    form = struct.Struct(f">i{_CODES[kind]}")
    told = [NULL if value is None else form.pack(form.size - 4, value) for value in values]
    body = struct.pack(">iiiii", 1, 1, kind, len(told), 1) + b"".join(told)
    return struct.pack(">i", len(body)) + body


def _array(kind: int, size: int, values: bytes | bytearray) -> bytes:
    """Before each element stands how long it is, which is less than 256."""
    count, step = len(values) // size, size + 4
    if not count:
        return struct.pack(">iiii", 12, 0, 0, kind)
    body = bytearray(step * count)
    body[3::step] = bytes([size]) * count
    for place in range(size):
        body[4 + place :: step] = values[place::size]
    return struct.pack(">iiiiii", 20 + len(body), 1, 0, kind, count, 1) + body
