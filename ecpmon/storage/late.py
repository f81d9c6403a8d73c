"""Which evidence is too costly for the commit that everybody waits for.

What comes late rewrites all running sums after it, and is laid again together with every frame it spans. How much that
is, is counted in rows, never measured in time: so it is the same on every machine. What is left to the job
(`storage.hand_made`) is stored and acknowledged like the rest, and in the end the timeline is the same.

Invariants:
- A commit never waits for a timeline that the job has to itself: it leaves that tenant's evidence to the job.
- Only the past is left to it: what goes on from a timeline's end is applied at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.storage.evidence import EvidenceValue, Locked, Regime, regime_at
from ecpmon.storage.queries import load

# What is less late than that is applied at once, whatever it costs: people look at the last minutes.
LATE: Final = timedelta(minutes=5)
# Of one tenant in one commit: outages and gaps whose sums are rewritten (20 µs each), and frames that are read again.
MOST_FOLLOWING: Final = 200
MOST_READ: Final = 5_000

Evidence = dict[int, list[EvidenceValue]]


class LateEvidence:
    """Call with the timelines locked, after the frames are in."""

    def __init__(self, most_following: int = MOST_FOLLOWING, most_read: int = MOST_READ) -> None:
        self._most_following = most_following
        self._most_read = most_read
        self._sql = load("ingest")

    async def divided(
        self, connection: Any, evidence: Mapping[int, list[EvidenceValue]], locked: Locked
    ) -> tuple[Evidence, Evidence]:
        """By tenant, what is to be applied in this commit, and what is left to the job."""
        now = {tenant: values for tenant, values in evidence.items() if tenant in locked.heads}
        later = {tenant: values for tenant, values in evidence.items() if tenant not in locked.heads}
        late = {}
        for tenant, values in now.items():
            last = locked.heads[tenant]["last_observed_at"]
            if last and (instants := _before(last - LATE, values, locked.regimes[tenant])):
                late[tenant] = (min(instants), max(instants))
        for tenant in await self._costly(connection, late):
            until = locked.heads[tenant]["last_observed_at"] - LATE
            later[tenant] = [value for value in now[tenant] if value[0] < until]
            now[tenant] = [value for value in now[tenant] if value[0] >= until]
        return {tenant: values for tenant, values in now.items() if values}, later

    async def _costly(self, connection: Any, late: Mapping[int, tuple[datetime, datetime]]) -> Sequence[int]:
        if not late:
            return ()
        rows = await connection.fetch(
            self._sql["late_cost"],
            list(late),
            [first for first, _ in late.values()],
            [last for _, last in late.values()],
            self._most_read + 1,
        )
        return [
            r["tenant"] for r in rows
            if r["following"] > self._most_following or r["frames"] > self._most_read
        ]  # fmt: skip


def _before(until: datetime, values: Iterable[EvidenceValue], regimes: Sequence[Regime]) -> list[datetime]:
    """The instants before `until` of what has a vote."""
    return [
        ts for ts, source, *_ in values if ts < until and regime_at(regimes, ts).source is source
    ]  # fmt: skip
