"""The watch over a silent database, with a probe in its place."""

from __future__ import annotations

import asyncio
import time

from ecpmon.storage.hang import PROBE_SECONDS, STALL_SECONDS, HangWatch


async def test_our_own_standstill_is_not_the_servers() -> None:
    """The probe is on its way as our loop stands still for longer than a server may; its answer then waits for us."""
    hung, asked = list[None](), asyncio.Event()

    async def probe() -> None:
        asked.set()
        for _ in range(3):  # to be read, to be told, to be taken
            await asyncio.sleep(0)

    watch = HangWatch(probe, lambda: hung.append(None))
    with watch.busy():
        await asyncio.wait_for(asked.wait(), 100 * STALL_SECONDS)
        time.sleep(2 * PROBE_SECONDS)
        for _ in range(100):
            await asyncio.sleep(0)
    await watch.close()
    assert not hung
