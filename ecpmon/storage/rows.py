"""Frames as rows of the binary COPY format (columns `ts`, `tenant`, `series`, `samples`). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.model.samples import Block, Entry, Shape, Shapes, columns_of
from ecpmon.storage.regimes import EvidenceValue
from ecpmon.storage.series import Row, Wanted

COLUMNS: Final = ("ts", "tenant", "series", "samples")
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_BUCKET: Final = 300_000_000
HEAD: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
END: Final = struct.pack(">h", -1)


class Placed:
    """A frame or a block under way: its columns, and whose series they are of. `row`: once these have numbers."""

    __slots__ = ("entry", "row", "rows", "tenant", "wanted")

    row: Row

    def __init__(self, entry: Entry, tenant: int, shapes: Shapes) -> None:
        self.entry = entry
        self.tenant = tenant
        if isinstance(entry, Block):
            shape: Shape = entry.shape
            self.rows: Sequence[Sequence[float]] = entry.rows
        else:
            columns = columns_of(entry, shapes)
            shape, self.rows = columns.shape, (columns.values,)
        self.wanted: Wanted = (tenant, entry.source, shape)

    def evidence(self) -> Iterator[EvidenceValue]:
        """What of it has a vote on availability."""
        votes, source = self.row.evidence, self.entry.source
        for ts, row in zip(self.entry.instants, self.rows, strict=True):
            for place, name, component in votes:
                yield ts, source, name, component, row[place]


def tick_of(ts: datetime) -> int:
    """Microseconds after 2000."""
    since = ts - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def bucket_of(tick: int) -> int:
    """The bucket of 5 minutes, numbered since 2000."""
    return tick // _BUCKET


# The buckets of 5 minutes that rows fall into: (tenant, number since `_EPOCH`).
Touched = set[tuple[int, int]]


def encoded(placed: Iterable[Placed], touched: Touched) -> Iterator[bytes]:
    """The rows of each that has numbers, which are a body of COPY between `HEAD` and `END`; adds to `touched`."""
    for each in placed:
        row, tenant = each.row, each.tenant
        if not row.taken:
            continue
        ticks = [tick_of(ts) for ts in each.entry.instants]
        touched.update([(tenant, bucket_of(tick)) for tick in ticks])
        yield row.packed(tenant, ticks, each.rows)


def buckets(touched: Touched) -> set[tuple[int, datetime]]:
    """Tenants, and the beginnings of their buckets."""
    return {(tenant, _EPOCH + bucket * _BUCKET * _TICK) for tenant, bucket in touched}
