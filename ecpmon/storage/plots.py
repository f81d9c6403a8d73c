"""Rows of plots become columns; what is rolled up and what is not yet are one series.

Invariant: no step of a series is in two rows of it. Steps of rollups are left out where samples are read instead.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ecpmon.ports.samples import Plot
from ecpmon.slices import in_slices

# What an array of double precision has before its values, and each of them before its own bytes.
_ARRAY_HEAD, _VALUE = 20, 12


async def plots_of(rows: Sequence[Any], width: int) -> list[Plot]:
    """Of rows as the statements of plots give them. `width`: of a step in seconds."""
    found: dict[int, _Columns] = {}
    async for row in in_slices(rows):
        columns = _Columns(row, width)
        known = found.get(row[0])
        found[row[0]] = columns if known is None else known.joined(columns, width)
    return [columns.plot() for columns in found.values()]


class _Columns:
    """A series in the making."""

    __slots__ = ("begins", "high", "names", "points", "total", "values")

    def __init__(self, row: Any, width: int) -> None:
        _, source, kind, name, first, last, values, begins, self.high, self.total, self.points = row
        self.names = (kind, name, source)
        self.begins: Sequence[int] = begins or range(first, last + 1, width)
        self.values: Sequence[float] = _numbers(values)

    def joined(self, other: _Columns, width: int) -> _Columns:
        """With the steps of another row of the series."""
        early, late = (self, other) if self.begins[0] < other.begins[0] else (other, self)
        self.high = max(self.high, other.high)
        self.total += other.total
        self.points += other.points
        self.begins, self.values = _in_order(early, late, width)
        return self

    def plot(self) -> Plot:
        return Plot(*self.names, self.begins, self.values, self.high, self.total / self.points)


def _in_order(early: _Columns, late: _Columns, width: int) -> tuple[Sequence[int], Sequence[float]]:
    begins, values = [*early.begins, *late.begins], [*early.values, *late.values]
    if early.begins[-1] > late.begins[0]:
        order = sorted(range(len(begins)), key=begins.__getitem__)
        begins, values = [begins[at] for at in order], [values[at] for at in order]
    if begins[-1] - begins[0] == (len(begins) - 1) * width:
        return range(begins[0], begins[-1] + 1, width), values
    return begins, values


def _numbers(array: bytes) -> tuple[float, ...]:
    """Of an array of double precision without NULLs: at once, as the driver would decode each by itself."""
    numbers: tuple[float, ...] = _layout((len(array) - _ARRAY_HEAD) // _VALUE).unpack(array)
    return numbers


@lru_cache(maxsize=16)
def _layout(values: int) -> struct.Struct:
    return struct.Struct(f">{_ARRAY_HEAD}x" + "4xd" * values)
