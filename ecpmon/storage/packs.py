"""The samples of an hour as the columns of `packed_hours`, exact to the bit. Pure.

A series whose values are whole numbers over a power of ten (as people and most programs write them) is told as those
numbers' distances from a straight line, in as few bytes as the widest of them needs, each byte in an array of its own:
what hardly changes compresses to nothing, and PostgreSQL puts it together again without any code of ours.

Invariants:
- `Part`s of one hour hold each sample that was given once, and nothing else; of two of one series and instant the later
  given.
- A series is stored as distances only if dividing gives back the very bits; else as it was told.
- Every series of a part has a value at each of its instants.
- A part has `MOST_SERIES` series and `MOST_INSTANTS` instants at most: reading one series has the database take an
  array apart that holds them all.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import sub
from typing import Final

MOST_SERIES: Final = 64
MOST_INSTANTS: Final = 4096
_DIVISORS: Final = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
_RAISED: Final = 1.5 * 2**52
_LOWEST, _HIGHEST = 2.0**52, 2.0**53
DIGITS: Final = 4
# How far apart numbers may be that so many digits tell, each from -128 to 127.
_REACHES: Final = [256**n - 1 for n in range(DIGITS + 1)]
# A digit from 0 to 255 as one from -128 to 127.
_SIGNED: Final = bytes((n - 128) & 255 for n in range(256))

# By series, by microseconds after the hour.
Columns = Mapping[int, Mapping[int, float]]
# By instants, as microseconds after the hour that rise: by series its values at them.
Alike = Mapping[tuple[int, ...], Mapping[int, Sequence[float]]]


@dataclass(slots=True)
class Part:
    """A row of `packed_hours`, whose columns these are; a digit is a byte."""

    instants: int
    first: int
    step: int
    jitter: list[int] | None
    series: list[int] = field(default_factory=list)
    base: list[int] = field(default_factory=list)
    slope: list[int] = field(default_factory=list)
    divisor: list[float] = field(default_factory=list)
    digits: list[bytearray] = field(default_factory=lambda: [bytearray() for _ in range(DIGITS)])
    as_told: list[int] = field(default_factory=list)
    told: array[float] = field(default_factory=lambda: array("d"))
    # How many digits any of its series needs.
    planes: int = 0

    @property
    def samples(self) -> int:
        return self.instants * (len(self.series) + len(self.as_told))


def merged(frames: Iterable[tuple[int, Sequence[int], Sequence[float]]]) -> dict[int, dict[int, float]]:
    """Samples by series and instant; of two of one series and instant the later given.

    A frame: when, of which series, their values.
    """
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for at, series, values in frames:
        for number, value in zip(series, values, strict=True):
            found[number][at] = value
    return found


def alike_in(columns: Columns) -> dict[tuple[int, ...], dict[int, Sequence[float]]]:
    """The same by instants."""
    found: dict[tuple[int, ...], dict[int, Sequence[float]]] = defaultdict(dict)
    for number, column in columns.items():
        if column:
            instants = tuple(sorted(column))
            found[instants][number] = array("d", map(column.__getitem__, instants))
    return found


def parts_of(columns: Columns) -> Iterator[Part]:
    """The parts of an hour, always the same of the same samples."""
    return parts_of_alike(alike_in(columns))


def parts_of_alike(alike: Alike) -> Iterator[Part]:
    """The same of what is together already."""
    for instants, columns in sorted(alike.items(), key=lambda each: min(each[1])):
        numbers = sorted(columns)
        for first in range(0, len(numbers), MOST_SERIES):
            for begin in range(0, len(instants), MOST_INSTANTS):
                some = slice(begin, begin + MOST_INSTANTS)
                yield _part(columns, numbers[first : first + MOST_SERIES], instants[some], some)


def _part(
    columns: Mapping[int, Sequence[float]], numbers: Sequence[int], instants: Sequence[int], some: slice
) -> Part:
    count = len(instants)
    step = (instants[-1] - instants[0]) // (count - 1) if count > 1 else 0
    jitter = [at - instants[0] - step * i for i, at in enumerate(instants)]
    part = Part(count, instants[0], step, jitter if any(jitter) else None)
    for number in numbers:
        _add(part, number, columns[number][some])
    return part


def _add(part: Part, number: int, values: Sequence[float]) -> None:
    whole = whole_numbers(values)
    line = None if whole is None else _line(whole[0])
    if whole is None or line is None:
        part.as_told.append(number)
        part.told.extend(values)
        return
    base, slope, distances, needed = line
    part.series.append(number)
    part.base.append(base)
    part.slope.append(slope)
    part.divisor.append(whole[1])
    for place, plane in enumerate(part.digits):
        told = place < needed
        plane.extend(distances[place::DIGITS].translate(_SIGNED) if told else bytes(part.instants))
    part.planes = max(part.planes, needed)


def whole_numbers(values: Sequence[float]) -> tuple[list[int], float] | None:
    """Whole numbers and by what to divide them to get the very bits of `values`; None: there are none."""
    bits = array("d", values).tobytes()
    probe = values[:: max(1, len(values) // 8)]
    for divisor in _DIVISORS:
        try:
            if any(round(value * divisor) / divisor != value for value in probe):
                continue
            # Doubles of this size are whole numbers: what is added to one is rounded, as `round` does it.
            raised = [value * divisor + _RAISED for value in values]
            if not _LOWEST < min(raised) <= max(raised) < _HIGHEST:
                return None
            if array("d", [(value - _RAISED) / divisor for value in raised]).tobytes() == bits:
                return [int(value - _RAISED) for value in raised], divisor
        except (OverflowError, ValueError):  # not a number, or beyond all
            return None
    return None


def _line(numbers: list[int]) -> tuple[int, int, bytes, int] | None:
    """Base, slope, how far above the least distance from that line each lies, `DIGITS` bytes the least first, and how
    many digits these need; None: too many."""
    least, greatest = min(numbers), max(numbers)
    slope = round((numbers[-1] - numbers[0]) / (len(numbers) - 1)) if len(numbers) > 1 else 0
    if slope:
        sloped = list(map(sub, numbers, range(0, slope * len(numbers), slope)))
        bounds = min(sloped), max(sloped)
        if bounds[1] - bounds[0] < greatest - least:
            numbers, (least, greatest) = sloped, bounds
        else:
            slope = 0
    for digits, reach in enumerate(_REACHES):
        if greatest - least <= reach:
            # The least number is told by digits that are all -128.
            return least + 128 * reach // 255, slope, _bytes_of(numbers, least) if digits else b"", digits
    return None


def _bytes_of(numbers: list[int], least: int) -> bytes:
    above = array("I", map(sub, numbers, repeat(least)))
    if sys.byteorder == "big":
        above.byteswap()
    return above.tobytes()
