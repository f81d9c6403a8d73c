"""Batches: sent by count, bytes and time; bounded; nothing that was taken is lost without a word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from scripted_service import HANG_UP, Seen, Service, later, pushed, said

from ecpmon.client import NEVER, InvalidRequest, NotDelivered, NotFound, Rejected, Sizes, Unavailable, batches
from ecpmon.client.pending import Entry, Pending
from tests.waiting import PATIENCE, until

NEVER_BY_TIME = 3600.0
T0 = "2026-03-02T09:00:00Z"


def entries_of(seen: Seen) -> list[dict[str, Any]]:
    return seen.body if isinstance(seen.body, list) else [seen.body]


def values_of(scripted: Service) -> list[float]:
    return [entry["metrics"]["cpu"] for seen in scripted.seen for entry in entries_of(seen)]


async def test_so_many_entries_are_sent_at_once(scripted: Service) -> None:
    scripted.answers = [pushed(3)]
    async with scripted.client().batch(Sizes(entries=3, seconds=NEVER_BY_TIME)) as batch:
        for value in range(3):
            await batch.add("acme", {"cpu": value})

        async def sent() -> bool:
            return not len(batch)

        await until(sent, "three are enough")
        assert [len(entries_of(seen)) for seen in scripted.seen] == [3]
        assert batch.accepted == 3


async def test_so_many_bytes_are_sent_at_once(scripted: Service) -> None:
    scripted.answers = [pushed()]
    one = len(Entry.of("acme", {"cpu": 1.0}, T0).body)
    async with scripted.client().batch(Sizes(bytes=2 * one, seconds=NEVER_BY_TIME)) as batch:
        for _ in range(4):
            await batch.add("acme", {"cpu": 1.0}, timestamp=T0)
        await batch.flush()
    assert [len(entries_of(seen)) for seen in scripted.seen] == [2, 2]


async def test_what_has_waited_long_enough_is_sent(scripted: Service) -> None:
    scripted.answers = [pushed()]
    async with scripted.client().batch(Sizes(seconds=0.01)) as batch:
        await batch.add("acme", {"cpu": 1.0})

        async def sent() -> bool:
            return not len(batch)

        await until(sent, "it waits no longer")


async def test_who_adds_more_than_is_held_waits(scripted: Service) -> None:
    may_answer = asyncio.Event()

    async def slow(_: Seen) -> web.Response:
        await may_answer.wait()
        return pushed()

    scripted.answers = [slow]
    async with scripted.client().batch(Sizes(entries=1, most_entries=2)) as batch:
        for value in range(2):
            await batch.add("acme", {"cpu": value})
        third = asyncio.create_task(batch.add("acme", {"cpu": 2}))
        done, _ = await asyncio.wait([third], timeout=0.1)
        assert not done
        assert len(batch) == 2
        may_answer.set()
        await asyncio.wait_for(third, PATIENCE)
    assert values_of(scripted) == [0, 1, 2]


async def test_what_waits_behind_a_request_that_hangs_costs_nothing(
    scripted: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    may_answer = asyncio.Event()

    async def slow(_: Seen) -> web.Response:
        await may_answer.wait()
        return pushed()

    class Counting(Pending):
        def due(self, now: float, *, everything: bool = False) -> list[str]:
            nonlocal looks
            looks += 1
            return super().due(now, everything=everything)

    monkeypatch.setattr(batches, "Pending", Counting)
    scripted.answers = [slow]
    async with scripted.client().batch(Sizes(seconds=0.001)) as batch:
        await batch.add("acme", {"cpu": 1})

        async def under_way() -> bool:
            return bool(scripted.seen)

        await until(under_way, "it is under way")
        for value in range(5):
            await batch.add("acme", {"cpu": value})
        before = looks
        await asyncio.sleep(0.2)
        assert looks - before < 10
        may_answer.set()
    assert len(values_of(scripted)) == 6


async def test_who_waits_as_it_was_asked_to_holds_up_nobody(scripted: Service) -> None:
    def judge(seen: Seen) -> web.Response:
        return later(429, "RATE_LIMITED", 3600) if "/busy-" in seen.path else pushed()

    scripted.answers = [judge]
    batch = scripted.client().batch(Sizes(entries=1))
    for number in range(20):
        await batch.add(f"busy-{number}", {"cpu": 1})
    await batch.add("acme", {"cpu": 2})

    async def served() -> bool:
        return batch.accepted == 1

    await until(served, "the others do not matter")
    with pytest.raises(NotDelivered) as error:
        await batch.close(timeout=0)
    assert len(error.value.entries) == 20


async def test_what_was_refused_is_told_by_the_next_add_so_that_it_does_not_pile_up(
    scripted: Service,
) -> None:
    scripted.answers = [said(403, "FORBIDDEN")]
    batch = scripted.client().batch(Sizes(entries=1))
    await batch.add("acme", {"cpu": 1})

    async def refused() -> bool:
        return not len(batch)

    await until(refused, "it was refused")
    with pytest.raises(NotDelivered) as error:
        await batch.add("acme", {"cpu": 2})
    assert [entry.metrics["cpu"] for entry in error.value.entries] == [1]
    await batch.close()


async def test_what_cannot_be_taken_now_is_tried_until_it_can_in_its_order(
    scripted: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_FIRST_WAIT", 0.001)
    scripted.answers = [said(503, "DATABASE_ERROR"), HANG_UP, pushed(2)]
    batch = scripted.client(retries=NEVER).batch()
    await batch.add("acme", {"cpu": 1})
    await batch.add("acme", {"cpu": 2})
    await batch.flush()
    assert values_of(scripted) == [1, 2] * 3
    assert batch.accepted == 2
    await batch.close()


async def test_samples_that_were_not_stored_are_told(scripted: Service) -> None:
    named = [{"metric": "cpu", "reason": "not_a_number"}]
    scripted.answers = [pushed(4, rejected=named, rejected_count=1)]
    told: list[Rejected] = []
    async with scripted.client().batch(on_rejected=told.append) as batch:
        await batch.add("acme", {"cpu": float("nan")})
        await batch.flush()
        assert told == [Rejected("acme", ({"metric": "cpu", "reason": "not_a_number"},), 1)]
        assert (batch.accepted, batch.rejected) == (4, 1)


async def test_of_many_entries_the_one_that_is_wrong_is_found_and_given_back(scripted: Service) -> None:
    def judge(seen: Seen) -> web.Response:
        bad = any(entry["metrics"]["cpu"] == 13 for entry in entries_of(seen))
        return said(422, "VALIDATION_FAILED") if bad else pushed(len(entries_of(seen)))

    scripted.answers = [judge]
    batch = scripted.client().batch()
    for value in range(20):
        await batch.add("acme", {"cpu": value})
    with pytest.raises(NotDelivered) as error:
        await batch.flush()
    assert [entry.metrics["cpu"] for entry in error.value.entries] == [13]
    assert isinstance(error.value.because, InvalidRequest)
    assert batch.accepted == 19
    await batch.close()


async def test_of_a_tenant_that_is_not_there_everything_is_given_back_and_its_neighbour_is_served(
    scripted: Service,
) -> None:
    def judge(seen: Seen) -> web.Response:
        return said(404, "TENANT_NOT_FOUND") if "/gone/" in seen.path else pushed(1)

    scripted.answers = [judge]
    refused: list[NotDelivered] = []
    async with scripted.client().batch(on_refused=refused.append) as batch:
        await batch.add("gone", {"cpu": 1})
        await batch.add("acme", {"cpu": 2})
    assert [[entry.tenant_id for entry in each.entries] for each in refused] == [["gone"]]
    assert isinstance(refused[0].because, NotFound)
    assert batch.accepted == 1


async def test_what_there_was_no_time_for_is_given_back(scripted: Service) -> None:
    scripted.answers = [said(503, "DATABASE_ERROR")]
    batch = scripted.client(retries=NEVER).batch(Sizes(entries=2))
    for value in range(5):
        await batch.add("acme", {"cpu": value})

    async def tried() -> bool:
        return batch.because is not None

    await until(tried, "the service has refused once")
    with pytest.raises(NotDelivered) as error:
        await batch.close(timeout=0)
    assert [entry.metrics["cpu"] for entry in error.value.entries] == [0, 1, 2, 3, 4]
    assert isinstance(error.value.because, Unavailable)
    assert len(batch) == 0
    with pytest.raises(RuntimeError, match="closed"):
        await batch.add("acme", {"cpu": 1})


async def test_a_client_that_is_closed_delivers_first(scripted: Service) -> None:
    scripted.answers = [pushed()]
    client = scripted.client()
    batch = client.batch(Sizes(seconds=NEVER_BY_TIME))
    await batch.add("acme", {"cpu": 7})
    await client.close()
    assert values_of(scripted) == [7]


async def test_a_listener_that_fails_stops_nothing(
    scripted: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Rejected) -> None:
        raise RuntimeError("oh")

    scripted.answers = [pushed(0, rejected_count=1)]
    async with scripted.client().batch(on_rejected=broken) as batch:
        await batch.add("acme", {"cpu": 1})
    assert "a listener of a batch failed" in caplog.text
    assert batch.rejected == 1


def test_what_can_never_be_stored_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Entry.of("acme", {}, T0)
    with pytest.raises(ValueError, match="at most"):
        Entry.of("acme", {"x" * 100 + str(n): 1.0 for n in range(3_000)}, T0)


def test_what_is_held_is_bounded_by_bytes_as_well_but_one_entry_always_fits() -> None:
    entry = Entry.of("acme", {"cpu": 1.0}, T0)
    pending = Pending(Sizes(most_bytes=1))
    assert pending.offer(entry, 0.0) is True
    assert pending.offer(entry, 0.0) is None
    taken = pending.take("acme", 0.0)
    assert pending.offer(entry, 0.0) is None, "what is under way is still held"
    pending.done(taken)
    assert pending.offer(entry, 0.0) is True


def test_entries_are_due_when_the_oldest_has_waited_or_they_are_enough() -> None:
    entry = Entry.of("acme", {"cpu": 1.0}, T0)
    pending = Pending(Sizes(entries=2, seconds=5))
    assert pending.next_due() is None
    pending.offer(entry, 10.0)
    assert (pending.next_due(), pending.due(14.9), pending.due(15.0)) == (15.0, [], ["acme"])
    assert pending.offer(entry, 11.0) is True
    assert pending.due(11.0) == ["acme"]
    assert pending.due(0.0, everything=True) == ["acme"]
