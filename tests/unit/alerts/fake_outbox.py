"""An outbox in memory that passes the contract, and can be told to fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ecpmon.errors import DatabaseUnavailable
from ecpmon.model.alerts import DeliveryResult, Notification, action_key
from ecpmon.model.delivery import DeliveryQueue, Grant, QueueKey


@dataclass
class Entry:
    notification: Notification
    due: datetime
    held_until: datetime | None = None
    status: str = "pending"
    result: DeliveryResult | None = None

    def free(self, now: datetime) -> bool:
        held = self.held_until is not None and self.held_until > now
        return self.status == "pending" and self.due <= now and not held

    def held_by(self, claimed: Notification) -> bool:
        return claimed.claimed_until in (None, self.held_until)


class FakeOutbox:
    """`failing` names the calls that raise DatabaseUnavailable."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.troubles: dict[QueueKey, DeliveryQueue] = {}
        self.failing: set[str] = set()
        self.claims = 0

    def add(self, notification: Notification) -> None:
        self.entries[notification.id] = Entry(notification, notification.created_at)

    def statuses(self) -> list[str]:
        return [self.entries[number].status for number in sorted(self.entries)]

    async def queues(self, now: datetime) -> list[DeliveryQueue]:
        self.claims += 1
        self._check("claim")
        keys = {e.notification.queue for e in self.entries.values() if e.free(now)}
        return [self.troubles.get(key, DeliveryQueue(*key)) for key in sorted(keys)]

    async def claim(
        self, grants: Sequence[Grant], now: datetime, lease: timedelta, *, well: bool = False
    ) -> list[Notification]:
        self._check("claim")
        left = Counter({g.key: g.count for g in grants if not (well and g.key in self.troubles)})
        claimed = []
        for entry in sorted(self._heads(), key=lambda e: (e.due, e.notification.id)):
            if entry.free(now) and left[entry.notification.queue] > 0:
                left[entry.notification.queue] -= 1
                entry.held_until = now + lease
                known = self.troubles.get(entry.notification.queue)
                failures = known.failures if known else 0
                claimed.append(
                    replace(entry.notification, receiver_failures=failures, claimed_until=entry.held_until)
                )
        return sorted(claimed, key=lambda item: item.id)

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
        same = entry.notification.attempt == notification.attempt and entry.held_by(notification)
        if entry.status == "pending" and same:
            entry.notification = replace(entry.notification, attempt=notification.attempt + 1)
            entry.due, entry.held_until, entry.result = next_attempt_at, None, result

    async def record_receiver(
        self, notification: Notification, now: datetime, *, well: bool, asked_until: datetime | None = None
    ) -> None:
        self._check("record_receiver")
        key = notification.queue
        known = self.troubles.pop(key, DeliveryQueue(*key))
        if not well:
            self.troubles[key] = DeliveryQueue(*key, known.failures + 1, now, asked_until)

    def _heads(self) -> list[Entry]:
        heads: dict[tuple[str, str], Entry] = {}
        for _, entry in sorted(self.entries.items()):
            if entry.status == "pending":
                told = entry.notification
                heads.setdefault((told.rule_id, action_key(told.action)), entry)
        return list(heads.values())

    def _finish(self, notification: Notification, status: str, result: DeliveryResult) -> None:
        entry = self.entries[notification.id]
        if entry.status == "pending" and (status == "sent" or entry.held_by(notification)):
            entry.status, entry.result, entry.held_until = status, result, None

    def _check(self, call: str) -> None:
        if call in self.failing:
            raise DatabaseUnavailable("the database is away")
