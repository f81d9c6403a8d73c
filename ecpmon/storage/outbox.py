"""The outbox in SQL: claimed atomically, recorded after sending, in order per rule and endpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from ecpmon.model.alerts import DeliveryReason, MergedBodies, Notification, action_from_dict
from ecpmon.model.delivery import DeliveryQueue, Grant
from ecpmon.storage.database import Database
from ecpmon.storage.recorder import Recorder

# So much of a queue is looked at for something that need not wait for what is before it.
_LOOKED_AT: Final = 200
# Alerts in one message; the rest is counted in it. Two of every rule that may be merged into one always fit.
_MERGED_ALERTS: Final = 250
_log = structlog.get_logger(__name__)


def _notification_of(row: Any, merged: MergedBodies | None) -> Notification:
    return Notification(
        id=row["notification_id"],
        idempotency_key=row["idempotency_key"].hex,
        tenant_key=row["tenant"],
        tenant_id=row["tenant_id"],
        rule_id=str(row["rule_id"]),
        alert_name=row["alert_name"],
        action=action_from_dict(row["action"]),
        receiver=row["receiver"],
        payload={**row["payload"]},
        merged=merged,
        attempt=row["attempts"],
        created_at=row["created_at"],
        receiver_failures=row["receiver_failures"],
        claimed_until=row["claimed_until"],
    )


class PgOutbox(Recorder):
    """`alerts.outbox.Outbox` on PostgreSQL; serves every tenant."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "outbox")

    async def queues(self, now: datetime) -> list[DeliveryQueue]:
        rows = await self._database.fetch(self._sql["queues"], now)
        return [DeliveryQueue(*r) for r in rows]

    async def claim(
        self, grants: Sequence[Grant], now: datetime, lease: timedelta, *, well: bool = False
    ) -> list[Notification]:
        columns = [g.tenant_key for g in grants], [g.receiver for g in grants], [g.count for g in grants]
        rows = await self._database.fetch(self._sql["claim"], now, *columns, now + lease, _LOOKED_AT, well)
        merged = await self._merged([r["notification_id"] for r in rows if r["merged"]])
        found = []
        for row in rows:
            try:
                found.append(_notification_of(row, merged.get(row["notification_id"])))
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                # Of an older release, or edited by hand: it must not hold up everybody else's.
                _log.error(
                    "notification_unreadable", notification_id=row["notification_id"], error=repr(error)
                )
                await self._park_unreadable(row["notification_id"], now)
        return sorted(found, key=lambda n: n.id)

    async def _merged(self, numbers: list[int]) -> dict[int, MergedBodies]:
        if not numbers:
            return {}
        bodies: dict[int, list[Any]] = defaultdict(list)
        alerts: dict[int, int] = {}
        for row in await self._database.fetch(self._sql["merged_bodies"], numbers, _MERGED_ALERTS):
            bodies[row["notification_id"]].append(row["body"])
            alerts[row["notification_id"]] = row["alerts"]
        return {n: MergedBodies(tuple(b), alerts[n] - len(b)) for n, b in bodies.items()}

    async def _park_unreadable(self, number: int, now: datetime) -> None:
        reason, answer = DeliveryReason.UNREADABLE.value, "what is stored says nothing that can be sent"
        final = self._sql["record_final"]
        await self._database.execute(final, number, "parked", now, None, reason, answer, None)

    async def queue(self) -> tuple[int, int]:
        """(pending, parked) notifications."""
        row = await self._database.fetchrow(self._sql["queue"])
        return row["pending"], row["parked"]
