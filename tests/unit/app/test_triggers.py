"""Evaluations begun by commits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from ecpmon.alerts.engine import AlertEngine
from ecpmon.app.triggers import AlertTrigger
from tests.unit.api.fakes import FakeClock

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Engine:
    """Rounds about timelines last until `gate` opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.samples: list[Sequence[str]] = []
        self.timelines: list[Sequence[str]] = []
        self.failing = False

    async def evaluate_tenants(self, names: Sequence[str], now: datetime, *, sla: bool) -> int:
        assert now == NOW
        (self.timelines if sla else self.samples).append(names)
        if sla:
            await self.gate.wait()
        elif self.failing:
            self.failing = False
            raise RuntimeError("a bug")
        return 0


class Lease:
    held, presumed, claim = True, True, None


def _trigger(engine: Engine) -> AlertTrigger:
    return AlertTrigger(cast(AlertEngine, engine), FakeClock(NOW), cast(Any, Lease()))


async def _until(found: list[Sequence[str]], count: int) -> None:
    async with asyncio.timeout(30):
        while len(found) < count:
            await asyncio.sleep(0.001)


async def test_rules_about_samples_do_not_wait_for_a_round_about_timelines() -> None:
    engine = Engine()
    trigger = _trigger(engine)
    trigger.start()
    trigger.notice([], ["b", "a"])
    await _until(engine.timelines, 1)
    trigger.notice(["other"], [])
    await _until(engine.samples, 1)
    assert (engine.timelines, engine.samples) == ([["a", "b"]], [["other"]])
    engine.gate.set()
    await trigger.stop()


async def test_it_is_settled_when_both_kinds_are_evaluated_and_what_came_meanwhile() -> None:
    engine = Engine()
    trigger = _trigger(engine)
    trigger.start()
    trigger.notice(["a"], ["a"])
    settled = asyncio.create_task(trigger.settled())
    await _until(engine.timelines, 1)
    trigger.notice([], ["b"])
    assert not settled.done()
    engine.gate.set()
    async with asyncio.timeout(30):
        await settled
    assert engine.timelines == [["a"], ["b"]]
    assert engine.samples == [["a"]]
    await trigger.stop()


async def test_a_round_that_fails_ends_no_later_one() -> None:
    engine = Engine()
    engine.failing = True
    trigger = _trigger(engine)
    trigger.start()
    trigger.notice(["a"], [])
    await _until(engine.samples, 1)
    trigger.notice(["b"], [])
    await _until(engine.samples, 2)
    assert engine.samples == [["a"], ["b"]]
    await trigger.stop()
