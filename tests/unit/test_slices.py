"""Long work in slices: nothing is left out, and the event loop turns in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ecpmon import slices
from ecpmon.slices import SLICE, in_slices


async def test_the_event_loop_turns_after_every_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock on which every item takes half a slice."""
    now, turns = 0.0, 0

    def items(count: int) -> Iterator[int]:
        nonlocal now
        for number in range(count):
            now += SLICE / 2
            yield number

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(slices, "perf_counter", lambda: now)
    beside = asyncio.create_task(others())
    assert [item async for item in in_slices(items(300))] == list(range(300))
    beside.cancel()
    assert turns >= 300 / 3 - 1, "a slice ends with the item that exceeds it: after the third"
