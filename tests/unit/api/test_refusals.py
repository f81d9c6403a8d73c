"""How long a refusal for lack of a share waits."""

from __future__ import annotations

import asyncio

import pytest

from ecpmon.api import limits
from ecpmon.api.limits import LONGEST_REFUSAL, REFUSED_PER_SECOND, Refusals


async def held_back(monkeypatch: pytest.MonkeyPatch, senders: list[str]) -> dict[str, list[float]]:
    """The seconds that each of these waits, when they come together."""
    waits: dict[str, list[float]] = {sender: [] for sender in senders}
    whose: list[str] = []
    together = asyncio.Barrier(len(senders))

    async def sleep(seconds: float) -> None:
        waits[whose[-1]].append(seconds)
        await together.wait()

    monkeypatch.setattr(limits, "REFUSAL_SECONDS", 1.0)
    monkeypatch.setattr(limits, "rest", sleep)
    refusals = Refusals()

    async def refuse(sender: str) -> None:
        whose.append(sender)
        await refusals.hold_back(sender)

    await asyncio.gather(*map(refuse, senders))
    assert not refusals.waiting
    return waits


async def test_a_few_wait_about_a_second_and_not_equally_long(monkeypatch: pytest.MonkeyPatch) -> None:
    [waits] = (await held_back(monkeypatch, ["alpha"] * 20)).values()
    assert all(1.0 <= seconds <= 1.5 for seconds in waits)
    assert len(set(waits)) > 10


async def test_of_hundreds_of_one_sender_the_last_wait_longer_and_nobody_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = await held_back(monkeypatch, ["alpha"] * 10 * REFUSED_PER_SECOND + ["beta"])
    assert LONGEST_REFUSAL <= waits["alpha"][-1] <= 1.5 * LONGEST_REFUSAL
    assert waits["beta"][0] <= 1.5
