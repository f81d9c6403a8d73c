"""What came of a sending, written where its claim still holds: the same of messages about alerts and of statements."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ecpmon.model.alerts import DeliveryResult, Notification
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load

_EXCERPT: Final = 500


class Recorder:
    """`queries` names the file with `record_final` and `record_retry`; how receivers are is one for all of them."""

    def __init__(self, database: Database, queries: str) -> None:
        self._database = database
        self._sql = load(queries)
        self._receivers = load("outbox")

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
            notification.claimed_until,
        )

    async def record_receiver(
        self, notification: Notification, now: datetime, *, well: bool, asked_until: datetime | None = None
    ) -> None:
        queue = notification.tenant_key, notification.receiver
        if well:
            await self._database.execute(self._receivers["receiver_well"], *queue)
        else:
            await self._database.execute(self._receivers["receiver_failed"], *queue, now, asked_until)

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
            notification.claimed_until,
        )


def _answer(result: DeliveryResult) -> str:
    return (result.error or result.answer)[:_EXCERPT]
