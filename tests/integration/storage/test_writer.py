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


async def test_without_a_database_a_write_fails(free_port: Callable[[], int]) -> None:
    from ecpmon.sla.evidence import DEFAULT_RULES

    database = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    frame = Frame("somebody", Source.PUSH, T0, (Sample(SeriesKey("cpu", "cpu_usage"), 1),))
    async with GroupWriter(IngestStore(database, DEFAULT_RULES, 10), lambda _: None) as writer:
        with pytest.raises(DatabaseUnavailable):
            await writer.write(Batch((frame,)))
