"""Alert rules with their state, and state changes with their notifications."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from ecpmon.errors import Conflict, LimitReached, NotFound, TenantNotFound
from ecpmon.memory import Memory
from ecpmon.model.alerts import (
    AlertRule,
    RuleKind,
    RuleState,
    RuleStatus,
    Severity,
    action_from_dict,
    action_to_dict,
)
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, Move, NewEvent, RuleWithState
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.flaps import flaps_of
from ecpmon.storage.moving import Moving, columns, state_values
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.queries import load
from ecpmon.storage.reading import readable
from ecpmon.wire import dumps

# Where `_rule_values` has them.
_ACTIONS: Final = 7


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def rule_of(row: Any) -> RuleWithState:
    rule = AlertRule(
        rule_id=str(row["rule_id"]),
        tenant_id=row["tenant_id"],
        alert_name=row["alert_name"],
        kind=RuleKind(row["kind"]),
        condition=row["condition"],
        for_seconds=int(row["for_seconds"]),
        severity=Severity(row["severity"]),
        actions=tuple(action_from_dict(a) for a in row["actions"]),
        policy=row["policy"],
        objective=row["objective"],
        objective_key=row["objective_key"],
    )
    state = RuleState(
        status=RuleStatus(row["status"]),
        since=row["since"],
        pending_since=row["pending_since"],
        held=row["held"],
        evaluated_at=row["evaluated_at"],
        value=row["value"],
        frozen=row["frozen"],
        frozen_since=row["frozen_since"],
        flaps=flaps_of(row["flaps"]),
    )
    alert_id = str(row["alert_id"]) if row["alert_id"] else None
    return RuleWithState(rule, state, alert_id, row["created_at"], row.get("read_at"))


def _rule_values(rule: AlertRule, now: datetime) -> tuple[Any, ...]:
    return (
        rule.rule_id,
        rule.tenant_id,
        rule.alert_name,
        rule.kind.value,
        rule.condition,
        rule.for_seconds,
        rule.severity.value,
        [action_to_dict(a) for a in rule.actions],
        rule.policy,
        rule.objective,
        rule.objective_key,
        now,
    )


def _name_taken(rule: AlertRule) -> Conflict:
    text = f"the tenant has an alert {rule.alert_name!r} already"
    return Conflict(text, details={"alert_name": rule.alert_name})


def _event_of(row: Any) -> AlertEvent:
    return AlertEvent(
        event_id=row["event_id"],
        tenant_id=row["tenant_id"],
        rule_id=str(row["rule_id"]),
        alert_id=str(row["alert_id"]),
        alert_name=row["alert_name"],
        severity=row["severity"],
        kind=row["kind"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        at=row["at"],
        value=row["value"],
        threshold=row["threshold"],
        metric=row["metric"],
        reason=row["reason"],
        message=row["message"],
        objective=row["objective"],
        flapping=row["flapping"],
        suppressed=row["suppressed"],
        silenced_by=None if row["silenced_by"] is None else str(row["silenced_by"]),
    )


async def _note(
    connection: Any,
    now: datetime,
    action: str,
    tenant: int,
    *,
    before: AlertRule | None = None,
    after: AlertRule | None = None,
) -> None:
    """Into the audit log. Where messages go may be a secret, so of the actions it says how many there are."""
    named = after or before
    subject = named.alert_name if named else ""
    await record(connection, now, action, subject, tenant=tenant, before=_noted(before), after=_noted(after))


def _noted(rule: AlertRule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {
        "rule_id": rule.rule_id,
        "alert_name": rule.alert_name,
        "condition": rule.condition,
        "for_seconds": rule.for_seconds,
        "severity": rule.severity.value,
        "policy": rule.policy,
        "objective": rule.objective,
        "actions": len(rule.actions),
    }


class PgAlertStore:
    """`ports.AlertStore` on PostgreSQL."""

    def __init__(self, database: Database, notifying: Notifying | None = None) -> None:
        self._database = database
        self._moving = Moving(database, notifying or Notifying())
        self._sql = load("alerts")
        # The last event of tenants, by their number: in a tuple, which is empty where there is none.
        self.memory: Memory[int, tuple[AlertEvent, ...]] = Memory()

    async def create(self, rule: AlertRule, now: datetime, most: int | None = None) -> RuleWithState:
        try:
            async with self._database.transaction() as connection:
                with wrap_errors():
                    if most is not None:
                        await self._check_room(connection, rule.tenant_id, most)
                    stored = await connection.fetchval(self._sql["insert_rule"], *_rule_values(rule, now))
                    if stored is None:
                        raise TenantNotFound(rule.tenant_id)
                    await _note(connection, now, "alert_rule.created", stored, after=rule)
        except Conflict as error:
            raise _name_taken(rule) from error
        return RuleWithState(rule, RuleState(), None, now)

    async def _check_room(self, connection: Any, tenant_id: str, most: int) -> None:
        """The tenant is locked, so that two do not fit into the last place. Raises LimitReached."""
        await connection.execute(self._sql["lock_rules"], tenant_id)
        if await connection.fetchval(self._sql["count_rules"], tenant_id) >= most:
            message = (
                f"a tenant has at most {most} alert rules; delete one first, or put two conditions into one"
            )
            raise LimitReached(message, limit="alert_rules", most=most)

    async def create_missing(self, rules: Sequence[AlertRule], now: datetime) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                values = columns([_rule_values(rule, now) for rule in rules])
                # A list within a list would be an array of two dimensions.
                values[_ACTIONS] = [dumps(actions).decode() for actions in values[_ACTIONS]]
                await connection.execute(self._sql["insert_missing_rules"], *values)

    async def rules(self, tenant: Tenant) -> list[RuleWithState]:
        return [rule_of(r) for r in await self._database.fetch(self._sql["rules"], tenant.key, None)]

    async def get(self, tenant: Tenant, rule_id: str) -> RuleWithState:
        number = _uuid(rule_id)
        rows = await self._database.fetch(self._sql["rules"], tenant.key, number) if number else []
        if not rows:
            raise NotFound("there is no such alert rule", details={"rule_id": rule_id})
        return rule_of(rows[0])

    async def delete(
        self, tenant: Tenant, entry: RuleWithState, events: Sequence[NewEvent], now: datetime
    ) -> list[AlertEvent] | None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                told = await self._leave(connection, tenant, entry, events, now)
                if told is not None:
                    await connection.execute(self._sql["delete_rule"], tenant.key, entry.rule.rule_id)
                    await _note(connection, now, "alert_rule.deleted", tenant.key, before=entry.rule)
                return told

    async def replace(
        self,
        tenant: Tenant,
        entry: RuleWithState,
        rule: AlertRule,
        state: RuleState,
        events: Sequence[NewEvent],
        now: datetime,
    ) -> list[AlertEvent] | None:
        try:
            async with self._database.transaction() as connection:
                with wrap_errors():
                    told = await self._leave(connection, tenant, entry, events, now)
                    if told is not None:
                        whose = (rule.rule_id, tenant.key)
                        changed = _rule_values(rule, now)[2:-1]
                        await connection.execute(self._sql["replace_rule"], *whose, *changed)
                        values = state_values(state, None)
                        await connection.execute(self._sql["reset_state"], *whose, *values)
                        await _note(
                            connection, now, "alert_rule.replaced", tenant.key, before=entry.rule, after=rule
                        )
                    return told
        except Conflict as error:
            raise _name_taken(rule) from error

    async def _leave(
        self, connection: Any, tenant: Tenant, entry: RuleWithState, events: Sequence[NewEvent], now: datetime
    ) -> list[AlertEvent] | None:
        """Store the end of the alert that `entry` is in, with its state locked; None when it is in another."""
        rule_id, status = entry.rule.rule_id, entry.state.status.value
        held = await connection.fetchval(self._sql["lock_state"], tenant.key, rule_id, status, entry.alert_id)
        if held is None:
            return None
        return await self._moving.record(connection, [(entry.rule, event) for event in events], now)

    async def all_rules(self, tenant_ids: Sequence[str]) -> list[RuleWithState]:
        rows = await self._database.fetch(self._sql["all_rules"], list(tenant_ids))
        return await readable(rows, rule_of, "alert rule")

    async def tenants_with_rules(self) -> list[str]:
        return [r["tenant_id"] for r in await self._database.fetch(self._sql["tenants_with_rules"])]

    async def advance(self, moves: Sequence[Move], now: datetime) -> list[list[AlertEvent] | None]:
        return await self._moving.store(moves, now)

    async def go_on(self, entries: Sequence[tuple[RuleWithState, RuleState]], now: datetime) -> set[str]:
        rows = await self._database.fetch(
            self._sql["go_on"],
            [e.rule.rule_id for e, _ in entries],
            [e.state.status.value for e, _ in entries],
            [e.state.evaluated_at for e, _ in entries],
            [after.held for _, after in entries],
            [after.value for _, after in entries],
            now,
        )
        return {str(r["rule_id"]) for r in rows}

    async def tenants_without_sla_rules(self) -> list[str]:
        return [r["tenant_id"] for r in await self._database.fetch(self._sql["tenants_without_sla_rules"])]

    async def tenants_with_other_objectives(self, each: int) -> list[str]:
        return [
            r["tenant_id"]
            for r in await self._database.fetch(self._sql["tenants_with_other_objectives"], each)
        ]

    async def recent_events(self, tenant: Tenant, limit: int) -> list[AlertEvent]:
        return [
            _event_of(r) for r in await self._database.fetch(self._sql["recent_events"], tenant.key, limit)
        ]

    async def events(self, tenants: Collection[int], numbers: Collection[int]) -> list[AlertEvent]:
        rows = await self._database.fetch(self._sql["events"], list(tenants), list(numbers))
        return [_event_of(r) for r in rows]

    async def last_events(self, tenants: Collection[Tenant]) -> dict[str, AlertEvent]:
        held = {t.key: self.memory.get(t.key) for t in tenants}
        missing, mark = [key for key, last in held.items() if last is None], self.memory.mark()
        rows = await self._database.fetch(self._sql["last_events"], missing) if missing else []
        fresh = {r["tenant"]: (_event_of(r),) for r in rows}
        for key in missing:
            held[key] = fresh.get(key, ())
            self.memory.put(key, fresh.get(key, ()), mark)
        return {t.tenant_id: last[0] for t in tenants if (last := held[t.key])}
