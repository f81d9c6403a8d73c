"""Who has seen alerts that stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ecpmon.model.tenants import Tenant
from ecpmon.ports.acknowledging import Acknowledgement
from ecpmon.ports.alerts import AlertEvent, NewEvent, RuleWithState
from ecpmon.storage.audit import record as into_the_log
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.moving import Moving
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.queries import load


class PgAcknowledgements:
    """`ports.AcknowledgementStore` on PostgreSQL."""

    def __init__(self, database: Database, notifying: Notifying) -> None:
        self._database = database
        self._moving = Moving(database, notifying)
        self._sql = load("acknowledgements")
        self._lock = load("alerts")["lock_state"]

    async def of_standing_alerts(self, tenant: Tenant) -> Mapping[str, Acknowledgement]:
        rows = await self._database.fetch(self._sql["standing"], tenant.key)
        return {str(r["alert_id"]): _of(r) for r in rows}

    async def keep_seen(
        self, tenant: Tenant, entry: RuleWithState, said: Acknowledgement, event: NewEvent
    ) -> AlertEvent | None:
        rule = entry.rule
        async with self._database.transaction() as connection:
            with wrap_errors():
                if not await self._stands(connection, tenant, entry):
                    return None
                values = (tenant.key, rule.rule_id, entry.alert_id, said.said_by, said.at, said.note)
                if await connection.fetchval(self._sql["put"], *values) is None:
                    return None
                after = {"alert_id": entry.alert_id, "note": said.note}
                await into_the_log(
                    connection, said.at, "alert.acknowledged", rule.alert_name, tenant=tenant.key, after=after
                )
                [stored] = await self._moving.record(connection, [(rule, event)], said.at)
        return stored

    async def forget_seen(
        self, tenant: Tenant, entry: RuleWithState, event: NewEvent, now: datetime
    ) -> AlertEvent | None:
        rule = entry.rule
        async with self._database.transaction() as connection:
            with wrap_errors():
                if not await self._stands(connection, tenant, entry):
                    return None
                row = await connection.fetchrow(self._sql["take_back"], tenant.key, entry.alert_id)
                if row is None:
                    return None
                before = {"alert_id": entry.alert_id, "said_by": row["said_by"], "note": row["note"]}
                await into_the_log(
                    connection, now, "alert.unacknowledged", rule.alert_name, tenant=tenant.key, before=before
                )
                [stored] = await self._moving.record(connection, [(rule, event)], now)
        return stored

    async def _stands(self, connection: Any, tenant: Tenant, entry: RuleWithState) -> bool:
        """Whether the rule is in the alert that it was read in; until the end of the transaction it stays there."""
        status = entry.state.status.value
        held = await connection.fetchval(self._lock, tenant.key, entry.rule.rule_id, status, entry.alert_id)
        return held is not None

    async def forget(self, before: datetime) -> None:
        """Drop those of alerts that are over, from before."""
        await self._database.execute(self._sql["forget"], before)


def _of(row: Any) -> Acknowledgement:
    return Acknowledgement(row["said_by"], row["at"], row["note"])
