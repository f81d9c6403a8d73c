"""The outbox in SQL: claimed atomically, recorded after sending, one at a time per lane."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog

from ecpmon.model.alerts import DeliveryReason, DeliveryResult, Notification, action_from_dict
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

_EXCERPT = 500
_log = structlog.get_logger(__name__)


def _notification_of(row: Any) -> Notification:
    return Notification(
        id=row["notification_id"],
        idempotency_key=row["idempotency_key"].hex,
        tenant_key=row["tenant"],
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
        found = []
        for row in await self._database.fetch(self._sql["claim"], now, limit, now + lease):
            try:
                found.append(_notification_of(row))
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                # Of an older release, or edited by hand: it must not hold up everybody else's.
                _log.error(
                    "notification_unreadable", notification_id=row["notification_id"], error=repr(error)
                )
                await self._park_unreadable(row["notification_id"], now)
        return sorted(found, key=lambda n: n.id)

    async def _park_unreadable(self, number: int, now: datetime) -> None:
        reason, answer = DeliveryReason.UNREADABLE.value, "what is stored says nothing that can be sent"
        await self._database.execute(self._sql["record_final"], number, "parked", now, None, reason, answer)

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
