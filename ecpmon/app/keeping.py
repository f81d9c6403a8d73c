"""The daily job that ends the keeping of alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from ecpmon.jobs import Job
from ecpmon.ports import Clock
from ecpmon.settings import Settings
from ecpmon.storage.alert_keeping import AlertKeeping
from ecpmon.storage.database import Database

_log = structlog.get_logger(__name__)
_DAY_SECONDS: Final = 86_400


class AlertRetention:
    """Limits by the settings."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._keeping = AlertKeeping(database)
        self._settings = settings
        self._clock = clock

    def job(self) -> Job:
        return Job("alert_retention", _DAY_SECONDS, self.retain)

    async def retain(self) -> None:
        """Forget what is old; what was delivered goes first, and more cheaply than with its event."""
        now, s = self._clock.now(), self._settings
        delivered = now - timedelta(days=s.notification_retention_days)
        over = now - timedelta(days=s.alert_retention_days)
        # As long as recoveries are kept, which know what they have acted on.
        unresolved = min(over, now - timedelta(days=s.sla_retention_days))
        forgotten = {
            "notifications": await self._keeping.forget_notifications(delivered),
            "events": await self._keeping.forget_events(over),
            "external": await self._keeping.forget_external(over, unresolved),
        }
        if any(forgotten.values()):
            _log.info("alerts_forgotten", **forgotten)
