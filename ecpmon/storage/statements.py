"""Closed statements and their restatements. The database refuses to change a stored one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Tenant
from ecpmon.ports.sla import ClosedStatement, Look
from ecpmon.slices import in_slices
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

    async def looks(self) -> dict[tuple[str, str], Look]:
        rows = await self._database.fetch(self._sql["looks"])
        return {(name, month): Look(*rest) async for name, month, *rest in in_slices(rows)}

    async def note_looks(self, looks: Sequence[tuple[Tenant, str, Look]], now: datetime) -> None:
        if not looks:
            return
        rows = [(tenant.key, month, look.inputs, look.spans) for tenant, month, look in looks]
        keys, months, inputs, spans = (list(column) for column in zip(*rows, strict=True))
        await self._database.execute(self._sql["note_looks"], keys, now, months, inputs, spans)

    async def span_sums(self, tenants: Collection[Tenant]) -> dict[str, list[tuple[str, str]]]:
        names = {tenant.key: tenant.tenant_id for tenant in tenants}
        rows = await self._database.fetch(self._sql["span_sums"], list(names))
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        async for key, month, total in in_slices(rows):
            found[names[key]].append((month, total))
        return dict(found)
