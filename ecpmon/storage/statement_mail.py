"""Statements by e-mail in SQL: recipients, and an outbox of sendings that the delivery worker works off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from ecpmon.errors import Conflict, NotFound
from ecpmon.model.alerts import EmailAction, Notification
from ecpmon.model.delivery import DeliveryQueue, Grant
from ecpmon.model.tenants import Tenant
from ecpmon.ports.statements import Recipients
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load
from ecpmon.storage.recorder import Recorder

_log = structlog.get_logger(__name__)


class PgStatementMail:
    """`ports.StatementMail` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("statement_mail")

    async def recipients(self, tenant: Tenant) -> Recipients | None:
        row = await self._database.fetchrow(self._sql["recipients"], tenant.key)
        return _recipients(row) if row is not None else None

    async def set_recipients(self, tenant: Tenant, recipients: Recipients) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                before = await connection.fetchrow(self._sql["recipients"], tenant.key)
                await connection.execute(
                    self._sql["set_recipients"],
                    tenant.key,
                    list(recipients.addresses),
                    list(recipients.periods),
                    recipients.restatements,
                    recipients.changed_at,
                    recipients.changed_by,
                )
                shown = _told(_recipients(before)) if before is not None else None
                await record(
                    connection, recipients.changed_at, "statement_recipients.set", tenant.tenant_id, tenant=tenant.key,
                    before=shown, after=_told(recipients),
                )  # fmt: skip

    async def drop_recipients(self, tenant: Tenant, now: datetime) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                before = await connection.fetchrow(self._sql["recipients"], tenant.key)
                if before is None:
                    raise NotFound("this tenant's statements are sent to nobody")
                await connection.execute(self._sql["drop_recipients"], tenant.key)
                await record(
                    connection, now, "statement_recipients.dropped", tenant.tenant_id, tenant=tenant.key,
                    before=_told(_recipients(before)),
                )  # fmt: skip

    async def sendings(self, tenant: Tenant, limit: int) -> list[dict[str, Any]]:
        rows = await self._database.fetch(self._sql["sendings"], tenant.key, limit, None)
        return [dict(r) for r in rows]

    async def resend(self, tenant: Tenant, number: int, by: str, now: datetime) -> dict[str, Any]:
        async with self._database.transaction() as connection:
            with wrap_errors():
                done = await connection.fetchval(self._sql["resend"], tenant.key, number, now, by)
                if done is not None:
                    await record(connection, now, "statement.resent", f"sending {number}", tenant=tenant.key)
        rows = await self._database.fetch(self._sql["sendings"], tenant.key, 1, number)
        if not rows:
            raise NotFound("there is no such sending", details={"sending_id": number})
        found = dict(rows[0])
        if done is None:
            text = f"only what was given up (parked) can be sent again; this one is {found['status']}"
            raise Conflict(text, details={"sending_id": number, "status": found["status"]})
        _log.info("statement_resent", tenant=tenant.tenant_id, sending_id=number, caller=by)
        return found


def _recipients(row: Any) -> Recipients:
    return Recipients(
        tuple(row["recipients"]),
        tuple(row["periods"]),
        row["restatements"],
        row["changed_at"],
        row["changed_by"],
    )


def _told(recipients: Recipients) -> dict[str, Any]:
    """What the audit log says."""
    return {
        "recipients": list(recipients.addresses),
        "periods": list(recipients.periods),
        "restatements": recipients.restatements,
    }


def _notification_of(row: Any) -> Notification:
    return Notification(
        id=row["sending_id"],
        idempotency_key=row["message_key"].hex,
        tenant_key=row["tenant"],
        tenant_id=row["tenant_id"],
        rule_id="",
        alert_name=f"statement {row['month']}",
        action=EmailAction((row["recipient"],)),
        receiver=row["receiver"],
        # What it waited for before anybody tried is nothing to give it up for.
        payload={"month": row["month"], "revision": row["revision"], "closed_at": row["created_at"]},
        attempt=row["attempts"],
        created_at=row["first_try_at"],
        receiver_failures=row["receiver_failures"],
        claimed_until=row["claimed_until"],
    )


class PgStatementOutbox(Recorder):
    """`alerts.outbox.Outbox` of statements, for every tenant, and what is noted while one is handed over."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "statement_mail")

    async def queues(self, now: datetime) -> list[DeliveryQueue]:
        return [DeliveryQueue(*r) for r in await self._database.fetch(self._sql["queues"], now)]

    async def claim(
        self, grants: Sequence[Grant], now: datetime, lease: timedelta, *, well: bool = False
    ) -> list[Notification]:
        """`well` makes no difference: nobody asks before the queues were looked at."""
        columns = [g.tenant_key for g in grants], [g.receiver for g in grants], [g.count for g in grants]
        rows = await self._database.fetch(self._sql["claim"], now, *columns, now + lease)
        return sorted(map(_notification_of, rows), key=lambda n: n.id)

    async def hand_over(self, notification: Notification, now: datetime) -> bool:
        """Note that the server is given the message now; False: the claim is over, and it must not be."""
        held = notification.id, notification.claimed_until, now
        return await self._database.fetchval(self._sql["hand_over"], *held) is not None

    async def not_taken(self, notification: Notification) -> None:
        """The server said that it did not take what it was given."""
        held = notification.id, notification.claimed_until
        await self._database.execute(self._sql["not_taken"], *held)
