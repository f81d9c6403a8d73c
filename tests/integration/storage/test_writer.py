"""A success means committed, whatever else shared the commit."""

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
from ecpmon.storage.writer import GroupWriter
from tests.integration.conftest import T0
from tests.waiting import PATIENCE, until

MakeTenant = Callable[..., Awaitable[Tenant]]


async def test_batches_that_wait_together_are_committed_together_and_answered_apart(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    told: list[IngestResult] = []
    key = SeriesKey("custom", "queue")

    def batch(n: int) -> Batch:
        return Batch((Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=n), (Sample(key, n),)),))

    async with GroupWriter(ingest, told.extend) as writer:
        results = await asyncio.gather(*(writer.write(batch(n)) for n in range(50)))
    assert [r.accepted for r in results] == [1] * 50
    assert len(told) == 50
    transactions = await database.fetchval(
        "SELECT count(DISTINCT xmin::text) FROM frames WHERE tenant = $1", tenant.key
    )
    assert transactions < 50
    stored = await database.fetchval("SELECT count(*) FROM frames WHERE tenant = $1", tenant.key)
    assert stored == 50


UP, QUEUE = SeriesKey("sla", "up"), SeriesKey("custom", "queue")
LOCK = "SELECT FROM availability_heads WHERE tenant = $1 FOR UPDATE"
WAITS = """
SELECT pid FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%availability_heads%'
"""


def frames(tenant: Tenant, second: float, up: float | None, *names: str) -> Batch:
    samples = [Sample(SeriesKey("custom", name), 1.0) for name in names or ("queue",)]
    if up is not None:
        samples.append(Sample(UP, up))
    at = T0 + timedelta(seconds=second)
    return Batch((Frame(tenant.tenant_id, Source.PUSH, at, tuple(samples), tenant.key),))


async def gone_on(writer: GroupWriter, ingest: IngestStore, *tenants: Tenant) -> None:
    """Until what they say goes on in one statement."""
    for second in range(3):
        await asyncio.gather(*(writer.write(frames(tenant, second, 1.0)) for tenant in tenants))
    assert ingest.at_once


@pytest.mark.parametrize("names", [1, 200])
async def test_what_goes_on_is_committed_while_another_tenant_s_long_commit_is_under_way(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, names: int
) -> None:
    """Be it small or heavy; its own tenant comes behind it. If it is broken off nobody else is told so."""
    alpha, beta = await make_tenant(Source.PUSH), await make_tenant(Source.PUSH)
    told: list[IngestResult] = []
    async with GroupWriter(ingest, told.extend) as writer:
        await gone_on(writer, ingest, alpha, beta)
        async with database.transaction() as connection:
            await connection.fetch(LOCK, alpha.key)
            new = frames(alpha, 3, 0.0, *(f"name-{n}" for n in range(names)))
            long = asyncio.create_task(writer.write(new))
            await until(lambda: _waits(database), "alpha's long commit waits for its head")
            behind = asyncio.create_task(writer.write(frames(alpha, 4, 0.0)))
            async with asyncio.timeout(PATIENCE / 2):
                for second in range(3, 20):
                    assert (await writer.write(frames(beta, second, 1.0))).accepted == 2
                # Nor does a change of beta's wait for what is heavy.
                if names > 1:
                    assert (await writer.write(frames(beta, 20, 0.0))).changes
            assert not long.done()
            assert not behind.done()
            [row] = await database.fetch(WAITS)
            await database.fetchval("SELECT pg_terminate_backend($1)", row["pid"])
            with pytest.raises(DatabaseUnavailable):
                await long
        assert (await behind).changes, "it is told by what came behind it"
        assert (await writer.write(frames(beta, 21, 0.0))).accepted == 2
    stored = "SELECT count(*) FROM frames WHERE tenant = $1 AND ts = $2"
    assert await database.fetchval(stored, alpha.key, T0 + timedelta(seconds=3)) == 0


async def _waits(database: Database) -> bool:
    return bool(await database.fetch(WAITS))


async def test_one_s_many_new_names_are_in_no_transaction_of_another_s(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    alpha, beta, gamma = [await make_tenant(Source.PUSH) for _ in range(3)]
    async with GroupWriter(ingest, lambda _: None) as writer:
        batches = [frames(alpha, 0, 1.0, *(f"name-{n}" for n in range(61)))]
        batches += [frames(tenant, 0, 1.0) for tenant in (beta, gamma)]
        await asyncio.gather(*map(writer.write, batches))
    rows = await database.fetch(
        "SELECT tenant, xmin::text AS xmin FROM frames WHERE tenant = ANY($1)",
        [t.key for t in (alpha, beta, gamma)],
    )
    by_tenant = {row["tenant"]: row["xmin"] for row in rows}
    assert by_tenant[beta.key] == by_tenant[gamma.key] != by_tenant[alpha.key]


async def test_a_tenant_that_is_not_as_remembered_sends_nobody_else_the_long_way(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    alpha, beta = await make_tenant(Source.PUSH), await make_tenant(Source.PUSH)
    async with GroupWriter(ingest, lambda _: None) as writer:
        await gone_on(writer, ingest, alpha, beta)
        await database.execute(
            "UPDATE availability_heads SET regimes = regimes + 1 WHERE tenant = $1", alpha.key
        )
        before = ingest.at_once
        await asyncio.gather(*(writer.write(frames(tenant, 3, 1.0)) for tenant in (alpha, beta)))
        assert ingest.at_once == before + 1
    rows = await database.fetch(
        "SELECT DISTINCT xmin::text FROM frames WHERE ts = $1 AND tenant = ANY($2)",
        T0 + timedelta(seconds=3),
        [alpha.key, beta.key],
    )
    assert len(rows) == 2


async def test_without_a_database_a_write_fails(free_port: Callable[[], int]) -> None:
    from ecpmon.sla.evidence import DEFAULT_RULES

    database = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    frame = Frame("somebody", Source.PUSH, T0, (Sample(SeriesKey("cpu", "cpu_usage"), 1),))
    async with GroupWriter(IngestStore(database, DEFAULT_RULES, 10), lambda _: None) as writer:
        with pytest.raises(DatabaseUnavailable):
            await writer.write(Batch((frame,)))
