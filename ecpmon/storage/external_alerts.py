"""What Alertmanager told us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.storage.database import Database, wrap_errors
from ecpmon.storage.queries import load


class PgExternalAlertStore:
    """`ports.ExternalAlertStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("alerts")

    async def record(self, alerts: Sequence[ExternalAlert], now: datetime) -> list[ExternalAlert]:
        fresh: list[ExternalAlert] = []
        async with self._database.transaction() as connection:
            with wrap_errors():
                for alert in alerts:
                    row = await connection.fetchrow(
                        self._sql["record_external"],
                        alert.tenant_id,
                        alert.fingerprint,
                        alert.starts_at,
                        alert.ends_at,
                        alert.status,
                        alert.alert_name,
                        alert.severity,
                        dict(alert.labels),
                        dict(alert.annotations),
                        now,
                    )
                    if row is not None:
                        fresh.append(alert)
        return fresh

    async def recent(self, tenant: Tenant, limit: int) -> list[ExternalAlert]:
        rows = await self._database.fetch(self._sql["recent_external"], tenant.key, limit)
        return [
            ExternalAlert(
                tenant.tenant_id,
                r["fingerprint"],
                r["starts_at"],
                r["ends_at"],
                r["status"],
                r["alert_name"],
                r["severity"],
                r["labels"],
                r["annotations"],
            )
            for r in rows
        ]
