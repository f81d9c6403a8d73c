"""New evidence into timelines, inside the transaction that stores the frames.

Mostly the same voices say everything each time and in order: then each instant speaks for itself, nothing that was said
before is looked at, and what says nothing new rewrites nothing. Where several speak by turns, what each of them said
last is kept at the open end (`storage.voices`), so that in order this needs no more look-ups either. Everything else is
laid again (`storage.relaying`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from ecpmon.model.availability import Observation
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.spans import Head, continued, lay, rewrite
from ecpmon.sla.voices import Chorus, Told, hour_after
from ecpmon.storage.alike import alike_in_parts, once_an_hour
from ecpmon.storage.crowding import MOST_CHANGES
from ecpmon.storage.evidence import HeadChange, Locked, Taken, TimelineWriter, head_of
from ecpmon.storage.regimes import EvidenceValue, Regime, told_by
from ecpmon.storage.relaying import Relaying
from ecpmon.storage.voices import Standing, chorus_of, cuts, hearings, standing_of

# More values than this are put together in a thread.
_MANY: Final = 2_000


class Timelines(TimelineWriter):
    """Applies evidence to stored timelines. Call with the heads locked, after the frames are in."""

    def __init__(self, rules: EvidenceRules, most_changes: int = MOST_CHANGES) -> None:
        super().__init__(rules, most_changes)
        self._relaying = Relaying(self, self.voices)

    async def apply(
        self, connection: Any, evidence: Mapping[int, list[EvidenceValue]], locked: Locked
    ) -> list[HeadChange]:
        """`evidence`: new values per tenant. Returns the heads as they were and are."""
        out = Taken()
        for tenant in sorted(evidence):
            if tenant in locked.heads:
                await self._take_in(connection, tenant, evidence[tenant], locked, out)
        await self.store(connection, out)
        return out.changes

    async def relay(
        self, connection: Any, tenant: int, values: Sequence[EvidenceValue],
        between: tuple[datetime, datetime], locked: Locked, *, gone: bool,
    ) -> list[HeadChange]:  # fmt: skip
        """Tell anew what is said `between` two instants; `values` are said there now, `gone`: not all that were."""
        out = Taken()
        if tenant in locked.heads:
            regimes = locked.regimes[tenant]
            told = told_by(values, regimes, self.rules)
            row = locked.heads[tenant]
            await self._relaying.relay(connection, tenant, row, regimes, between, told, out, gone=gone)
            await self.store(connection, out)
        return out.changes

    async def _take_in(
        self, connection: Any, tenant: int, values: list[EvidenceValue], locked: Locked, out: Taken
    ) -> None:
        row, regimes = locked.heads[tenant], locked.regimes[tenant]
        alone = await alike_in_parts(values, regimes, self.rules)
        if alone is not None:
            runs = alone.runs
            if not runs:
                return
            head = head_of(row)
            first = head is None and row["voices"] is None
            if first or (head is not None and alone.goes_on(row["says"]) and runs[0].ts > head.last):
                await self._go_on(connection, tenant, head, head, runs, regimes, out)
                if first or (row["noted"] is not None and runs[-1].ts >= row["noted"]):
                    _note(tenant, alone.ends, told_by(once_an_hour(values), regimes, self.rules), out)
                elif alone.ends != row["says"]:
                    out.standings[tenant] = Standing(alone.ends, row["noted"])
                return
        told = await self._told(values, regimes)
        if not told:
            return  # an end of what has no vote
        chorus = _chorus(row, told, regimes)
        if chorus is None:
            between = told[0].ts, told[-1].ts
            await self._relaying.relay(connection, tenant, row, regimes, between, told, out)
        else:
            await self._sing_on(connection, tenant, head_of(row), chorus, told, regimes, out)

    async def _told(self, values: Sequence[EvidenceValue], regimes: Sequence[Regime]) -> list[Told]:
        if len(values) <= _MANY:
            return told_by(values, regimes, self.rules)
        return await asyncio.to_thread(told_by, values, regimes, self.rules)

    async def _sing_on(
        self, connection: Any, tenant: int, before: Head | None, chorus: Chorus,
        told: list[Told], regimes: list[Regime], out: Taken,
    ) -> None:  # fmt: skip
        """Several voices by turns, in order."""
        out.cuts += cuts(tenant, told)
        out.heard += hearings(tenant, told, chorus)
        head, newest = before, chorus.newest
        if before is not None and newest is not None and before.expires > newest:
            seen = chorus.follow(told, before.observation)
            # What holds may hold longer now, or less long.
            head, seen = replace(before, holds=seen[0].holds), seen[1:]
        else:
            seen = chorus.follow(told)
        out.standings[tenant] = standing_of(chorus)
        if seen or head != before:
            await self._go_on(connection, tenant, before, head, seen, regimes, out)

    async def _go_on(
        self, connection: Any, tenant: int, before: Head | None, head: Head | None,
        fresh: list[Observation], regimes: list[Regime], out: Taken,
    ) -> None:  # fmt: skip
        """`fresh`, all after the open end. `before` is the head as it is stored, `head` as it is known to be."""
        if after := continued(head, fresh):
            out.changes.append(HeadChange(tenant, before, after, fresh[0].ts if fresh else after.last))
            return
        known = [head.observation, *fresh] if head else fresh
        doubt = head.doubt if head else 0.0
        content = await self.explain(connection, tenant, lay(known, known[-1].ts, doubt), regimes)
        patch = rewrite([], head, known, None, content, doubt)
        out.spans.extend((tenant, span) for span in patch.spans)
        out.changes.append(HeadChange(tenant, before, patch.head, fresh[0].ts))


def _note(tenant: int, says: str, told: list[Told], out: Taken) -> None:
    """The first hour in which these voices are heard, or another one."""
    out.heard += hearings(tenant, told)
    out.standings[tenant] = Standing(says, hour_after(told[-1].ts))


def _chorus(row: Any, told: list[Told], regimes: list[Regime]) -> Chorus | None:
    """What the open end knows of several voices, if `told` goes on with it."""
    chorus = chorus_of(row["voices"], regimes)
    if chorus is None or chorus.policy is None or chorus.newest is None or chorus.newest >= told[0].ts:
        return None
    policy = chorus.policy
    # Which voices of another source are expected is not at hand.
    return chorus if all(each.policy.source == policy.source for each in told) else None
