"""What one caller or tenant may use of what all share."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.api.buckets import Buckets
from ecpmon.api.limits import GoodTokens, Memory
from ecpmon.api.turns import Turns
from ecpmon.errors import Overloaded, RateLimited
from tests.waiting import PATIENCE

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_bucket_refuses_once_it_is_empty_and_fills_with_time() -> None:
    buckets = Buckets("requests", rate=10, burst=5)
    for _ in range(5):
        buckets.take("a", NOW)
    with pytest.raises(RateLimited) as refused:
        buckets.take("a", NOW)
    assert refused.value.retry_after == 1
    buckets.take("b", NOW)  # another's bucket
    buckets.take("a", later(0.1))


def test_one_large_request_is_let_in_and_made_up_for() -> None:
    buckets = Buckets("bytes", rate=10, burst=5)
    buckets.check("a", NOW)
    buckets.charge("a", 105, NOW)
    with pytest.raises(RateLimited) as refused:
        buckets.check("a", NOW)
    assert refused.value.retry_after == 11
    buckets.check("a", later(10.2))


def test_what_is_refused_costs_nothing_more() -> None:
    buckets = Buckets("requests", rate=1, burst=1)
    buckets.take("a", NOW)
    for _ in range(100):
        with pytest.raises(RateLimited):
            buckets.take("a", NOW)
    buckets.take("a", later(1))


def test_a_clock_that_steps_back_neither_fills_nor_empties() -> None:
    buckets = Buckets("requests", rate=1, burst=2)
    buckets.take("a", NOW)
    buckets.take("a", later(-3600))
    with pytest.raises(RateLimited):
        buckets.take("a", later(-3600))


def test_a_tenant_fills_its_own_share_of_the_memory_only() -> None:
    memory = Memory(total=400)
    memory.take("a", 60)
    with pytest.raises(RateLimited):
        memory.take("a", 60)
    memory.take("b", 100)
    memory.give("a", 60)
    memory.take("a", 90)
    memory.take("c", 200)
    with pytest.raises(Overloaded):
        memory.take("d", 20)
    for key, amount in (("a", 90), ("b", 100), ("c", 200)):
        memory.give(key, amount)
    assert memory.held == 0


async def test_keys_that_wait_are_served_in_turn() -> None:
    turns, order, gate = (
        Turns("bodies", slots=1, per_key=1, waiting_per_key=100, patience=60),
        [],
        asyncio.Event(),
    )

    async def work(key: str) -> None:
        async with turns.turn(key):
            await gate.wait()
            order.append(key)

    tasks = [asyncio.create_task(work(key)) for key in ["a"] * 10 + ["b"] * 2 + ["c"]]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert "".join(order[:5]) == "aabca" or "".join(order[:5]) == "abcab"
    assert sorted(order) == ["a"] * 10 + ["b"] * 2 + ["c"]


async def test_a_key_has_no_more_than_its_turns_at_once_and_leaves_the_rest_to_others() -> None:
    turns, now, most = (
        Turns("requests", slots=4, per_key=2, waiting_per_key=100, patience=60),
        {"a": 0, "b": 0},
        {},
    )

    async def work(key: str) -> None:
        async with turns.turn(key):
            now[key] += 1
            most[key] = max(most.get(key, 0), now[key])
            await asyncio.sleep(0)
            now[key] -= 1

    await asyncio.gather(*(work(key) for key in "aaaaaaaaaab"))
    assert most == {"a": 2, "b": 1}


async def test_too_many_that_wait_are_refused_and_so_is_who_waits_too_long() -> None:
    turns = Turns("bodies", slots=1, per_key=1, waiting_per_key=1, patience=0.01)
    async with turns.turn("a"):
        waiting = asyncio.create_task(turns.turn("a").__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(RateLimited):
            async with turns.turn("a"):
                pass
        with pytest.raises(Overloaded):
            await waiting
        with pytest.raises(Overloaded):
            async with turns.turn("b"):
                pass
    async with turns.turn("b"):  # nothing was kept by those who left
        pass


async def test_who_gives_up_while_waiting_leaves_no_hole() -> None:
    turns = Turns("bodies", slots=1, per_key=1, waiting_per_key=10, patience=60)
    async with turns.turn("a"):
        gone = asyncio.create_task(turns.turn("b").__aenter__())
        await asyncio.sleep(0)
    gone.cancel()  # just as its turn has come
    with pytest.raises(asyncio.CancelledError):
        await gone
    async with asyncio.timeout(PATIENCE), turns.turn("c"):
        pass


def test_good_tokens_are_known_until_they_are_not() -> None:
    good = GoodTokens()
    good.remember("one", "caller 1", "tenants 1")
    assert (good.key_of("one"), good.group_of("one")) == ("caller 1", "tenants 1")
    assert good.key_of("other") is None
    good.forget("one")
    assert (good.key_of("one"), good.group_of("one")) == (None, None)
