"""Who gets into the next commit, and who must wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from ecpmon.errors import Overloaded
from ecpmon.model.ingest import SAMPLES_PER_ENTRY, Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.storage.queues import (
    FAIR_SAMPLES_PER_COMMIT,
    LEAST_SAMPLES_PER_COMMIT,
    MAX_WAITING_PER_SENDER,
    SenderQueues,
    Share,
    Waiting,
    all_with,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
KEY = SeriesKey("custom", "queue")


def waiting(tenant_id: str, samples: int = 20) -> Waiting:
    """A batch that costs `samples`."""
    size = samples - SAMPLES_PER_ENTRY - 1
    frame = Frame(tenant_id, Source.PUSH, T0, (Sample(KEY, 1.0),) * size)
    return Waiting(Batch((frame,)), cast(Any, None), None)


def together(tenants: str) -> Waiting:
    frames = tuple(Frame(tenant, Source.PUSH, T0, (Sample(KEY, 1.0),)) for tenant in tenants)
    return Waiting(Batch(frames), cast(Any, None), None)


def senders(queues: SenderQueues, samples: int, each: int = 10_000) -> str:
    return "".join(taken.sender for taken in queues.take(samples, each))


def test_one_sender_s_many_batches_do_not_keep_another_s_from_the_next_commit() -> None:
    queues = SenderQueues()
    for tenant in "aaaaaab":
        queues.put(waiting(tenant, 20))
    assert senders(queues, 60) == "aba"
    assert senders(queues, 200) == "aaaa"
    assert len(queues) == 0


def test_small_batches_are_not_kept_waiting_by_large_ones() -> None:
    """However many a sender has: what counts is how much of a commit is its."""
    queues = SenderQueues()
    for tenant, samples in [("a", 1_000)] * 5 + [("b", 20)] * 10:
        queues.put(waiting(tenant, samples))
    assert senders(queues, 2_500) == "a" + "b" * 10 + "a"


def test_while_others_send_one_sender_has_its_part_of_a_commit_and_no_more() -> None:
    queues = SenderQueues()
    for tenant, samples in [("a", 1_000)] * 3 + [("b", 20)]:
        queues.put(waiting(tenant, samples))
    assert [senders(queues, 10_000, 1_500) for _ in range(3)] == ["ab", "a", "a"]


def test_it_is_crowded_while_more_than_one_has_sent_lately() -> None:
    queues = SenderQueues()
    for at in (0.0, 0.1, 5.0):
        queues.put(waiting("a", 20), at)
    assert not queues.crowded(5.0)
    queues.put(waiting("b", 20), 5.5)
    queues.put(waiting("b", 20), 5.6)
    assert queues.crowded(5.7)
    queues.put(waiting("b", 20), 6.2)
    assert not queues.crowded(6.2)


def test_the_share_of_one_sender_follows_what_commits_take_within_its_bounds() -> None:
    share = Share()
    begun = share.samples
    share.took(0.002, 10)
    assert share.samples == begun, "a small commit says nothing of large ones"
    for _ in range(100):
        share.took(0.002, FAIR_SAMPLES_PER_COMMIT)
    assert share.samples == FAIR_SAMPLES_PER_COMMIT
    share.took(1.0, FAIR_SAMPLES_PER_COMMIT)
    assert share.samples == FAIR_SAMPLES_PER_COMMIT // 2
    for _ in range(10):
        share.took(1.0, share.samples)
    assert share.samples == LEAST_SAMPLES_PER_COMMIT


def test_where_every_commit_is_slow_the_share_does_not_fall_for_it() -> None:
    """As on a busy machine: smaller commits would not be shorter."""
    share = Share()
    begun = share.samples
    for _ in range(100):
        share.took(0.1, share.samples)
    assert share.samples > begun


def test_a_batch_that_is_larger_than_a_commit_goes_first_or_waits_for_the_next() -> None:
    queues = SenderQueues()
    for tenant, samples in (("a", 1_000), ("b", 20), ("a", 20)):
        queues.put(waiting(tenant, samples))
    assert [senders(queues, 100) for _ in range(2)] == ["a", "ba"]


def test_a_sender_that_fills_its_places_is_refused_and_nobody_else() -> None:
    queues = SenderQueues()
    for _ in range(MAX_WAITING_PER_SENDER):
        queues.put(waiting("a", 20))
    with pytest.raises(Overloaded):
        queues.put(waiting("a", 20))
    queues.put(waiting("b", 20))
    assert len(queues) == MAX_WAITING_PER_SENDER + 1


def test_behind_what_is_under_way_elsewhere_its_tenant_waits_and_nobody_else() -> None:
    queues = SenderQueues()
    for tenant in "aaab":
        queues.put(waiting(tenant))
    [gone] = queues.take(1, 1)
    queues.hold([gone])
    assert (queues.free, senders(queues, 1_000), queues.free, len(queues)) == (1, "b", 0, 2)
    queues.release([gone])
    assert (queues.free, senders(queues, 1_000)) == (2, "aa")


def test_what_is_about_several_waits_for_each_of_them() -> None:
    queues = SenderQueues()
    for one in (together("ab"), waiting("c"), together("cd")):
        queues.put(one)
    gone = waiting("b")
    queues.hold([gone])
    assert [taken.sender for taken in queues.take(1_000, 1_000)] == ["c"]
    queues.release([gone])
    assert [taken.tenants for taken in queues.take(1_000, 1_000)] == [{"a", "b"}, {"c", "d"}]


def test_what_is_under_way_elsewhere_takes_its_sender_s_places() -> None:
    queues, gone = SenderQueues(), waiting("a")
    queues.hold([gone])
    for _ in range(MAX_WAITING_PER_SENDER - 1):
        queues.put(waiting("a"))
    with pytest.raises(Overloaded):
        queues.put(waiting("a"))
    queues.release([gone])
    queues.put(waiting("a"))


def test_by_turns_of_the_senders_each_has_its_part() -> None:
    queues = SenderQueues()
    for tenant in "aaabb":
        queues.put(waiting(tenant, 100))
    taken = [[each.sender for each in queues.take_of_one(200)] for _ in range(4)]
    assert taken == [["a", "a"], ["b", "b"], ["a"], []]


def test_who_shares_a_batch_goes_the_same_way() -> None:
    assert all_with({"a"}, [("a",), {"b", "c"}, {"c", "a"}, ("d",)]) == {"a", "b", "c"}
    assert all_with((), [{"b", "c"}]) == set()
