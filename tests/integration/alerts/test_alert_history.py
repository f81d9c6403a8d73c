"""What is asked every few seconds reads no history whole; default rules come all or none."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.alerts.defaults import default_rules
from ecpmon.errors import EcpError
from ecpmon.model.tenants import Tenant
from ecpmon.storage.alert_keeping import AlertKeeping
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load
from tests.integration.conftest import MakeTenant

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=400)
EVENTS = 20_000
FILL_EVENTS = """
INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at, reason,
                          message)
SELECT $1, $2, gen_random_uuid(), 'cpu', 'page', 'threshold', 'inactive',
       CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'firing' END, $3, 'test', 'event ' || n
FROM generate_series(1, $4::int) n
"""
FILL_NOTIFICATIONS = """
INSERT INTO notifications (idempotency_key, tenant, rule_id, event_id, action, payload, status, created_at,
                           next_attempt_at, finished_at)
SELECT gen_random_uuid(), tenant, rule_id, event_id, '{}', '{}', s, at, at,
       CASE WHEN s = 'pending' THEN NULL ELSE at END
FROM alert_events,
     LATERAL (SELECT CASE event_id % 5000 WHEN 0 THEN 'pending' WHEN 1 THEN 'parked' ELSE 'sent' END AS s) x
"""
FILL_EXTERNAL = """
INSERT INTO external_alerts (tenant, fingerprint, starts_at, status, alert_name, severity, labels, annotations,
                             received_at)
SELECT $1, 'f' || n, $2, s, 'ECPTenantDown', 'critical', '{}', '{}', $2
FROM generate_series(1, $3::int) n, unnest(ARRAY['firing', 'resolved']) s
"""


@pytest.fixture
async def filled(database: Database, make_tenant: MakeTenant) -> AsyncIterator[Tenant]:
    tenant = await make_tenant()
    await database.execute(FILL_EVENTS, tenant.key, uuid.uuid4(), NOW, EVENTS)
    await database.execute(FILL_NOTIFICATIONS)
    await database.execute(FILL_EXTERNAL, tenant.key, NOW, EVENTS // 2)
    await database.execute("ANALYZE alert_events")
    await database.execute("ANALYZE external_alerts")
    await database.execute("VACUUM ANALYZE notifications")
    yield tenant
    await database.execute("TRUNCATE tenants CASCADE")


@pytest.mark.parametrize(("file", "query"), [("outbox", "queue"), ("alerts", "last_events")])
async def test_many_rows_of_history_are_not_scanned(
    file: str, query: str, filled: Tenant, database: Database
) -> None:
    arguments = [[filled.key]] if query == "last_events" else []
    rows = await database.fetch(f"EXPLAIN {load(file)[query]}", *arguments)
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan on alert_events" not in plan, plan
    assert "Seq Scan on notifications" not in plan, plan


@pytest.mark.parametrize(
    ("query", "arguments"),
    [("forget_notifications", (OLD, 5)), ("forget_events", (OLD, 5)), ("forget_external", (OLD, OLD, 5))],
)
async def test_forgetting_reads_what_is_old_only(
    query: str, arguments: tuple[object, ...], filled: Tenant, database: Database
) -> None:
    rows = await database.fetch(f"EXPLAIN {load('alert_keeping')[query]}", *arguments)
    plan = "\n".join(row[0] for row in rows)
    for table in ("alert_events", "notifications", "external_alerts"):
        assert f"Seq Scan on {table}" not in plan, plan


async def test_twenty_thousand_old_alerts_are_forgotten(filled: Tenant, database: Database) -> None:
    keeping, later = AlertKeeping(database), NOW + timedelta(days=400)
    sent = await keeping.forget_notifications(later)
    events = await keeping.forget_events(later)
    external = await keeping.forget_external(later, NOW)
    left = await database.fetch("SELECT status FROM notifications")
    assert {row["status"] for row in left} == {"pending"}
    assert events == EVENTS - len(left)
    assert external == EVENTS
    assert sent > 0.99 * EVENTS


async def test_the_answers_are_those_of_the_whole_history(filled: Tenant, database: Database) -> None:
    queue = await database.fetchrow(load("outbox")["queue"])
    counted = await database.fetch("SELECT status, count(*) AS n FROM notifications GROUP BY status")
    by_status = {row["status"]: row["n"] for row in counted}
    assert (queue["pending"], queue["parked"]) == (by_status["pending"], by_status["parked"])
    last = await PgAlertStore(database).last_events([filled])
    assert last[filled.tenant_id].message == f"event {EVENTS - 1}"


async def test_default_rules_are_installed_all_or_none(database: Database, make_tenant: MakeTenant) -> None:
    tenant, store = await make_tenant(), PgAlertStore(database)
    rules = default_rules(tenant.tenant_id)
    await database.execute(
        "ALTER TABLE alert_rules ADD CONSTRAINT broken CHECK (alert_name <> 'sla_budget_exhausted')"
    )
    try:
        with pytest.raises(EcpError):
            await store.create_missing(rules, NOW)
        assert await store.rules(tenant) == []
    finally:
        await database.execute("ALTER TABLE alert_rules DROP CONSTRAINT broken")
    await store.create_missing(rules, NOW)
    await store.create_missing(default_rules(tenant.tenant_id), NOW)
    assert {r.rule.rule_id for r in await store.rules(tenant)} == {r.rule_id for r in rules}
