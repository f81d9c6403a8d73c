"""What a statement looks through is bounded by whom it asks about, by its plan: nothing that grows is read as a whole.

With sequential scans forbidden the planner reads a table as a whole only where no index serves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.packing import Packing
from ecpmon.storage.queries import files, load
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
HYPERTABLES = ("frames", "packed_hours", "rollup_5m", "rollup_1h", "pull_attempts")

# Whoever asks with parameters is to give them.
PLAN_OF = """
CREATE FUNCTION pg_temp.plan_of(asked text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || asked INTO plan;
  RETURN plan;
END
$$
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.fixture
async def planned(database: Database, ingest: IngestStore, make_tenant: MakeTenant) -> AsyncIterator[Any]:
    tenant = await make_tenant(source=Source.PUSH)
    samples = (Sample(SeriesKey("sla", "up"), 1.0),)
    days = range(0, 6 * 86_400, 43_200)
    frames = [Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=s), samples) for s in days]
    await ingest.commit([Batch(tuple(frames))])
    upkeep = Upkeep(database)
    while await upkeep.roll_up(T0 + timedelta(days=10)):
        pass
    await Packing(database).pack(T0 + timedelta(days=3), T0 + timedelta(days=10))
    async with database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute(PLAN_OF)
        yield connection


async def test_nothing_that_grows_with_samples_is_read_as_a_whole(planned: Any) -> None:
    chunks = {
        r["chunk_name"]: r["hypertable_name"]
        for r in await planned.fetch("SELECT chunk_name, hypertable_name FROM timescaledb_information.chunks")
    }
    assert set(chunks.values()) >= set(HYPERTABLES) - {"pull_attempts"}
    chunks.update({name: name for name in HYPERTABLES})

    async def whole(sql: str) -> set[str]:
        [explained] = await planned.fetchval("SELECT pg_temp.plan_of($1)", sql)
        read = (node for node in nodes(explained["Plan"]) if node.get("Relation Name") in chunks)
        return {chunks[node["Relation Name"]] for node in read if is_whole(node)}

    assert await whole("SELECT count(*) FROM frames WHERE seq > $1") == {"frames"}
    found = {
        f"{file}.{name}": tables
        for file in files()
        for name, sql in load(file).items()
        if (tables := await whole(sql))
    }
    assert found == {}


def is_whole(node: dict[str, Any]) -> bool:
    if node["Node Type"] == "Seq Scan":
        return True
    return node["Node Type"] in ("Index Scan", "Index Only Scan") and "Index Cond" not in node


async def test_names_are_looked_up_by_hash_however_many_they_are(planned: Any) -> None:
    """One after the other 1,400 names took seconds with a tenant's 14,000, in a transaction."""
    [explained] = await planned.fetchval("SELECT pg_temp.plan_of($1)", load("ingest")["known_series"])
    filters = [
        str(node.get("Filter", "")) + str(node.get("Index Cond", "")) for node in nodes(explained["Plan"])
    ]
    assert any("hashed SubPlan" in each for each in filters)
    assert not any("metric_name = ANY ($2)" in each for each in filters)
