"""Reading the availability timeline and keeping the latest evaluation of every window."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus, WindowFigures
from ecpmon.ports.sla import Listed
from ecpmon.sla.minutes import day_of
from ecpmon.sla.packed import NOTHING, PackedTimeline
from ecpmon.sla.spans import Head
from ecpmon.slices import in_slices
from ecpmon.storage.database import Database
from ecpmon.storage.evidence import head_of
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import Regime, awake_between, regime_at, regime_of, silent_reason

# More than this are made spans of in a thread.
_MANY: Final = 1_000


class PgAvailabilityStore:
    """`ports.AvailabilityStore` on PostgreSQL. A read costs what the window's incidents cost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("availability")
        self._crowding = load("crowding")

    async def timeline(
        self,
        tenant: Tenant,
        start: datetime,
        now: datetime,
        *,
        reasons: bool = False,
        present: bool = False,
    ) -> list[Span]:
        found = await self.packed(tenant, start, now, reasons=reasons, present=present)
        return await asyncio.to_thread(found.open) if len(found) > _MANY else found.open()

    async def packed(
        self,
        tenant: Tenant,
        start: datetime,
        now: datetime,
        *,
        reasons: bool = False,
        present: bool = False,
    ) -> PackedTimeline:
        # Nobody promised anything after the end.
        now = min(now, tenant.deleted_at or now)
        if now <= start:
            return NOTHING
        async with self._database.snapshot() as connection:
            spans = await connection.fetchval(self._sql["spans"], tenant.key, start, now)
            head = await self._head(connection, tenant, now if present else None)
            found = PackedTimeline(spans, head, now)
            if not reasons or (tail := found.tail) is None:
                return found
            regime = regime_at(await self._regimes(connection, tenant.key), tail.start)
            awake = await awake_between(connection, tenant.key, regime, tail)
            return replace(found, awake=awake, silent=silent_reason(regime.source))

    async def reach(self, tenant: Tenant, start: datetime, end: datetime, now: datetime) -> Interval:
        until = min(now, tenant.deleted_at or now)
        row = await self._database.fetchrow(self._sql["reach"], tenant.key, start, end, max(until, end))
        return Interval(row["since"], min(row["until"], until))

    async def coarse_days(self, tenant: Tenant, start: datetime, end: datetime) -> list[date]:
        rows = await self._database.fetch(self._crowding["between"], tenant.key, day_of(start), day_of(end))
        return [r["day"] for r in rows]

    async def troubles(
        self, tenant: Tenant, start: datetime, now: datetime, most: int, *, present: bool = False
    ) -> PackedTimeline:
        now = min(now, tenant.deleted_at or now)
        if now <= start:
            return NOTHING
        async with self._database.snapshot() as connection:
            spans = await connection.fetchval(self._sql["troubles"], tenant.key, start, now, most)
            head = await self._head(connection, tenant, now if present else None)
        return PackedTimeline(spans, head, now)

    async def _head(self, connection: Any, tenant: Tenant, present: datetime | None) -> Head | None:
        # Of a deleted tenant all is past.
        present = present if tenant.deleted_at is None else None
        row = await connection.fetchrow(self._sql["head"], tenant.key, present)
        head = head_of(row)
        if head is None or not row["behind"]:
            return head
        return replace(head, holds=head.holds + timedelta(seconds=row["behind"]))

    async def _regimes(self, connection: Any, key: int) -> list[Regime]:
        rows = await connection.fetch(self._sql["regimes"], key)
        return [regime_of(r) for r in rows]

    async def statuses(self, tenant: Tenant) -> dict[str, SlaStatus]:
        rows = await self._database.fetch(self._sql["statuses"], tenant.key)
        return {r["window_name"]: SlaStatus(r["status"]) for r in rows}

    async def statuses_of(self, tenants: Collection[Tenant]) -> dict[str, dict[str, SlaStatus]]:
        names = {t.key: t.tenant_id for t in tenants}
        found: dict[str, dict[str, SlaStatus]] = defaultdict(dict)
        for r in await self._database.fetch(self._sql["statuses_of"], list(names)):
            found[names[r["tenant"]]][r["window_name"]] = SlaStatus(r["status"])
        return dict(found)

    async def remembered(self, tenants: Collection[Tenant]) -> dict[str, dict[str, SlaStatus]]:
        names = {t.key: t.tenant_id for t in tenants}
        found: dict[str, dict[str, SlaStatus]] = defaultdict(dict)
        rows = await self._database.fetch(self._sql["remembered"], list(names))
        async for tenant, window, status in in_slices(rows):
            found[names[tenant]][window] = SlaStatus(status)
        return dict(found)

    async def store_current(self, results: Mapping[str, Sequence[WindowFigures]], now: datetime) -> None:
        flat = [(tenant_id, r) for tenant_id, windows in results.items() for r in windows]
        await self._database.execute(
            self._sql["store_current"],
            [t for t, _ in flat],
            now,
            [r.window for _, r in flat],
            [r.status.value for _, r in flat],
            [r.availability for _, r in flat],
            [r.coverage for _, r in flat],
            [r.burn_rate for _, r in flat],
            [r.budget.remaining for _, r in flat],
            [r.budget.remaining_fraction for _, r in flat],
            [r.low for _, r in flat],
            [r.high for _, r in flat],
        )

    async def current_30d(self, tenant_keys: Sequence[int], now: datetime) -> dict[int, Listed]:
        rows = await self._database.fetch(self._sql["current_30d"], list(tenant_keys), now)
        return {
            r["tenant"]: Listed(
                r["availability"],
                r["coverage"],
                r["low"],
                r["high"],
                SlaStatus(r["status"]),
                r["as_of"],
                None if r["state"] is None else SpanState(r["state"]),
            )
            for r in rows
        }
