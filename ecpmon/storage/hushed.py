"""Alerts that fire and that nobody was told of, as they were silenced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ecpmon.model.silences import Silence
from ecpmon.ports.alerts import AlertEvent, NewEvent, RuleWithState
from ecpmon.storage.alerts import rule_of
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.moving import Moving
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.queries import load
from ecpmon.storage.reading import readable
from ecpmon.storage.silencing import on_now


class PgHushed:
    """`ports.Hushed` on PostgreSQL."""

    def __init__(self, database: Database, notifying: Notifying) -> None:
        self._database = database
        self._moving = Moving(database, notifying)
        self._sql = load("silences")
        self._lock = load("alerts")["lock_state"]

    async def owed(self, now: datetime) -> tuple[list[RuleWithState], Mapping[str, Sequence[Silence]]]:
        rows = await self._database.fetch(self._sql["owed"])
        rules = await readable(rows, rule_of, "alert rule")
        if not rules:
            return [], {}
        silences = await self._database.fetch(self._sql["of_rules"], [r.rule.rule_id for r in rules], now)
        return rules, await on_now(silences, now)

    async def tell(self, entry: RuleWithState, event: NewEvent, now: datetime) -> AlertEvent | None:
        rule = entry.rule
        async with self._database.transaction() as connection:
            with wrap_errors():
                tenant = await connection.fetchval(self._sql["tenant_of_rule"], rule.rule_id, rule.tenant_id)
                held = await connection.fetchval(
                    self._lock, tenant, rule.rule_id, entry.state.status.value, entry.alert_id
                )
                if held is None or await self._moving.is_silenced(connection, rule, event, now):
                    return None
                [stored] = await self._moving.record(connection, [(rule, event)], now)
        return stored
