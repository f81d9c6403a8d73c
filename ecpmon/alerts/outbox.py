"""The outbox as its worker sees it; the store implements it in SQL.

Notifications are put into the outbox by the transaction that changes a rule's state; not here.
`tests/unit/alerts/outbox_contract.py` is what every implementation has to pass.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from ecpmon.model.alerts import DeliveryResult, Notification


class Outbox(Protocol):
    """All instants are aware UTC; the implementation does not read a clock.

    A *lane* is one (rule, action) (`Notification.lane`). Of a lane only the oldest undelivered notification
    is ever handed out, so the order within it holds; a retry later blocks those behind it, parking does not.
    The `record_*` calls are idempotent and may come from a worker whose lease has run out. A notification
    that was once recorded as sent or parked stays so. All calls raise DatabaseUnavailable when the store
    is away.
    """

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Notification]:
        """At most `limit` due notifications that nobody holds, oldest first, held until `now + lease`.

        Fair to tenants: a tenant's second notification comes after every other tenant's first.
        """

    async def record_sent(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        """It was delivered at `now`; the try is counted."""

    async def record_retry(
        self, notification: Notification, next_attempt_at: datetime, result: DeliveryResult
    ) -> None:
        """The try is counted and failed; it is due again at `next_attempt_at`, and held by nobody."""

    async def record_parked(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        """Given up, with the reason in `result`; the lane goes on with the next one."""
