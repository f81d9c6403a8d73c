"""Evaluations in lanes: a tenant that takes long holds up nobody else, and is evaluated by one at a time."""

from __future__ import annotations

import asyncio

import pytest

from ecpmon.alerts import lanes as module
from ecpmon.alerts.lanes import Lanes
from ecpmon.errors import DatabaseUnavailable


class Log:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.waited: list[str] = []
        self.gate = asyncio.Event()

    def quick(self, name: str) -> module.Turn:
        async def turn(waited: bool) -> int:
            self.begun.append(name)
            if waited:
                self.waited.append(name)
            self.ended.append(name)
            return 1

        return turn

    def slow(self, name: str) -> module.Turn:
        async def turn(waited: bool) -> int:
            self.begun.append(name)
            if waited:
                self.waited.append(name)
            await self.gate.wait()
            self.ended.append(name)
            return 1

        return turn


async def test_others_are_evaluated_while_one_takes_long() -> None:
    log, lanes = Log(), Lanes(lanes=2, patience=0.05)
    turns = {"slow": log.slow("slow"), **{f"t{n}": log.quick(f"t{n}") for n in range(50)}}
    for rounds in (1, 2):
        await lanes.run(turns, "sla")
        async with asyncio.timeout(30):
            while len(log.ended) < 50 * rounds:
                await asyncio.sleep(0.001)
    # The slow one is not begun twice at a time.
    assert "slow" not in log.ended
    assert log.begun.count("slow") == 1
    log.gate.set()
    lanes.patience = None
    assert await lanes.run({"slow": log.quick("slow")}, "samples") == 1
    await lanes.stop()


async def test_what_waits_reads_anew_and_one_of_a_kind_is_enough() -> None:
    log, lanes = Log(), Lanes(patience=0.02)
    for _ in range(4):
        await lanes.run({"t": log.slow("t")}, "sla")
    log.gate.set()
    lanes.patience = None
    await lanes.run({"other": log.quick("other")}, "sla")
    async with asyncio.timeout(30):
        while len(log.ended) < 3:
            await asyncio.sleep(0.001)
    # The first, and one of the three that came meanwhile.
    assert (log.begun.count("t"), log.waited) == (2, ["t"])
    await lanes.stop()


async def test_who_took_long_rests_before_its_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", 0.0)
    log, lanes = Log(), Lanes()
    now = asyncio.get_running_loop().time

    async def takes_a_while(_: bool) -> int:
        await asyncio.sleep(0.02)
        return 1

    began = now()
    await lanes.run({"t": takes_a_while}, "sla")
    await lanes.run({"t": log.quick("t")}, "sla")
    assert now() - began >= 0.02 * (1 + module.REST)


async def test_a_database_that_is_away_is_told_to_the_caller() -> None:
    async def fails(_: bool) -> int:
        raise DatabaseUnavailable("away")

    log, lanes = Log(), Lanes()
    with pytest.raises(DatabaseUnavailable):
        await lanes.run({"a": fails, "b": log.quick("b")}, "sla")
    assert log.ended == ["b"]


async def test_a_turn_of_one_kind_does_not_wait_for_a_thousand_of_another() -> None:
    log, lanes = Log(), Lanes(lanes=2)
    crowd = asyncio.create_task(lanes.run({f"t{n}": log.slow(f"t{n}") for n in range(1000)}, "sla"))
    async with asyncio.timeout(30):
        while len(log.begun) < 2:
            await asyncio.sleep(0.001)
        assert await lanes.run({"other": log.quick("other")}, "samples") == 1
    assert log.ended == ["other"]
    log.gate.set()
    assert await crowd == 1000


async def test_a_tenants_turn_does_not_wait_for_its_own_of_another_kind() -> None:
    log, lanes = Log(), Lanes(lanes=2)
    turns = {f"t{n}": log.slow(f"t{n}") for n in range(20)}
    crowd = asyncio.create_task(lanes.run(turns, "sla"))
    async with asyncio.timeout(30):
        while len(log.begun) < 2:
            await asyncio.sleep(0.001)
        # In the crowd it stands in line behind many.
        assert await lanes.run({"t19": log.quick("t19")}, "samples") == 1
    assert log.ended == ["t19"]
    log.gate.set()
    assert await crowd == 20


async def test_many_who_take_long_take_no_lane_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", 0.0)
    monkeypatch.setattr(module, "REST", 0.0)
    log, lanes = Log(), Lanes(lanes=2)
    slow = {f"slow{n}": log.slow(f"slow{n}") for n in range(12)}
    log.gate.set()
    await lanes.run(slow, "sla")  # by now it is known of them
    log.gate.clear()
    crowd = asyncio.create_task(lanes.run(slow, "sla"))
    async with asyncio.timeout(30):
        while len(log.begun) < 12 + module.SLOW_LANES:
            await asyncio.sleep(0.001)
        assert await lanes.run({f"t{n}": log.quick(f"t{n}") for n in range(50)}, "sla") == 50
    assert len(log.begun) == 12 + module.SLOW_LANES + 50
    log.gate.set()
    assert await crowd == 12
