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
