"""Recoveries of releases that had one per alert, in a database that has incidents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ecpmon.storage.database import Database
from ecpmon.storage.migrations import discover, migrate

AT = datetime(2026, 3, 1, tzinfo=UTC)
ADD = """
INSERT INTO recoveries (recovery_id, tenant, alert_name, severity, fingerprint, alert_starts_at, state, reason, tries,
                        restart_at, restarted_at, restarted, due_at, created_at, updated_at, escalated_at, ended_at)
SELECT gen_random_uuid(), $1, 'x', 'page', 'f', $4, $2, $3, 1, $4, $4, 1, $5, $4, $4, $6, $7
"""


async def test_what_nobody_looks_at_any_more_is_closed_and_the_rest_goes_on(
    make_database: Callable[[], str],
) -> None:
    database = Database(make_database())
    files = discover()
    number = next(i for i, file in enumerate(files) if file.name == "incidents")
    await migrate(database, files[:number])
    tenant = await database.fetchval(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('acme', 'small', '{}', '{}', '{\"availability\": \"99.5%\"}') RETURNING id"
    )
    due = AT + timedelta(minutes=5)
    for state, reason, due_at, escalated_at, ended_at in (
        ("waiting", "restarted", due, None, None),
        ("escalated", "still_down", due, AT, None),
        ("escalated", "not_measured", None, AT, None),
        ("recovered", "up_again", None, None, AT),
        ("joined", "recovery_under_way", None, None, AT),
    ):
        await database.execute(
            ADD, tenant, state, reason, AT - timedelta(minutes=len(reason)), due_at, escalated_at, ended_at
        )
    await migrate(database)
    rows = await database.fetch("SELECT state, reason, due_at FROM recoveries ORDER BY state, reason")
    assert [tuple(r) for r in rows] == [
        ("closed", "not_measured", None),
        ("escalated", "still_down", due),
        ("joined", "recovery_under_way", None),
        ("recovered", "up_again", None),
        ("waiting", "restarted", due),
    ]
    await database.close()
