"""A process that stood still has old facts: what it made of them is not stored when it goes on."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus, Severity
from ecpmon.model.delivery import FanOut, Pace
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import Move, RuleWithState
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.moving import READ_FOR
from ecpmon.storage.notifying import Notifying
from tests.integration.conftest import T0, MakeTenant

UNLIMITED = FanOut(Pace.per_minute(1_000_000), Pace.per_minute(1_000_000), waiting=1_000_000)
FIRING = RuleState(RuleStatus.FIRING, since=T0, evaluated_at=T0)


async def busy(store: PgAlertStore, tenant: Tenant) -> RuleWithState:
    rule = AlertRule(
        str(uuid.uuid4()),
        tenant.tenant_id,
        "busy",
        RuleKind.THRESHOLD,
        "cpu_usage > 80",
        0,
        Severity.PAGE,
        (),
    )
    await store.create(rule, T0)
    [found] = [r for r in await store.all_rules([tenant.tenant_id]) if r.rule.alert_name == "busy"]
    return found


async def test_a_rule_is_moved_on_by_what_was_read_just_now_only(
    database: Database, make_tenant: MakeTenant
) -> None:
    store, tenant = PgAlertStore(database, Notifying(UNLIMITED)), await make_tenant()
    found = await busy(store, tenant)
    assert found.read_at is not None
    long_ago = found.read_at - READ_FOR
    alert = str(uuid.uuid4())
    stale, fresh = (
        replace(found, read_at=long_ago),
        replace(found, read_at=found.read_at + timedelta(seconds=1)),
    )
    assert await store.advance([Move(stale, FIRING, alert)], T0) == [None]
    assert (await store.all_rules([tenant.tenant_id]))[0].state.status is RuleStatus.INACTIVE
    assert await store.advance([Move(fresh, FIRING, alert)], T0) == [[]]
    assert (await store.all_rules([tenant.tenant_id]))[0].state.status is RuleStatus.FIRING
