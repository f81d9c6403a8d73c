"""Entries that are alike are taken together, and what becomes of them is what becomes of each by itself."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.api import pushing
from ecpmon.api.limits import Limits
from ecpmon.api.pushing import ENTRIES_AT_ONCE, Desk, Pushed
from ecpmon.errors import EcpError, PayloadTooLarge
from ecpmon.model.ingest import Batch, IngestResult, cost_of
from ecpmon.model.samples import MOST_ROWS, Block, Frame
from ecpmon.settings import Settings
from ecpmon.telemetry import Telemetry
from tests.unit.api.fakes import FakeTenants

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SETTINGS = Settings(max_batch=2_000)
TENANT = FakeTenants().add("acme")


class Writer:
    def __init__(self, part: int) -> None:
        self.part = part
        self.batches: list[Batch] = []

    async def write(self, batch: Batch) -> IngestResult:
        self.batches.append(batch)
        return IngestResult(sum(entry.size for entry in batch.frames))

    @property
    def frames(self) -> list[Frame]:
        return [frame for batch in self.batches for entry in batch.frames for frame in entry.frames()]


async def push(entries: Any, part: int = 15_000) -> tuple[Writer, Any]:
    """The writer, and the answer, or the code of the error and what it says."""
    writer = Writer(part)
    pushed = Pushed(Desk(SETTINGS, Limits(SETTINGS), Telemetry(), writer), TENANT, ("me",), NOW)
    body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    try:
        await pushed.take_apart(body)
    except EcpError as error:
        return writer, (error.code, error.message, error.details)
    return writer, json.loads(pushed.told(await pushed.commit(), {}))


def entry(seconds: float, **metrics: Any) -> dict[str, Any]:
    return {"timestamp": (NOW - timedelta(seconds=seconds)).isoformat(), "metrics": metrics}


METRICS = st.sampled_from(
    [{"cpu": 1, "up": 1}] * 8
    + [
        {"cpu": 2.5, "up": 0},
        {"up": 1, "cpu": 1},
        {"queue": 10**30},
        {"cpu": True, "up": 1},
        {"cpu": "3", "up": 1},
    ]
    + [{"cpu": 1e101, "up": 1}, {"cpu": 1, "cpu_usage": 2}, {"\x07": 1}, {}, {"cpu": None, "up": 1}, 3]
)
TIMES = st.sampled_from(
    ["2026-03-02T08:59:00Z"] * 6
    + ["2026-03-02T08:58:00+00:00", None, "1999-01-01", "2026-03-02T10:00:00Z", 7]
)
ENTRIES = st.lists(
    st.builds(lambda at, metrics: {"timestamp": at, "metrics": metrics}, TIMES, METRICS) | st.just(3),
    max_size=40,
)


@given(ENTRIES)
def test_what_is_taken_together_is_what_is_taken_one_by_one(entries: list[Any]) -> None:
    together, answer = asyncio.run(push(entries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pushing, "FEW", 10**9)
        apart, expected = asyncio.run(push(entries))
    assert not any(isinstance(entry, Block) for batch in apart.batches for entry in batch.frames)
    assert answer == expected
    assert together.frames == apart.frames


async def test_many_that_are_alike_are_blocks_and_their_parts_cost_no_more_than_asked() -> None:
    entries = [entry(n, cpu=n, up=1, queue=2) for n in range(2_000)]
    writer, answer = await push(entries, part=3_000)
    assert answer["accepted"] == 6_000
    assert [frame.ts for frame in writer.frames] == [NOW - timedelta(seconds=n) for n in range(2_000)]
    blocks = [entry for batch in writer.batches for entry in batch.frames]
    assert all(isinstance(block, Block) and len(block.instants) <= MOST_ROWS for block in blocks)
    assert all(sum(map(cost_of, batch.frames)) <= 3_000 for batch in writer.batches)
    assert len(writer.batches) <= 1 + 2_000 * 13 // 2_900


async def test_a_part_is_one_frame_at_least() -> None:
    writer, _ = await push([entry(n, cpu=n, up=1, queue=2) for n in range(20)], part=5)
    assert [len(batch.frames) for batch in writer.batches] == [1] * 20


async def test_more_entries_than_are_allowed_are_none() -> None:
    writer, answer = await push([entry(n, cpu=n, up=1) for n in range(2_001)])
    assert (answer[0], writer.batches) == (PayloadTooLarge.code, [])


async def test_what_stands_in_the_way_of_many_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, plain = 0, pushing.timestamp_of

    def counted(*args: Any) -> Any:
        nonlocal looked
        looked += 1
        return plain(*args)

    monkeypatch.setattr(pushing, "timestamp_of", counted)
    entries = [
        entry(n, cpu=n, up=None if n % ENTRIES_AT_ONCE == ENTRIES_AT_ONCE - 1 else 1) for n in range(1_000)
    ]
    _, answer = await push(entries)
    assert answer["rejected_count"] == 1_000 // ENTRIES_AT_ONCE
    assert looked <= 2_100
