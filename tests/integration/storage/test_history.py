"""What history becomes at once is what it becomes as frames that jobs roll up and pack."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.history import HOUR, Alike
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import SeriesKey, Shapes, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage.database import Database
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.history import PgHistory
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.packing import Packing
from ecpmon.storage.upkeep import Upkeep
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
LATER = T0 + timedelta(days=2)
BEGIN = round(T0.timestamp() * 1000) // HOUR * HOUR
KEYS = (
    SeriesKey("sla", "up"),
    SeriesKey("sla", "up", (("service", "callbot"),)),
    SeriesKey("error", "error_rate"),
    SeriesKey("response", "response_time"),
    SeriesKey("custom", "noise", (("le", "0.5"),)),
    *(SeriesKey("custom", f"steady_{n}") for n in range(50)),
)


@pytest.fixture
async def database(make_migrated: Callable[[], str]) -> AsyncIterator[Database]:
    """Of each test its own: jobs do whatever is there."""
    database = Database(make_migrated())
    yield database
    await database.close()


def value_of(key: SeriesKey, chance: random.Random) -> float:
    match key.metric_name:
        case "up":
            return float(chance.random() > 0.02)
        case "error_rate":
            return chance.choice([0.0, 0.0, 0.25, 1.0])
        case "noise":
            return chance.gauss(0, 1)
    return round(chance.uniform(-5, 1000), chance.choice([0, 2, 3]))


def piece(chance: random.Random, hours: int) -> list[Alike]:
    """Series of a stretch of time, some of them at instants of their own, as `Alike` of hours."""
    found = []
    for keys in (chance.sample(KEYS[:5], 3), chance.sample(KEYS[5:], chance.choice([1, 3, 49]))):
        first = BEGIN + chance.randrange(hours * HOUR)
        step = chance.choice([15_000, 60_000, 61_500])
        at = [first + n * step for n in range(chance.choice([1, 7, 150]))]
        columns = [[value_of(key, chance) for _ in at] for key in keys]
        found.append(Alike("", tuple(keys), at, columns))
    return [hour for each in found for hour in each.hours()]


async def work(database: Database) -> None:
    """What jobs do."""
    while await HandMade(database, DEFAULT_RULES).take_in(T0 - timedelta(days=1), LATER):
        pass
    while await Upkeep(database).roll_up(LATER):
        pass
    while await Packing(database).pack(LATER, LATER):
        pass


ROLLED = """
SELECT bucket, metric_name, labels, {total}, r.low[k], r.high[k], coalesce(r.points[k], r.points[1]) AS points,
       {unanswered}, r.unanswered[k]
FROM rollup_{tier} r CROSS JOIN LATERAL generate_subscripts(r.series, 1) AS k JOIN series s ON s.id = r.series[k]
WHERE r.tenant = $1 ORDER BY 1, 2, 3
"""


def rounded(column: str) -> str:
    return f"round(r.{column}[k]::numeric, 6)"


async def all_of(database: Database, tenant: Tenant) -> dict[str, Sequence[tuple[Any, ...]]]:
    """Everything that is known of it."""
    asked: Mapping[str, tuple[str, Any]] = {
        "samples": (
            "SELECT metric_name, labels, timestamp, metric_value FROM monitoring_data WHERE tenant_id = $1"
            " ORDER BY 1, 2, 3",
            tenant.tenant_id,
        ),
        "5m": (
            ROLLED.format(tier="5m", total="r.total[k]", unanswered=rounded("unanswered_total")),
            tenant.key,
        ),
        # The job adds buckets up in whatever order it finds them.
        "1h": (
            ROLLED.format(tier="1h", total=rounded("total"), unanswered=rounded("unanswered_total")),
            tenant.key,
        ),
        "spans": (
            "SELECT period, state, reason, share, doubt, doubt_after, unknown FROM availability_spans"
            " WHERE tenant = $1 ORDER BY 1",
            tenant.key,
        ),
        "head": (
            "SELECT first_observed_at, state, since, last_observed_at, holds, share, doubt, unknown"
            " FROM availability_heads WHERE tenant = $1",
            tenant.key,
        ),
    }
    return {
        name: [tuple(map(str, row)) for row in await database.fetch(sql, argument)]
        for name, (sql, argument) in asked.items()
    }


def of(tenant: Tenant, parts: Sequence[Alike]) -> list[Alike]:
    return sorted(
        (Alike(tenant.tenant_id, p.keys, p.at, p.columns) for p in parts),
        key=lambda part: (part.hour, part.at[0]),
    )


@pytest.mark.parametrize("seed", range(2))
async def test_history_is_the_same_at_once_and_by_frames_and_jobs(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, seed: int
) -> None:
    chance, shapes = random.Random(seed), Shapes()
    history = PgHistory(database, DEFAULT_RULES, 1_000)
    quick, slow = [await make_tenant(source=Source.PUSH, holds=timedelta(minutes=3)) for _ in range(2)]
    at_once = 0
    for _ in range(12):
        parts = piece(chance, 4)
        by_frames = chance.random() < 0.25  # somebody else has it sent
        left: Sequence[Alike] = of(quick, parts)
        if not by_frames:
            stored, left = await history.store(left, Source.PUSH, LATER)
            at_once += stored
        for rest in (left, of(slow, parts)):
            if blocks := [block for part in rest for block in part.blocks(Source.PUSH, shapes)]:
                await ingest.commit([Batch(tuple(blocks))])
        if chance.random() < 0.5:
            await work(database)
    await work(database)
    assert at_once > 500
    own, others = await all_of(database, quick), await all_of(database, slow)
    for name, rows in others.items():
        assert own[name] == rows, name
    assert any(row[-1] != "None" for row in others["5m"])
