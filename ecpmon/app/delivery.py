"""Starting the delivery of notifications once the signing key is known."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog

from ecpmon.alerts.notifiers import Notifier
from ecpmon.alerts.notifiers.email import EmailNotifier, SmtpServer
from ecpmon.alerts.notifiers.webhook import WebhookNotifier
from ecpmon.alerts.signing import tenant_secret
from ecpmon.alerts.targets import AddressGuard
from ecpmon.alerts.worker import DeliveryWorker, WorkerLimits
from ecpmon.errors import EcpError
from ecpmon.model.alerts import DeliveryResult, Notification
from ecpmon.ports.service import Clock
from ecpmon.settings import Settings
from ecpmon.storage.access import own_secret
from ecpmon.storage.database import Database
from ecpmon.storage.outbox import PgOutbox
from ecpmon.telemetry import Telemetry

_log = structlog.get_logger(__name__)


class Delivery:
    """Runs the outbox worker of one database."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, telemetry: Telemetry) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._telemetry = telemetry
        self._task: asyncio.Task[None] | None = None
        self._worker: DeliveryWorker | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="delivery")

    def wake(self) -> None:
        """There is something new in the outbox."""
        if self._worker:
            self._worker.wake()

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        master = await self._signing_key()
        self._worker = DeliveryWorker(
            PgOutbox(self._database),
            self._notifiers(master),
            self._clock.now,
            limits=WorkerLimits(poll=timedelta(seconds=1), grace=timedelta(seconds=5)),
            on_result=self._count,
        )
        await self._worker.run()

    async def _signing_key(self) -> bytes:
        configured = self._settings.webhook_secret.get_secret_value()
        if configured:
            return configured.encode()
        pause = 0.2
        while True:
            try:
                return await own_secret(self._database, "webhook_signing")
            except EcpError as error:
                _log.info("signing_key_unknown_yet", error=error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    def _notifiers(self, master: bytes) -> dict[str, Notifier]:
        settings = self._settings
        guard = AddressGuard(settings.webhook_allow_loopback, settings.webhook_allow_private)
        notifiers: dict[str, Notifier] = {
            "webhook": WebhookNotifier(lambda tenant_id: tenant_secret(master, tenant_id), guard)
        }
        if settings.smtp_host:
            server = SmtpServer(settings.smtp_host, settings.smtp_port, settings.smtp_from)
            notifiers["email"] = EmailNotifier(server)
        return notifiers

    def _count(self, notification: Notification, result: DeliveryResult) -> None:
        self._telemetry.deliveries.labels(notification.action.type, result.reason.value).inc()
