"""Parts as rows of `packed_hours`, as COPY takes them. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ecpmon.storage.arrays import FLOAT8, INT4, INT8, NULL, chars, int4, int8, numbers, row, timestamptz
from ecpmon.storage.packs import DIGITS, Part

COLUMNS: Final = (
    "hour", "tenant", "part", "number", "packed_at", "instants", "first", "step", "jitter", "series", "base", "slope",
    "divisor", *(f"digit{place}" for place in range(DIGITS)), "as_told", "told",
)  # fmt: skip
# Samples that one number of a packed row stands for.
_NUMBERED: Final = 65_536


def numbered(part: Part) -> int:
    """How many numbers it takes."""
    return part.samples // _NUMBERED + 1


def packed_row(part: Part, hour: datetime, tenant: int, place: int, number: int, now: datetime) -> bytes:
    """`place` of the part in its tenant's hour, the first of its numbers, and when it is packed."""
    digits = [
        chars(plane) if at < max(1, part.planes) else NULL for at, plane in enumerate(part.digits)
    ]  # there is always a first
    return row(
        (
            timestamptz(hour), int8(tenant), int4(place), int8(number), timestamptz(now), int4(part.instants),
            int8(part.first), int8(part.step), NULL if part.jitter is None else numbers(INT8, part.jitter),
            numbers(INT4, part.series), numbers(INT8, part.base), numbers(INT8, part.slope),
            numbers(FLOAT8, part.divisor), *digits, numbers(INT4, part.as_told), numbers(FLOAT8, part.told),
        )
    )  # fmt: skip
