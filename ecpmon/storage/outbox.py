"""The outbox in SQL: claimed atomically, recorded after sending, one at a time per lane."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ecpmon.model.alerts import DeliveryResult, Notification, action_from_dict
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

_EXCERPT = 500


def _notification_of(row: Any) -> Notification:
    return Notification(
        id=row["notification_id"],
        idempotency_key=row["idempotency_key"].hex,
        tenant_id=row["tenant_id"],
        rule_id=str(row["rule_id"]),
        alert_name=row["alert_name"],
        action=action_from_dict(row["action"]),
        payload=row["payload"],
        attempt=row["attempts"],
        created_at=row["created_at"],
    )


class PgOutbox:
    """`alerts.outbox.Outbox` on PostgreSQL; serves every tenant, fairly."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("alerts")

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Notification]:
        rows = await self._database.fetch(self._sql["claim"], now, limit, now + lease)
        return sorted((_notification_of(r) for r in rows), key=lambda n: n.id)

    async def record_sent(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        await self._final(notification, "sent", now, result)

    async def record_parked(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        await self._final(notification, "parked", now, result)

    async def record_retry(
        self, notification: Notification, next_attempt_at: datetime, result: DeliveryResult
    ) -> None:
        await self._database.execute(
            self._sql["record_retry"],
            notification.id,
            next_attempt_at,
            result.status_code,
            result.reason.value,
            _answer(result),
            notification.attempt,
        )

    async def _final(
        self, notification: Notification, status: str, now: datetime, result: DeliveryResult
    ) -> None:
        await self._database.execute(
            self._sql["record_final"],
            notification.id,
            status,
            now,
            result.status_code,
            result.reason.value,
            _answer(result),
        )

    async def queue(self) -> tuple[int, int]:
        """(pending, parked) notifications."""
        row = await self._database.fetchrow(self._sql["queue"])
        return row["pending"], row["parked"]


def _answer(result: DeliveryResult) -> str:
    return (result.error or result.answer)[:_EXCERPT]
