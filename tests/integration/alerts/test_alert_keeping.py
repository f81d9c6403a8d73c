"""Retention of alerts over the real database: what is old and over goes; what waits or stands stays."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus, Severity
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import ExternalAlert, Move, RuleWithState
from ecpmon.storage.alert_keeping import AlertKeeping
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.external_alerts import PgExternalAlertStore
from ecpmon.storage.recovery import PgRecoveryStore
from tests.integration.conftest import T0, MakeTenant

# Far from what other tests store: everything here is years older.
LIMIT = T0 - timedelta(days=2000)
INSERT_EVENT = """
INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at, reason,
                          message)
VALUES ($1, $2, $2, 'r', 'page', 'threshold', 'inactive', 'firing', $3, 'test', '') RETURNING event_id
"""
INSERT_NOTIFICATION = """
INSERT INTO notifications (idempotency_key, tenant, rule_id, event_id, action, payload, status, created_at,
                           next_attempt_at, finished_at)
SELECT gen_random_uuid(), tenant, rule_id, event_id, '{}', '{}', $2, at, at, $3
FROM alert_events WHERE event_id = $1 RETURNING notification_id
"""


def day(days: float) -> datetime:
    """Before (negative) or after the limit."""
    return LIMIT + timedelta(days=days)


@dataclass
class Shelf:
    """One tenant's alerts in the database."""

    database: Database
    tenant: Tenant

    @property
    def keeping(self) -> AlertKeeping:
        return AlertKeeping(self.database, batch=2)

    async def event(self, days: float, alert_id: uuid.UUID | None = None) -> int:
        found: int = await self.database.fetchval(
            INSERT_EVENT, self.tenant.key, alert_id or uuid.uuid4(), day(days)
        )
        return found

    async def notification(self, event_id: int, status: str, days: float | None = None) -> int:
        finished = None if days is None else day(days)
        found: int = await self.database.fetchval(INSERT_NOTIFICATION, event_id, status, finished)
        return found

    async def left(self, table: str, column: str) -> set[Any]:
        rows = await self.database.fetch(f"SELECT {column} FROM {table} WHERE tenant = $1", self.tenant.key)
        return {row[0] for row in rows}

    async def events(self) -> set[int]:
        return await self.left("alert_events", "event_id")

    async def notifications(self) -> set[int]:
        return await self.left("notifications", "notification_id")


@pytest.fixture
async def shelf(database: Database, make_tenant: MakeTenant) -> Shelf:
    return Shelf(database, await make_tenant())


async def test_delivered_notifications_go_and_what_waits_or_was_given_up_stays(shelf: Shelf) -> None:
    event = await shelf.event(-5)
    gone = {await shelf.notification(event, "sent", -days) for days in (1, 2, 3, 4, 5)}
    stay = {
        await shelf.notification(event, "sent", 0),
        await shelf.notification(event, "pending"),
        await shelf.notification(event, "parked", -3),
    }
    assert await shelf.notifications() == gone | stay
    assert await shelf.keeping.forget_notifications(LIMIT) == len(gone)
    assert await shelf.notifications() == stay
    assert await shelf.events() == {event}


async def test_an_alert_goes_whole_with_what_was_given_up_about_it(shelf: Shelf) -> None:
    alert, newer = uuid.uuid4(), uuid.uuid4()
    for days in (-3, -2, -1):
        await shelf.notification(await shelf.event(days, alert), "parked", days)
    # It began before the limit and was over after it.
    stay = {await shelf.event(-1, newer), await shelf.event(1, newer), await shelf.event(0)}
    assert await shelf.keeping.forget_events(LIMIT) == 3
    assert await shelf.events() == stay
    assert await shelf.notifications() == set()


async def test_what_stands_or_waits_for_delivery_is_never_forgotten(shelf: Shelf) -> None:
    standing, waiting, recovering = uuid.uuid4(), uuid.uuid4(), await recovery_of(shelf)
    rule = AlertRule(
        str(standing), shelf.tenant.tenant_id, "r", RuleKind.THRESHOLD, "cpu > 1", 0, Severity.INFO
    )
    store = PgAlertStore(shelf.database)
    await store.create(rule, T0)
    entry = RuleWithState(rule, RuleState(), None, T0)
    await store.advance([Move(entry, RuleState(RuleStatus.FIRING), str(standing))], T0)
    stay = {await shelf.event(-9, alert) for alert in (standing, waiting, waiting, recovering)}
    await shelf.notification(max(stay), "sent", -9)
    pending = await shelf.notification(sorted(stay)[1], "pending")
    assert await shelf.keeping.forget_events(LIMIT) == 0
    assert await shelf.events() == stay
    assert pending in await shelf.notifications()
    # Once they are over and delivered, they go.
    delivered = "UPDATE notifications SET status = 'sent', finished_at = $2 WHERE tenant = $1"
    await shelf.database.execute(delivered, shelf.tenant.key, day(-8))
    await shelf.database.execute("DELETE FROM alert_rules WHERE rule_id = $1", standing)
    await shelf.database.execute("DELETE FROM recoveries WHERE recovery_id = $1", recovering)
    assert await shelf.keeping.forget_events(LIMIT) == len(stay)


async def recovery_of(shelf: Shelf) -> uuid.UUID:
    """One that is under way."""
    told = ExternalAlert(
        shelf.tenant.tenant_id,
        str(uuid.uuid4()),
        day(-9),
        None,
        "firing",
        "ECPTenantDown",
        "critical",
        {},
        {},
    )
    await PgRecoveryStore(shelf.database).begin([told], day(-9))
    found = await shelf.database.fetchval(
        "SELECT recovery_id FROM recoveries WHERE tenant = $1", shelf.tenant.key
    )
    return uuid.UUID(str(found))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(-4, 4), st.sampled_from(["sent", "parked", "pending", ""])),
        max_size=12,
    )
)
async def test_whatever_is_stored_nothing_young_and_nothing_pending_is_lost(
    shelf: Shelf, rows: list[tuple[int, int, str]]
) -> None:
    await shelf.database.execute("DELETE FROM alert_events WHERE tenant = $1", shelf.tenant.key)
    alerts = [uuid.uuid4() for _ in range(4)]
    made: list[tuple[int, int, int, str, int]] = []
    for alert, days, status in rows:
        event = await shelf.event(days, alerts[alert])
        note = await shelf.notification(event, status, None if status == "pending" else days) if status else 0
        made.append((event, alert, days, status, note))
    await shelf.keeping.forget_notifications(LIMIT)
    await shelf.keeping.forget_events(LIMIT)
    kept_alerts = {alert for _, alert, days, status, _ in made if days >= 0 or status == "pending"}
    assert await shelf.events() == {event for event, alert, *_ in made if alert in kept_alerts}
    assert await shelf.notifications() == {
        note
        for _, alert, days, status, note in made
        if status and alert in kept_alerts and not (status == "sent" and days < 0)
    }


async def test_what_alertmanager_may_still_repeat_is_kept(shelf: Shelf) -> None:
    store, very_old, run = PgExternalAlertStore(shelf.database), day(-100), uuid.uuid4()

    async def tell(name: str, status: str, days: float) -> tuple[ExternalAlert, ...]:
        tenant_id, fingerprint = shelf.tenant.tenant_id, f"{name} {run}"
        told = ExternalAlert(tenant_id, fingerprint, day(-200), None, status, name, "page", {}, {})
        return (await store.record([told], day(days), of_tenants_only=True)).fresh

    for name, status, days in (
        ("over", "firing", -9), ("over", "resolved", -8),
        ("young end", "firing", -9), ("young end", "resolved", 1),
        ("open", "firing", -9), ("forgotten", "firing", -101), ("young", "firing", 1),
    ):  # fmt: skip
        assert await tell(name, status, days)
    assert await shelf.keeping.forget_external(LIMIT, very_old) == 3
    left = [(a.alert_name, a.status) for a in reversed(await store.recent(shelf.tenant, 100))]
    assert left == [
        ("young end", "firing"), ("young end", "resolved"), ("open", "firing"), ("young", "firing"),
    ]  # fmt: skip
    # Repeated by Alertmanager, it is known: nothing acts a second time.
    assert await tell("open", "firing", 2) == ()
