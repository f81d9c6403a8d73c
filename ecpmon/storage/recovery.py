"""Recoveries in SQL: one per incident, claimed atomically, changed together with what is told about them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ecpmon.model.recovery import Recovery, RecoveryReason, RecoveryState
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, ExternalAlert
from ecpmon.ports.orchestrator import Circumstances, RecoveryStep
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.queries import load
from ecpmon.storage.reading import readable


def recovery_of(row: Any, tenant_id: str) -> Recovery:
    return Recovery(
        recovery_id=str(row["recovery_id"]),
        tenant_id=tenant_id,
        alert_name=row["alert_name"],
        severity=row["severity"],
        fingerprint=row["fingerprint"],
        alert_starts_at=row["alert_starts_at"],
        state=RecoveryState(row["state"]),
        reason=RecoveryReason(row["reason"]),
        detail=row["detail"],
        tries=row["tries"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        due_at=row["due_at"],
        claimed_until=row["claimed_until"],
        restart_at=row["restart_at"],
        restarted_at=row["restarted_at"],
        restarted=row["restarted"],
        escalated_at=row["escalated_at"],
        ended_at=row["ended_at"],
        joined_to=None if row["joined_to"] is None else str(row["joined_to"]),
    )


class PgRecoveryStore:
    """`ports.RecoveryStore` on PostgreSQL."""

    def __init__(self, database: Database, notifying: Notifying | None = None) -> None:
        self._database = database
        self._notifying = notifying or Notifying()
        self._sql = load("recovery")

    async def begin(self, alerts: Sequence[ExternalAlert], now: datetime) -> list[tuple[str, RecoveryState]]:
        names = sorted({a.tenant_id for a in alerts if a.tenant_id is not None})
        if not names:
            return []
        async with self._database.transaction() as connection:
            with wrap_errors():
                locked = await connection.fetch(self._sql["lock_tenants"], names)
                numbers: dict[str | None, int] = {r["tenant_id"]: r["id"] for r in locked}
                wanted: dict[tuple[str | None, str, datetime], ExternalAlert] = {}
                for alert in alerts:
                    if alert.tenant_id in numbers:
                        wanted.setdefault((alert.tenant_id, alert.fingerprint, alert.starts_at), alert)
                told = list(wanted.values())
                rows = await connection.fetch(
                    self._sql["begin"],
                    [uuid.uuid4() for _ in told],
                    [numbers[a.tenant_id] for a in told],
                    [a.alert_name for a in told],
                    [a.severity for a in told],
                    [a.fingerprint for a in told],
                    [a.starts_at for a in told],
                    now,
                )
        called = {r["id"]: str(r["tenant_id"]) for r in locked}
        return [(called[r["tenant"]], RecoveryState(r["state"])) for r in rows]

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Recovery]:
        if not await self._database.fetchval(self._sql["is_due"], now):
            return []
        rows = await self._database.fetch(self._sql["claim"], now, limit, now + lease)
        claimed = await readable(rows, lambda r: recovery_of(r, r["tenant_id"]), "recovery")
        # Who was there first is looked at first: what follows may belong to it.
        return sorted(claimed, key=lambda r: (r.created_at, r.recovery_id))

    async def mark_restart(self, recovery: Recovery, now: datetime) -> Recovery | None:
        row = await self._database.fetchrow(
            self._sql["mark_restart"], uuid.UUID(recovery.recovery_id), recovery.claimed_until, now
        )
        return None if row is None else recovery_of(row, recovery.tenant_id)

    async def advance(self, recovery: Recovery, step: RecoveryStep, now: datetime) -> AlertEvent | None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                row = await connection.fetchrow(
                    self._sql["advance"],
                    uuid.UUID(recovery.recovery_id),
                    recovery.claimed_until,
                    recovery.state.value,
                    step.state.value,
                    step.reason.value,
                    step.detail,
                    step.due_at,
                    now,
                    None if step.restarted is None else now,
                    step.restarted,
                    None if step.joined_to is None else uuid.UUID(step.joined_to),
                    step.goes_on,
                    step.ended_at,
                )
                if row is None or not _is_told(recovery, step):
                    return None
                return await self._tell(connection, row, recovery, step, now)

    async def _tell(
        self, connection: Any, row: Any, recovery: Recovery, step: RecoveryStep, now: datetime
    ) -> AlertEvent:
        before, after = recovery.state.value, step.state.value
        event_id = await connection.fetchval(
            self._sql["insert_event"],
            row["tenant"],
            row["recovery_id"],
            recovery.alert_name,
            recovery.severity,
            before,
            after,
            now,
            step.reason.value,
            step.message,
            step.body,
        )
        await self._notifying.put(
            connection, row["tenant"], recovery.recovery_id, event_id, step.notifications, now
        )
        return AlertEvent(
            event_id=event_id,
            tenant_id=recovery.tenant_id,
            rule_id=recovery.recovery_id,
            alert_id=recovery.recovery_id,
            alert_name=recovery.alert_name,
            severity=recovery.severity,
            kind="recovery",
            from_state=before,
            to_state=after,
            at=now,
            value=None,
            threshold=None,
            metric=None,
            reason=step.reason.value,
            message=step.message,
        )

    async def circumstances(
        self, recovery: Recovery, tenant: Tenant, since: datetime, now: datetime
    ) -> Circumstances:
        own = uuid.UUID(recovery.recovery_id)
        row = await self._database.fetchrow(self._sql["circumstances"], tenant.key, own, since, now)
        beside = row["beside"]
        return Circumstances(
            resolved=bool(row["resolved"]),
            fingerprints=tuple(row["fingerprints"]),
            firing=None if row["firing"] is None else (row["firing"], row["firing_since"]),
            restarts=row["restarts"],
            observed_at=row["observed_at"],
            beside=None if beside is None else str(beside),
            beside_due=bool(row["beside_due"]),
        )

    async def between(
        self, tenant: Tenant, start: datetime, end: datetime, limit: int
    ) -> list[tuple[Recovery, int]]:
        rows = await self._database.fetch(self._sql["between"], tenant.key, start, end, limit)
        return [(recovery_of(r, r["tenant_id"]), r["joined"]) for r in rows]

    async def forget(self, before: datetime) -> None:
        await self._database.execute(self._sql["forget"], before)

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[Recovery]:
        rows = await self._database.fetch(self._sql["of_tenant"], tenant.key, limit)
        return [recovery_of(r, r["tenant_id"]) for r in rows]


def _is_told(recovery: Recovery, step: RecoveryStep) -> bool:
    """An alert that is checked, or joins another, is nobody's news yet; the row says what becomes of it."""
    if step.state is RecoveryState.JOINED:
        return False
    if step.state is recovery.state:
        return step.state is not RecoveryState.CHECKING and step.reason is not recovery.reason
    return True
