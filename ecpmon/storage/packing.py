"""Packs hours that are over: `frames` become `packed_hours`, exactly (docs/adr/0015-packed-hours.md).

States of an (hour, tenant):

    open ──a turn──► packed ──something late──► packed with late samples ──a turn, `AGAIN` later──► packed

A turn of one hour of one tenant is one short transaction: it takes its frames out, puts packed rows in, and, where
there were some already, merges them. Until it commits everybody reads the frames; afterwards everybody reads the rows.

Invariants:
1. The samples of an hour are its packed rows, overlaid by its frames: of two of one series and instant that of the
   frame with the highest `seq` counts, and any frame before what is packed. No turn changes them.
2. So a turn may take only frames with a lower `seq` than every one that is still to come. It reads the sequence, then
   waits until every transaction is over that was writing frames when it had read it: who begins later has a higher.
3. What a turn packs is what its own DELETE gave back: what somebody deletes meanwhile is in one of the two.
4. One at a time: a lock, held to the end of the transaction. Its leader's term is checked in it
   (`Database.transaction`).

Crash points: before the commit nothing has happened; after it the turn is done. Nothing is remembered elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, Final

import structlog

from ecpmon.errors import NoLongerLeader
from ecpmon.isolation import is_passing, reason_of, trace_of
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.packed_rows import COLUMNS, numbered, packed_row
from ecpmon.storage.packs import Part, merged, parts_of
from ecpmon.storage.quarantine import any_held, note_within
from ecpmon.storage.queries import load
from ecpmon.storage.rows import END, HEAD

_log = structlog.get_logger(__name__)
JOB: Final = "packing"
HOUR: Final = timedelta(hours=1)
# An hour to which something came late is packed again so long after it was packed last.
AGAIN: Final = timedelta(hours=1)
# Samples that are taken in one transaction, about 2 µs of a processor each.
MOST_SAMPLES: Final = 200_000
_SHORTEST: Final = timedelta(seconds=10)
_EARLIEST: Final = timedelta(days=20_000)
# How long writers are waited for, which commit in milliseconds; else the next turn tries.
_PATIENCE: Final = 5.0
_LOOK_AGAIN: Final = 0.02


class Packing:
    """Not tenant-bound: it serves all, one tenant and hour after the other."""

    def __init__(self, database: Database, patience: float = _PATIENCE) -> None:
        """`patience`: seconds for which writers are waited for."""
        self._database = database
        self._patience = patience
        self._sql = load("packing")

    async def pack(self, before: datetime, now: datetime, most: int = 1_000) -> int:
        """Pack hours that were over at `before`, the oldest of each tenant first; how many, `most` at most.

        Call until it returns 0. An hour that cannot be packed is quarantined; it stays as it is. Raises when something
        is away.
        """
        upto = await self._settled()
        if upto is None:
            return 0
        since: dict[int, datetime] = {
            r["id"]: now - _EARLIEST for r in await self._database.fetch(self._sql["tenants"])
        }
        packed, until = 0, before - timedelta(seconds=before.timestamp() % 3600)
        while since and packed < most:
            rows = await self._database.fetch(
                self._sql["next_hours"], list(since), list(since.values()), until, now, AGAIN
            )
            since = {r["tenant"]: r["hour"] + HOUR for r in rows}
            for row in rows:
                if row["due"] and packed < most:
                    packed += await self._turn(row["tenant"], row["hour"], upto, now)
        if packed and await any_held(self._database, JOB):
            await self._database.execute(self._sql["heal_packing"])
        return packed

    async def _settled(self) -> int | None:
        """A number up to which every frame is committed or will never be; None: somebody is writing for long."""
        upto: int = await self._database.fetchval(self._sql["last_number"])
        writing: list[str] = await self._database.fetchval(self._sql["writing"])
        give_up = asyncio.get_running_loop().time() + self._patience
        while writing:
            if asyncio.get_running_loop().time() > give_up:
                _log.warning("packing_waits", transactions=len(writing))
                return None
            await asyncio.sleep(_LOOK_AGAIN)
            still = set(await self._database.fetchval(self._sql["writing"]))
            writing = [transaction for transaction in writing if transaction in still]
        return upto

    async def _turn(self, tenant: int, hour: datetime, upto: int, now: datetime) -> int:
        """1 if something was packed."""
        try:
            return await self._pack_window(tenant, hour, hour, hour + HOUR, upto, now)
        except Exception as error:
            if is_passing(error) or isinstance(error, NoLongerLeader):
                raise
            _log.error("failed_apart", job=JOB, culprit=f"{tenant} {hour.isoformat()}", error=reason_of(error),
                       exc_info=trace_of(error))  # fmt: skip
            async with self._database.transaction() as connection:
                with wrap_errors():
                    await note_within(connection, JOB, {(tenant, hour.isoformat()): reason_of(error)}, now)
            return 0

    async def _pack_window(
        self, tenant: int, hour: datetime, start: datetime, end: datetime, upto: int, now: datetime
    ) -> int:
        """Of an hour with very many samples one part after the other, each in a transaction of its own."""
        size = await self._database.fetchval(self._sql["size"], tenant, start, end, MOST_SAMPLES)
        if size > MOST_SAMPLES and end - start > _SHORTEST:
            half = start + (end - start) / 2
            first = await self._pack_window(tenant, hour, start, half, upto, now)
            return max(first, await self._pack_window(tenant, hour, half, end, upto, now))
        async with self._database.transaction() as connection:
            with wrap_errors():
                if not await connection.fetchval(self._sql["packings_turn"]):
                    return 0
                asked = (tenant, hour, start, end)
                frames = await connection.fetch(self._sql["take"], *asked, upto)
                if not frames:
                    return 0
                old = await connection.fetch(self._sql["take_packed"], *asked)
                parts = await asyncio.to_thread(_packed, old, frames)
                await self._put(connection, tenant, hour, parts, now)
        return 1

    async def _put(
        self, connection: Any, tenant: int, hour: datetime, parts: Sequence[Part], now: datetime
    ) -> None:
        row = await connection.fetchrow(self._sql["numbers"], tenant, hour, sum(map(numbered, parts)))
        number, place, rows = row["number"], row["place"], [HEAD]
        for part in parts:
            rows.append(packed_row(part, hour, tenant, place, number, now))
            number, place = number + numbered(part), place + 1
        source = BytesIO(b"".join((*rows, END)))
        await connection.copy_to_table("packed_hours", source=source, columns=COLUMNS, format="binary")


def _packed(old: Sequence[Any], frames: Sequence[Any]) -> list[Part]:
    """What was packed, overlaid by frames in the order of their numbers."""
    return list(parts_of(merged(_overlaid(old, frames))))


def _overlaid(
    old: Sequence[Any], frames: Sequence[Any]
) -> Iterator[tuple[int, Sequence[int], Sequence[float]]]:
    for row in old:
        series = (row["series"],)
        for at, value in zip(row["at"], row["values"], strict=True):
            yield at, series, (value,)
    for row in sorted(frames, key=lambda frame: frame["seq"]):
        yield row["at"], row["series"], row["samples"]
