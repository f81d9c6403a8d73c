"""The running sums of an objective's hour as rows of `objective_hours` have them. Pure.

A running sum is close to a straight line: it is told as what a minute adds, and the distances from that line: a byte
that says how many bytes each takes, then those of the last minutes, from the first that is off the line on, the most
significant byte first. No bytes where it is the line itself. Only through the last minute in which anything was
counted: from there on it stays as it is. So an hour that is counted minute by minute grows with its minutes.

Formula: the sum through minute k is step × m + distance[m], with m the lesser of k and `minutes`; the distance of m
begins width × (minutes - m + 1) bytes before the end, or is 0 where nothing is left of them there. The same in SQL:
`line_through`; `as_line` makes it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ecpmon.sla.counters import MINUTES, Sums

# By how many bytes a distance takes: what is added to it, and how it is written.
_WIDTHS: Final = {1: (1 << 7, "B"), 2: (1 << 15, "H"), 4: (0, "i"), 8: (0, "q")}
# Distances that no width holds; none is empty.
_BEYOND: Final = b""


class Lines(NamedTuple):
    """Columns of a row. What is not good is kept in place of what is: it is little."""

    minutes: int
    total_step: int
    total_off: bytes | None
    bad_step: int
    bad_off: bytes | None
    observed_step: int
    observed_off: bytes | None


def lines_of(good: Sequence[int], total: Sequence[int], observed: Sequence[int]) -> Lines:
    """Of 60 running sums each."""
    last, minutes = (good[-1], total[-1], observed[-1]), MINUTES
    while minutes and (good[minutes - 1], total[minutes - 1], observed[minutes - 1]) == last:
        minutes -= 1
    if minutes or any(last):
        minutes += 1
    bad = [whole - part for whole, part in zip(total, good, strict=True)]
    return Lines(minutes, *_line(total, minutes), *_line(bad, minutes), *_line(observed, minutes))


def _line(sums: Sequence[int], minutes: int) -> tuple[int, bytes | None]:
    """What a minute adds: as much as the mean does, or as most do, whatever takes less room."""
    if not minutes:
        return 0, None
    own = sums[:minutes]
    added = Counter(through - before for through, before in zip(own, (0, *own), strict=False))
    most = min(added, key=lambda each: (-added[each], each))
    lines = [(step, _off(step, own)) for step in (own[-1] // minutes, most)]
    fitting = [line for line in lines if line[1] is not _BEYOND]
    return min(fitting or [(0, _off(0, own))], key=lambda line: len(line[1] or b""))


def _off(step: int, sums: Sequence[int]) -> bytes | None:
    distances = [through - step * k for k, through in enumerate(sums, 1)]
    first = next((place for place, distance in enumerate(distances) if distance), None)
    if first is None:
        return None
    low, high = min(distances), max(distances)
    for width, (bias, code) in _WIDTHS.items():
        most = 1 << (8 * width - 1)
        if -most <= low and high < most:
            own = [distance + bias for distance in distances[first:]]
            return struct.pack(f">B{len(own)}{code}", width, *own)
    return _BEYOND


def sums_of(row: Any) -> Sums:
    """The running sums of good, total and observed of a row of `objective_hours`."""
    minutes = row["minutes"]
    total, bad, observed = (
        _sums(minutes, row[f"{name}_step"], row[f"{name}_off"]) for name in ("total", "bad", "observed")
    )
    return [whole - part for whole, part in zip(total, bad, strict=True)], total, observed


def _sums(minutes: int, step: int, off: bytes | None) -> list[int]:
    sums = [step * k for k in range(1, minutes + 1)]
    if off is not None:
        bias, code = _WIDTHS[off[0]]
        told = struct.unpack(f">{(len(off) - 1) // off[0]}{code}", off[1:])
        for place, distance in enumerate(told, minutes - len(told)):
            sums[place] += distance - bias
    return sums + [sums[-1] if sums else 0] * (MINUTES - minutes)
