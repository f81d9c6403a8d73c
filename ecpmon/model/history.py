"""History by columns: what several series of a tenant were told at the same instants. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from ecpmon.model.samples import MOST_ROWS, Block, SeriesKey, Shapes, Source

HOUR: Final = 3_600_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(ms: int) -> datetime:
    """Of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


@dataclass(frozen=True, slots=True)
class Alike:
    """`at`: milliseconds since 1970, which rise. `columns`: of each of `keys`, in their order, a value at each of them.

    Invariant: everything lies within the bounds of times and of values (`model.samples`).
    """

    tenant_id: str
    keys: tuple[SeriesKey, ...]
    at: Sequence[int]
    columns: Sequence[Sequence[float]]

    @property
    def size(self) -> int:
        """How many samples."""
        return len(self.at) * len(self.keys)

    @property
    def hour(self) -> int:
        """The hour of the first, in milliseconds since 1970."""
        return self.at[0] - self.at[0] % HOUR

    def hours(self) -> Iterator[Alike]:
        """The same, hour by hour."""
        begin = 0
        for _, own in groupby(map(HOUR.__rfloordiv__, self.at)):
            end = begin + sum(1 for _ in own)
            yield Alike(self.tenant_id, self.keys, self.at[begin:end], [c[begin:end] for c in self.columns])
            begin = end

    def blocks(self, source: Source, shapes: Shapes) -> Iterator[Block]:
        """As frames."""
        shape = shapes.of(self.keys)
        rows = list(zip(*self.columns, strict=True))
        times = [instant(ms) for ms in self.at]
        for begin in range(0, len(rows), MOST_ROWS):
            block = Block(self.tenant_id, source, shape)
            block.extend(times[begin : begin + MOST_ROWS], rows[begin : begin + MOST_ROWS])
            yield block


class Times:
    """Instants that many series share. `raw`: their bytes; equal ones are the same object (`Gathering`)."""

    __slots__ = ("at", "first", "last", "raw", "rise")

    def __init__(self, raw: bytes) -> None:
        """Raises ValueError: there are none."""
        self.raw = raw
        self.at = array("q")
        self.at.frombytes(raw)
        self.first, self.last = min(self.at), max(self.at)
        following = iter(self.at)
        next(following)
        self.rise = all(map(int.__lt__, self.at, following))
