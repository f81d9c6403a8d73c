"""What became of a tenant's notifications, and sending again what was given up."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import structlog

from ecpmon.errors import Conflict, NotFound
from ecpmon.model.tenants import Tenant
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

_log = structlog.get_logger(__name__)
# Of what was merged into a notification so much is listed; the count is of all.
_MERGED_SHOWN: Final = 20
# Resends of one notification, each of which is a row.
_MOST_RESENDS: Final = 50


def _shown(row: Any) -> dict[str, Any]:
    found = {**dict(row), "rule_id": str(row["rule_id"]), "webhook_id": row["idempotency_key"].hex}
    del found["idempotency_key"]
    # Times within JSON are texts.
    for entry in (*found["merged"], *found["resends"]):
        entry["at"] = datetime.fromisoformat(entry["at"])
    return found


class PgDeliveries:
    """`ports.Deliveries` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("outbox")

    async def recent(self, tenant: Tenant, limit: int) -> list[dict[str, Any]]:
        return await self._rows(tenant, limit, None)

    async def resend(
        self, tenant: Tenant, number: int, caller: str, note: str | None, now: datetime
    ) -> dict[str, Any]:
        given = tenant.key, number, now, caller, note, _MOST_RESENDS
        async with self._database.transaction() as connection:
            with wrap_errors():
                done = await connection.fetchval(self._sql["resend"], *given)
                if done is not None:
                    await record(
                        connection, now, "delivery.resent", f"delivery {number}", tenant=tenant.key,
                        after={"note": note},
                    )  # fmt: skip
        rows = await self._rows(tenant, 1, number)
        if not rows:
            raise NotFound("there is no such delivery", details={"delivery_id": number})
        if done is None:
            raise _not_parked(rows[0])
        _log.info("delivery_resent", tenant=tenant.tenant_id, notification_id=number, caller=caller)
        return rows[0]

    async def _rows(self, tenant: Tenant, limit: int, number: int | None) -> list[dict[str, Any]]:
        rows = await self._database.fetch(self._sql["deliveries"], tenant.key, limit, _MERGED_SHOWN, number)
        return [_shown(r) for r in rows]


def _not_parked(delivery: dict[str, Any]) -> Conflict:
    details = {"delivery_id": delivery["notification_id"], "status": delivery["status"]}
    if delivery["status"] == "parked":
        return Conflict(f"it was sent again {_MOST_RESENDS} times; change its rule instead", details=details)
    text = f"only what was given up (parked) can be sent again; this one is {delivery['status']}"
    return Conflict(text, details=details)
