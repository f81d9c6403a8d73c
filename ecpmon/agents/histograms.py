"""Native histograms of remote write, as the counters that objectives are made of: how many there were, and how many
were within bounds. What is within is told of bounds that the histogram has, and of no other (`collectors.natives`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from ecpmon.agents.protobuf import (
    Malformed,
    Value,
    double,
    fields,
    number,
    packed,
    packed_doubles,
    signed,
    span,
    zigzag,
)
from ecpmon.collectors.natives import Bucket, Native

CUSTOM: Final = -53
_FINEST, _COARSEST = 8, -4
STALE_SUM: Final = 0x7FF0_0000_0000_0002
# Fields of the message that are taken as they are.
_DOUBLES: Final = {2: "count", 5: "zero_threshold", 7: "zero_count"}
_COUNTS: Final = {1: "count", 6: "zero_count"}
# Buckets that one may have; Prometheus' own bound is 160 unless it is raised.
MOST_BUCKETS: Final = 10_000


@dataclass(slots=True)
class Side:
    """Positive or negative buckets: spans of (offset, length), and how many are in each."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    deltas: list[int] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)

    def filled(self) -> list[tuple[int, float]]:
        """Index and count of each bucket. Raises Malformed."""
        places: list[int] = []
        at = 0
        for offset, length in self.spans:
            at += offset
            if len(places) + length > MOST_BUCKETS:
                raise Malformed(f"a histogram has more than {MOST_BUCKETS} buckets")
            places += range(at, at + length)
            at += length
        counts = self.counts or _summed(self.deltas)
        if len(counts) != len(places):
            raise Malformed("a histogram has other buckets than counts")
        return [*zip(places, counts, strict=True)]


def _summed(deltas: list[int]) -> list[float]:
    total, found = 0, []
    for delta in deltas:
        total += delta
        found.append(float(total))
    return found


@dataclass(slots=True)
class Histogram:
    """`ms` since 1970. `custom`: upper bounds of the buckets, of schema -53. `began`: when it did; 0: not said."""

    ms: int = 0
    began: int = 0
    schema: int = 0
    count: float = 0.0
    sum_bits: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: Side = field(default_factory=Side)
    negative: Side = field(default_factory=Side)
    custom: list[float] = field(default_factory=list)

    @property
    def stale(self) -> bool:
        return self.sum_bits == STALE_SUM

    def native(self) -> Native | None:
        """As buckets; None: their bounds are not known. Raises Malformed."""
        if self.schema == CUSTOM:
            return self._of_custom()
        if not _COARSEST <= self.schema <= _FINEST:
            return None
        found = [
            Bucket(-_bound(place, self.schema), -_bound(place - 1, self.schema), count)
            for place, count in reversed(self.negative.filled())
            if count
        ]
        if self.zero_count:
            found.append(Bucket(-self.zero_threshold, self.zero_threshold, self.zero_count))
        found += [
            Bucket(_bound(place - 1, self.schema), _bound(place, self.schema), count)
            for place, count in self.positive.filled()
            if count
        ]
        return Native(self.count, tuple(found))

    def _of_custom(self) -> Native | None:
        """Prometheus sends these over 1.0 without their bounds."""
        filled = self.positive.filled()
        if not self.custom and filled:
            return None
        ends = [-math.inf, *self.custom, math.inf]
        if any(not 0 <= place < len(ends) - 1 for place, _ in filled):
            raise Malformed("a histogram has a bucket without bounds")
        return Native(
            self.count, tuple(Bucket(ends[place], ends[place + 1], count) for place, count in filled if count)
        )


def _bound(place: int, schema: int) -> float:
    """The upper bound of an exponential bucket."""
    try:
        return (
            math.ldexp(2.0 ** ((place % 2**schema) / 2**schema), place >> schema)
            if schema >= 0
            else math.ldexp(1.0, place << -schema)
        )
    except OverflowError:
        return math.inf


def histogram_in(data: bytes, at: int, end: int) -> Histogram:
    """The message of both versions. Raises Malformed."""
    found = Histogram()
    for which, value in fields(data, at, end):
        _put(found, data, which, value)
    return found


def _put(found: Histogram, data: bytes, which: int, value: Value) -> None:
    if 8 <= which <= 13:
        _put_side(found.negative if which < 11 else found.positive, data, (which - 8) % 3, value)
    elif which in _DOUBLES:
        setattr(found, _DOUBLES[which], double(value))
    elif which in _COUNTS:
        setattr(found, _COUNTS[which], float(number(value)))
    elif which == 3:
        found.sum_bits = number(value)
    elif which == 4:
        found.schema = zigzag(number(value))
    elif which == 15:
        found.ms = signed(value)
    elif which == 17:
        found.began = signed(value)
    elif which == 16:
        found.custom += packed_doubles(data, value)


def _put_side(side: Side, data: bytes, which: int, value: Value) -> None:
    if which == 0:
        offset = length = 0
        for part, content in fields(data, *span(value)):
            if part == 1:
                offset = zigzag(number(content))
            elif part == 2:
                length = number(content)
        side.spans.append((offset, length))
    elif which == 1:
        side.deltas += map(zigzag, packed(data, value))
    else:
        side.counts += packed_doubles(data, value)
