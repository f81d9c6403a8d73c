"""An outbox in memory that passes the contract, and can be told to fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ecpmon.errors import DatabaseUnavailable
from ecpmon.model.alerts import DeliveryResult, Notification


@dataclass
class Entry:
    notification: Notification
    due: datetime
    held_until: datetime | None = None
    status: str = "pending"
    result: DeliveryResult | None = None


class FakeOutbox:
    """`failing` names the calls that raise DatabaseUnavailable."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.failing: set[str] = set()
        self.claims = 0

    def add(self, notification: Notification) -> None:
        self.entries[notification.id] = Entry(notification, notification.created_at)

    def statuses(self) -> list[str]:
        return [self.entries[number].status for number in sorted(self.entries)]

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Notification]:
        self.claims += 1
        self._check("claim")
        turns = Counter[str]()
        due = []
        for entry in self._heads():
            if entry.due <= now and (entry.held_until is None or entry.held_until <= now):
                tenant = entry.notification.tenant_id
                due.append((turns[tenant], entry.notification.id, entry))
                turns[tenant] += 1
        chosen = [entry for _, _, entry in sorted(due, key=lambda item: item[:2])[:limit]]
        for entry in chosen:
            entry.held_until = now + lease
        return sorted((entry.notification for entry in chosen), key=lambda item: item.id)

    async def record_sent(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        self._check("record_sent")
        self._finish(notification, "sent", result)

    async def record_parked(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        self._check("record_parked")
        self._finish(notification, "parked", result)

    async def record_retry(
        self, notification: Notification, next_attempt_at: datetime, result: DeliveryResult
    ) -> None:
        self._check("record_retry")
        entry = self.entries[notification.id]
        if entry.status == "pending" and entry.notification.attempt == notification.attempt:
            entry.notification = replace(entry.notification, attempt=notification.attempt + 1)
            entry.due, entry.held_until, entry.result = next_attempt_at, None, result

    def _heads(self) -> list[Entry]:
        heads: dict[tuple[str, str], Entry] = {}
        for _, entry in sorted(self.entries.items()):
            if entry.status == "pending":
                heads.setdefault(entry.notification.lane, entry)
        return list(heads.values())

    def _finish(self, notification: Notification, status: str, result: DeliveryResult) -> None:
        entry = self.entries[notification.id]
        if entry.status == "pending":
            entry.status, entry.result, entry.held_until = status, result, None

    def _check(self, call: str) -> None:
        if call in self.failing:
            raise DatabaseUnavailable("the database is away")
