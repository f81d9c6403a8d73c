"""One leader at a time; a success means committed, whatever else shared the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from ecpmon.errors import DatabaseUnavailable
from ecpmon.model.ingest import Batch, IngestResult
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.lease import Lease
from ecpmon.storage.writer import GroupWriter
from tests.conftest import PostgresServer
from tests.integration.conftest import T0
from tests.waiting import PATIENCE

MakeTenant = Callable[..., Awaitable[Tenant]]


async def test_the_second_process_leads_as_soon_as_the_first_is_gone(migrated_dsn: str) -> None:
    first, second = Lease(Database(migrated_dsn)), Lease(Database(migrated_dsn))
    assert await first.keep()
    assert not await second.keep()
    assert second.known
    await first.release()
    assert await second.keep()
    await second.release()


async def test_nobody_leads_while_the_database_is_away(free_port: Callable[[], int]) -> None:
    lease = Lease(Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none"))
    assert not await lease.keep()
    assert not lease.known


async def test_who_led_last_is_presumed_to_lead_while_the_database_is_silent(
    migrated_dsn: str, postgres_server: PostgresServer
) -> None:
    leader, follower = Lease(Database(migrated_dsn)), Lease(Database(migrated_dsn))
    assert await leader.keep()
    assert not await follower.keep()
    with postgres_server.standing_still():
        for lease in (leader, follower):
            assert not await lease.keep()
            assert not lease.known
        assert (leader.presumed, follower.presumed) == (True, False)
    async with asyncio.timeout(PATIENCE):
        while not await follower.keep():  # the server has noticed by now that the leader's session ended
            await asyncio.sleep(0.05)
    assert not await leader.keep()
    assert not leader.presumed
    await follower.release()
    await leader.release()


async def test_batches_that_wait_together_are_committed_together_and_answered_apart(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    told: list[IngestResult] = []
    key = SeriesKey("custom", "queue")

    def batch(n: int) -> Batch:
        return Batch((Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=n), (Sample(key, n),)),))

    async with GroupWriter(ingest, told.append) as writer:
        results = await asyncio.gather(*(writer.write(batch(n)) for n in range(50)))
    assert [r.accepted for r in results] == [1] * 50
    assert len(told) == 50
    transactions = await database.fetchval(
        "SELECT count(DISTINCT xmin::text) FROM frames WHERE tenant = $1", tenant.key
    )
    assert transactions < 50
    stored = await database.fetchval("SELECT count(*) FROM frames WHERE tenant = $1", tenant.key)
    assert stored == 50


async def test_without_a_database_a_write_fails(free_port: Callable[[], int]) -> None:
    from ecpmon.sla.evidence import DEFAULT_RULES

    database = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    frame = Frame("somebody", Source.PUSH, T0, (Sample(SeriesKey("cpu", "cpu_usage"), 1),))
    async with GroupWriter(IngestStore(database, DEFAULT_RULES, 10), lambda _: None) as writer:
        with pytest.raises(DatabaseUnavailable):
            await writer.write(Batch((frame,)))
