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

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_SERIES: Final = 64
MOST_INSTANTS: Final = 4096
_DIVISORS: Final = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
_MOST_WHOLE: Final = 2**53
_DIGITS: Final = 4
_BYTES: Final = [bytes([n]) for n in range(256)]
# By number of digits: the least and the greatest that they tell, each from -128 to 127.
_RANGES: Final = [(-128 * (256**n - 1) // 255, 127 * (256**n - 1) // 255) for n in range(_DIGITS + 1)]

# By series, by microseconds after the hour.
Columns = Mapping[int, Mapping[int, float]]


@dataclass(slots=True)
class Part:
    """A row of `packed_hours`, whose columns these are."""

    instants: int
    first: int
    step: int
    jitter: list[int] | None
    series: list[int] = field(default_factory=list)
    base: list[int] = field(default_factory=list)
    slope: list[int] = field(default_factory=list)
    divisor: list[float] = field(default_factory=list)
    digits: list[list[bytes]] = field(default_factory=lambda: [[] for _ in range(_DIGITS)])
    as_told: list[int] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    # How many digits any of its series needs.
    planes: int = 0

    @property
    def samples(self) -> int:
        return self.instants * (len(self.series) + len(self.as_told))

    def row(self) -> tuple[object, ...]:
        """From `instants` on, as the columns come."""
        zero, *more = self.digits
        digits = [plane if place < self.planes else None for place, plane in enumerate(more, 1)]
        return (
            self.instants, self.first, self.step, self.jitter, self.series, self.base, self.slope, self.divisor,
            zero, *digits, self.as_told, self.told,
        )  # fmt: skip


def merged(frames: Iterable[tuple[int, Sequence[int], Sequence[float]]]) -> dict[int, dict[int, float]]:
    """Samples by series and instant; of two of one series and instant the later given.

    A frame: when, of which series, their values.
    """
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for at, series, values in frames:
        for number, value in zip(series, values, strict=True):
            found[number][at] = value
    return found


def parts_of(columns: Columns) -> Iterator[Part]:
    """The parts of an hour, always the same of the same samples."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number in sorted(columns):
        if column := columns[number]:
            alike[tuple(sorted(column))].append(number)
    for instants, numbers in sorted(alike.items(), key=lambda each: each[1]):
        for first in range(0, len(numbers), MOST_SERIES):
            for begin in range(0, len(instants), MOST_INSTANTS):
                yield _part(
                    columns, numbers[first : first + MOST_SERIES], instants[begin : begin + MOST_INSTANTS]
                )


def _part(columns: Columns, numbers: Sequence[int], instants: Sequence[int]) -> Part:
    count = len(instants)
    step = (instants[-1] - instants[0]) // (count - 1) if count > 1 else 0
    jitter = [at - instants[0] - step * i for i, at in enumerate(instants)]
    part = Part(count, instants[0], step, jitter if any(jitter) else None)
    for number in numbers:
        column = columns[number]
        _add(part, number, [column[at] for at in instants])
    return part


def _add(part: Part, number: int, values: list[float]) -> None:
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
        if place >= needed:
            plane.extend(_BYTES[:1] * part.instants)
            continue
        plane.extend([_BYTES[d & 255] for d in distances])
        if place + 1 < needed:
            distances = [(d + 128) >> 8 for d in distances]
    part.planes = max(part.planes, needed)


def whole_numbers(values: Sequence[float]) -> tuple[list[int], float] | None:
    """Whole numbers and by what to divide them to get the very bits of `values`; None: there are none."""
    bits = array("d", values).tobytes()
    probe = values[:: max(1, len(values) // 8)]
    for divisor in _DIVISORS:
        try:
            if any(round(value * divisor) / divisor != value for value in probe):
                continue
            numbers = [round(value * divisor) for value in values]
        except (OverflowError, ValueError):  # not a number, or beyond all
            return None
        if max(map(abs, numbers)) >= _MOST_WHOLE:
            return None
        if array("d", [number / divisor for number in numbers]).tobytes() == bits:
            return numbers, divisor
    return None


def _line(numbers: list[int]) -> tuple[int, int, list[int], int] | None:
    """Base, slope, the distances from that line, and how many digits these need; None: too many."""
    least, greatest = min(numbers), max(numbers)
    slope = round((numbers[-1] - numbers[0]) / (len(numbers) - 1)) if len(numbers) > 1 else 0
    if slope:
        sloped = [number - slope * i for i, number in enumerate(numbers)]
        bounds = min(sloped), max(sloped)
        if bounds[1] - bounds[0] < greatest - least:
            numbers, (least, greatest) = sloped, bounds
        else:
            slope = 0
    for digits, (low, high) in enumerate(_RANGES):
        if greatest - least <= high - low:
            base = least - low
            return base, slope, [number - base for number in numbers], digits
    return None
