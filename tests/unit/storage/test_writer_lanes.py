"""Three lanes: order per tenant, nothing lost, and nobody waits for a long commit that he has no part in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.errors import DatabaseUnavailable, EcpError, NoLongerLeader, Overloaded, PermanentError
from ecpmon.model.ingest import Batch, IngestResult
from ecpmon.model.leadership import Claim
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.storage import queues
from ecpmon.storage.lanes import Lane
from ecpmon.storage.queues import all_with, tenants_of
from ecpmon.storage.writer import GroupWriter
from tests.waiting import PATIENCE, until

KEY = SeriesKey("custom", "queue")
T0 = datetime(2026, 3, 1, tzinfo=UTC)


def batch(n: int, *tenants: str) -> Batch:
    """The `n`th that is sent, which its instant says."""
    at = T0 + timedelta(seconds=n)
    return Batch(tuple(Frame(tenant, Source.PUSH, at, (Sample(KEY, 1.0),)) for tenant in tenants))


def number(of: Batch) -> int:
    return int((of.frames[0].ts - T0).total_seconds())  # type: ignore[union-attr]


class Store:
    """`Committing`: notes what is under way in each lane, and breaks when a tenant is in two of them.

    `long` and `heavy`: which batches are so; `fails`: what a commit of these raises; `turns`: how long it takes.
    """

    def __init__(
        self,
        long: Callable[[Batch], bool] = lambda _: False,
        heavy: Callable[[Batch], bool] = lambda _: False,
        fails: Callable[[Sequence[Batch]], Exception | None] = lambda _: None,
        turns: Callable[[], int] = lambda: 1,
    ) -> None:
        self._long, self._heavy, self._fails, self._turns = long, heavy, fails, turns
        self.gates = {lane: asyncio.Event() for lane in Lane}
        for gate in self.gates.values():
            gate.set()
        self.under_way: dict[Lane, set[str]] = {lane: set() for lane in Lane}
        self.begun: list[tuple[Lane, list[int]]] = []
        self.committed: list[tuple[str, int]] = []

    async def commit_steadily(self, batches: list[Batch]) -> Sequence[IngestResult | EcpError | None]:
        whose = [tenants_of(each) for each in batches]
        out = all_with({t for each in batches if self._long(each) for t in tenants_of(each)}, whose)
        on = [each for each in batches if out.isdisjoint(tenants_of(each))]
        failed: EcpError | None = None
        try:
            if on:
                await self._commit(on, Lane.STEADY)
        except DatabaseUnavailable as error:
            failed = error
        except PermanentError:
            on = []
        return [(failed or IngestResult(number(each))) if each in on else None for each in batches]

    async def commit_long(
        self, batches: list[Batch], claims: Collection[Claim], lane: Lane
    ) -> list[IngestResult]:
        await self._commit(batches, lane)
        return [IngestResult(number(each)) for each in batches]

    def is_heavy(self, batches: Sequence[Batch]) -> bool:
        return any(map(self._heavy, batches))

    async def _commit(self, batches: Sequence[Batch], lane: Lane) -> None:
        whose = {tenant for each in batches for tenant in tenants_of(each)}
        assert not any(whose & other for other in self.under_way.values()), "a tenant is in two lanes"
        self.begun.append((lane, [number(each) for each in batches]))
        self.under_way[lane] = whose
        try:
            await self.gates[lane].wait()
            for _ in range(self._turns()):
                await asyncio.sleep(0)
            if error := self._fails(batches):
                raise error
            self.committed += [(tenant, number(each)) for each in batches for tenant in tenants_of(each)]
        finally:
            self.under_way[lane] = set()


def is_of(tenant: str) -> Callable[[Batch], bool]:
    return lambda each: tenant in tenants_of(each)


async def begun(store: Store, lane: Lane) -> None:
    async def is_under_way() -> bool:
        return bool(store.under_way[lane])

    await until(is_under_way, f"a commit is under way in {lane}")


@pytest.mark.parametrize("seed", range(60))
async def test_whatever_goes_which_way_a_tenant_s_order_holds_and_nothing_is_lost(seed: int) -> None:
    dice = random.Random(seed)
    sent = [
        batch(n, *dice.sample("abcd", dice.choice((1, 1, 1, 1, 2)))) for n in range(dice.randrange(1, 150))
    ]
    long = {n for n in range(len(sent)) if dice.random() < dice.choice((0.0, 0.1, 0.5))}
    heavy, bad, away = ({n for n in range(len(sent)) if dice.random() < p} for p in (0.3, 0.1, 0.02))

    def fails(batches: Sequence[Batch]) -> Exception | None:
        numbers = set(map(number, batches))
        if numbers & away:
            return DatabaseUnavailable("away")
        return PermanentError("bad") if numbers & bad else None

    store = Store(
        lambda b: number(b) in long, lambda b: number(b) in heavy, fails, lambda: dice.randrange(1, 6)
    )
    told: list[IngestResult] = []
    async with GroupWriter(store, told.extend) as writer:
        writes = []
        for each in sent:
            writes.append(asyncio.create_task(writer.write(each)))
            for _ in range(dice.choice((0, 0, 0, 1, 5))):
                await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*writes, return_exceptions=True)

    stored = {n for _, n in store.committed}
    for n, answer in enumerate(answers):
        if isinstance(answer, IngestResult):
            assert (answer.accepted, n in stored) == (n, True)
        else:
            # One's own fault is one's own; that the database was away those hear who were under way together.
            assert n not in stored
            assert n in bad if isinstance(answer, PermanentError) else isinstance(answer, DatabaseUnavailable)
    assert sorted(result.accepted for result in told) == sorted(stored)
    for tenant in "abcd":
        for sender in (False, True):
            order = [n for t, n in store.committed if t == tenant and (len(sent[n].frames) > 1) is sender]
            assert order == sorted(set(order)), "in the order in which its sender sent it, once"


async def test_what_goes_on_waits_for_no_long_commit_of_another() -> None:
    store = Store(is_of("alpha"), lambda each: number(each) == 1)
    async with GroupWriter(store, lambda _: None) as writer:
        for first, lane in ((0, Lane.LIGHT), (1, Lane.HEAVY)):
            store.gates[lane].clear()
            long = asyncio.create_task(writer.write(batch(first, "alpha")))
            await begun(store, lane)
            async with asyncio.timeout(PATIENCE):
                for n in range(10, 20):
                    await writer.write(batch(n, "beta"))
            assert not long.done()
            store.gates[lane].set()
            await long


async def test_a_small_change_waits_for_no_heavy_commit_of_another() -> None:
    store = Store(lambda _: True, is_of("alpha"))
    store.gates[Lane.HEAVY].clear()
    async with GroupWriter(store, lambda _: None) as writer:
        heavy = asyncio.create_task(writer.write(batch(0, "alpha")))
        await begun(store, Lane.HEAVY)
        async with asyncio.timeout(PATIENCE):
            await writer.write(batch(1, "beta"))
        store.gates[Lane.HEAVY].set()
        await heavy
    assert store.begun == [(Lane.HEAVY, [0]), (Lane.LIGHT, [1])]


async def test_behind_its_long_commit_a_tenant_goes_on_in_one_statement_again() -> None:
    """However much it sends meanwhile: that does not become long by waiting."""
    store = Store(lambda each: number(each) == 0)
    store.gates[Lane.LIGHT].clear()
    async with GroupWriter(store, lambda _: None) as writer:
        writes = [asyncio.create_task(writer.write(batch(0, "alpha")))]
        await begun(store, Lane.LIGHT)
        writes += [asyncio.create_task(writer.write(batch(n, "alpha"))) for n in range(1, 30)]
        assert await writer.write(batch(99, "beta"))
        store.gates[Lane.LIGHT].set()
        await asyncio.gather(*writes)
    assert {lane for lane, numbers in store.begun if numbers != [0]} == {Lane.STEADY}
    assert [n for tenant, n in store.committed if tenant == "alpha"] == list(range(30))


async def test_heavy_commits_are_of_one_sender_each_and_by_turns() -> None:
    store = Store(lambda _: True, lambda _: True)
    store.gates[Lane.HEAVY].clear()
    async with GroupWriter(store, lambda _: None) as writer:
        writes = [asyncio.create_task(writer.write(batch(n, "alpha"))) for n in range(100)]
        await begun(store, Lane.HEAVY)
        writes += [asyncio.create_task(writer.write(batch(n, "beta"))) for n in range(100, 102)]
        for n in range(200, 205):
            writes.append(asyncio.create_task(writer.write(batch(n, "gamma"))))
        await asyncio.sleep(0)
        store.gates[Lane.HEAVY].set()
        await asyncio.gather(*writes)
    heads = [numbers[0] // 100 for _, numbers in store.begun]
    assert all(len({n // 100 for n in numbers}) == 1 for _, numbers in store.begun)
    assert heads.index(1) < 5, "beta's turn comes before alpha is through"


@pytest.mark.parametrize("failing", [Lane.STEADY, Lane.HEAVY])
async def test_what_fails_in_one_lane_fails_its_own(failing: Lane) -> None:
    def fails(batches: Sequence[Batch]) -> Exception | None:
        mine = is_of("alpha")(batches[0]) is (failing is Lane.HEAVY)
        return DatabaseUnavailable("away") if mine else None

    store = Store(is_of("alpha"), is_of("alpha"), fails)
    async with GroupWriter(store, lambda _: None) as writer:
        for n in range(3):
            both = [asyncio.create_task(writer.write(batch(n, tenant))) for tenant in ("alpha", "beta")]
            found = await asyncio.gather(*both, return_exceptions=True)
            failed = [isinstance(each, DatabaseUnavailable) for each in found]
            assert failed == [failing is Lane.HEAVY, failing is Lane.STEADY]


async def test_a_former_leader_s_is_refused_and_what_was_sent_with_it_is_stored() -> None:
    store = Store(lambda _: True, fails=lambda each: NoLongerLeader("over") if len(each) > 1 else None)
    store.gates[Lane.LIGHT].clear()
    async with GroupWriter(store, lambda _: None) as writer:
        first = asyncio.create_task(writer.write(batch(0, "beta")))
        await begun(store, Lane.LIGHT)
        push = asyncio.create_task(writer.write(batch(1, "alpha")))
        await asyncio.sleep(0)
        store.gates[Lane.LIGHT].set()
        assert [each.accepted for each in await asyncio.gather(first, push)] == [0, 1]


async def test_who_is_set_apart_has_its_places_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MAX_WAITING_PER_SENDER", 5)
    store = Store(is_of("alpha"))
    store.gates[Lane.LIGHT].clear()
    async with GroupWriter(store, lambda _: None) as writer:
        writes = [asyncio.create_task(writer.write(batch(0, "alpha")))]
        await begun(store, Lane.LIGHT)
        writes += [asyncio.create_task(writer.write(batch(n, "alpha"))) for n in range(1, 9)]
        await writer.write(batch(99, "beta"))
        refused = [each for each in writes if each.done() and isinstance(each.exception(), Overloaded)]
        assert len(refused) == 4
        store.gates[Lane.LIGHT].set()
        await asyncio.wait(writes)
    assert [n for tenant, n in store.committed if tenant == "alpha"] == [0, 1, 2, 3, 4]


async def test_what_waits_in_any_lane_is_committed_before_the_end() -> None:
    store = Store(is_of("alpha"), is_of("alpha"), turns=lambda: 50)
    async with GroupWriter(store, lambda _: None) as writer:
        writes = [asyncio.create_task(writer.write(batch(n, "ab"[n % 2]))) for n in range(6)]
        writes.append(asyncio.create_task(writer.write(batch(9, "alpha"))))
        await asyncio.sleep(0)
    assert all(each.done() and each.result() for each in writes)


async def test_who_is_not_answered_at_the_end_is_told_so() -> None:
    """As when the database hangs, and nobody may wait any longer."""
    store = Store(is_of("alpha"))
    for gate in store.gates.values():
        gate.clear()
    writer = GroupWriter(store, lambda _: None)
    await writer.__aenter__()
    writes = [asyncio.create_task(writer.write(batch(0, "alpha")))]
    await begun(store, Lane.LIGHT)
    writes.append(asyncio.create_task(writer.write(batch(1, "beta"))))
    await begun(store, Lane.STEADY)
    writes.append(asyncio.create_task(writer.write(batch(2, "alpha"))))
    await asyncio.sleep(0)
    for task in writer._tasks:
        task.cancel()
    await writer.__aexit__()
    found = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(each) for each in found] == [DatabaseUnavailable] * 3
