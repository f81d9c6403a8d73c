"""One leader at a time by the database's clock; what a former one still writes is refused in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from ecpmon.errors import DatabaseUnavailable, NoLongerLeader
from ecpmon.model.ingest import Batch
from ecpmon.model.leadership import LEASE, TRUST, Claim
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.ports.leading import as_leader, leading
from ecpmon.storage.database import Database
from ecpmon.storage.faults import DatabaseRefused
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.lease import Lease
from ecpmon.storage.writer import GroupWriter
from tests.conftest import PostgresServer
from tests.integration.conftest import T0, MakeTenant
from tests.waiting import PATIENCE, until

LONG_AGO = """
UPDATE leadership SET renewed_at = renewed_at - INTERVAL '1 day', expires_at = expires_at - INTERVAL '1 day'
"""
WRITE = "INSERT INTO secrets (name, value) VALUES ($1, $2)"
KEY = SeriesKey("custom", "queue")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Replica:
    """A process as the database sees it. Its clock stands still unless it is moved."""

    def __init__(self, dsn: str) -> None:
        self.database = Database(dsn)
        self.clock = Clock()
        self.lease = Lease(self.database, clock=self.clock)

    @property
    def claim(self) -> Claim:
        assert self.lease.claim is not None
        return self.lease.claim

    async def close(self) -> None:
        await self.lease.release()
        await self.database.close()


@pytest.fixture
async def replica(migrated_dsn: str, database: Database) -> AsyncIterator[Callable[[], Replica]]:
    """Makes replicas; nobody leads at first."""
    async with AsyncExitStack() as made:

        def make() -> Replica:
            found = Replica(migrated_dsn)
            made.push_async_callback(found.close)
            return found

        await database.execute("UPDATE leadership SET holder = NULL")
        yield make


async def overtaken(old: Replica, new: Replica) -> Claim:
    """The former claim of `old`, after `new` has taken over."""
    assert await old.lease.keep()
    former = old.claim
    await new.database.execute(LONG_AGO)
    assert await new.lease.keep()
    return former


async def stored(database: Database, name: str) -> bool:
    return bool(await database.fetchval("SELECT EXISTS (SELECT FROM secrets WHERE name = $1)", name))


async def test_one_leads_and_the_other_at_once_when_it_is_given_back(replica: Callable[[], Replica]) -> None:
    first, second = replica(), replica()
    assert await first.lease.keep()
    assert not await second.lease.keep()
    assert second.lease.known
    assert second.lease.claim is None
    term = first.claim.term
    await first.lease.release()
    assert not first.lease.held
    assert await second.lease.keep()
    assert second.claim.term == term + 1


async def test_of_many_that_ask_at_once_one_leads(replica: Callable[[], Replica]) -> None:
    many = [replica() for _ in range(6)]
    for _ in range(3):
        held = await asyncio.gather(*(each.lease.keep() for each in many))
        assert held.count(True) == 1
        await many[0].database.execute(LONG_AGO)


async def test_who_renews_keeps_its_term(replica: Callable[[], Replica]) -> None:
    one = replica()
    assert await one.lease.keep()
    before = one.claim
    for _ in range(3):
        assert await one.lease.keep()
    assert one.claim == before


async def test_who_is_late_but_not_replaced_goes_on_in_its_term(replica: Callable[[], Replica]) -> None:
    one = replica()
    assert await one.lease.keep()
    before = one.claim
    await one.database.execute(LONG_AGO)
    one.clock.now += 10 * LEASE
    assert not one.lease.held
    assert await one.lease.keep()
    assert one.claim == before


async def test_who_is_silent_is_replaced_after_the_lease_by_the_databases_clock(
    replica: Callable[[], Replica],
) -> None:
    silent, other = replica(), replica()
    assert await silent.lease.keep()
    left = await other.database.fetchval(
        "SELECT extract(epoch FROM expires_at - clock_timestamp())::float FROM leadership"
    )
    assert 0 < left <= LEASE
    began = asyncio.get_running_loop().time()
    await until(other.lease.keep, "the other one leads")
    assert asyncio.get_running_loop().time() - began >= left - 0.1
    assert not await silent.lease.keep()
    assert silent.lease.claim is None


async def test_a_row_from_a_clock_that_was_far_ahead_holds_nobody_up(replica: Callable[[], Replica]) -> None:
    old, new = replica(), replica()
    assert await old.lease.keep()
    await new.database.execute("UPDATE leadership SET expires_at = expires_at + INTERVAL '1 day'")
    assert await new.lease.keep()


async def test_trust_ends_by_the_holders_own_clock(replica: Callable[[], Replica]) -> None:
    one = replica()
    assert await one.lease.keep()
    one.clock.now += TRUST - 0.01
    assert one.lease.held
    one.clock.now += 0.02
    assert (one.lease.held, one.lease.known, one.lease.presumed) == (False, False, True)


async def test_nobody_leads_while_the_database_is_away(free_port: Callable[[], int]) -> None:
    lease = Lease(Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none"))
    assert not await lease.keep()
    assert (lease.held, lease.known, lease.presumed, lease.claim) == (False, False, False, None)


async def test_who_led_last_is_presumed_to_lead_while_the_database_is_silent(
    replica: Callable[[], Replica], postgres_server: PostgresServer
) -> None:
    leader, follower = replica(), replica()
    assert await leader.lease.keep()
    assert not await follower.lease.keep()
    claim = leader.claim
    with postgres_server.standing_still():
        for each in (leader, follower):
            await each.lease.keep()
            each.clock.now += 2 * TRUST
            assert not each.lease.known
            assert not each.lease.held
        assert (leader.lease.presumed, follower.lease.presumed) == (True, False)
        assert leader.lease.claim == claim
    await until(follower.lease.keep, "the follower leads when the lease has run out")
    assert not await leader.lease.keep()
    assert not leader.lease.presumed


async def test_a_leaders_writes_are_refused_when_its_term_is_over(replica: Callable[[], Replica]) -> None:
    old, new = replica(), replica()
    former, names = await overtaken(old, new), [uuid4().hex for _ in range(4)]
    with as_leader(former):
        with pytest.raises(NoLongerLeader):
            await old.database.execute(WRITE, names[0], b"x")
        with pytest.raises(NoLongerLeader):
            await old.database.fetchval(f"{WRITE} RETURNING name", names[1], b"x")
        with pytest.raises(NoLongerLeader):
            async with old.database.transaction() as connection:
                await connection.execute(WRITE, names[2], b"x")
        assert await old.database.fetchval("SELECT 1") == 1, "reading is not refused"
        # What a task inherits it keeps.
        late = asyncio.create_task(old.database.execute(WRITE, names[3], b"x"))
    with pytest.raises(NoLongerLeader):
        await late
    assert not any([await stored(new.database, name) for name in names])
    await old.database.execute(WRITE, names[0], b"x")  # nobody's: as a push


async def test_the_same_number_of_another_holder_is_another_term(replica: Callable[[], Replica]) -> None:
    one = replica()
    assert await one.lease.keep()
    with as_leader(replace(one.claim, holder=uuid4())), pytest.raises(NoLongerLeader):
        await one.database.execute(WRITE, uuid4().hex, b"x")


async def test_what_was_given_back_is_refused_though_nobody_has_taken_over(
    replica: Callable[[], Replica],
) -> None:
    one = replica()
    assert await one.lease.keep()
    claim = one.claim
    await one.lease.release()
    with as_leader(claim), pytest.raises(NoLongerLeader):
        await one.database.execute(WRITE, uuid4().hex, b"x")


async def test_a_transaction_that_a_frozen_leader_left_open_holds_up_no_take_over_and_stores_nothing(
    replica: Callable[[], Replica],
) -> None:
    old, new = replica(), replica()
    assert await old.lease.keep()
    names = [uuid4().hex for _ in range(2)]

    async def freeze_in_the_middle() -> None:
        async with old.database.transaction(old.claim) as connection:
            await connection.execute(WRITE, names[0], b"x")
            await new.database.execute(LONG_AGO)
            async with asyncio.timeout(PATIENCE):
                assert await new.lease.keep()
            await connection.execute(WRITE, names[1], b"x")

    with pytest.raises(DatabaseUnavailable):
        await freeze_in_the_middle()
    assert not any([await stored(new.database, name) for name in names])


async def test_a_leaders_write_that_waits_for_a_take_over_is_refused_after_it(
    replica: Callable[[], Replica], database: Database
) -> None:
    old, new = replica(), replica()
    assert await old.lease.keep()
    name, claim = uuid4().hex, old.claim
    async with database.transaction() as taking:
        # What `keep_leadership` does, slowly.
        await taking.execute(
            "SELECT pg_advisory_xact_lock(leadership_lock_class(), leadership_lock('leader'))"
        )
        with as_leader(claim):
            writing = asyncio.create_task(old.database.execute(WRITE, name, b"x"))

        async def waits() -> bool:
            return bool(
                await database.fetchval(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid ="
                    " leadership_lock_class()::oid AND NOT granted"
                )
            )

        await until(waits, "the write waits")
        await taking.execute("UPDATE leadership SET term = term + 1, holder = $1", uuid4())
    with pytest.raises(NoLongerLeader):
        await writing
    assert not await stored(new.database, name)


async def test_a_pull_of_a_former_leader_is_refused_and_pushes_in_the_same_commit_are_stored(
    replica: Callable[[], Replica], make_tenant: MakeTenant, ingest: IngestStore
) -> None:
    old, new = replica(), replica()
    former = await overtaken(old, new)
    tenant = await make_tenant()

    def batch(source: Source, second: int) -> Batch:
        return Batch((Frame(tenant.tenant_id, source, T0 + timedelta(seconds=second), (Sample(KEY, 1.0),)),))

    async with GroupWriter(ingest, lambda _: None) as writer:
        pushes = [asyncio.create_task(writer.write(batch(Source.PUSH, n))) for n in range(3)]
        with as_leader(former):
            pulls = [asyncio.create_task(writer.write(batch(Source.SIMULATOR, n))) for n in range(3)]
        with as_leader(new.claim):
            valid = asyncio.create_task(writer.write(batch(Source.PROMETHEUS, 0)))
        assert [r.accepted for r in await asyncio.gather(*pushes)] == [1, 1, 1]
        refused = await asyncio.gather(*pulls, return_exceptions=True)
        assert [type(r) for r in refused] == [NoLongerLeader] * 3
        # In one group with those of a former term it is refused along with them, and taken the next time.
        if isinstance((await asyncio.gather(valid, return_exceptions=True))[0], NoLongerLeader):
            with as_leader(new.claim):
                assert (await writer.write(batch(Source.PROMETHEUS, 0))).accepted == 1
    rows = await new.database.fetch(
        "SELECT DISTINCT s.data_source FROM series s WHERE s.tenant = $1", tenant.key
    )
    assert {r["data_source"] for r in rows} == {"push", "prometheus"}
    assert leading.get() is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leadership SET term = term - 1",
        "DELETE FROM leadership",
        "TRUNCATE leadership",
        "UPDATE leadership SET role = 'another'",
        "UPDATE leadership SET holder = gen_random_uuid()",
    ],
)
async def test_a_term_only_grows_and_has_one_holder(replica: Callable[[], Replica], statement: str) -> None:
    one = replica()
    assert await one.lease.keep()
    with pytest.raises(DatabaseRefused):
        await one.database.execute(statement)
    assert await one.lease.keep()


async def test_who_stands_still_in_a_transaction_does_not_keep_its_row_locks(
    migrated_dsn: str, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    """Whoever it is: also one that does not lead."""
    monkeypatch.setattr("ecpmon.storage.database.IDLE_IN_TRANSACTION", 1.0)
    frozen, name = Database(migrated_dsn), uuid4().hex
    await database.execute(WRITE, name, b"x")

    async def stand_still() -> None:
        async with frozen.transaction() as connection:
            await connection.execute("UPDATE secrets SET value = 'y' WHERE name = $1", name)
            await database.execute("UPDATE secrets SET value = 'z' WHERE name = $1", name)
            await connection.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await stand_still()
    assert await database.fetchval("SELECT value FROM secrets WHERE name = $1", name) == b"z"
    assert await frozen.fetchval("SELECT 1") == 1
    await frozen.close()
