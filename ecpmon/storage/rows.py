"""Frames as rows of the binary COPY format (columns `ts`, `tenant`, `series`, `samples`). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.model.samples import Columns, Frame
from ecpmon.storage.series import Row, Wanted

COLUMNS: Final = ("ts", "tenant", "series", "samples")
# A frame under way: its columns, and whose series they are of.
Placed = tuple[Frame, Columns, Wanted]
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_BUCKET: Final = 300_000_000
_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_END: Final = struct.pack(">h", -1)
# Four columns; the first two with their lengths.
_pack: Final = struct.Struct(">hiqiq").pack


def encoded(placed: Iterable[Placed], rows: dict[Wanted, Row]) -> tuple[bytes, set[tuple[int, datetime]]]:
    """The rows of all frames that have a number, and the (tenant, 5-minute bucket) that they fall into.

    Nothing (`b""`) when there is no row.
    """
    parts: list[bytes] = []
    buckets: set[tuple[int, int]] = set()
    for frame, columns, wanted in placed:
        row = rows[wanted]
        if row.taken:
            ticks = (frame.ts - _EPOCH) // _TICK
            tenant = wanted[0]
            parts.append(_pack(4, 8, ticks, 8, tenant) + row.columns(columns.values))
            buckets.add((tenant, ticks // _BUCKET))
    body = b"".join((_HEAD, *parts, _END)) if parts else b""
    return body, {(tenant, _EPOCH + bucket * _BUCKET * _TICK) for tenant, bucket in buckets}
