"""The outbox as its worker sees it; the store implements it in SQL.

Notifications are put into the outbox by the transaction that changes a rule's state; not here.
`tests/unit/alerts/outbox_contract.py` is what every implementation has to pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from ecpmon.model.alerts import DeliveryResult, Notification
from ecpmon.model.delivery import DeliveryQueue, Grant


class Outbox(Protocol):
    """All instants are aware UTC; the implementation does not read a clock.

    What a tenant has for one receiver is a queue. Of the notifications of one rule to one endpoint only the oldest
    undelivered one is ever handed out, so the order within an alert holds; a retry later blocks those behind it,
    parking does not. The `record_*` calls are idempotent and may come from a worker whose lease has run out. A
    notification that was once recorded as sent or parked stays so. While somebody else holds it, only that it was sent
    is recorded: what else a former holder says is left to the present one. All calls raise DatabaseUnavailable when
    the store is away.
    """

    async def queues(self, now: datetime) -> list[DeliveryQueue]:
        """Every queue in which something is due that nobody holds, with the troubles of its receiver."""

    async def claim(
        self, grants: Sequence[Grant], now: datetime, lease: timedelta, *, well: bool = False
    ) -> list[Notification]:
        """At most so many of each queue, those due first, held until `now + lease`.

        Fewer come when others wait for an earlier one of their rule, or somebody else holds them; `well`: none of those
        whose receiver is in trouble.
        """

    async def record_sent(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        """It was delivered at `now`; the try is counted."""

    async def record_retry(
        self, notification: Notification, next_attempt_at: datetime, result: DeliveryResult
    ) -> None:
        """The try is counted and failed; it is due again at `next_attempt_at`, and held by nobody."""

    async def record_parked(self, notification: Notification, now: datetime, result: DeliveryResult) -> None:
        """Given up, with the reason in `result`; those behind it go on."""

    async def record_receiver(
        self, notification: Notification, now: datetime, *, well: bool, asked_until: datetime | None = None
    ) -> None:
        """How its receiver did: well, which ends its troubles, or failed once more."""
