"""Keeping the availability timeline in step with the frames, inside the transaction that stores them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.minutes import day_of
from ecpmon.sla.spans import Head, attribute, clip, lay
from ecpmon.storage.crowding import MOST_CHANGES, Crowding, exact_ends, widened
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import Regime, awake_between, reach, regime_at, regime_of, silent_reason
from ecpmon.storage.voices import Cut, Hearing, Standing, Voices

_TICK: Final = timedelta(microseconds=1)
# A figure may be made of ten thousand rows: looking up costs a tenth of what making an enumeration's member does.
_STATES: Final = {state.value: state for state in SpanState}
_REASONS: Final[Mapping[str | None, GapReason | None]] = {None: None, **{r.value: r for r in GapReason}}


@dataclass(frozen=True, slots=True)
class HeadChange:
    """`first`: the first instant of which it says something."""

    tenant: int
    before: Head | None
    after: Head
    first: datetime


@dataclass(frozen=True, slots=True)
class Locked:
    """Timelines that a transaction has locked: rows of `availability_heads`, and all regimes, by tenant."""

    heads: Mapping[int, Any]
    regimes: Mapping[int, list[Regime]]


@dataclass(slots=True)
class Taken:
    """What becomes of timelines. By tenant: `first` observations that come later than known, closed `spans`."""

    changes: list[HeadChange] = field(default_factory=list)
    spans: list[tuple[int, Span]] = field(default_factory=list)
    first: dict[int, datetime] = field(default_factory=dict)
    standings: dict[int, Standing] = field(default_factory=dict)
    heard: list[Hearing] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)


class TimelineWriter:
    """Stored timelines. Call with the heads locked, after the frames are in."""

    def __init__(self, rules: EvidenceRules, most_changes: int = MOST_CHANGES) -> None:
        """`most_changes`: outages and gaps of a UTC day that are kept to the instant."""
        self.rules = rules
        self.voices = Voices(rules)
        self._crowding = Crowding(most_changes)
        self._sql = load("ingest")

    async def lock(self, connection: Any, tenants: Iterable[int], *, free_only: bool = False) -> Locked:
        """`free_only`: without those that a job has to itself."""
        whose = sorted(tenants)
        query = self._sql["lock_free_heads" if free_only else "lock_heads"]
        heads = {r["tenant"]: r for r in await connection.fetch(query, whose)}
        return Locked(heads, await self.regimes(connection, whose))

    async def regimes(self, connection: Any, tenants: Sequence[int]) -> dict[int, list[Regime]]:
        found: dict[int, list[Regime]] = defaultdict(list)
        for r in await connection.fetch(self._sql["regimes"], tenants):
            found[r["tenant"]].append(regime_of(r))
        return found

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
        known, _ = await self.voices.seen(connection, tenant, start, end - _TICK, regimes, end)
        known = [seen for seen in known if seen.ts >= reach(regimes, start)]
        heard = known[0].ts if known else end
        silent = [Span(start, heard, SpanState.GAP)] if heard > start else []
        content = [*silent, *clip(lay(known, end), start, end)]
        return await self.explain(connection, tenant, content, regimes)

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
            if span.state is not SpanState.GAP or span.reason is not None:
                explained.append(span)
                continue
            regime = regime_at(regimes, span.start)
            awake = await awake_between(connection, tenant, regime, Interval(span.start, span.end))
            explained.extend(attribute([span], awake, silent_reason(regime.source)))
        return explained

    async def store(self, connection: Any, taken: Taken) -> None:
        """Write heads, and closed spans by tenant."""
        changes, spans = taken.changes, taken.spans
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
                [s.unknown for _, s in spans],
            )
        on = [change for change in changes if goes_on(change)]
        if on:
            await connection.execute(self._sql["go_on"], [c.tenant for c in on], [c.after.last for c in on])
        if len(on) < len(changes):
            changes = [change for change in changes if not goes_on(change)]
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
                [c.after.unknown for c in changes],
            )
        if taken.first:
            await connection.execute(
                self._sql["first_observed"], list(taken.first), list(taken.first.values())
            )
        await self.voices.store(connection, taken.standings)
        await self.voices.cut(connection, taken.cuts)
        await self.voices.hear(connection, taken.heard)


def goes_on(change: HeadChange) -> bool:
    """Whether nothing is new but the last observation, as it is with most that come."""
    before, after = change.before, change.after
    return (
        before is not None
        and change.first > before.last
        and (before.state, before.since, before.holds, before.share, before.doubt, before.age, before.unknown)
        == (after.state, after.since, after.holds, after.share, after.doubt, after.age, after.unknown)
    )


def head_of(row: Any) -> Head | None:
    """The head of a row of `availability_heads`; None before the first observation."""
    if row["state"] is None:
        return None
    return Head(
        _STATES[row["state"]], row["since"], row["last_observed_at"], row["holds"], row["share"], row["doubt"],
        row["age"], row["unknown"],
    )  # fmt: skip


def span_of(row: Any) -> Span:
    return Span(
        row["start"], row["end"], _STATES[row["state"]], _REASONS[row["reason"]], row["share"], row["doubt"],
        row["doubt_after"], row["unknown"],
    )  # fmt: skip
