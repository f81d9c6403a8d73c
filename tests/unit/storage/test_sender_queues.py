"""Who gets into the next commit, and who must wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ecpmon.errors import Overloaded
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.storage.writer import MAX_WAITING_PER_SENDER, SenderQueues

T0 = datetime(2026, 3, 1, tzinfo=UTC)
KEY = SeriesKey("custom", "queue")


def waiting(tenant_id: str, samples: int = 1) -> Any:
    return Batch((Frame(tenant_id, Source.PUSH, T0, (Sample(KEY, 1.0),) * samples),)), tenant_id, None


def senders(queues: SenderQueues, samples: int) -> str:
    return "".join(future for _, future, _ in queues.take(samples))  # type: ignore[misc]


def test_one_sender_s_many_batches_do_not_keep_another_s_from_the_next_commit() -> None:
    queues = SenderQueues()
    for tenant in "aaaaaab":
        queues.put(waiting(tenant))
    assert senders(queues, 3) == "aba"
    assert senders(queues, 10) == "aaaa"
    assert len(queues) == 0


def test_a_batch_that_is_larger_than_a_commit_goes_alone() -> None:
    queues = SenderQueues()
    for tenant, samples in (("a", 100), ("b", 1), ("a", 1)):
        queues.put(waiting(tenant, samples))
    assert [senders(queues, 10) for _ in range(2)] == ["a", "ba"]


def test_a_sender_that_fills_its_places_is_refused_and_nobody_else() -> None:
    queues = SenderQueues()
    for _ in range(MAX_WAITING_PER_SENDER):
        queues.put(waiting("a"))
    with pytest.raises(Overloaded):
        queues.put(waiting("a"))
    queues.put(waiting("b"))
    assert len(queues) == MAX_WAITING_PER_SENDER + 1
