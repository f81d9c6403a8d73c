"""Closed statements and their restatements. The database refuses to change a stored one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Tenant
from ecpmon.ports.sla import ClosedStatement
from ecpmon.storage.database import Database
from ecpmon.storage.queries import load


class PgStatementStore:
    """`ports.StatementStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("statements")

    async def revisions(self, tenant: Tenant, month: str) -> list[ClosedStatement]:
        rows = await self._database.fetch(self._sql["revisions"], tenant.key, month)
        return [
            ClosedStatement(
                r["revision"],
                r["closed_at"],
                r["digest"],
                r["contract"],
                r["document"].encode(),
                r["changes"],
            )
            for r in rows
        ]

    async def close(
        self,
        tenant: Tenant,
        month: str,
        revision: int,
        digest: str,
        document: bytes,
        changes: bytes | None,
        now: datetime,
    ) -> None:
        told = None if changes is None else changes.decode()
        await self._database.execute(
            self._sql["close"], tenant.key, month, revision, now, digest, document.decode(), told
        )

    async def digests(self, tenant: Tenant, names: Collection[str]) -> dict[str, str]:
        rows = await self._database.fetch(self._sql["digests"], tenant.key, list(names))
        return {r["month"]: r["digest"] for r in rows}

    async def imported(self, tenant: Tenant) -> list[Interval]:
        rows = await self._database.fetch(self._sql["imported"], tenant.key)
        return [Interval(r["start"], r["end"]) for r in rows]

    async def closed_months(self) -> list[tuple[str, str]]:
        return [(r["tenant_id"], r["month"]) for r in await self._database.fetch(self._sql["closed_months"])]
