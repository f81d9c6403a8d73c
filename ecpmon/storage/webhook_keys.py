"""Webhook keys in SQL: salts, and who was given which key."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ecpmon.errors import TenantNotFound
from ecpmon.model.tenants import Tenant
from ecpmon.ports.webhook_keys import StoredKey
from ecpmon.storage.access import own_secret
from ecpmon.storage.audit import record
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.queries import load

# Former keys that are remembered per tenant.
_KEPT: Final = 50


class PgWebhookKeyStore:
    """`ports.WebhookKeyStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("webhook_keys")

    async def installation_secret(self) -> bytes:
        return await own_secret(self._database, "webhook_signing")

    async def of_tenant(self, tenant_key: int) -> list[StoredKey]:
        return [StoredKey(**r) for r in await self._database.fetch(self._sql["of_tenant"], tenant_key)]

    async def show_first(self, tenant: Tenant, caller: str, now: datetime) -> bool:
        async with self._database.transaction() as connection:
            with wrap_errors():
                shown = await connection.fetchval(self._sql["show_first"], tenant.key, now, caller)
                if shown is not None:
                    await record(
                        connection, now, "webhook_key.shown", tenant.tenant_id, tenant=tenant.key,
                        after={"generation": 0},
                    )  # fmt: skip
        return shown is not None

    async def rotate(
        self,
        tenant: Tenant,
        caller: str,
        now: datetime,
        *,
        salt: bytes,
        until: datetime,
        at_most: int,
    ) -> int | None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                if await connection.fetchval(self._sql["lock_tenant"], tenant.key) is None:
                    raise TenantNotFound(tenant.tenant_id)
                signing = await connection.fetchval(self._sql["still_signing"], tenant.key, now)
                if until > now and signing >= at_most:
                    return None
                await connection.execute(self._sql["end_older"], tenant.key, until)
                made: int = await connection.fetchval(self._sql["insert"], tenant.key, salt, now, caller)
                await connection.execute(self._sql["forget"], tenant.key, now, _KEPT)
                after = {"generation": made, "older_sign_until": until}
                await record(
                    connection, now, "webhook_key.rotated", tenant.tenant_id, tenant=tenant.key, after=after
                )
        return made
