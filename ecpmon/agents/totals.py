"""Deltas of OTLP added up to totals, which is what objectives are counted by. Pure.

A total belongs to one process: it has the label FRONT, so that several fronts add up to the whole, and begins at 0 in
the moment after its first delta began. So a process that is started anew goes on as a counter that was restarted, and
nothing is counted twice or lost by it. Invariants:

- What is added is remembered once it is committed (`commit`), not before: a delta that is sent again after a failure is
  added once.
- A delta that does not end after what was added last is one that was sent again: it adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

FRONT: Final = "ecpmon_front"
MOST: Final = 100_000
_MILLISECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Total:
    """`until`: nanoseconds since 1970."""

    until: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Added:
    """`zero_at`: milliseconds since 1970 at which the total began, if it does now."""

    values: tuple[float, ...]
    zero_at: int | None = None


class Totals:
    """Of one process, by series."""

    def __init__(self) -> None:
        self._known: dict[object, Total] = {}

    def get(self, series: object) -> Total | None:
        return self._known.get(series)

    def keep(self, totals: dict[object, Total]) -> None:
        """What was committed. When there is no room left all begin anew, which costs nothing but a zero each."""
        if len(self._known) + len(totals) > MOST:
            self._known.clear()
        for series, total in totals.items():
            before = self._known.get(series)
            if before is None or before.until < total.until:
                self._known[series] = total


@dataclass
class Adding:
    """What one request adds."""

    totals: Totals
    _new: dict[object, Total] = field(default_factory=dict)

    def add(self, series: object, start: int, until: int, values: Sequence[float]) -> Added | None:
        """The totals once these are added; None: they were already. Other bounds of a histogram begin anew."""
        before = self._new.get(series) or self.totals.get(series)
        if before is not None and until <= before.until:
            return None
        if before is None or len(before.values) != len(values):
            # Not at its begin, where the total of the process before this one may stand.
            zero = min(start // _MILLISECOND + 1, until // _MILLISECOND - 1)
            made, zero_at = tuple(values), zero if start else None
        else:
            made, zero_at = tuple(a + b for a, b in zip(before.values, values, strict=True)), None
        self._new[series] = Total(until, made)
        return Added(made, zero_at)

    def commit(self) -> None:
        self.totals.keep(self._new)
