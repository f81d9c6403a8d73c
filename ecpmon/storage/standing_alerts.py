"""`ports.alerts.StandingAlerts` on PostgreSQL: what fires, and what ended lately, of all tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ecpmon.model.silences import Silence
from ecpmon.model.standing_alerts import ENDED, Identity, ToldAlert
from ecpmon.sla.silences import is_owed
from ecpmon.slices import in_slices
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load
from ecpmon.storage.silences import by_tenant


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
        if not alerts:
            return {}
        silences = await self._silences(alerts)
        return {
            alert.identity: alert
            async for alert in in_slices(alerts)
            if not is_owed(
                silences.get(alert.identity.tenant_id, ()),
                alert.identity,
                alert.starts_at,
                alert.ends_at or now,
            )
        }

    async def _silences(self, alerts: Sequence[ToldAlert]) -> Mapping[str, Sequence[Silence]]:
        """By tenant those that were on at some time since one of the alerts began."""
        names = list({alert.identity.tenant_id for alert in alerts})
        began = min(alert.starts_at for alert in alerts)
        return by_tenant(await self._database.fetch(self._sql["silences"], names, began))


def _identity(row: Any) -> Identity:
    return Identity(row["tenant_id"], row["rule_id"], row["alert_name"], row["severity"], row["objective"])


def _ended(row: Any) -> ToldAlert:
    return ToldAlert(_identity(row), row["starts_at"], row["ends_at"])


def _firing(row: Any) -> ToldAlert:
    return ToldAlert(_identity(row), row["starts_at"], None, row["condition"], row["value"])
