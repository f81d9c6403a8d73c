"""What Alertmanager told us."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import ExternalAlert, ReceivedAlert, Recorded
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

# The tenant's number (None: the cluster), fingerprint, start, status.
_Key = tuple[int | None, str, datetime, str]


class PgExternalAlertStore:
    """`ports.ExternalAlertStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("alerts")

    async def record(
        self, alerts: Sequence[ExternalAlert], now: datetime, *, of_tenants_only: bool
    ) -> Recorded:
        async with self._database.transaction() as connection:
            with wrap_errors():
                names = sorted({a.tenant_id for a in alerts if a.tenant_id is not None})
                rows = await connection.fetch(self._sql["live_tenants"], names)
                numbers: dict[str | None, int] = {r["tenant_id"]: r["id"] for r in rows}
                unknown = [a for a in alerts if of_tenants_only and a.tenant_id not in numbers]
                # Of several of one key the first counts, as if they had come one after the other.
                wanted: dict[_Key, ExternalAlert] = {}
                for alert in alerts:
                    number = numbers.get(alert.tenant_id)
                    if number is not None or not of_tenants_only:
                        key = (number, alert.fingerprint, alert.starts_at, alert.status)
                        wanted.setdefault(key, alert)
                stored = await connection.fetch(self._sql["record_external"], *_columns(wanted), now)
        keys = {tuple(row) for row in stored}
        fresh = tuple(alert for key, alert in wanted.items() if key in keys)
        return Recorded(fresh, tuple(unknown))

    async def recent(self, tenant: Tenant, limit: int) -> list[ExternalAlert]:
        rows = await self._database.fetch(self._sql["recent_external"], tenant.key, limit)
        return [_alert(r, tenant.tenant_id) for r in rows]

    async def page(self, tenant: Tenant, status: str | None, skip: int, limit: int) -> list[ReceivedAlert]:
        rows = await self._database.fetch(self._sql["external_page"], tenant.key, status, skip, limit)
        return [ReceivedAlert(_alert(r, tenant.tenant_id), r["received_at"]) for r in rows]

    async def by_numbers(self, tenants: Collection[int], numbers: Collection[int]) -> list[ExternalAlert]:
        rows = await self._database.fetch(self._sql["external_by_numbers"], list(tenants), list(numbers))
        return [_alert(r, r["tenant_id"]) for r in rows]


def _alert(row: Any, tenant_id: str) -> ExternalAlert:
    return ExternalAlert(
        tenant_id,
        row["fingerprint"],
        row["starts_at"],
        row["ends_at"],
        row["status"],
        row["alert_name"],
        row["severity"],
        row["labels"],
        row["annotations"],
    )


def _columns(alerts: Mapping[_Key, ExternalAlert]) -> tuple[list[Any], ...]:
    """The arrays of `record_external`, one element per alert."""
    told = alerts.values()
    return (
        [number for number, *_ in alerts],
        [a.fingerprint for a in told],
        [a.starts_at for a in told],
        [a.ends_at for a in told],
        [a.status for a in told],
        [a.alert_name for a in told],
        [a.severity for a in told],
        [dict(a.labels) for a in told],
        [dict(a.annotations) for a in told],
    )
