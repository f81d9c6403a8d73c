"""Interning of series, bounded per tenant."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any, Final

from ecpmon.model.samples import SeriesKey, Source, is_storable
from ecpmon.storage.queries import load

FULL_SECONDS: Final = 30.0
# (tenant key, source, identity)
Identity = tuple[int, Source, SeriesKey]


class SeriesCatalogue:
    """Numbers for series. Remembers committed ones; a rolled-back transaction leaves no trace."""

    def __init__(self, max_per_tenant: int) -> None:
        self._known: dict[Identity, int] = {}
        self._max = max_per_tenant
        # Tenants with as many series as they may have, and until when that is believed: their new names cost no query.
        self._full: dict[int, float] = {}
        self._sql = load("ingest")

    def remember(self, ids: dict[Identity, int]) -> None:
        """Call after the transaction that interned them has committed."""
        self._known.update(ids)

    async def intern(self, connection: Any, wanted: Iterable[Identity]) -> dict[Identity, int]:
        """Numbers of `wanted`; what is over the tenant's bound, or not storable, is missing from the answer."""
        wanted = dict.fromkeys(wanted)
        found = {w: self._known[w] for w in wanted if w in self._known}
        now = monotonic()
        missing = [w for w in wanted if w not in found and self._full.get(w[0], now) <= now]
        missing = [w for w in missing if is_storable(w[2])]
        if not missing:
            return found
        tenants = sorted({w[0] for w in missing})
        stored = await self._stored(connection, tenants)
        counts = dict.fromkeys(tenants, 0)
        for tenant, _, _ in stored:
            counts[tenant] += 1
        self._note_full(stored, counts, now)
        fresh: list[Identity] = []
        for identity in missing:
            if identity not in stored and counts[identity[0]] < self._max:
                counts[identity[0]] += 1
                fresh.append(identity)
        if fresh:
            await self._insert(connection, fresh)
            stored = await self._stored(connection, tenants)
        found.update({w: stored[w] for w in missing if w in stored})
        return found

    def _note_full(self, stored: dict[Identity, int], counts: dict[int, int], now: float) -> None:
        """Called with what others have committed, before anything of ours is inserted."""
        for tenant, count in counts.items():
            self._full.pop(tenant, None)
            if count >= self._max:
                self._full[tenant] = now + FULL_SECONDS
        self._known.update({w: number for w, number in stored.items() if w[0] in self._full})

    async def _insert(self, connection: Any, fresh: list[Identity]) -> None:
        # Sorted, so that two writers interning the same series cannot deadlock.
        fresh = sorted(fresh, key=lambda i: (i[0], i[1], i[2].metric_type, i[2].metric_name, i[2].labels))
        await connection.execute(
            self._sql["intern_series"],
            [i[0] for i in fresh],
            [i[1].value for i in fresh],
            [i[2].metric_type for i in fresh],
            [i[2].metric_name for i in fresh],
            [dict(i[2].labels) for i in fresh],
        )

    async def _stored(self, connection: Any, tenants: list[int]) -> dict[Identity, int]:
        rows = await connection.fetch(self._sql["known_series"], tenants)
        return {
            (
                r["tenant"],
                Source(r["data_source"]),
                SeriesKey(r["metric_type"], r["metric_name"], tuple(sorted(r["labels"].items()))),
            ): r["id"]
            for r in rows
            if r["data_source"] in Source.__members__.values() and _is_flat(r["labels"])
        }


def _is_flat(labels: dict[str, Any]) -> bool:
    """Hand-made series of older releases may have labels that are no texts; nobody else has such a series."""
    return all(isinstance(text, str) for text in labels.values())
