"""What comes late, twice or out of turn, and what is taken back: a stretch of the timeline laid again from the samples.

What is said at an instant matters until it no longer holds, and where a component is expected that was not. So that
stretch is told anew, from all samples that may hold in it; outside of it nothing has changed.

Invariant: afterwards timeline, head and standing of the voices are what all samples that are kept say together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile
from operator import attrgetter
from typing import Any, Final

from ecpmon.model.availability import Observation, Span, SpanState
from ecpmon.sla.spans import Head, clip, doubt_between, lay, replaced
from ecpmon.sla.voices import Chorus, Told, expected_until
from ecpmon.storage.evidence import HeadChange, Taken, TimelineWriter, head_of, span_of
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import Regime, held_until, reach, regime_at
from ecpmon.storage.voices import Voices, hearings, newest_of, standing_of

_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What is told anew: `[start, stop)`; `stop` None: all that follows. `seen`: exact from `exact` on."""

    start: datetime
    stop: datetime | None
    exact: datetime
    seen: list[Observation]

    @property
    def last(self) -> Observation | None:
        """The last observation in it, or the one that may still hold when it begins."""
        last = self.seen[-1] if self.seen else None
        return last if last is not None and last.ts >= self.exact else None

    def ends_before(self, head: Head) -> bool:
        """Whether the last observation lies behind it."""
        return self.stop is not None and head.last >= self.stop

    @property
    def doubt(self) -> float:
        """That of the last observation, if it is a change."""
        return doubt_between(self.seen[-2], self.seen[-1]) if len(self.seen) > 1 else 0.0

    def content(self, end: datetime, head: Head | None, heard_before: bool) -> tuple[datetime, list[Span]]:
        """From when on, and what, the timeline holds as far as `end`. `head`: what was its open end."""
        start = min(self.start, end)
        content = clip(lay([s for s in self.seen if s.ts <= end], end), start, end)
        heard = content[0].start if content else end
        if head is not None and head.last < start:
            return head.last, [*lay([head.observation], start, head.doubt), *_silence(start, heard), *content]
        return start, [*(_silence(start, heard) if heard_before else []), *content]


def _silence(start: datetime, end: datetime) -> list[Span]:
    return [Span(start, end, SpanState.GAP)] if start < end else []


class Relaying:
    """Call with the heads locked."""

    def __init__(self, shelf: TimelineWriter, voices: Voices) -> None:
        self._shelf = shelf
        self._voices = voices
        self._sql = load("ingest")

    async def relay(
        self,
        connection: Any,
        tenant: int,
        row: Any,
        regimes: list[Regime],
        between: tuple[datetime, datetime],
        told: Sequence[Told],
        out: Taken,
        *,
        gone: bool = False,
    ) -> None:
        """Tell anew what was said `between` two instants; `told` is what is said there now, `gone`: not all that was.

        `row` of `availability_heads`. `out` gets what is to be stored.
        """
        stop = await self._reheard(connection, tenant, regimes, between, told, gone=gone)
        # How old what was said then is matters for the next change after it as well.
        stop = held_until(regimes, stop, stop)
        stretch, chorus = await self._stretch(connection, tenant, row, regimes, between, stop)
        while gone and stretch.stop is None and chorus.newest is None:
            # The newest instant is gone: another one is that now.
            before = await connection.fetchval(self._sql["said_before"], tenant, between[0])
            if before is None:
                break
            between = before, between[1]
            stretch, chorus = await self._stretch(connection, tenant, row, regimes, between, stop)
        if stretch.stop is None:
            out.standings[tenant] = standing_of(chorus)
        head = head_of(row)
        if head is not None and stretch.ends_before(head):
            newest: Observation | None = head.observation
        else:
            newest = stretch.last
            if newest is None and (head is None or head.last < stretch.start):
                return  # nothing was known there, and nothing is
            newest = newest or await self._measured_before(connection, tenant, stretch.start, head, regimes)
        if newest is None:
            await connection.execute(self._sql["heal_timeline"], tenant, stretch.start - _TICK)
            return
        await self._put(connection, tenant, row, regimes, stretch, newest, out)

    async def _reheard(
        self, connection: Any, tenant: int, regimes: list[Regime], between: tuple[datetime, datetime],
        told: Sequence[Told], *, gone: bool,
    ) -> datetime:  # fmt: skip
        """Bring `evidence_heard` up to date; until when it matters what was said."""
        voices, stop = self._voices, held_until(regimes, *between)
        if await voices.knows_ends(connection, tenant):
            await voices.hear(connection, hearings(tenant, told))
            if gone:
                await voices.unhear(connection, tenant, *between, regimes, over=True)
            else:
                await voices.rehear(connection, tenant, *between, regimes)
            # For as long as anybody is expected by it, or would be.
            return max(stop, expected_until(between[1]))
        if gone and (removed := await voices.unhear(connection, tenant, *between, regimes)):
            stop = max(stop, removed.end)
        if added := (await voices.hear(connection, hearings(tenant, told))).get(tenant):
            stop = max(stop, added.end)
        return stop

    async def _stretch(
        self,
        connection: Any,
        tenant: int,
        row: Any,
        regimes: list[Regime],
        between: tuple[datetime, datetime],
        stop: datetime,
    ) -> tuple[_Stretch, Chorus]:
        first, last = between
        newest, start, head = newest_of(row, regimes), first, head_of(row)
        # What follows from the silence of several voices after the newest instant is not stored yet. Where one says all
        # there is nothing of that, and its samples may not be kept any more.
        if newest is not None and (row["voices"] is not None or newest >= reach(regimes, first)):
            start = min(first, newest)
        if head is not None and reach(regimes, start) <= head.last < start:
            start = head.last
        whole = newest is None or stop >= newest
        # What is said after `stop` may still end what was said before; what is ahead of its time says nothing yet.
        until = min(held_until(regimes, stop, stop), max(newest or last, last))
        ends = None if whole else stop
        seen, chorus = await self._voices.seen(connection, tenant, start, until, regimes, ends)
        if head is not None and start <= head.last < first and all(s.ts != head.last for s in seen):
            # Its samples are not kept any more; the head itself is what we know.
            seen = [head.observation, *(s for s in seen if s.ts > head.last)]
        if not whole:
            # What is said at `stop` may be that of a voice which is silent then only because of what it said before.
            seen = [s for s in seen if s.ts <= stop]
        return _Stretch(start, ends, reach(regimes, start), seen), chorus

    async def _measured_before(
        self, connection: Any, tenant: int, before: datetime, head: Head | None, regimes: list[Regime]
    ) -> Observation | None:
        """What the open end becomes again: the last that was known. It ends where it no longer held."""
        if head is not None and head.since < before:
            span = head.until(before)
        else:
            rows = await connection.fetch(self._sql["measured_before"], tenant, before)
            if not rows:
                return None
            span = span_of(rows[0])
        regime = regime_at(regimes, span.start)
        age, left = regime.age, regime.holds
        if age is not None and span.doubt_after > 0:
            # Where it ended sooner than it would have held, as the voice did, the doubt says since when.
            left = min(left, timedelta(seconds=span.doubt_after))
        at = max(span.start, span.end - left)
        left = span.end - at
        if age is not None:
            # What was in doubt when it no longer held says how old it was.
            age = max(age, timedelta(seconds=span.doubt_after) - left)
        return Observation(at, span.down_share, left, age, span.unknown_share)

    async def _measured_after(self, connection: Any, tenant: int, after: datetime) -> datetime | None:
        found: datetime | None = await connection.fetchval(self._sql["measured_after"], tenant, after)
        return found

    async def _put(
        self,
        connection: Any,
        tenant: int,
        row: Any,
        regimes: list[Regime],
        stretch: _Stretch,
        newest: Observation,
        out: Taken,
    ) -> None:
        head, first = head_of(row), row["first_observed_at"]
        heard_before = first is not None and first < stretch.start
        end = newest.ts if stretch.stop is None else min(newest.ts, stretch.stop)
        start, content = stretch.content(end, head, heard_before)
        if not heard_before and first is not None and end < min(first, newest.ts):
            content, end = [*content, Span(end, first, SpanState.GAP)], first
        until = end if head is None or head.last <= newest.ts else max(end, head.last)
        if not heard_before and head is not None and newest.ts > end and all(s.is_blind for s in content):
            until = await self._measured_after(connection, tenant, end) or head.since
        nearby = await self._shelf.take_nearby(connection, tenant, start, until)
        content = await self._shelf.explain(connection, tenant, content, regimes)
        doubt = None if newest.ts < stretch.start else stretch.doubt
        if head and stretch.ends_before(head):
            doubt = head.doubt
        patch = replaced(nearby, head, start, end, content, newest, doubt)
        spans = patch.spans
        if not heard_before:
            # Before the first observation nothing counts.
            spans = tuple(dropwhile(attrgetter("is_blind"), patch.spans))
            first = spans[0].start if spans else patch.head.since
            if row["first_observed_at"] is not None and first > row["first_observed_at"]:
                out.first[tenant] = first
        out.spans.extend((tenant, span) for span in spans)
        out.changes.append(
            HeadChange(tenant, head, patch.head, min(first, row["first_observed_at"] or first))
        )
