"""Keeping the availability timeline in step with the frames, inside the transaction that stores them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla.coarse import day_of
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.spans import Head, attribute, clip, continued, doubt_between, lay, rewrite
from ecpmon.storage.crowding import MOST_CHANGES, Crowding, exact_ends, widened
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import (
    EvidenceValue,
    Regime,
    awake_between,
    evidence_values,
    merged_observations,
    regime_at,
    regime_of,
    runs_of,
    silent_reason,
)

_CHUNK = 200
_TICK: Final = timedelta(microseconds=1)
# A figure may be made of ten thousand rows: looking up costs a tenth of what making an enumeration's member does.
_STATES: Final = {state.value: state for state in SpanState}
_REASONS: Final[Mapping[str | None, GapReason | None]] = {None: None, **{r.value: r for r in GapReason}}


@dataclass(frozen=True, slots=True)
class HeadChange:
    tenant: int
    before: Head | None
    after: Head
    first: datetime


@dataclass(frozen=True, slots=True)
class Locked:
    """Timelines that a transaction has locked: rows of `availability_heads`, and all regimes, by tenant."""

    heads: Mapping[int, Any]
    regimes: Mapping[int, list[Regime]]


class TimelineWriter:
    """Applies evidence to stored timelines. Call with the heads locked, after the frames are in."""

    def __init__(self, rules: EvidenceRules, most_changes: int = MOST_CHANGES) -> None:
        """`most_changes`: outages and gaps of a UTC day that are kept to the instant."""
        self.rules = rules
        self._crowding = Crowding(most_changes)
        self._sql = load("ingest")

    async def lock(self, connection: Any, tenants: Iterable[int], *, free_only: bool = False) -> Locked:
        """`free_only`: without those that a job has to itself."""
        whose = sorted(tenants)
        query = self._sql["lock_free_heads" if free_only else "lock_heads"]
        heads = {r["tenant"]: r for r in await connection.fetch(query, whose)}
        return Locked(heads, await self.regimes(connection, whose))

    async def apply(
        self, connection: Any, evidence: Mapping[int, list[EvidenceValue]], locked: Locked
    ) -> list[HeadChange]:
        """`evidence`: new values per tenant. Returns the heads as they were and are."""
        changes: list[HeadChange] = []
        spans: list[tuple[int, Span]] = []
        for tenant in sorted(evidence):
            regimes = locked.regimes[tenant]
            fresh = await self._fresh(connection, tenant, evidence[tenant], regimes)
            if not fresh or tenant not in locked.heads:
                continue
            head = head_of(locked.heads[tenant])
            if after := continued(head, fresh):
                changes.append(HeadChange(tenant, head, after, fresh[0].ts))
                continue
            patch_spans, after, first = await self._patch(connection, tenant, head, fresh, regimes)
            spans.extend((tenant, s) for s in patch_spans)
            changes.append(HeadChange(tenant, head, after, first))
        await self.store(connection, changes, spans)
        return changes

    async def regimes(self, connection: Any, tenants: Sequence[int]) -> dict[int, list[Regime]]:
        found: dict[int, list[Regime]] = defaultdict(list)
        for r in await connection.fetch(self._sql["regimes"], tenants):
            found[r["tenant"]].append(regime_of(r))
        return found

    async def _fresh(
        self, connection: Any, tenant: int, values: list[EvidenceValue], regimes: list[Regime]
    ) -> list[Observation]:
        """What the new values say; with weights, together with what was stored of the same instants."""
        weighted = any(regime.weights for regime in regimes)
        instants = {ts for ts, *_ in values} if weighted else set()
        if any(regime_at(regimes, ts).weights for ts in instants):
            # An instant may come in several messages, and tells nothing until all components are there.
            rows = await connection.fetch(self._sql["raw_evidence"], tenant, min(instants), max(instants))
            stored = [value for value in evidence_values(rows) if value[0] in instants]
            return runs_of(stored or values, regimes, self.rules)
        return runs_of(values, regimes, self.rules)

    async def _patch(
        self, connection: Any, tenant: int, head: Head | None, fresh: list[Observation], regimes: list[Regime]
    ) -> tuple[tuple[Span, ...], Head, datetime]:
        following: Observation | None = None
        nearby: list[Span] = []
        doubt = 0.0
        if head is None:
            known = fresh
        elif fresh[0].ts > head.last:
            known, doubt = [head.observation, *fresh], head.doubt
        else:
            known, following = await self._around(connection, tenant, head, fresh, regimes)
            known = (
                known or fresh
            )  # nothing raw is left of that range: what was just accepted is what we know
            stop = following.ts if following else known[-1].ts
            nearby = await self.take_nearby(connection, tenant, known[0].ts, stop)
            doubt = await self._doubt_of(connection, tenant, known[0], nearby, regimes)
        content = lay(known, following.ts if following else known[-1].ts, doubt)
        content = await self.explain(connection, tenant, content, regimes)
        patch = rewrite(nearby, head, known, following, content, doubt)
        return patch.spans, patch.head, fresh[0].ts

    async def _doubt_of(
        self,
        connection: Any,
        tenant: int,
        seen: Observation,
        nearby: Sequence[Span],
        regimes: list[Regime],
    ) -> float:
        """For how many seconds before it what a late observation says may have been so already."""
        if seen.age is None:
            return 0.0
        oldest = seen.ts - max(r.holds for r in regimes)
        if before := await self.last_observed(connection, tenant, seen.ts, oldest, regimes):
            return doubt_between(before, seen)
        # Frames may be past raw retention: then it was as long ago as it may have been.
        was_known = any(s.start < seen.ts <= s.end and s.state is not SpanState.GAP for s in nearby)
        return seen.unseen if was_known else 0.0

    async def _around(
        self, connection: Any, tenant: int, head: Head, fresh: list[Observation], regimes: list[Regime]
    ) -> tuple[list[Observation], Observation | None]:
        """Late evidence: everything known over its range, and the next observation."""
        first, last = fresh[0].ts, fresh[-1].ts
        rows = await connection.fetch(self._sql["raw_evidence"], tenant, first, last)
        known = merged_observations(evidence_values(rows), regimes, self.rules)
        if last >= head.last:
            return known, None
        following = await self.next_observed(connection, tenant, last, head.last, regimes)
        # The frames behind the head may be past raw retention; the head itself is what we know.
        return known, following or head.observation

    async def next_observed(
        self, connection: Any, tenant: int, after: datetime, until: datetime, regimes: list[Regime]
    ) -> Observation | None:
        """The first observation after `after`, up to `until`, as far as there are frames of it."""
        while after < until:
            rows = await connection.fetch(self._sql["next_evidence"], tenant, after, until, _CHUNK)
            counted = merged_observations(evidence_values(rows), regimes, self.rules)
            if counted:
                return counted[0]
            if len(rows) < _CHUNK:
                return None
            after = rows[-1]["ts"]
        return None

    async def take_nearby(self, connection: Any, tenant: int, start: datetime, stop: datetime) -> list[Span]:
        """The closed spans that overlap or touch `[start, stop]`, taken out of the database.

        Minutes that are kept whole are taken whole, and what of them lies outside is told anew from the samples:
        `store` makes them whole again.
        """
        coarse = await self._crowding.days(connection, tenant, {day_of(start), day_of(stop)})
        low, high = widened(start, stop, coarse)
        stored = await self._take(connection, tenant, low, high)
        if not coarse or not stored:
            return stored
        before = await self._observed(connection, tenant, max(low, stored[0].start), start)
        after = await self._observed(connection, tenant, stop, min(high, stored[-1].end))
        return exact_ends(stored, start, stop, before, after)

    async def _observed(self, connection: Any, tenant: int, start: datetime, end: datetime) -> list[Span]:
        """What the samples say about `[start, end)`, some time after the first of them."""
        if start >= end:
            return []
        regimes = (await self.regimes(connection, [tenant]))[tenant]
        reach = start - max(r.holds for r in regimes)
        before = await self.last_observed(connection, tenant, start, reach, regimes)
        rows = await connection.fetch(self._sql["raw_evidence"], tenant, start, end - _TICK)
        known = merged_observations(evidence_values(rows), regimes, self.rules)
        known = [before, *known] if before else known
        heard = known[0].ts if known else end
        silent = [Span(start, heard, SpanState.GAP)] if heard > start else []
        content = [*silent, *clip(lay(known, end), start, end)]
        return await self.explain(connection, tenant, content, regimes)

    async def last_observed(
        self, connection: Any, tenant: int, before: datetime, oldest: datetime, regimes: list[Regime]
    ) -> Observation | None:
        """The last observation before `before`, back to `oldest`, as far as there are frames of it."""
        while True:
            rows = await connection.fetch(self._sql["previous_evidence"], tenant, before, oldest, _CHUNK)
            found = merged_observations(reversed(list(evidence_values(rows))), regimes, self.rules)
            if found:
                return found[-1]
            if len(rows) < _CHUNK:
                return None
            before = rows[-1]["ts"]

    async def _take(self, connection: Any, tenant: int, start: datetime, stop: datetime) -> list[Span]:
        rows = await connection.fetch(self._sql["nearby_spans"], tenant, start, stop)
        spans = [span_of(r) for r in rows]
        if spans:
            await connection.execute(
                self._sql["delete_spans"], tenant, [s.start for s in spans], spans[0].start, spans[-1].end
            )
        return spans

    async def explain(
        self, connection: Any, tenant: int, content: list[Span], regimes: list[Regime]
    ) -> list[Span]:
        """`content` with the reasons of its gaps."""
        explained: list[Span] = []
        for span in content:
            if span.state is not SpanState.GAP:
                explained.append(span)
                continue
            regime = regime_at(regimes, span.start)
            awake = await awake_between(connection, tenant, regime, Interval(span.start, span.end))
            explained.extend(attribute([span], awake, silent_reason(regime.source)))
        return explained

    async def store(self, connection: Any, changes: list[HeadChange], spans: list[tuple[int, Span]]) -> None:
        """Write heads, and closed spans by tenant."""
        if spans:
            spans = await self._crowding.fit(connection, spans, self._take)
            await connection.execute(
                self._sql["insert_spans"],
                [t for t, _ in spans],
                [s.start for _, s in spans],
                [s.end for _, s in spans],
                [s.state.value for _, s in spans],
                [s.reason.value if s.reason else None for _, s in spans],
                [s.share for _, s in spans],
                [s.doubt for _, s in spans],
                [s.doubt_after for _, s in spans],
            )
        on = [change for change in changes if _goes_on(change)]
        if on:
            await connection.execute(self._sql["go_on"], [c.tenant for c in on], [c.after.last for c in on])
        if len(on) < len(changes):
            changes = [change for change in changes if not _goes_on(change)]
            await connection.execute(
                self._sql["update_heads"],
                [c.tenant for c in changes],
                [c.first for c in changes],
                [c.after.state.value for c in changes],
                [c.after.since for c in changes],
                [c.after.last for c in changes],
                [c.after.holds for c in changes],
                [c.after.share for c in changes],
                [c.after.doubt for c in changes],
                [c.after.age for c in changes],
            )


def _goes_on(change: HeadChange) -> bool:
    """Whether nothing is new but the last observation, as it is with most that come."""
    before, after = change.before, change.after
    return (
        before is not None
        and change.first > before.last
        and (before.state, before.since, before.holds, before.share, before.doubt, before.age)
        == (after.state, after.since, after.holds, after.share, after.doubt, after.age)
    )


def head_of(row: Any) -> Head | None:
    """The head of a row of `availability_heads`; None before the first observation."""
    if row["state"] is None:
        return None
    return Head(
        _STATES[row["state"]], row["since"], row["last_observed_at"], row["holds"], row["share"], row["doubt"],
        row["age"],
    )  # fmt: skip


def span_of(row: Any) -> Span:
    return Span(
        row["start"], row["end"], _STATES[row["state"]], _REASONS[row["reason"]], row["share"], row["doubt"],
        row["doubt_after"],
    )  # fmt: skip
