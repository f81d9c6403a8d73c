"""Rows as PostgreSQL's `record_send` writes them: read where it holds nobody, not where the driver reads rows."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_COUNT: Final = struct.Struct(">i")
# The number of the type and how many bytes follow; less than none: NULL.
_HEAD: Final = struct.Struct(">Ii")
_INTERVAL: Final = struct.Struct(">qii")
_LONG: Final = struct.Struct(">q")
_INT: Final = struct.Struct(">i")
_FLOAT: Final = struct.Struct(">f")
_DOUBLE: Final = struct.Struct(">d")
_ORIGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)


def unpacked(records: bytes) -> Iterator[tuple[Any, ...]]:
    """The rows of records that stand one behind the other. Raises KeyError for a type that is not used here."""
    at, count, head = 0, _COUNT.unpack_from, _HEAD.unpack_from
    while at < len(records):
        (columns,) = count(records, at)
        at, row = at + 4, list[Any]()
        for _ in range(columns):
            kind, size = head(records, at)
            at += 8
            if size < 0:
                row.append(None)
            else:
                row.append(_READERS[kind](records, at, size))
                at += size
        yield tuple(row)


def _instant(records: bytes, at: int, _: int) -> datetime:
    return _ORIGIN + timedelta(microseconds=_LONG.unpack_from(records, at)[0])


def _interval(records: bytes, at: int, _: int) -> timedelta:
    """As the driver reads it: a month has thirty days."""
    micros, days, months = _INTERVAL.unpack_from(records, at)
    return timedelta(days + 30 * months, microseconds=micros)


def _text(records: bytes, at: int, size: int) -> str:
    return records[at : at + size].decode()


def _truth(records: bytes, at: int, _: int) -> bool:
    return records[at] != 0


def _number(form: struct.Struct) -> Callable[[bytes, int, int], Any]:
    return lambda records, at, _: form.unpack_from(records, at)[0]


# By the numbers that PostgreSQL has given its types for good.
_READERS: Final[dict[int, Callable[[bytes, int, int], Any]]] = {
    16: _truth,
    20: _number(_LONG),
    23: _number(_INT),
    25: _text,
    700: _number(_FLOAT),
    701: _number(_DOUBLE),
    1043: _text,
    1184: _instant,
    1186: _interval,
}
