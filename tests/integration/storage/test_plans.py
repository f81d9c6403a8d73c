"""What a statement looks through is bounded by whom it asks about, by its plan: nothing that grows is read as a whole.

With sequential scans forbidden the planner reads a table as a whole only where no index serves.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

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

# Those of which a day is a chunk.
DAILY = ("frames", "packed_hours", "pull_attempts")
CHUNKED = re.compile(
    r"\b(FROM|JOIN|UPDATE|LATERAL)\s+(frames|packed_hours|packed\.samples|rollup_5m|rollup_1h|pull_attempts|samples_of"
    r"|samples_within|newest_frames|newest_within|rollups_\w+_of)\b"
)
CHUNKS = "SELECT hypertable_name, count(*) AS chunks FROM timescaledb_information.chunks GROUP BY 1"
LOCKED = """
SELECT c.hypertable_name, count(DISTINCT l.relation) AS chunks FROM timescaledb_information.chunks c
JOIN pg_locks l ON l.relation = format('%I.%I', c.chunk_schema, c.chunk_name)::regclass
WHERE l.pid = pg_backend_pid() GROUP BY 1
"""
# What has to look at all days, and why.
BOTH = {"frames", "packed_hours"}
ALL_CHUNKS: Final[dict[str, set[str]]] = {
    # The last before an instant, or the first after it, which may be of any day: by one row of an index of each.
    "ingest.said_before": BOTH,
    "packing.next_hours": BOTH,
    "slots.after": BOTH,
    "slots.before": BOTH,
    # TimescaleDB locks all chunks for a DELETE; these take away a few rows when something came late.
    "history.take_parts": {"packed_hours"},
    "packing.take_packed": {"packed_hours"},
    # Of hours that are in quarantine, when there are any.
    "packing.heal_packing": {"frames"},
}

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
    days = range(0, 8 * 86_400, 43_200)
    frames = [Frame(tenant.tenant_id, Source.PUSH, T0 + timedelta(seconds=s), samples) for s in days]
    await ingest.commit([Batch(tuple(frames))])
    upkeep = Upkeep(database)
    while await upkeep.roll_up(T0 + timedelta(days=10)):
        pass
    await Packing(database).pack(T0 + timedelta(days=7), T0 + timedelta(days=10))
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


async def test_what_is_asked_about_hours_locks_the_chunks_of_their_days_only(planned: Any) -> None:
    """Every statement, planned with what it may be given: hours of the fifth of eight days, of one tenant."""
    assert min([r["chunks"] for r in await planned.fetch(CHUNKS) if r["hypertable_name"] in BOTH]) >= 7
    found: dict[str, set[str]] = {}
    for file in files():
        for name, sql in load(file).items():
            if not CHUNKED.search(sql):
                continue
            held = planned.transaction()
            await held.start()
            await planned.fetch("EXPLAIN " + sql, *await arguments(planned, sql))
            rows = await planned.fetch(LOCKED)
            await held.rollback()
            found[f"{file}.{name}"] = {
                r["hypertable_name"] for r in rows if r["hypertable_name"] in DAILY and r["chunks"] > 2
            }
    assert len(found) > 30
    assert {name: tables for name, tables in found.items() if tables} == ALL_CHUNKS


async def test_a_question_that_is_asked_again_and_again_locks_other_chunks_once(planned: Any) -> None:
    """PostgreSQL tries a plan for all that may be asked once, with the sixth time, and finds it dearer."""
    at, locked = T0 + timedelta(days=4), []
    for _ in range(9):
        held = planned.transaction()
        await held.start()
        await planned.fetch(
            load("monitoring")["raw_plots"], 1, at, at + timedelta(hours=1), timedelta(minutes=1), None
        )
        locked.append(sum(r["chunks"] for r in await planned.fetch(LOCKED)))
        await held.rollback()
    assert max(locked[:5] + locked[6:]) <= 4


async def arguments(connection: Any, sql: str) -> list[Any]:
    """What a statement may be given: instants one after the other, in the order in which it takes them."""
    statement = await connection.prepare(sql)
    return [
        argument(place, parameter.name, parameter.kind)
        for place, parameter in enumerate(statement.get_parameters())
    ]


def argument(place: int, kind: str, form: str) -> Any:
    if form == "array":
        return [argument(place, kind.removesuffix("[]"), "scalar")]
    given = {
        "timestamptz": T0 + timedelta(days=4, hours=3, minutes=place),
        "date": (T0 + timedelta(days=4)).date(),
        "interval": timedelta(minutes=5),
        "text": "push",
        "bool": False,
        "jsonb": {},
        "float8": 1.0,
        "uuid": uuid4(),
        "char": b"a",
    }
    return given.get(kind, 1)


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
