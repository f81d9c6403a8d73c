"""The outbox in SQL keeps the contract that the worker relies on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from ecpmon.alerts.message import drafts
from ecpmon.model.alerts import (
    Action,
    AlertRule,
    RuleKind,
    RuleState,
    RuleStatus,
    Severity,
    Transition,
    TransitionReason,
)
from ecpmon.model.delivery import FanOut, Pace
from ecpmon.model.tenants import Resources, SlaTarget
from ecpmon.ports.alerts import Move, NewEvent, RuleWithState
from ecpmon.ports.tenants import NewTenant
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.outbox import PgOutbox
from ecpmon.storage.tenants import PgTenantStore
from tests.unit.alerts.outbox_contract import HOOK, OutboxContract, Put, take

# Nothing is merged: every state change is a notification of its own.
UNLIMITED = FanOut(Pace.per_minute(1_000_000), Pace.per_minute(1_000_000), waiting=1_000_000)
T0 = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def database(migrated_dsn: str) -> AsyncIterator[Database]:
    # A claim serves every tenant, so rows of another test would come along.
    database = Database(migrated_dsn)
    await database.execute("TRUNCATE tenants CASCADE")
    yield database
    await database.close()


class Producer:
    """Puts notifications in by the only way there is: state changes of stored rules."""

    def __init__(self, database: Database) -> None:
        self._tenants = PgTenantStore(database)
        self._alerts = PgAlertStore(database, Notifying(UNLIMITED))
        self._rules: dict[tuple[str, int], AlertRule] = {}
        self._known: set[str] = set()
        self._states: dict[str, RuleState] = {}

    async def put(self, tenant_id: str, number: int, action: Action, created_at: datetime) -> None:
        rule = await self._rule(tenant_id, number)
        before = self._states.get(rule.rule_id, RuleState())
        after = RuleState(RuleStatus.FIRING, since=created_at, evaluated_at=created_at)
        key = uuid.uuid4().hex
        change = Transition(
            RuleStatus.INACTIVE, RuleStatus.FIRING, created_at, 1.0, TransitionReason.FIRED_AT_ONCE
        )
        (draft,) = drafts(rule_with(rule, action), change, None, "http://127.0.0.1")
        event = NewEvent(
            alert_id=str(uuid.uuid4()),
            from_state="inactive",
            to_state="firing",
            at=created_at,
            value=1.0,
            threshold=None,
            metric=None,
            reason="fired_at_once",
            message="test",
            notifications=((key, action),),
            body=draft.payload,
        )
        move = Move(RuleWithState(rule, before, None, created_at), after, event.alert_id, [event])
        assert await self._alerts.advance([move], created_at) != [None]
        self._states[rule.rule_id] = after

    async def _rule(self, tenant_id: str, number: int) -> AlertRule:
        if tenant_id not in self._known:
            await self._tenants.create(new_tenant(tenant_id), f"dep-{tenant_id}", T0)
            self._known.add(tenant_id)
        if (tenant_id, number) not in self._rules:
            stored: RuleWithState = await self._alerts.create(new_rule(tenant_id, number), T0)
            self._rules[tenant_id, number] = stored.rule
        return self._rules[tenant_id, number]


def rule_with(rule: AlertRule, action: Action) -> AlertRule:
    return AlertRule(
        rule.rule_id, rule.tenant_id, rule.alert_name, rule.kind, rule.condition, 0, rule.severity, (action,)
    )


def new_rule(tenant_id: str, number: int) -> AlertRule:
    return AlertRule(
        rule_id=str(uuid.uuid4()),
        tenant_id=tenant_id,
        alert_name=f"rule {number}",
        kind=RuleKind.THRESHOLD,
        condition="cpu_usage > 80",
        for_seconds=0,
        severity=Severity.WARNING,
    )


def new_tenant(tenant_id: str) -> NewTenant:
    return NewTenant(
        tenant_id=tenant_id,
        name=None,
        preset="small",
        is_demo=False,
        service_requirements={"chatbot": 1},
        resources=Resources(cpu="1000m", memory="1Gi", gpu=0, storage="0.1TB"),
        sla_target=SlaTarget(availability="99.5%"),
    )


class TestPgOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self, database: Database) -> PgOutbox:
        return PgOutbox(database)

    @pytest.fixture
    def put(self, database: Database) -> Put:
        return Producer(database).put

    async def test_a_row_that_cannot_be_read_is_parked_and_holds_up_nobody(
        self, database: Database, outbox: PgOutbox, put: Put
    ) -> None:
        for number in range(3):
            await put("tenant-a", number, HOOK, T0)
        await database.execute(
            "UPDATE notifications SET action = '{}'"
            " WHERE notification_id = (SELECT min(notification_id) FROM notifications)"
        )
        assert len(await take(outbox, T0)) == 2
        rows = await database.fetch("SELECT status, last_reason FROM notifications ORDER BY notification_id")
        assert [tuple(r) for r in rows] == [("parked", "unreadable"), ("pending", None), ("pending", None)]
        assert await outbox.queue() == (2, 1)


async def test_what_waited_before_the_queues_came_is_delivered_with_its_own_body(
    make_database: Callable[[], str],
) -> None:
    database = Database(make_database())
    await migrate(database, discover()[:22])
    # By hand, as the tables were then.
    number = await database.fetchval(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        """ VALUES ('tenant-a', 'small', '{}', '{}', '{"availability": "99.5%"}') RETURNING id"""
    )
    action = {"type": "webhook", "url": "https://Hooks.example/x", "method": "POST"}
    await database.execute(
        """
        WITH e AS (
          INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at,
                                    reason, message)
          VALUES ($1, $2, $2, 'old', 'page', 'threshold', 'inactive', 'firing', $3, 'test', '') RETURNING event_id)
        INSERT INTO notifications (idempotency_key, tenant, rule_id, event_id, lane, action, payload, created_at,
                                   next_attempt_at)
        SELECT $2, $1, $2, event_id, 'lane', $4, $5, $3, $3 FROM e
        """,
        number, uuid.uuid4(), T0, action, {"status": "firing"},
    )  # fmt: skip
    await migrate(database)
    [found] = await take(PgOutbox(database), T0)
    assert (found.receiver, found.payload, found.merged) == (
        "https://hooks.example",
        {"status": "firing"},
        None,
    )
    await database.close()
