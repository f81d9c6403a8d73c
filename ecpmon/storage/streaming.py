"""What is placed, as what COPY takes and as evidence: a little at a time, as it may be much."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from ecpmon.slices import Slices
from ecpmon.storage.regimes import EvidenceValue
from ecpmon.storage.rows import END, HEAD, Placed, Touched, encoded


async def body_of(placed: Sequence[Placed], touched: Touched) -> AsyncIterator[bytes]:
    """What COPY takes, a little at a time: the database stores what it has while the rest is made."""
    slices, parts = Slices(), [HEAD]
    for part in encoded(placed, touched):
        parts.append(part)
        if slices.over():
            yield b"".join(parts)
            parts = []
            await slices.give_way()
    yield b"".join((*parts, END))


async def evidence_of(placed: Iterable[Placed], refused: frozenset[int]) -> dict[int, list[EvidenceValue]]:
    """Evidence by tenant, of accepted samples only: what was rejected has no vote."""
    found: dict[int, list[EvidenceValue]] = {}
    slices = Slices()
    for each in placed:
        if each.tenant in refused or not each.row.evidence:
            continue
        found.setdefault(each.tenant, []).extend(each.evidence())
        await slices.give_way()
    return found


def seconds_ahead(placed: Iterable[Placed], now: datetime) -> set[int]:
    """The seconds since 1970 at which samples of a time after `now` will have come."""
    return {math.ceil(at.timestamp()) for each in placed for at in each.entry.instants if at > now}


def taken_out(evidence: dict[int, list[EvidenceValue]], now: datetime) -> dict[int, list[EvidenceValue]]:
    """What is of a time after `now`, which is in `evidence` no more."""
    ahead = {key: [value for value in values if value[0] > now] for key, values in evidence.items()}
    for key in [key for key, values in ahead.items() if values]:
        evidence[key] = [value for value in evidence[key] if value[0] <= now]
        if not evidence[key]:
            del evidence[key]
    return ahead
