"""Each edge keeps its own doubt, and what was stored before it had one keeps the bounds that it had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.ledger import Ledger, question
from ecpmon.sla.parts import Terms
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.tenants import PgTenantStore
from tests.integration.conftest import T0

UP = SeriesKey("sla", "up")
MakeTenant = Callable[..., Awaitable[Tenant]]
DOUBTS = next(n for n, migration in enumerate(discover()) if migration.name == "edge_doubts")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def frame(tenant: Tenant, seconds: float, up: float, source: Source = Source.SIMULATOR) -> Frame:
    return Frame(tenant.tenant_id, source, at(seconds), (Sample(UP, up),))


async def unseen(
    database: Database, tenant: Tenant, start: datetime, end: datetime, now: datetime
) -> tuple[float, float]:
    asked = question(end, Terms(), (), (start,))
    marks = await PgFastWindows(database).marks(tenant, asked.instants, now)
    return Ledger(marks.__getitem__).unseen(start, end)


async def test_the_doubt_of_an_edge_is_the_distance_of_the_observations_around_it(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    # One after the other, as they come; of the equal ones only the last counts.
    for second, up in ((0, 1), (5, 1), (9, 0), (14, 0), (20, 1), (25, 1)):
        await ingest.commit([Batch((frame(tenant, second, up),))])
    assert await unseen(database, tenant, at(0), at(26), at(26)) == (4, 6)
    await ingest.commit([Batch((frame(tenant, 7, 1), frame(tenant, 19, 0)))])
    assert await unseen(database, tenant, at(0), at(26), at(26)) == (2, 1)
    # Of a stretch that begins or ends in a doubt only what of it is inside.
    assert await unseen(database, tenant, at(8), at(19.5), at(26)) == (1, 0.5)
    # Silence: the last state was held for 12.5 s.
    assert await unseen(database, tenant, at(0), at(100), at(100)) == (14.5, 1)


async def test_another_source_and_another_interval_change_no_doubt_of_the_past(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store = PgTenantStore(database)
    await ingest.commit([Batch(tuple(frame(tenant, s, s != 5) for s in (0, 5, 10, 15)))])
    assert await unseen(database, tenant, at(0), at(16), at(16)) == (5, 5)
    # As old as a sample of Prometheus may be, so much longer is the doubt.
    await store.add_regime(tenant, at(15), Source.PROMETHEUS, timedelta(seconds=50), timedelta(seconds=20))
    scraped = tuple(frame(tenant, s, s != 60, Source.PROMETHEUS) for s in (20, 40, 60, 80))
    await ingest.commit([Batch(scraped)])
    assert await unseen(database, tenant, at(0), at(81), at(81)) == (5 + 40, 5 + 40)
    await store.add_regime(tenant, at(85), Source.PUSH, timedelta(seconds=60), None)
    await ingest.commit([Batch((frame(tenant, 90, 0, Source.PUSH), frame(tenant, 95, 1, Source.PUSH)))])
    assert await unseen(database, tenant, at(0), at(96), at(96)) == (45, 45)


async def test_a_changed_interval_reaches_tenants_that_are_there_and_no_past(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant, other = await make_tenant(), await make_tenant()
    store = PgTenantStore(database)
    await store.add_regime(other, at(-10), Source.PUSH, timedelta(seconds=150), None)
    await ingest.commit([Batch(tuple(frame(tenant, s, 1) for s in (0, 15, 30)))])
    held = "SELECT array_agg(date_part('epoch', holds) ORDER BY valid_from) FROM evidence_regimes WHERE tenant = $1"
    before = await database.fetchval(held, other.key)
    assert await store.keep_interval(Source.SIMULATOR, timedelta(seconds=37.5), timedelta(), at(31)) >= 1
    assert await store.keep_interval(Source.SIMULATOR, timedelta(seconds=37.5), timedelta(), at(32)) == 0
    assert (await database.fetchval(held, tenant.key))[-2:] == [12.5, 37.5]
    assert await database.fetchval(held, other.key) == before
    await ingest.commit([Batch(tuple(frame(tenant, s, 1) for s in (45, 60, 75)))])
    sql = "SELECT count(*) FROM availability_spans WHERE tenant = $1 AND state = 'gap' AND upper(period) > $2"
    # Each of the first three held for 12.5 s, so there are gaps of 2.5 s; of what came later there is none.
    assert await database.fetchval(sql, tenant.key, at(0)) == 3
    assert await database.fetchval(sql, tenant.key, at(46)) == 0


@pytest.mark.parametrize(
    ("source", "doubt", "fresh"),
    # Where stretches overlap, as those of Prometheus do, the second is not cut where the window begins.
    [("simulator", 12.5, (4, 4)), ("prometheus", 52.5, (4, 8)), ("push", 0.0, (0, 0))],
)
async def test_what_was_there_before_keeps_its_bounds(
    make_database: Callable[[], str], source: str, doubt: float, fresh: tuple[float, float]
) -> None:
    database = Database(make_database(), max_connections=1)
    try:
        await migrate(database, discover()[:DOUBTS])
        await database.execute(
            """INSERT INTO tenants (tenant_id, name, preset, is_demo, status, service_requirements, resources,
                 sla_target, sli_source) VALUES ('old', 'old', 'small', false, 'running', '{}', '{}', '{}', $1)""",
            source,
        )
        key = await database.fetchval("SELECT id FROM tenants")
        insert = "INSERT INTO availability_spans (tenant, period, state, reason) VALUES ($1, tstzrange($2, $3), $4, $5)"
        for start, end, state in (
            (0, 100, "up"), (100, 160, "down"), (160, 200, "up"), (200, 230, "gap"), (230, 290, "down"),
        ):  # fmt: skip
            reason = "target_failed" if state == "gap" else None
            await database.execute(insert, key, at(start), at(end), state, reason)
        await database.execute(
            """UPDATE availability_heads SET first_observed_at = $2, state = 'up', since = $3, last_observed_at = $4,
                 holds = INTERVAL '12.5 s' WHERE tenant = $1""",
            key, at(0), at(290), at(400),
        )  # fmt: skip
        await migrate(database)
        tenant = await PgTenantStore(database).get("old")
        # Down once and hidden by a gap once, up again twice.
        assert await unseen(database, tenant, at(0), at(401), at(401)) == (2 * doubt, 2 * doubt)
        # What comes from now on is as near as its own observations: what came before was last seen at 400.
        source_is = Source(source)
        await IngestStore(database, DEFAULT_RULES, 100).commit(
            [Batch((frame(tenant, 405, 0, source_is), frame(tenant, 409, 1, source_is)))]
        )
        assert await unseen(database, tenant, at(401), at(410), at(410)) == fresh
    finally:
        await database.close()
