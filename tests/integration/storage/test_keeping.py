"""Retention: one step that fails keeps no other from being done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.app.keeping import SampleKeeping
from ecpmon.errors import EcpError
from ecpmon.settings import Settings
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from ecpmon.storage.quarantine import PgQuarantine
from tests.acceptance.world import ManualClock


async def test_a_step_that_fails_keeps_no_other_from_being_done(make_database: Callable[[], str]) -> None:
    database, clock = Database(make_database()), ManualClock(datetime.now(UTC))
    await migrate(database)
    await database.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('t', 'small', '{}', '{}', '{}')"
    )
    old = clock.now() - timedelta(days=2000)
    await database.execute(
        "INSERT INTO availability_spans (tenant, period, state)"
        " SELECT id, tstzrange($1::timestamptz, $1::timestamptz + INTERVAL '1 hour'), 'up' FROM tenants",
        old,
    )
    await database.execute("INSERT INTO frames (ts, tenant, series, samples) VALUES ($1, 1, '{}', '{}')", old)
    await database.execute("DROP TABLE rollup_5m CASCADE")
    keeping = SampleKeeping(database, DEFAULT_RULES, Settings(raw_retention_days=3), clock, list)
    with pytest.raises(EcpError, match="rollup_5m"):
        await keeping.retain()
    assert await database.fetchval("SELECT count(*) FROM availability_spans") == 0
    assert await database.fetchval("SELECT count(*) FROM frames") == 0
    assert await database.fetchval("SELECT raw_retention FROM input_bounds") == timedelta(days=3)
    await database.close()


async def test_marks_of_what_raw_retention_has_ended_go_with_it(make_database: Callable[[], str]) -> None:
    """A bucket that nobody could roll up, and evidence that nobody could take in, while there was something left."""
    database, clock = Database(make_database()), ManualClock(datetime.now(UTC))
    await migrate(database)
    await database.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('t', 'small', '{}', '{}', '{}')"
    )
    marks = (
        "WITH tenant AS (SELECT id FROM tenants),"
        " a AS (INSERT INTO rollup_dirty (tenant, bucket) SELECT id, $1 FROM tenant)"
    )
    for days in (1, 30):
        at = (clock.now() - timedelta(days=days)).replace(microsecond=0)
        await database.execute(
            f"{marks} INSERT INTO evidence_dirty (tenant, ts) SELECT id, $1 FROM tenant", at
        )
        note = {("t", f"{at:%Y-%m-%dT%H:%M:%S+00:00}"): "why"}
        await PgQuarantine(database).note("rollups", note, clock.now())
    keeping = SampleKeeping(database, DEFAULT_RULES, Settings(raw_retention_days=7), clock, list)
    await keeping.retain()
    for query in ("rollup_dirty", "evidence_dirty", "objective_marks"):
        assert await database.fetchval(f"SELECT count(*) FROM {query}") == 1, query
    clock.advance(30)
    await keeping.roll_up()
    await keeping.take_in_hand_made()
    for query in ("rollup_dirty", "evidence_dirty", "quarantine"):
        assert await database.fetchval(f"SELECT count(*) FROM {query}") == 0, query
    await database.close()
