"""Maintenance that was entered before rules were kept to the letter, and had kinds, counts as it did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ecpmon.model.maintenance import Category, Maintenance
from ecpmon.sla.exclusions import agreed_by
from ecpmon.sla.maintenance import occurrences, uncounted
from ecpmon.storage.database import Database
from ecpmon.storage.maintenance import PgMaintenanceStore
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.tenants import PgTenantStore

MARCH, MAY = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
ADD = """
INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, rrule, time_zone, reason, created_by, created_at,
                         approved_by)
VALUES (gen_random_uuid(), $1, $2, '1 hour', $3, 'Europe/Berlin', 'x', 'kim', '2026-04-30Z', $4)
"""
# 02:30 in Berlin; there is none on the 29th.
NIGHTLY = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
RULE = "FREQ=DAILY;COUNT=3"


async def test_what_there_was_counts_as_it_did_and_what_comes_is_by_the_letter(
    make_database: Callable[[], str],
) -> None:
    database = Database(make_database())
    files = discover()
    number = next(i for i, file in enumerate(files) if file.name == "rrule_reading")
    await migrate(database, files[:number])
    key = await database.fetchval(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('acme', 'small', '{}', '{}', '{\"availability\": \"99.5%\"}') RETURNING id"
    )
    await database.execute(ADD, key, NIGHTLY, RULE, None)
    await database.execute(ADD, key, MARCH, None, "lee")
    await migrate(database)
    await database.execute(ADD, key, NIGHTLY + timedelta(microseconds=1), RULE, None)
    tenant = await PgTenantStore(database).get("acme")
    once, before, after = await PgMaintenanceStore(database).of_tenant(tenant)

    def days(planned: Maintenance) -> list[str]:
        return [f"{i.start:%d %H:%M}" for i in occurrences(planned, MARCH, MAY)]

    assert days(before) == ["28 01:30", "29 01:30", "30 00:30"]
    assert days(after) == ["28 01:30", "30 00:30", "31 00:30"]
    assert days(once) == ["01 00:00"]
    for each in (once, before, after):
        assert each.category is Category.MAINTENANCE
        assert uncounted(each, MARCH, MAY) == []
    assert [agreed_by(each) for each in (once, before)] == ["lee", "kim"]
    await database.close()
