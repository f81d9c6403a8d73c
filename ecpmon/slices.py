"""Long work on the event loop in slices, so that others have their turn in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import perf_counter
from typing import Final, TypeVar

T = TypeVar("T")
# Seconds that one slice may last.
SLICE: Final = 0.002


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """`items` one by one; the loop turns after every SLICE that the work on them took."""
    began = perf_counter()
    for item in items:
        yield item
        if perf_counter() - began > SLICE:
            await asyncio.sleep(0)
            began = perf_counter()
