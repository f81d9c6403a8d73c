"""The canary says for how long the event loop was held."""

from __future__ import annotations

import asyncio
import time

from ecpmon.app.canary import LoopCanary, Worst
from ecpmon.telemetry import Telemetry
from tests.waiting import PATIENCE


def test_the_worst_of_the_last_minute_is_remembered_and_no_longer() -> None:
    worst = Worst(60)
    assert worst.get(0) == 0
    for now, value in ((0, 3.0), (10, 1.0), (20, 2.0), (30, 0.5)):
        worst.note(value, now)
    assert [worst.get(now) for now in (30, 60, 61, 81, 95)] == [3.0, 3.0, 2.0, 0.5, 0.0]


async def test_a_callback_that_holds_the_loop_is_seen_in_both_metrics() -> None:
    telemetry = Telemetry()
    canary = LoopCanary(telemetry)
    canary.start()
    await asyncio.sleep(0.01)
    time.sleep(0.3)  # holds the loop, as a long computation would
    read = telemetry.registry.get_sample_value
    async with asyncio.timeout(PATIENCE):
        while not read("ecpmon_loop_lag_seconds_count"):
            await asyncio.sleep(0.01)
    # The sleeper was due 50 ms after it began.
    assert (read("ecpmon_loop_longest_lag_seconds") or 0) >= 0.2
    assert (read("ecpmon_loop_lag_seconds_sum") or 0) >= 0.2
    await canary.stop()
