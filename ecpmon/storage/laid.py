"""Rollups as they lie in their rows, those of the same series upon each other, become plots.

To take a row apart in the database, value by value, costs it several times what reading the row does. So it hands over
whole columns of rows, and each series is every so-and-so-manyth value of them.

Invariant: no step of a series is in two of its pieces. Steps of rollups are left out where samples are read instead.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from operator import truediv
from typing import Any, NamedTuple

from ecpmon.ports.samples import Plot
from ecpmon.slices import in_slices

# What an array has before its values: in all, for each dimension, and each of them before its own bytes.
_HEAD, _DIMENSION, _LENGTH = 12, 8, 4
_ORIGIN = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_MICROSECONDS = 1_000_000


class _Piece(NamedTuple):
    """Some steps of a series. `total`, `points`: of all of their samples together."""

    begins: Sequence[int]
    values: tuple[float, ...]
    high: float
    total: float
    points: int


async def laid_plots(rows: Sequence[Any], width: int) -> list[Plot]:
    """Of rows as the statement `rollup_5m_plots` gives them: a day at most in each. `width`: of a step in seconds."""
    names = {row[0]: row for row in rows if row[0] is not None}
    found = defaultdict[int, list[_Piece]](list)
    async for row in in_slices(rows):
        if row[0] is None:
            for series, piece in _pieces(row, width):
                found[series].append(piece)
    return [_plot(names[series], pieces, width) async for series, pieces in in_slices(found.items())]


def _pieces(row: Any, width: int) -> Iterator[tuple[int, _Piece]]:
    ids, places, wide = row[4:7]
    begins = _begins(row[7], width)
    totals, highs, counts = (
        _columns(array, kind, len(ids), places, wide, len(begins))
        for array, kind in ((row[8], "d"), (row[9], "d"), (row[10], "i"))
    )
    for series, total, high, count in zip(ids, totals, highs, counts, strict=True):
        yield series, _Piece(begins, tuple(map(truediv, total, count)), max(high), sum(total), sum(count))


def _begins(array: bytes, width: int) -> Sequence[int]:
    """Of instants in order, none of them twice: mostly the first and the last say what the others are."""
    head, each = _HEAD + _DIMENSION, _LENGTH + 8
    count = (len(array) - head) // each
    first, last = _second(array[head + _LENGTH : head + each]), _second(array[-8:])
    if last - first == (count - 1) * width:
        return range(first, last + 1, width)
    return [at // _MICROSECONDS + _ORIGIN for at in _numbers(array, "q")]


def _second(micros: bytes) -> int:
    return int.from_bytes(micros, signed=True) // _MICROSECONDS + _ORIGIN


def _columns(
    array: bytes, kind: str, series: int, places: Sequence[int] | None, width: int, steps: int
) -> list[tuple[Any, ...]]:
    """Of each of so many series its column of `array`: of rows of `width` at these places; or, without them, one column
    after the other. Columns that are all alike are there once."""
    if places is None and len(array) > _size(kind, steps):
        size = len(array) // series
        return [_numbers(array[at : at + size], kind) for at in range(0, len(array), size)]
    numbers = _numbers(array, kind)
    if len(numbers) == steps:
        return [numbers] * series
    return [numbers[place - 1 :: width] for place in places or ()]


def _size(kind: str, values: int) -> int:
    """Of an array of one column."""
    return _HEAD + 2 * _DIMENSION + (_LENGTH + struct.calcsize(f">{kind}")) * values


def _plot(named: Any, pieces: list[_Piece], width: int) -> Plot:
    _, source, kind, name = named[:4]
    begins, values = _joined(pieces, width)
    total, points = sum(piece.total for piece in pieces), sum(piece.points for piece in pieces)
    return Plot(kind, name, source, begins, values, max(piece.high for piece in pieces), total / points)


def _joined(pieces: list[_Piece], width: int) -> tuple[Sequence[int], Sequence[float]]:
    """The steps of all pieces in their order."""
    if len(pieces) == 1:
        return pieces[0].begins, pieces[0].values
    pieces.sort(key=lambda piece: piece.begins[0])
    begins = [at for piece in pieces for at in piece.begins]
    values = [value for piece in pieces for value in piece.values]
    if any(early.begins[-1] > late.begins[0] for early, late in pairwise(pieces)):
        order = sorted(range(len(begins)), key=begins.__getitem__)
        begins, values = [begins[at] for at in order], [values[at] for at in order]
    return _steps(begins, width), values


def _steps(begins: list[int], width: int) -> Sequence[int]:
    """Those of a grid as a range."""
    if begins[-1] - begins[0] == (len(begins) - 1) * width:
        return range(begins[0], begins[-1] + 1, width)
    return begins


def _numbers(array: bytes, kind: str) -> tuple[Any, ...]:
    """Of an array without NULLs, of `kind` as `struct` calls it: at once, as the driver would decode each by itself."""
    head = _HEAD + _DIMENSION * array[3]
    each = _LENGTH + struct.calcsize(f">{kind}")
    return _layout(head, kind, (len(array) - head) // each).unpack(array)


@lru_cache(maxsize=64)
def _layout(head: int, kind: str, values: int) -> struct.Struct:
    return struct.Struct(f">{head}x" + f"{_LENGTH}x{kind}" * values)
