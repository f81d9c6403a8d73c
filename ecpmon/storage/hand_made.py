"""Evidence that came past the API: rows that people insert or delete, and what a commit could not take in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.availability import Observation, Span, SpanState
from ecpmon.model.samples import FUTURE
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.spans import lay, retract
from ecpmon.storage.apart import each_apart
from ecpmon.storage.crowding import MOST_CHANGES
from ecpmon.storage.database import Database, wrap_errors
from ecpmon.storage.evidence import (
    HeadChange,
    Regime,
    TimelineWriter,
    evidence_values,
    head_of,
    merged_observations,
)
from ecpmon.storage.quarantine import note_within
from ecpmon.storage.queries import load

JOB: Final = "hand_made"
_TICK: Final = timedelta(microseconds=1)


class HandMade:
    """Brings timelines up to date where `evidence_dirty` says that they are not."""

    def __init__(self, database: Database, rules: EvidenceRules, most_changes: int = MOST_CHANGES) -> None:
        """`most_changes` as for `TimelineWriter`."""
        self._database = database
        self._timelines = TimelineWriter(rules, most_changes)
        self._sql = load("ingest")

    async def take_in(self, oldest: datetime, now: datetime) -> int:
        """Take in one batch of marks; their number. Call until it returns 0.

        Before `oldest` the frames around a mark are gone, and with them what the timeline was made of: it stays. A
        tenant whose timeline cannot be continued is quarantined, and its marks wait.
        """
        async with self._database.transaction() as connection:
            with wrap_errors():
                rows = await connection.fetch(self._sql["take_hand_made"], now + FUTURE, now)
                by_tenant: dict[int, tuple[int, set[datetime]]] = {}
                for r in rows:
                    by_tenant.setdefault(r["tenant"], (r["tenant"], set()))[1].add(r["ts"])

                async def take(marked: tuple[int, set[datetime]]) -> None:
                    tenant, instants = marked
                    await self._take(connection, tenant, sorted(i for i in instants if i >= oldest), oldest)

                failed = await each_apart(connection, JOB, by_tenant, take)
                back = sorted((tenant, ts) for tenant in failed for ts in by_tenant[tenant][1])
                await connection.execute(
                    self._sql["mark_evidence"], [t for t, _ in back], [ts for _, ts in back]
                )
                await note_within(connection, JOB, {(t, ""): why for t, why in failed.items()}, now)
                await connection.execute(self._sql["heal_hand_made"])
        return len(rows)

    async def _take(self, connection: Any, tenant: int, instants: list[datetime], oldest: datetime) -> None:
        rows = await connection.fetch(self._sql["evidence_at"], tenant, instants)
        values = list(evidence_values(rows))
        await self._timelines.apply(connection, {tenant: values})
        regimes = (await self._timelines.regimes(connection, [tenant]))[tenant]
        told = {seen.ts for seen in merged_observations(values, regimes, self._timelines.rules)}
        for gone in instants:
            if gone not in told:
                await self._retract(connection, tenant, gone, regimes, oldest)

    async def _retract(
        self, connection: Any, tenant: int, gone: datetime, regimes: list[Regime], oldest: datetime
    ) -> None:
        """Make the timeline what it is without an observation at `gone`."""
        [row] = await connection.fetch(self._sql["lock_heads"], [tenant])
        head = head_of(row)
        if head is None or gone > head.last or gone < row["first_observed_at"]:
            return
        previous = await self._timelines.last_observed(connection, tenant, gone, oldest, regimes)
        following = await self._timelines.next_observed(connection, tenant, gone, head.last, regimes)
        if following is None and gone < head.last:
            following = head.last  # its frame is past raw retention
        if previous is None and following is None:
            await connection.execute(self._sql["heal_timeline"], tenant, gone - _TICK)
            return
        start = previous.ts if previous else gone
        nearby = await self._timelines.take_nearby(connection, tenant, start, following or head.last)
        seen_before = row["first_observed_at"] < gone
        content = _content(previous, gone, following, seen_before)
        content = await self._timelines.explain(connection, tenant, content, regimes)
        patch = retract(nearby, head, start, following, content, previous)
        change = HeadChange(tenant, head, patch.head, row["first_observed_at"])
        await self._timelines.store(connection, [change], [(tenant, s) for s in patch.spans])
        if not seen_before and following is not None:
            await connection.execute(self._sql["first_observed"], tenant, following)


def _content(
    previous: Observation | None, gone: datetime, following: datetime | None, seen_before: bool
) -> list[Span]:
    """What the timeline holds instead, from the previous observation to the following one."""
    if following is None:
        return []
    if previous is not None:
        return lay([previous], following)
    return [Span(gone, following, SpanState.GAP)] if seen_before else []
