"""A commit waits for what is arriving, and for nobody who is not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from ecpmon.model.ingest import Batch, IngestResult
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.storage import writer as writing
from ecpmon.storage.writer import GATHERED, GroupWriter
from tests.waiting import PATIENCE

FRAME = Frame(
    "acme", Source.PUSH, datetime(2026, 3, 1, tzinfo=UTC), (Sample(SeriesKey("cpu", "cpu_usage"), 1),)
)


class Store:
    """`Committing`, of what only goes on."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    async def commit_steadily(self, batches: list[Batch]) -> list[IngestResult]:
        self.groups.append(len(batches))
        return [IngestResult(1) for _ in batches]

    async def commit_long(self, batches: list[Batch], claims: Any, lane: Any) -> list[IngestResult]:
        raise NotImplementedError

    def is_heavy(self, batches: Any) -> bool:
        raise NotImplementedError


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns of the loop decide, whatever time they take."""
    monkeypatch.setattr(writing, "GATHER_SECONDS", PATIENCE)


async def groups(count: int, at_once: int) -> list[int]:
    """How many batches each commit had, when `at_once` arrive in every turn of the loop."""
    store, sent = Store(), []
    async with GroupWriter(store, lambda _: None) as writer:
        for n in range(count):
            sent.append(asyncio.create_task(writer.write(Batch((FRAME,)))))
            if not (n + 1) % at_once:
                await asyncio.sleep(0)
        await asyncio.gather(*sent)
    return store.groups


@pytest.mark.usefixtures("unhurried")
async def test_what_arrives_turn_by_turn_is_committed_together() -> None:
    assert await groups(20, 1) == [20]
    assert await groups(40, 8) == [40]


@pytest.mark.usefixtures("unhurried")
async def test_a_commit_begins_when_many_wait() -> None:
    assert (await groups(3 * GATHERED, 1))[0] == GATHERED


@pytest.mark.usefixtures("unhurried")
async def test_who_sends_alone_does_not_wait_for_others() -> None:
    store = Store()
    async with GroupWriter(store, lambda _: None) as writer:
        async with asyncio.timeout(PATIENCE / 2):
            await writer.write(Batch((FRAME,)))
    assert store.groups == [1]


async def test_nobody_waits_longer_than_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "GATHER_SECONDS", 0.0)
    assert len(await groups(20, 1)) > 1
