"""Which evidence is too costly for the commit that everybody waits for.

What comes late rewrites all running sums after it, and is laid again together with every frame it spans; what flaps
is a row per change. How much that is, is counted in rows, never measured in time: so it is the same on every machine.
What is left to the job (`storage.hand_made`) is stored and acknowledged like the rest, and in the end the timeline is
the same.

Invariants:
- A commit never waits for a timeline that the job has to itself: it leaves that tenant's evidence to the job.
- The newest evidence of a timeline that is free is applied at once: only what is older is left to the job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Final

from ecpmon.model.samples import Source
from ecpmon.sla.evidence import DEFAULT_RULES, EvidenceRules, end_of, vote_of
from ecpmon.sla.voices import hour_after
from ecpmon.storage.evidence import Locked
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import EvidenceValue, Regime, regime_at

# What is less late than that is applied at once, whatever it costs: people look at the last minutes.
LATE: Final = timedelta(minutes=5)
# Of one tenant in one commit: outages and gaps whose sums are rewritten (20 µs each), frames that are read again, and
# changes that are written (100 µs each).
MOST_FOLLOWING: Final = 200
MOST_WRITTEN: Final = 150
MOST_READ: Final = 5_000

Evidence = dict[int, list[EvidenceValue]]
_instant = itemgetter(0)


class LateEvidence:
    """Call with the timelines locked, after the frames are in."""

    def __init__(
        self,
        most_following: int = MOST_FOLLOWING,
        most_read: int = MOST_READ,
        most_written: int = MOST_WRITTEN,
        rules: EvidenceRules = DEFAULT_RULES,
    ) -> None:
        self._most_following = most_following
        self._most_written = most_written
        self._most_read = most_read
        self._rules = rules
        self._sql = load("ingest")
        self._voices = load("voices")

    async def divided(
        self, connection: Any, evidence: Mapping[int, list[EvidenceValue]], locked: Locked
    ) -> tuple[Evidence, Evidence]:
        """By tenant, what is to be applied in this commit, and what is left to the job."""
        now = {tenant: values for tenant, values in evidence.items() if tenant in locked.heads}
        later = {tenant: values for tenant, values in evidence.items() if tenant not in locked.heads}
        late = {}
        for tenant, values in now.items():
            if since := crowded_before(values, locked.regimes[tenant], self._most_written, self._rules):
                _split(now, later, tenant, since)
        for tenant, values in now.items():
            last = locked.heads[tenant]["last_observed_at"]
            if last and (instants := _before(last - LATE, values, locked.regimes[tenant])):
                late[tenant] = (min(instants), max(instants))
        for tenant in {
            *await self._costly(connection, late),
            *await self._unheard(connection, now, locked, late),
        }:
            _split(now, later, tenant, locked.heads[tenant]["last_observed_at"] - LATE)
        return {tenant: values for tenant, values in now.items() if values}, later

    async def _unheard(
        self,
        connection: Any,
        evidence: Mapping[int, list[EvidenceValue]],
        locked: Locked,
        late: Collection[int],
    ) -> Sequence[int]:
        """Whose late evidence is of a voice that was not expected then, nor the only one of its tenant, or may end one:
        what is known of a whole day changes."""
        asked: dict[tuple[int, str, str, str, datetime], datetime] = {}
        for tenant in late:
            last, regimes = locked.heads[tenant]["last_observed_at"], locked.regimes[tenant]
            for ts, source, name, component, value in evidence[tenant]:
                if ts >= last - LATE or not _is_expected(regime_at(regimes, ts), source, component):
                    continue
                rule = self._rules.of(source)
                ended = end_of(name, rule)
                if ended is not None or vote_of(name, value, rule) is not None:
                    metric = name if ended is None else ended[0]
                    key = tenant, source.value, metric, component, hour_after(ts)
                    asked[key] = min(asked.get(key, ts), ts)
        if not asked:
            return ()
        columns = [list(column) for column in zip(*asked, strict=True)][:-1]
        rows = await connection.fetch(self._voices["unheard"], *columns, list(asked.values()))
        return [r["tenant"] for r in rows]

    async def _costly(self, connection: Any, late: Mapping[int, tuple[datetime, datetime]]) -> Sequence[int]:
        if not late:
            return ()
        rows = await connection.fetch(
            self._sql["late_cost"],
            list(late),
            [first for first, _ in late.values()],
            [last for _, last in late.values()],
            self._most_read + 1,
            min(first for first, _ in late.values()),
            max(last for _, last in late.values()),
        )
        return [
            r["tenant"] for r in rows
            if r["following"] > self._most_following or r["frames"] > self._most_read
        ]  # fmt: skip


def _is_expected(regime: Regime, source: Source, component: str) -> bool:
    """Whether a component that this source speaks of is expected to go on."""
    if regime.source is not source or source is not Source.PUSH:
        return False
    return regime.weights is None or component in regime.weights


def _split(now: Evidence, later: Evidence, tenant: int, at: datetime) -> None:
    """What is older than `at` is for later."""
    later.setdefault(tenant, []).extend(value for value in now[tenant] if value[0] < at)
    now[tenant] = [value for value in now[tenant] if value[0] >= at]


def crowded_before(
    values: Sequence[EvidenceValue],
    regimes: Sequence[Regime],
    most: int,
    rules: EvidenceRules = DEFAULT_RULES,
) -> datetime | None:
    """Since when `values` change no more than `most` times; None: altogether.

    A change is another vote of a metric, or a silence that is a gap.
    """
    if len(values) <= most // 2:
        return None
    known: dict[tuple[str, str], bool | None] = {}
    changes, following = 0, None
    for ts, source, name, component, value in sorted(values, key=_instant, reverse=True):
        regime = regime_at(regimes, ts)
        if regime.source is not source:
            continue
        vote = vote_of(name, value, rules.of(source))
        changes += known.get((name, component), vote) != vote
        if following is not None:
            changes += following - ts > regime.holds
        if changes > most:
            return following
        known[name, component] = vote
        following = ts
    return None


def _before(until: datetime, values: Iterable[EvidenceValue], regimes: Sequence[Regime]) -> list[datetime]:
    """The instants before `until` of what has a vote."""
    return [
        ts for ts, source, *_ in values if ts < until and regime_at(regimes, ts).source is source
    ]  # fmt: skip
