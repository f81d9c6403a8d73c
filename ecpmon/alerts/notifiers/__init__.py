"""Notifiers: one module per kind of action, all behind `Notifier`."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecpmon.model.alerts import DeliveryResult, Notification


class Notifier(Protocol):
    async def deliver(self, notification: Notification, now: datetime) -> DeliveryResult:
        """Try once, within the notifier's own time limit. Failures are results, not exceptions."""
