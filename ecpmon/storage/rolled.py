"""What an hour of a tenant comes to: its rollups of 5 minutes and of the hour, as `sql/queries/monitoring.sql` makes
them of the same samples. Pure.

Invariants:
- A bucket's sum is added up in the order of time, one value after the other, as the database does it: to the same
  bits. An hour's is too, where the database adds buckets up in any order.
- What there was of a bucket and series of which nothing was found stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final, NamedTuple

from ecpmon.storage.packs import Alike

BUCKETS: Final = 12
# Microseconds.
BUCKET: Final = 300_000_000
# Series of a row.
MOST_SERIES: Final = 48


class Rollup(NamedTuple):
    """`unanswered`: of response times, as told at instants at which nothing was answered; None: there were none."""

    total: float
    low: float
    high: float
    points: int
    unanswered_total: float | None = None
    unanswered: int | None = None


# By series.
Bucket = dict[int, Rollup]


@dataclass(frozen=True, slots=True)
class Answering:
    """Series of one source, without labels: what says that nothing was answered, and the response times."""

    up: Sequence[int]
    error_rate: Sequence[int]
    response_time: Sequence[int]

    @property
    def numbers(self) -> list[int]:
        return [*self.up, *self.error_rate, *self.response_time]


def buckets_of(alike: Alike) -> dict[int, Bucket]:
    """By number in the hour."""
    found: dict[int, Bucket] = {}
    for instants, columns in alike.items():
        for bucket, begin, end in _cuts(instants):
            own, points = found.setdefault(bucket, {}), end - begin
            for number, values in columns.items():
                told = values[begin:end]
                own[number] = Rollup(reduce(add, told), min(told), max(told), points)
    return found


def _cuts(instants: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Buckets, and from where to where they reach."""
    begin, bucket = 0, instants[0] // BUCKET
    for place, at in enumerate(instants):
        if (own := at // BUCKET) != bucket:
            yield bucket, begin, place
            begin, bucket = place, own
    yield bucket, begin, len(instants)


def note_unanswered(found: Mapping[int, Bucket], alike: Alike, answering: Answering) -> None:
    """Add to `found` what was told of response times at instants at which nothing was answered."""
    times = [(number, own) for number in answering.response_time if (own := _samples(alike, number))]
    if not times:
        return
    silent = {at for n in answering.up for at, value in _samples(alike, n).items() if value <= 0}
    silent |= {at for n in answering.error_rate for at, value in _samples(alike, n).items() if value >= 1}
    for number, samples in times:
        told: dict[int, list[float]] = {}
        for at in sorted(silent & samples.keys()):
            told.setdefault(at // BUCKET, []).append(samples[at])
        for bucket, values in told.items():
            known = found[bucket][number]
            found[bucket][number] = known._replace(
                unanswered_total=reduce(add, values), unanswered=len(values)
            )


def _samples(alike: Alike, number: int) -> dict[int, float]:
    return {
        at: value
        for instants, columns in alike.items()
        if number in columns
        for at, value in zip(instants, columns[number], strict=True)
    }


def together(buckets: Iterable[Bucket]) -> Bucket:
    """One of several, in the order of time."""
    found: Bucket = {}
    for bucket in buckets:
        for number, own in bucket.items():
            before = found.get(number)
            found[number] = own if before is None else _sum(before, own)
    return found


def _sum(a: Rollup, b: Rollup) -> Rollup:
    totals = [each.unanswered_total for each in (a, b) if each.unanswered_total is not None]
    counts = [each.unanswered for each in (a, b) if each.unanswered is not None]
    return Rollup(
        a.total + b.total,
        min(a.low, b.low),
        max(a.high, b.high),
        a.points + b.points,
        reduce(add, totals) if totals else None,
        sum(counts) if counts else None,
    )
