"""What many values say together is the same when they are looked at in parts, and others have their turns meanwhile."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.model.samples import Source
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.spans import lay
from ecpmon.storage import alike as module
from ecpmon.storage.alike import alike, alike_in_parts, once_an_hour
from ecpmon.storage.regimes import EvidenceValue, Regime, told_by
from ecpmon.storage.voices import hearings

T0 = datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
HOLDS = timedelta(seconds=150)
REGIMES = [Regime(T0 - timedelta(days=1), Source.PUSH, HOLDS)]


def said(dice: random.Random, *, by_turns: bool = False, shuffled: bool = False) -> list[EvidenceValue]:
    """Two voices that say everything each time, now and then something else, with holes in between."""
    found: list[EvidenceValue] = []
    at, down = T0, False
    for number in range(40):
        at += timedelta(seconds=dice.choice((10, 10, 10, 60, 400, 3_000)))
        down ^= dice.random() < 0.2
        two = (at, Source.PUSH, "up", "", float(not down)), (at, Source.PUSH, "error_rate", "", float(down))
        found += (two[number % 2],) if by_turns else two
        if dice.random() < 0.1:
            found.append(found[-1])
    if shuffled:
        dice.shuffle(found)
    return found


@pytest.mark.parametrize("seed", range(30))
async def test_parts_say_what_the_whole_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART", 5)
    dice = random.Random(seed)
    kind = {"by_turns": seed % 5 == 3, "shuffled": seed % 5 == 4}
    values = said(dice, **kind)
    ruled = [*REGIMES, Regime(values[30][0], Source.PUSH, HOLDS * 2)] if seed % 7 == 6 else REGIMES
    whole, parts = alike(values, ruled, DEFAULT_RULES), await alike_in_parts(values, ruled, DEFAULT_RULES)
    assert (whole is None) == (parts is None) == (kind["by_turns"] or len(ruled) > 1)
    if whole is None or parts is None:
        return
    end = T0 + timedelta(days=1)
    assert parts[0] == whole[0]
    assert lay(parts[1], end) == lay(whole[1], end)
    # And of when they were heard nothing is lost.
    everything, thinned = (told_by(v, ruled, DEFAULT_RULES) for v in (values, once_an_hour(values)))
    assert hearings(1, thinned) == hearings(1, everything)
    assert thinned[-1].ts == everything[-1].ts
    assert len(thinned) < len(everything) or kind["shuffled"]


async def test_others_have_their_turns_while_ten_thousand_instants_are_looked_at() -> None:
    values = [
        (T0 + timedelta(seconds=10 * number), Source.PUSH, name, "", value)
        for number in range(10_000)
        for name, value in (("up", 1.0), ("error_rate", 0.0))
    ]
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    found = await alike_in_parts(values, REGIMES, DEFAULT_RULES)
    waiting.cancel()
    assert found is not None
    assert turns >= 10
    assert len(once_an_hour(values)) < 100
