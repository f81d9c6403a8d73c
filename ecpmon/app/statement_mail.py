"""Sending statements: one message per revision and recipient, by the worker of alerts from an outbox of their own.

Invariants
- A sending is a row that was made with the revision itself: closing a month and losing its sending is impossible.
- The server is given a message by the holder of the row's claim alone, who notes that first: what is not noted was not
  given. So a message is given twice only when we died, or the line did, between its end and the server's answer; it is
  the same message then, byte for byte and under the same Message-ID, and the row counts it (`repeats`).
- It is composed by a process that computes.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from ecpmon.alerts.backoff import Backoff
from ecpmon.alerts.notifiers.email import SmtpServer
from ecpmon.alerts.notifiers.handing import Courier, Notes
from ecpmon.alerts.recipients import RecipientRefused, check_recipients
from ecpmon.alerts.worker import DeliveryWorker, WorkerLimits
from ecpmon.errors import Overloaded
from ecpmon.model.alerts import (
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    EmailAction,
    Notification,
)
from ecpmon.model.tenants import Language
from ecpmon.ports.service import Clock
from ecpmon.ports.tenants import TenantStore
from ecpmon.settings import Settings
from ecpmon.statements.letter import Envelope, letter
from ecpmon.statements.look import Look
from ecpmon.statements.service import StatementService
from ecpmon.storage.statement_mail import PgStatementOutbox
from ecpmon.tasks import end
from ecpmon.telemetry import Telemetry
from ecpmon.workers import TenantWorkers

# A claim of a minute and a half is enough to compose a message and to hand it over.
LIMITS: Final = WorkerLimits(
    poll=timedelta(seconds=5), lease=timedelta(seconds=180), grace=timedelta(seconds=5)
)
# A mail server may be away for a weekend.
BACKOFF: Final = Backoff(give_up=timedelta(days=7))
BUSY: Final = "too much is being computed here to compose it"
GONE: Final = "this revision is not kept any more"


class StatementMailer:
    """The notifier of statements: composes the message of a sending and hands it over."""

    def __init__(
        self,
        outbox: PgStatementOutbox,
        courier: Courier,
        tenants: TenantStore,
        statements: StatementService,
        workers: TenantWorkers,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._courier = courier
        self._tenants = tenants
        self._statements = statements
        self._workers = workers
        self._settings = settings
        self._clock = clock

    async def deliver(self, notification: Notification, now: datetime) -> DeliveryResult:
        """Try once. Raises what the database and the processes that compute raise: then it is tried again."""
        action = notification.action
        if not isinstance(action, EmailAction):
            return DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.NO_NOTIFIER, error="not an email")
        try:
            check_recipients(action.recipients)  # rows may be made by hand
            message = await self._composed(notification, action.recipients[0])
        except RecipientRefused as error:
            return DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.REJECTED, error=error.message)
        except Overloaded as error:
            busy, why = DeliveryOutcome.RETRY, DeliveryReason.INTERNAL
            return DeliveryResult(busy, why, error=BUSY, detail=error.message)
        if message is None:
            return DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.UNREADABLE, error=GONE)

        async def giving() -> bool:
            return await self._outbox.hand_over(notification, self._clock.now())

        async def not_taken() -> None:
            await self._outbox.not_taken(notification)

        return await self._courier.carry(message, action.recipients[0], Notes(giving, not_taken))

    async def _composed(self, notification: Notification, recipient: str) -> bytes | None:
        month, revision = notification.payload["month"], notification.payload["revision"]
        key = notification.tenant_key
        tenant = await self._tenants.get_with_deleted(notification.tenant_id, among=[key])
        told = await self._statements.stored(tenant, month, revision)
        if told is None:
            return None
        settings = self._settings
        page = f"/api/v1/tenants/{tenant.tenant_id}/sla/report?period={month}&format=html&revision={revision}"
        envelope = Envelope(
            key=notification.idempotency_key,
            sender=self._courier.server.sender,
            recipient=recipient,
            at=notification.payload["closed_at"],
            url=settings.external_url + page,
        )
        look = Look.of(settings, Language(tenant.language))
        return await self._workers.run(key, letter, told, look, envelope)


class StatementDelivery:
    """Runs the worker of one database's sendings. Without a mail server they wait for one."""

    def __init__(
        self,
        outbox: PgStatementOutbox,
        mailer: StatementMailer,
        courier: Courier,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self.worker = DeliveryWorker(
            outbox,
            {"email": mailer},
            clock.now,
            limits=LIMITS,
            backoff=BACKOFF,
            on_result=lambda _, result: telemetry.deliveries.labels("statement", result.reason.value).inc(),
        )
        self._courier = courier
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.worker.run(), name="statement delivery")

    async def stop(self) -> None:
        await end(self._task)
        await self._courier.close()


def make(
    settings: Settings,
    server: SmtpServer | None,
    outbox: PgStatementOutbox,
    tenants: TenantStore,
    statements: StatementService,
    workers: TenantWorkers,
    clock: Clock,
    telemetry: Telemetry,
) -> StatementDelivery | None:
    """None where there is no mail server."""
    if server is None:
        return None
    courier = Courier(server)
    mailer = StatementMailer(outbox, courier, tenants, statements, workers, settings, clock)
    return StatementDelivery(outbox, mailer, courier, clock, telemetry)
