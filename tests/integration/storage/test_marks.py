"""A bucket is marked once while it is open, and no sample is missed by rollups and counts for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.model.ingest import Batch
from ecpmon.model.objectives import Objective
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES, Intervals
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.marks import BUCKET
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.slots import SlotKeeper
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0, MakeTenant
from tests.waiting import until

KEY = SeriesKey("custom", "requests_total")
INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=15))


def open_bucket() -> datetime:
    """The start of a bucket that is open for minutes yet."""
    at = datetime.now(UTC) + timedelta(minutes=4)
    return at - timedelta(seconds=at.timestamp() % 300)


@pytest.fixture
async def tenant(make_tenant: MakeTenant) -> Tenant:
    return await make_tenant(source=Source.PUSH, holds=timedelta(seconds=150))


async def send(ingest: IngestStore, tenant: Tenant, ts: datetime, value: float = 1.0) -> None:
    [result] = await ingest.commit(
        [Batch((Frame(tenant.tenant_id, Source.PUSH, ts, (Sample(KEY, value),)),))]
    )
    assert result.accepted == 1


async def generations(database: Database, tenant: Tenant) -> tuple[int | None, int | None]:
    """Of the only mark of each kind."""
    rollups = "SELECT generation FROM rollup_dirty WHERE tenant = $1"
    counts = "SELECT generation FROM objective_marks WHERE tenant = $1"
    return await database.fetchval(rollups, tenant.key), await database.fetchval(counts, tenant.key)


async def points(database: Database, tenant: Tenant) -> int:
    sql = "SELECT coalesce(sum(points), 0)::int FROM rollups_5m_of($1, '-infinity', 'infinity')"
    return int(await database.fetchval(sql, tenant.key))


async def test_an_open_bucket_is_marked_once_by_a_process(
    database: Database, ingest: IngestStore, tenant: Tenant
) -> None:
    bucket = open_bucket()
    await send(ingest, tenant, bucket)
    first = await generations(database, tenant)
    assert None not in first
    for n in range(1, 4):
        await send(ingest, tenant, bucket + timedelta(seconds=n))
    assert await generations(database, tenant) == first
    await send(IngestStore(database, DEFAULT_RULES, 100), tenant, bucket)
    assert await generations(database, tenant) != first


async def test_a_bucket_that_is_over_is_marked_by_every_commit(
    database: Database, ingest: IngestStore, tenant: Tenant
) -> None:
    seen = set()
    for n in range(3):
        await send(ingest, tenant, T0 + timedelta(seconds=n))
        seen.add(await generations(database, tenant))
    assert len(seen) == 3


async def test_after_a_commit_that_failed_everything_is_marked_again(
    database: Database, ingest: IngestStore, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = open_bucket()
    await send(ingest, tenant, bucket)
    first = await generations(database, tenant)

    async def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(IngestStore, "_attempts", broken)
        with pytest.raises(RuntimeError):
            await send(ingest, tenant, bucket + BUCKET)
    await send(ingest, tenant, bucket)
    assert await generations(database, tenant) != first


async def test_the_mark_of_an_open_bucket_stays_until_it_is_over(
    database: Database, ingest: IngestStore, tenant: Tenant
) -> None:
    bucket, upkeep, keeper = open_bucket(), Upkeep(database), SlotKeeper(database, INTERVALS)
    await send(ingest, tenant, bucket)
    now = bucket + BUCKET - timedelta(seconds=1)
    await upkeep.roll_up(now)
    while await keeper.refresh(T0, now):
        continue
    assert None not in await generations(database, tenant)
    # Not marked any more, and all the same not missed.
    await send(ingest, tenant, bucket + timedelta(seconds=1))
    while await upkeep.roll_up(bucket + BUCKET + timedelta(seconds=1)):
        continue
    while await keeper.refresh(T0, bucket + BUCKET):
        continue
    assert await generations(database, tenant) == (None, None)
    assert await points(database, tenant) == 2


async def test_an_open_bucket_is_counted_with_every_turn(
    database: Database, ingest: IngestStore, tenant: Tenant
) -> None:
    spec = {"name": "requests", "kind": "requests", "target": 0.9, "total": {"metric": "requests_total"}}
    objective = Objective.model_validate({**spec, "bad": {"metric": "errors_total"}})
    store = PgObjectiveStore(database, [objective])
    await store.install_defaults(T0, [tenant])
    [stored] = await store.of_tenant(tenant)
    bucket, keeper = open_bucket(), SlotKeeper(database, INTERVALS)
    for n, total in enumerate((10.0, 15.0, 35.0)):
        await send(ingest, tenant, bucket + timedelta(seconds=n), total)
        while await keeper.refresh(T0, bucket + timedelta(minutes=1)):
            continue
        sums = await store.sums({(stored.key, bucket), (stored.key, bucket + BUCKET)})
        counted = sums[stored.key, bucket + BUCKET] - sums[stored.key, bucket]
        assert counted.total == total - 10


async def test_a_bucket_waits_for_who_may_touch_it_without_a_mark(
    database: Database, ingest: IngestStore, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that left out its mark and stands still: whoever works marks off leaves this one."""
    bucket, upkeep, keeper = open_bucket(), Upkeep(database), SlotKeeper(database, INTERVALS)
    await send(ingest, tenant, bucket)
    stored, go_on = asyncio.Event(), asyncio.Event()
    attempts = IngestStore._attempts

    async def halted(self: IngestStore, *given: Any) -> None:
        stored.set()
        await go_on.wait()
        await attempts(self, *given)

    monkeypatch.setattr(IngestStore, "_attempts", halted)
    writing = asyncio.create_task(send(ingest, tenant, bucket + timedelta(seconds=1)))
    await stored.wait()
    over = bucket + BUCKET + timedelta(seconds=1)
    await upkeep.roll_up(over)
    await keeper.refresh(T0, over)
    assert None not in await generations(database, tenant)
    go_on.set()
    await writing
    while await upkeep.roll_up(over):
        continue
    while await keeper.refresh(T0, over):
        continue
    assert await points(database, tenant) == 2
    assert await generations(database, tenant) == (None, None)


async def test_a_mark_that_is_raised_while_it_is_worked_off_stays_and_no_writer_waits(
    database: Database, ingest: IngestStore, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = Upkeep(database)
    await send(ingest, tenant, T0)
    roll = Upkeep._roll

    async def late(self: Upkeep, connection: Any, marks: Sequence[Any]) -> None:
        await roll(self, connection, marks)
        # Its samples are read, its rollups written, and nothing of it is committed: nobody waits for it.
        await send(ingest, tenant, T0 + timedelta(seconds=1))

    with monkeypatch.context() as patched:
        patched.setattr(Upkeep, "_roll", late)
        await upkeep.roll_up(T0 + timedelta(hours=1))
    assert await points(database, tenant) == 1
    assert (await generations(database, tenant))[0] is not None
    while await upkeep.roll_up(T0 + timedelta(hours=1)):
        continue
    assert await points(database, tenant) == 2
    assert (await generations(database, tenant))[0] is None


async def test_a_mark_that_is_made_again_is_another_one(database: Database, tenant: Tenant) -> None:
    """So that who read the first one does not take it away."""
    seen = set()
    for _ in range(3):
        await database.execute("INSERT INTO rollup_dirty (tenant, bucket) VALUES ($1, $2)", tenant.key, T0)
        seen.add(await generations(database, tenant))
        await database.execute("DELETE FROM rollup_dirty WHERE tenant = $1", tenant.key)
        await database.execute("DELETE FROM objective_marks WHERE tenant = $1", tenant.key)
    assert len(seen) == 3


async def test_only_one_rolls_up_at_a_time(database: Database, ingest: IngestStore, tenant: Tenant) -> None:
    await send(ingest, tenant, T0)
    upkeep, now = Upkeep(database), T0 + timedelta(hours=1)
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('ecpmon rollups', 0))")
        assert await upkeep.roll_up(now) == 0

    async def rolled_up() -> bool:
        await upkeep.roll_up(now)
        return await points(database, tenant) == 1

    await until(rolled_up, "the turn is free again")
