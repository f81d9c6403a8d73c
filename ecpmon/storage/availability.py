"""Reading the availability timeline and keeping the latest evaluation of every window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import SlaStatus, WindowResult
from ecpmon.sla.spans import Head, attribute, timeline
from ecpmon.storage.database import Database
from ecpmon.storage.evidence import Regime, awake_for, head_of, regime_at, silent_reason, span_of
from ecpmon.storage.queries import load


class PgAvailabilityStore:
    """`ports.AvailabilityStore` on PostgreSQL. A read costs what the window's incidents cost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("availability")
        self._awake_sql = load("ingest")["awake_between"]

    async def timeline(self, tenant: Tenant, start: datetime, now: datetime) -> list[Span]:
        async with self._database.snapshot() as connection:
            rows = await connection.fetch(self._sql["spans"], tenant.key, start, now)
            head = head_of(await connection.fetchrow(self._sql["head"], tenant.key))
            closed = [span_of(r) for r in rows]
            if head is None or head.expires >= now:
                return _assemble(closed, head, now, [], None)
            regimes = await self._regimes(connection, [tenant.key])
            regime = regime_at(regimes[tenant.key], head.expires)
            awake = await connection.fetch(
                self._awake_sql, regime.source.value, head.expires - awake_for(regime), now, tenant.key
            )
            return _assemble(closed, head, now, [r["ts"] for r in awake], regime)

    async def timelines(self, start: datetime, now: datetime) -> dict[str, list[Span]]:
        async with self._database.snapshot() as connection:
            heads = await connection.fetch(self._sql["all_heads"])
            keys = [r["tenant"] for r in heads]
            spans: dict[int, list[Span]] = defaultdict(list)
            for r in await connection.fetch(self._sql["all_spans"], start, now, keys):
                spans[r["tenant"]].append(span_of(r))
            regimes = await self._regimes(connection, keys)
            found: dict[str, list[Span]] = {}
            for r in heads:
                head = head_of(r)
                regime = regime_at(regimes[r["tenant"]], now)
                found[r["tenant_id"]] = _assemble(spans[r["tenant"]], head, now, None, regime)
            return found

    async def _regimes(self, connection: Any, keys: list[int]) -> dict[int, list[Regime]]:
        found: dict[int, list[Regime]] = defaultdict(list)
        for r in await connection.fetch(self._sql["regimes"], keys):
            found[r["tenant"]].append(Regime(r["valid_from"], Source(r["source"]), r["holds"]))
        return found

    async def statuses(self, tenant: Tenant) -> dict[str, SlaStatus]:
        rows = await self._database.fetch(self._sql["statuses"], tenant.key)
        return {r["window_name"]: SlaStatus(r["status"]) for r in rows}

    async def all_statuses(self) -> dict[str, dict[str, SlaStatus]]:
        found: dict[str, dict[str, SlaStatus]] = defaultdict(dict)
        for r in await self._database.fetch(self._sql["all_statuses"]):
            found[r["tenant_id"]][r["window_name"]] = SlaStatus(r["status"])
        return dict(found)

    async def store_current(self, results: Mapping[str, Sequence[WindowResult]], now: datetime) -> None:
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
        )

    async def current_30d(self, tenant_ids: Sequence[str]) -> dict[str, float]:
        rows = await self._database.fetch(self._sql["current_30d"], list(tenant_ids))
        return {r["tenant_id"]: r["availability"] for r in rows}


def _assemble(
    closed: list[Span], head: Head | None, now: datetime, awake: list[datetime] | None, regime: Regime | None
) -> list[Span]:
    """Closed spans, head and the open tail. `awake` None: the tail is not split, only its length matters."""
    silent = silent_reason(regime.source if regime else Source.PUSH)
    spans = timeline(closed, head, now, silent)
    if awake is None or not spans or regime is None or not _open_tail(spans, head):
        return spans
    tail = Span(spans[-1].start, spans[-1].end, SpanState.GAP)
    return [*spans[:-1], *attribute([tail], awake, awake_for(regime), silent)]


def _open_tail(spans: list[Span], head: Head | None) -> bool:
    return head is not None and spans[-1].state is SpanState.GAP and spans[-1].start == head.expires
