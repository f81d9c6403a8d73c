"""Interning of series, bounded per tenant: a frame's shape becomes a row of numbers.

Invariants: what is remembered was committed, a rolled-back transaction leaves no trace; a row that is remembered has a
number for every key of its shape, so that it stays right whatever is added later.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import islice
from time import monotonic
from typing import Any, Final

from ecpmon.model.samples import SeriesKey, Shape, Source, is_storable
from ecpmon.names import EVIDENCE_METRICS
from ecpmon.slices import Slices
from ecpmon.storage.queries import load

FULL_SECONDS: Final = 30.0
MOST_ROWS: Final = 20_000
# (tenant key, source, identity)
Identity = tuple[int, Source, SeriesKey]
# (tenant key, source, what a frame has values of)
Wanted = tuple[int, Source, Shape]
_INT4, _FLOAT8 = 23, 701


class Row:
    """The numbers of a tenant's series, in the order of a shape; what was not taken has none.

    `places`: of those that have a number; None: all of them. `evidence`: place, metric and component of what
    availability follows from.
    """

    __slots__ = ("_head", "_pack", "_pairs", "evidence", "numbers", "places")

    def __init__(self, shape: Shape, numbers: tuple[int | None, ...]) -> None:
        taken = [number for number in numbers if number is not None]
        self.numbers = numbers
        self.places = (
            None
            if len(taken) == len(numbers)
            else tuple(place for place, number in enumerate(numbers) if number is not None)
        )
        self.evidence = tuple(
            (place, key.metric_name, component)
            for place, (key, number) in enumerate(zip(shape.keys, numbers, strict=True))
            if number is not None
            and key.metric_name in EVIDENCE_METRICS
            and (component := key.component) is not None
        )
        # A whole row as binary COPY has it: four columns, each with its length; of an array its head, then length and
        # value of each. What is the same in every row of a tenant's shape is made here.
        count = len(taken)
        series = struct.pack(
            f">6i{2 * count}i", *_array(count, _INT4, 4), *(x for n in taken for x in (4, n))
        )
        self._head = series + struct.pack(">6i", *_array(count, _FLOAT8, 8))
        self._pack = struct.Struct(f">hiqiq{len(self._head)}s" + "id" * count).pack
        self._pairs: list[float] = [8] * (2 * count)

    @property
    def taken(self) -> int:
        """How many samples of a frame are stored."""
        return len(self.numbers) if self.places is None else len(self.places)

    def packed(self, tenant: int, ticks: Sequence[int], rows: Iterable[Sequence[float]]) -> bytes:
        """The rows of frames with these values, `ticks` microseconds after 2000."""
        head, pack, places, pairs, parts = self._head, self._pack, self.places, self._pairs, []
        for tick, values in zip(ticks, rows, strict=True):
            pairs[1::2] = values if places is None else [values[place] for place in places]
            parts.append(pack(4, 8, tick, 8, tenant, head, *pairs))
        return b"".join(parts)


def _array(count: int, oid: int, size: int) -> tuple[int, ...]:
    return (20 + count * (4 + size), 1, 0, oid, count, 1)


class SeriesCatalogue:
    """Numbers for series."""

    def __init__(self, max_per_tenant: int) -> None:
        self._known: dict[Identity, int] = {}
        self._rows: dict[Wanted, Row] = {}
        self._max = max_per_tenant
        # Tenants with as many series as they may have, and until when that is believed: their new names cost no query.
        self._full: dict[int, float] = {}
        self._sql = load("ingest")

    def remember(self, rows: dict[Wanted, Row]) -> None:
        """Call after the transaction that interned them has committed."""
        for wanted, row in rows.items():
            if wanted in self._rows:
                continue
            tenant, source, shape = wanted
            for key, number in zip(shape.keys, row.numbers, strict=True):
                if number is not None:
                    self._known[tenant, source, key] = number
            if row.places is None:
                self._rows[wanted] = row
        while len(self._rows) > MOST_ROWS:
            del self._rows[next(iter(self._rows))]

    def row(self, wanted: Wanted) -> Row | None:
        """What is remembered: a number for every key."""
        return self._rows.get(wanted)

    def unknown(self, wanted: Wanted, most: int) -> int:
        """How many of these names have no number here; more than `most`: as many as `most` and one."""
        if wanted in self._rows:
            return 0
        tenant, source, shape = wanted
        fresh = (key for key in shape.keys if (tenant, source, key) not in self._known)
        return sum(1 for _ in islice(fresh, most + 1))

    async def intern(self, connection: Any, wanted: Iterable[Wanted]) -> dict[Wanted, Row]:
        """A row for each of `wanted`; what is over the tenant's bound, or not storable, has no number in it."""
        rows: dict[Wanted, Row] = {}
        fresh: list[Wanted] = []
        for each in wanted:
            row = self._rows.get(each)
            if row is None:
                fresh.append(each)
            else:
                rows[each] = row
        if fresh:
            numbers = await self._numbers(
                connection, dict.fromkeys((t, s, key) for t, s, shape in fresh for key in shape.keys)
            )
            slices = Slices()
            for tenant, source, shape in fresh:
                found = tuple(numbers.get((tenant, source, key)) for key in shape.keys)
                rows[tenant, source, shape] = Row(shape, found)
                await slices.give_way()
        return rows

    async def _numbers(self, connection: Any, wanted: Iterable[Identity]) -> dict[Identity, int]:
        # Step by step: they may be more than a thousand.
        slices, now = Slices(), monotonic()
        found = {w: self._known[w] for w in wanted if w in self._known}
        await slices.give_way()
        missing = [w for w in wanted if w not in found and self._full.get(w[0], now) <= now]
        missing = [w for w in missing if is_storable(w[2])]
        await slices.give_way()
        if not missing:
            return found
        tenants, names = sorted({w[0] for w in missing}), sorted({w[2].metric_name for w in missing})
        stored = await self._stored(connection, tenants, names)
        if not all(w in stored for w in missing):
            counts = await self._counts(connection, tenants)
            full = [tenant for tenant in tenants if counts[tenant] >= self._max]
            await self._note_full(connection, full, now)
            fresh: list[Identity] = []
            for identity in missing:
                if identity not in stored and counts[identity[0]] < self._max:
                    counts[identity[0]] += 1
                    fresh.append(identity)
            await slices.give_way()
            if fresh:
                await self._insert(connection, fresh)
                stored = await self._stored(connection, tenants, names)
        found.update({w: stored[w] for w in missing if w in stored})
        return found

    async def _note_full(self, connection: Any, full: list[int], now: float) -> None:
        """Called with what others have committed, before anything of ours is inserted."""
        if full:
            self._known.update(await self._stored(connection, full, None))
            self._full.update(dict.fromkeys(full, now + FULL_SECONDS))

    async def _counts(self, connection: Any, tenants: list[int]) -> dict[int, int]:
        rows = await connection.fetch(self._sql["count_series"], tenants)
        return dict.fromkeys(tenants, 0) | {r["tenant"]: r["series"] for r in rows}

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

    async def _stored(
        self, connection: Any, tenants: list[int], names: list[str] | None
    ) -> dict[Identity, int]:
        """Of these names; None: all."""
        rows = await connection.fetch(self._sql["known_series"], tenants, names)
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
