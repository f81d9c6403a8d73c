"""Rollups as rows of `rollup_5m` and `rollup_1h`: as COPY takes them, as arguments, and read again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ecpmon.storage.arrays import FLOAT8, INT4, NULL, int2, int8, numbers, row, some_numbers, timestamptz
from ecpmon.storage.rolled import MOST_SERIES, Bucket, Rollup

COLUMNS: Final = (
    "bucket", "tenant", "place", "series", "total", "low", "high", "points", "unanswered_total", "unanswered",
)  # fmt: skip
# A row's columns, in their order.
RollupRow = tuple[
    datetime, int, int, list[int], Sequence[float], Sequence[float], Sequence[float], Sequence[int],
    Sequence[float | None] | None, Sequence[int | None] | None,
]  # fmt: skip


def rows_of(tenant: int, begins: datetime, bucket: Bucket) -> Iterator[RollupRow]:
    """Series by number, some to a row."""
    series = sorted(bucket)
    for place, first in enumerate(range(0, len(series), MOST_SERIES)):
        own = series[first : first + MOST_SERIES]
        total, low, high, points, silent_total, silent = zip(*map(bucket.__getitem__, own), strict=True)
        told = any(each is not None for each in silent)
        yield (begins, tenant, place, own, total, low, high, points[:1] if len(set(points)) == 1 else points,
               silent_total if told else None, silent if told else None)  # fmt: skip


def encoded(told: RollupRow) -> bytes:
    """As COPY takes it."""
    begins, tenant, place, series, total, low, high, points, silent_total, silent = told
    return row(
        (
            timestamptz(begins), int8(tenant), int2(place), numbers(INT4, series), numbers(FLOAT8, total),
            numbers(FLOAT8, low), numbers(FLOAT8, high), numbers(INT4, points),
            NULL if silent_total is None else some_numbers(FLOAT8, silent_total),
            NULL if silent is None else some_numbers(INT4, silent),
        )
    )  # fmt: skip


def bucket_of(stored: Mapping[str, Any]) -> Bucket:
    """What a row holds."""
    count, points = len(stored["series"]), stored["points"]
    columns = (
        stored["total"], stored["low"], stored["high"], points if len(points) == count else points * count,
        stored["unanswered_total"] or [None] * count, stored["unanswered"] or [None] * count,
    )  # fmt: skip
    return {
        series: Rollup(*told)
        for series, told in zip(stored["series"], zip(*columns, strict=True), strict=True)
    }
