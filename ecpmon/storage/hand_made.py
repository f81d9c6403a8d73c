"""Evidence that came past the API: rows that people insert or delete, and what a commit could not take in.

That is what would have cost the others too much (`storage.late`), and what is of a time that had not come.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from ecpmon.errors import NoLongerLeader
from ecpmon.isolation import is_passing, reason_of, trace_of
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.storage.bus import BusWriter
from ecpmon.storage.crowding import MOST_CHANGES
from ecpmon.storage.database import Database
from ecpmon.storage.evidence import HeadChange
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.quarantine import any_held, note_within
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import evidence_values
from ecpmon.storage.telling import is_change, tell_samples
from ecpmon.storage.timelines import Timelines

_log = structlog.get_logger(__name__)
JOB: Final = "hand_made"
# Longer than a part takes; a commit that comes later than that waits for the lock.
HOLD: Final = timedelta(seconds=60)
# Of a tenant in one transaction: what is made of them holds the event loop, 20 µs each.
MOST_MARKS: Final = 500
MOST_RUNS: Final = 8
# What is laid again together: everything between two instants of a run is read.
NEAR: Final = timedelta(hours=1)
LONGEST_RUN: Final = timedelta(hours=12)


class HandMade:
    """Brings timelines up to date where `evidence_dirty` says that they are not.

    Invariants:
    - A timeline is worked on while commits know that it is (`held_until`), so none waits for its lock. When this
      process ends in the midst of it they know better after `HOLD`.
    - Marks go in the transaction that takes in what they stand for.
    """

    def __init__(
        self,
        database: Database,
        rules: EvidenceRules,
        most_changes: int = MOST_CHANGES,
        most_marks: int = MOST_MARKS,
    ) -> None:
        """`most_changes` as for `Timelines`; `most_marks` of a tenant are taken in at a time."""
        self._database = database
        self._timelines = Timelines(rules, most_changes)
        self._most_marks = most_marks
        # No process knows of it yet, this one's sockets neither.
        self._bus = BusWriter(judge=True)
        self._sql = load("ingest")

    async def take_in(self, oldest: datetime, now: datetime) -> int:
        """Take in some marks up to `now` of each tenant that has any; their number. Call until it returns 0.

        Before `oldest` the frames around a mark are gone, and with them what the timeline was made of: it stays. A
        tenant whose timeline cannot be continued is quarantined, and its marks wait.
        """
        tried = 0
        for row in await self._database.fetch(self._sql["marked"], now):
            tenant = row["tenant"]
            await self._database.execute(self._sql["hold_head"], tenant, HOLD)
            try:
                tried += await self._part(tenant, oldest, now)
            except Exception as error:
                if is_passing(error) or isinstance(error, NoLongerLeader):
                    raise
                _log.error("failed_apart", job=JOB, culprit=str(tenant), error=reason_of(error),
                           exc_info=trace_of(error))  # fmt: skip
                await self._give_up(tenant, reason_of(error), now)
                tried += 1
        if await any_held(self._database, JOB):
            await self._database.execute(self._sql["heal_hand_made"])
        return tried

    async def _part(self, tenant: int, oldest: datetime, now: datetime) -> int:
        async with self._database.transaction() as connection:
            with wrap_errors():
                locked = await self._timelines.lock(connection, [tenant])
                marks = await connection.fetch(self._sql["marks"], tenant, now, self._most_marks)
                runs = runs_of({r["ts"] for r in marks})[:MOST_RUNS]
                gone = {r["ts"] for r in marks if r["gone"]}
                changes: list[HeadChange] = []
                for run in runs:
                    changes += await self._take(
                        connection, tenant, [i for i in run if i >= oldest], gone=not gone.isdisjoint(run)
                    )
                done = {instant for run in runs for instant in run}
                await connection.execute(
                    self._sql["unmark"], tenant, [r["id"] for r in marks if r["ts"] in done]
                )
                if changes := [change for change in changes if is_change(change)]:
                    await tell_samples(self._bus, connection, [tenant], changes)
                if locked.heads:
                    await connection.execute(self._sql["release_head"], tenant)
        return len(marks)

    async def _give_up(self, tenant: int, why: str, now: datetime) -> None:
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql["release_head"], tenant)
                await note_within(connection, JOB, {(tenant, ""): why}, now)

    async def _take(
        self, connection: Any, tenant: int, instants: list[datetime], *, gone: bool
    ) -> list[HeadChange]:
        """Tell anew what the samples say from the first to the last of these instants; `gone`: some are no more."""
        if not instants:
            return []
        locked = await self._timelines.lock(connection, [tenant])
        between = instants[0], instants[-1]
        rows = await connection.fetch(self._sql["evidence_at"], tenant, instants, *between)
        values = list(evidence_values(rows))
        return await self._timelines.relay(connection, tenant, values, between, locked, gone=gone)


def runs_of(instants: Iterable[datetime]) -> list[list[datetime]]:
    """The newest run first, each in order: instants near each other, within `LONGEST_RUN`."""
    runs: list[list[datetime]] = []
    for at in sorted(instants, reverse=True):
        if runs and runs[-1][-1] - at <= NEAR and runs[-1][0] - at <= LONGEST_RUN:
            runs[-1].append(at)
        else:
            runs.append([at])
    return [run[::-1] for run in runs]
