"""Whole hours of the past are stored packed and rolled up at once: no frames, no marks, no job afterwards.

An hour of a tenant goes this way when it has been over for `SETTLED` and nothing of it is under way: it has no frames,
and no marks of rollups. Any other is left to `storage.ingest`, with the same result in the end.

    asked ──it is settled──► packed and rolled up, together with what is there     one transaction
      └─────otherwise──────► given back

Formula. Samples: what is packed, overlaid by what comes. Rollups: of each series and bucket that something comes of,
what its samples come to; of every other what there was. An hour's: of its buckets.

Invariants:
1. The locks of `packing` and of the rollups are held to the end of the transaction: what the hour has packed and
   rolled up is what was read. Who stores frames of it meanwhile marks their buckets, which are rolled up after it.
2. What a tenant's timeline follows from is taken in by the same transaction, and its objectives' counts are marked.
3. Parts of one hour hold each sample once (`storage.packs`): those that hold a series of which something comes again
   are taken out and made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any, Final

import structlog

from ecpmon.errors import EcpError
from ecpmon.model.history import Alike, instant
from ecpmon.model.samples import Shapes, Source
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.storage.bus import BusWriter
from ecpmon.storage.database import Database
from ecpmon.storage.evidence import HeadChange
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.history_hours import Hour, RolledRows
from ecpmon.storage.late import LateEvidence
from ecpmon.storage.packed_rows import COLUMNS as PACKED
from ecpmon.storage.packed_rows import numbered, packed_row
from ecpmon.storage.packs import Part
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import EvidenceValue
from ecpmon.storage.rolled import Answering
from ecpmon.storage.rollup_rows import COLUMNS as ROLLED
from ecpmon.storage.rollup_rows import encoded
from ecpmon.storage.rows import END, HEAD
from ecpmon.storage.series import Row, SeriesCatalogue, Wanted
from ecpmon.storage.telling import tell_samples
from ecpmon.storage.timelines import Timelines

_log = structlog.get_logger(__name__)
_HOUR: Final = timedelta(hours=1)
# What has been over for so long has its samples, mostly.
SETTLED: Final = timedelta(hours=1)
_ANY: Final = 2**31
# A tenant, and the beginning of an hour.
Key = tuple[int, datetime]


@dataclass(slots=True)
class _Placed:
    part: Alike
    tenant: int
    wanted: Wanted
    row: Row

    @property
    def key(self) -> Key:
        return self.tenant, instant(self.part.hour)

    def evidence(self, source: Source) -> Iterable[EvidenceValue]:
        """What of it has a vote on availability, in the order of time."""
        votes = self.row.evidence
        if not votes:
            return ()
        times = [instant(ms) for ms in self.part.at]
        voices = [
            zip(times, repeat(source), repeat(name), repeat(component), self.part.columns[place])
            for place, name, component in votes
        ]
        return chain.from_iterable(zip(*voices, strict=True))


class PgHistory:
    """Not tenant-bound: it stores for all."""

    def __init__(self, database: Database, rules: EvidenceRules, max_series_per_tenant: int) -> None:
        self._database = database
        self._series = SeriesCatalogue(max_series_per_tenant)
        self._shapes = Shapes()
        self._timelines = Timelines(rules)
        self._late = LateEvidence(most_following=_ANY, most_read=_ANY, most_written=_ANY, rules=rules)
        self._bus = BusWriter()
        self._sql, self._ingest = load("history"), load("ingest")

    async def store(
        self, parts: Sequence[Alike], source: Source, now: datetime
    ) -> tuple[int, Sequence[Alike]]:
        """Store parts that lie within an hour each; how many samples of them are stored, and which are left to others.

        Raises DatabaseUnavailable: nothing was stored, or it is unknown; do it again.
        """
        settled = [part for part in parts if instant(part.hour) + _HOUR + SETTLED <= now]
        if not settled:
            return 0, parts
        try:
            async with self._database.transaction() as connection:
                with wrap_errors():
                    placed = await self._store(connection, settled, source, now)
        except EcpError as error:
            if error.retryable:
                raise
            _log.warning("history_apart", parts=len(settled), error=error.message)
            return 0, parts
        self._series.remember({each.wanted: each.row for each in placed})
        stored = {id(each.part) for each in placed}
        count = sum(len(each.part.at) * each.row.taken for each in placed)
        return count, [part for part in parts if id(part) not in stored]

    async def _store(
        self, connection: Any, parts: Sequence[Alike], source: Source, now: datetime
    ) -> list[_Placed]:
        await connection.execute(self._sql["turns"])
        placed = await self._placed(connection, parts, source)
        if not placed:
            return []
        hours = {key: Hour(*key) for key in sorted({each.key for each in placed})}
        for each in placed:
            hours[each.key].add(each.part, each.row)
        answering = await self._answering(connection, sorted({tenant for tenant, _ in hours}))
        await self._note_what_is_there(connection, hours)
        for (tenant, begins), hour in hours.items():
            if again := hour.again(answering.get(tenant, ())):
                hour.overlay(await connection.fetch(self._sql["take_parts"], tenant, begins, again))
        await self._put(connection, list(hours.values()), answering, now)
        await connection.execute(self._sql["mark_objectives"], *_stretches(hours))
        changes = await self._continue(connection, placed, source)
        await tell_samples(self._bus, connection, {tenant for tenant, _ in hours}, changes)
        return placed

    async def _placed(self, connection: Any, parts: Sequence[Alike], source: Source) -> list[_Placed]:
        """Those of live tenants whose hour is not under way, with the numbers of their series."""
        names = sorted({part.tenant_id for part in parts})
        rows = await connection.fetch(self._ingest["live_tenants"], names)
        tenants = {r["tenant_id"]: r["id"] for r in rows}
        own = [(part, tenants[part.tenant_id]) for part in parts if part.tenant_id in tenants]
        keys = sorted({(tenant, instant(part.hour)) for part, tenant in own})
        open_ = {
            (r["tenant"], r["hour"]) for r in await connection.fetch(self._sql["open_hours"], *_asked(keys))
        }
        going = [
            (part, (tenant, source, self._shapes.of(part.keys)))
            for part, tenant in own
            if (tenant, instant(part.hour)) not in open_
        ]
        numbers = await self._series.intern(connection, dict.fromkeys(wanted for _, wanted in going))
        return [_Placed(part, wanted[0], wanted, numbers[wanted]) for part, wanted in going]

    async def _answering(self, connection: Any, tenants: list[int]) -> dict[int, list[Answering]]:
        found: dict[int, list[Answering]] = {}
        for r in await connection.fetch(self._sql["answering"], tenants):
            told = Answering(r["up"] or (), r["error_rate"] or (), r["response_time"])
            found.setdefault(r["tenant"], []).append(told)
        return found

    async def _note_what_is_there(self, connection: Any, hours: Mapping[Key, Hour]) -> None:
        asked = _asked(list(hours))
        for r in await connection.fetch(self._sql["packed_there"], *asked):
            hours[r["tenant"], r["hour"]].note_part(r["part"], r["series"])
        for r in await connection.fetch(self._sql["rolled_5m"], *asked):
            hours[r["tenant"], _hour_of(r["bucket"])].note_rolled(r)
        for r in await connection.fetch(self._sql["rolled_1h"], *asked):
            hours[r["tenant"], r["bucket"]].note_rolled_whole(r)

    async def _put(
        self,
        connection: Any,
        hours: Sequence[Hour],
        answering: Mapping[int, Sequence[Answering]],
        now: datetime,
    ) -> None:
        parts = await asyncio.to_thread(lambda: [(hour, part) for hour in hours for part in hour.packed()])
        number = await connection.fetchval(self._sql["numbers"], sum(numbered(part) for _, part in parts))
        await connection.copy_to_table(
            "packed_hours", source=_body(_packed_rows(parts, number, now)), columns=PACKED, format="binary"
        )
        fives, whole = RolledRows(), RolledRows()
        for hour in hours:
            hour.roll(answering.get(hour.tenant, ()), fives, whole)
        for tier, rows in (("5m", fives), ("1h", whole)):
            if rows.fresh:
                await connection.copy_to_table(
                    f"rollup_{tier}", source=_body(map(encoded, rows.fresh)), columns=ROLLED, format="binary"
                )
            if rows.replacing:
                await connection.executemany(self._sql[f"replace_{tier}"], rows.replacing)

    async def _continue(self, connection: Any, placed: Sequence[_Placed], source: Source) -> list[HeadChange]:
        """Timelines continued by what is evidence; what cannot be told at once is left to the job."""
        evidence: dict[int, list[EvidenceValue]] = {}
        for each in placed:
            if each.row.evidence:
                evidence.setdefault(each.tenant, []).extend(each.evidence(source))
        if not evidence:
            return []
        locked = await self._timelines.lock(connection, evidence, free_only=True)
        at_once, later = await self._late.divided(connection, evidence, locked)
        if marks := sorted({(tenant, value[0]) for tenant, values in later.items() for value in values}):
            await connection.execute(self._ingest["mark_evidence"], *map(list, zip(*marks, strict=True)))
        return await self._timelines.apply(connection, at_once, locked)


def _packed_rows(parts: Iterable[tuple[Hour, Part]], number: int, now: datetime) -> Iterator[bytes]:
    for hour, part in parts:
        yield packed_row(part, hour.begins, hour.tenant, hour.place, number, now)
        hour.place += 1
        number += numbered(part)


async def _body(rows: Iterable[bytes]) -> AsyncIterator[bytes]:
    """What COPY takes, a little at a time."""
    some, size = [HEAD], 0
    for row in rows:
        some.append(row)
        size += len(row)
        if size > 1 << 18:
            yield b"".join(some)
            some, size = [], 0
    yield b"".join((*some, END))


def _asked(keys: Sequence[Key]) -> tuple[list[int], list[datetime], datetime, datetime]:
    hours = [hour for _, hour in keys]
    return [tenant for tenant, _ in keys], hours, min(hours), max(hours) + _HOUR


def _hour_of(at: datetime) -> datetime:
    return at - timedelta(seconds=at.timestamp() % 3600)


def _stretches(hours: Iterable[Key]) -> tuple[list[int], list[datetime], list[datetime]]:
    """Tenants, and from when to when hours of theirs follow one another."""
    tenants, starts, ends = list[int](), list[datetime](), list[datetime]()
    for tenant, hour in hours:
        if tenants and tenants[-1] == tenant and ends[-1] == hour:
            ends[-1] = hour + _HOUR
        else:
            tenants.append(tenant)
            starts.append(hour)
            ends.append(hour + _HOUR)
    return tenants, starts, ends
