"""Starting the delivery of notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import timedelta

from ecpmon.alerts.notifiers import Notifier
from ecpmon.alerts.notifiers.email import EmailNotifier, SmtpServer
from ecpmon.alerts.notifiers.webhook import WebhookNotifier
from ecpmon.alerts.targets import AddressGuard
from ecpmon.alerts.webhook_keys import WebhookKeys
from ecpmon.alerts.worker import DeliveryWorker, WorkerLimits
from ecpmon.model.alerts import DeliveryResult, Notification
from ecpmon.model.delivery import QueueKey
from ecpmon.ports.service import Clock
from ecpmon.settings import Settings
from ecpmon.storage.database import Database
from ecpmon.storage.outbox import PgOutbox
from ecpmon.tasks import end
from ecpmon.telemetry import Telemetry


class Delivery:
    """Runs the outbox worker of one database."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        telemetry: Telemetry,
        keys: WebhookKeys,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._telemetry = telemetry
        guard = AddressGuard(settings.webhook_allow_loopback, settings.webhook_allow_private)
        self._webhooks = WebhookNotifier(keys.signing, guard)
        self._task: asyncio.Task[None] | None = None
        self._worker: DeliveryWorker | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="delivery")

    def wake(self) -> None:
        """There is something new in the outbox."""
        if self._worker:
            self._worker.wake()

    def told(self, queues: Collection[QueueKey]) -> None:
        """Something was just committed in these, and is due."""
        if self._worker:
            self._worker.told(queues)

    async def stop(self) -> None:
        await end(self._task)
        self._webhooks.close()

    async def _run(self) -> None:
        self._worker = DeliveryWorker(
            PgOutbox(self._database),
            self._notifiers(),
            self._clock.now,
            limits=WorkerLimits(poll=timedelta(seconds=1), grace=timedelta(seconds=5)),
            on_result=self._count,
        )
        await self._worker.run()

    def _notifiers(self) -> dict[str, Notifier]:
        settings = self._settings
        notifiers: dict[str, Notifier] = {"webhook": self._webhooks}
        if (server := smtp_server(settings)) is not None:
            notifiers["email"] = EmailNotifier(server)
        return notifiers

    def _count(self, notification: Notification, result: DeliveryResult) -> None:
        self._telemetry.deliveries.labels(notification.action.type, result.reason.value).inc()


def smtp_server(settings: Settings) -> SmtpServer | None:
    """The mail server that is configured, if there is one."""
    if settings.smtp_host is None:
        return None
    password = settings.smtp_password
    return SmtpServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_from,
        settings.smtp_security,
        settings.smtp_username,
        password.get_secret_value() if password else None,
    )
