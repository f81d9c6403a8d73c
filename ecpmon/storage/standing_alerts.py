"""`ports.alerts.StandingAlerts` on PostgreSQL: what fires, and what ended lately, of all tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ecpmon.model.standing_alerts import ENDED, Identity, ToldAlert
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load


class PgStandingAlerts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("standing_alerts")

    async def standing(self, now: datetime) -> dict[Identity, ToldAlert]:
        """What fires takes the place of what ended. Raises EcpError when the database does not answer."""
        ended = await self._database.fetch(self._sql["ended"], now - ENDED)
        firing = await self._database.fetch(self._sql["firing"])
        alerts = [_ended(row) for row in ended if row["starts_at"] is not None] + [
            _firing(row) for row in firing
        ]
        return {alert.identity: alert for alert in alerts}


def _identity(row: Any) -> Identity:
    return Identity(row["tenant_id"], row["rule_id"], row["alert_name"], row["severity"], row["objective"])


def _ended(row: Any) -> ToldAlert:
    return ToldAlert(_identity(row), row["starts_at"], row["ends_at"])


def _firing(row: Any) -> ToldAlert:
    return ToldAlert(_identity(row), row["starts_at"], None, row["condition"], row["value"])
