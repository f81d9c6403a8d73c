"""A database that hangs is told from one that is slow: real server processes, stopped and continued."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from ecpmon.errors import DatabaseUnavailable
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.hang import PROBE_SECONDS, STALL_SECONDS
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.writer import GroupWriter
from tests.conftest import PostgresServer
from tests.integration.conftest import T0
from tests.waiting import PATIENCE, until

MakeTenant = Callable[..., Awaitable[Tenant]]
# What a machine with nothing else to do may take on top.
SLACK = 0.5
IMPATIENT = pytest.mark.usefixtures("impatient_with_the_database")


def batch_of(tenant: Tenant, n: int) -> Batch:
    samples = (Sample(SeriesKey("sla", "up"), 1), Sample(SeriesKey("custom", "queue"), n))
    return Batch((Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=n), samples),))


async def write_until_taken(writer: GroupWriter, batch: Batch) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await writer.write(batch)
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def answers_of(database: Database, tenant: Tenant) -> list[tuple[object, ...]]:
    """What anybody can read of a tenant: its measurements, and its timeline."""
    data = await database.fetch(
        "SELECT timestamp, metric_name, metric_value FROM monitoring_data WHERE tenant_id = $1 ORDER BY 1, 2",
        tenant.tenant_id,
    )
    head = await database.fetch(
        "SELECT first_observed_at, state, since, last_observed_at FROM availability_heads WHERE tenant = $1",
        tenant.key,
    )
    return [tuple(r) for r in (*data, *head)]


@IMPATIENT
async def test_a_write_in_flight_fails_when_the_server_stands_still(
    postgres_server: PostgresServer, database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(Source.PUSH)
    async with GroupWriter(ingest, lambda _: None) as writer:
        await write_until_taken(writer, batch_of(tenant, 0))
        with postgres_server.standing_still():
            found = await asyncio.gather(
                *(writer.write(batch_of(tenant, n)) for n in range(1, 20)), return_exceptions=True
            )
            assert all(isinstance(f, DatabaseUnavailable) for f in found)
        for n in range(1, 20):
            await write_until_taken(writer, batch_of(tenant, n))
    stored = await database.fetchval(
        "SELECT count(DISTINCT timestamp) FROM monitoring_data WHERE tenant_id = $1", tenant.tenant_id
    )
    assert stored == 20


@pytest.mark.quiet
@IMPATIENT
async def test_it_fails_within_a_second_and_at_once_when_it_is_known(
    postgres_server: PostgresServer, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(Source.PUSH)
    async with GroupWriter(ingest, lambda _: None) as writer:
        await writer.write(batch_of(tenant, 0))
        with postgres_server.standing_still():
            for limit in (STALL_SECONDS + PROBE_SECONDS + SLACK, 0.1):
                began = time.monotonic()
                with pytest.raises(DatabaseUnavailable):
                    await writer.write(batch_of(tenant, 1))
                assert time.monotonic() - began < limit


@IMPATIENT
async def test_a_write_of_unknown_outcome_may_be_sent_again(
    postgres_server: PostgresServer, database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    """The commit was on its way when the server stood still; it may have happened or not."""
    tenant, other = await make_tenant(Source.PUSH), await make_tenant(Source.PUSH)
    async with GroupWriter(ingest, lambda _: None) as writer:
        for one in (tenant, other):
            await write_until_taken(writer, batch_of(one, 0))
        await write_until_taken(writer, batch_of(other, 1))
        in_flight = asyncio.create_task(writer.write(batch_of(tenant, 1)))
        await asyncio.sleep(0.002)
        with postgres_server.standing_still():
            await asyncio.wait({in_flight})
        in_flight.exception()
        await write_until_taken(writer, batch_of(tenant, 1))
        once = await answers_of(database, tenant)
        # For certain this time: it is there, and comes once more.
        await write_until_taken(writer, batch_of(tenant, 1))
    assert await answers_of(database, tenant) == once
    assert once == await answers_of(database, other)


async def test_a_slow_server_is_not_taken_for_one_that_hangs(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, answers, probe = await make_tenant(Source.PUSH), list[None](), database._watch._probe

    async def probed() -> None:
        answers.append(await probe())

    monkeypatch.setattr(database._watch, "_probe", probed)

    async def answered_again_and_again() -> bool:
        return len(answers) >= 3

    lock = "SELECT * FROM availability_heads WHERE tenant = $1 FOR UPDATE"
    async with GroupWriter(ingest, lambda _: None) as writer:
        async with database.transaction() as connection:
            await connection.fetch(lock, tenant.key)
            slow = asyncio.create_task(writer.write(batch_of(tenant, 0)))
            await until(answered_again_and_again, "the server is asked, and answers")
            assert not slow.done()
        assert (await slow).accepted == 2


@pytest.mark.quiet
@IMPATIENT
async def test_our_own_standstill_is_not_the_servers(database: Database) -> None:
    async def block() -> None:
        await asyncio.sleep(STALL_SECONDS + 0.003)  # just when the probe is on its way
        time.sleep(2 * PROBE_SECONDS)

    found, _ = await asyncio.gather(database.fetchval("SELECT 1 FROM pg_sleep(2)"), block())
    assert found == 1


async def test_every_connection_may_be_busy(migrated_dsn: str) -> None:
    database = Database(migrated_dsn, max_connections=2)
    try:
        found = await asyncio.gather(*(database.fetchval("SELECT 1 FROM pg_sleep(1.5)") for _ in range(2)))
    finally:
        await database.close()
    assert found == [1, 1]
