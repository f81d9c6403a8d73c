"""From observations to spans: the availability timeline (data-and-sla.md §3).

An observation holds until the next one, at most its own `holds`; what nobody measured is a gap. All functions
are pure. `Head` is the still-open end of a timeline, so that a quiet month is one row and an observation that
changes nothing rewrites nothing.

Each span says for how long the change to it may have gone unseen (`doubt`): since the observation before it was made
(ADR 0007). A state that a gap follows held on after its last observation, and that is the gap's doubt.

Invariants:
- The doubt of a span follows from the observations, not from the order in which they came.
- `doubt` of a span and `doubt_after` of the one it touches are the same number.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.maintenance import Interval


@dataclass(frozen=True, slots=True)
class Head:
    """The open end: `state` since `since`, last seen by an observation at `last`, good for `holds` after it.

    `doubt` is that of the change at `since`, `age` that of the last observation; `share` and `unknown` as in `Span`. A
    gap is one in part: something was observed.
    """

    state: SpanState
    since: datetime
    last: datetime
    holds: timedelta
    share: float = 1.0
    doubt: float = 0.0
    age: timedelta | None = None
    unknown: float = 0.0

    @property
    def expires(self) -> datetime:
        return self.last + self.holds

    @property
    def observation(self) -> Observation:
        span = self.until(self.last)
        return Observation(self.last, span.down_share, self.holds, self.age, span.unknown_share)

    def until(self, end: datetime) -> Span:
        """What it says about the time from its beginning to `end`."""
        reason = GapReason.PART_SILENT if self.state is SpanState.GAP else None
        return Span(self.since, end, self.state, reason, self.share, self.doubt, unknown=self.unknown)


@dataclass(frozen=True, slots=True)
class Patch:
    """What a stored timeline becomes: `spans` replace the closed spans that were handed in, `head` the head."""

    spans: tuple[Span, ...]
    head: Head


def doubt_between(before: Observation | None, seen: Observation) -> float:
    """For how many seconds what `seen` says may have been so already, when `before` is the observation before it."""
    if before is None or seen.age is None or before.ts + before.holds < seen.ts:
        return 0.0
    return (seen.ts - before.seen_at).total_seconds()


def span_of(seen: Observation, end: datetime, doubt: float = 0.0) -> Span:
    """What an observation says about the time from it to `end`."""
    if seen.down:
        return Span(
            seen.ts, end, SpanState.DOWN, share=float(seen.share), doubt=doubt, unknown=float(seen.unknown)
        )
    if seen.unknown:
        return Span(seen.ts, end, SpanState.GAP, GapReason.PART_SILENT, float(seen.unknown), doubt)
    return Span(seen.ts, end, SpanState.UP, doubt=doubt)


def _alike(one: Span, other: Span) -> bool:
    return (one.state, one.reason, one.share, one.unknown) == (
        other.state,
        other.reason,
        other.share,
        other.unknown,
    )


def coalesce(spans: Iterable[Span]) -> list[Span]:
    """Spans in time order with touching neighbours of one state, reason and share made one.

    Between others that touch, what `doubt` says of the later one is `doubt_after` of the one before.
    """
    merged: list[Span] = []
    for span in spans:
        if span.start >= span.end:
            continue
        last = merged[-1] if merged else None
        if last is None or last.end != span.start:
            merged.append(span)
        elif _alike(last, span):
            merged[-1] = replace(last, end=span.end, doubt_after=span.doubt_after)
        else:
            doubt = 0.0 if last.is_blind else span.doubt
            merged[-1] = _with(last, last.doubt, doubt)
            merged.append(_with(span, doubt, span.doubt_after))
    return merged


def _with(span: Span, doubt: float, after: float) -> Span:
    if span.doubt == doubt and span.doubt_after == after:
        return span
    return replace(span, doubt=doubt, doubt_after=after)


def lay(observations: Sequence[Observation], end: datetime, doubt: float = 0.0) -> list[Span]:
    """Spans from the first observation to `end` (the next observation's time, or any later instant).

    `observations` are in time order with distinct times, all before `end` or at it; `doubt` is the first one's. Gaps
    carry no reason yet: see `attribute`.
    """
    spans: list[Span] = []
    before: Observation | None = None
    for index, seen in enumerate(observations):
        following = observations[index + 1].ts if index + 1 < len(observations) else end
        held_until = min(following, seen.ts + seen.holds)
        spans.append(span_of(seen, held_until, doubt_between(before, seen) if before else doubt))
        if held_until < following:
            spans.append(Span(held_until, following, SpanState.GAP, doubt=seen.unseen))
        before = seen
    return coalesce(spans)


def clip(spans: Sequence[Span], start: datetime, end: datetime) -> list[Span]:
    """The parts of `spans` (disjoint, in order) inside `[start, end)`; costs what is inside."""
    first = bisect_right(spans, start, key=attrgetter("end"))
    after = bisect_left(spans, end, key=attrgetter("start"))
    inside = list(spans[first:after])
    # Only the first and the last can reach out.
    if inside and inside[0].start < start:
        inside[0] = replace(inside[0], start=start, doubt=0.0)
    if inside and inside[-1].end > end:
        inside[-1] = replace(inside[-1], end=end, doubt_after=0.0)
    return inside


def splice(existing: Sequence[Span], start: datetime, end: datetime, content: Sequence[Span]) -> list[Span]:
    """`existing` with `[start, end)` replaced by `content`, coalesced."""
    before = _until(existing, start)
    after = [s if s.start >= end else replace(s, start=end, doubt=0.0) for s in existing if s.end > end]
    return coalesce([*before, *content, *after])


def _until(spans: Iterable[Span], end: datetime) -> list[Span]:
    return [s if s.end <= end else replace(s, end=end, doubt_after=0.0) for s in spans if s.start < end]


def _doubting(spans: Sequence[Span], at: datetime, doubt: float) -> list[Span]:
    """`spans` with `doubt` about the change at `at`, if there is one."""
    return coalesce(replace(s, doubt=doubt) if s.start == at else s for s in spans)


def closed_part(head: Head | None) -> list[Span]:
    """The part of the head that no later observation can change: from `since` to the last observation."""
    if head is None or head.since >= head.last:
        return []
    return [head.until(head.last)]


def make_head(spans: list[Span], last: Observation, doubt: float = 0.0) -> tuple[list[Span], Head]:
    """Take the head off a timeline that ends at the last observation, whose doubt is `doubt` if it is a change."""
    head, since = span_of(last, last.ts, doubt), last.ts
    if spans and spans[-1].end == last.ts and _alike(spans[-1], head):
        since, doubt, spans = spans[-1].start, spans[-1].doubt, spans[:-1]
    elif spans and spans[-1].end == last.ts:
        doubt = 0.0 if spans[-1].is_blind else doubt
        spans = [*spans[:-1], _with(spans[-1], spans[-1].doubt, doubt)]
    return spans, Head(head.state, since, last.ts, last.holds, head.share, doubt, last.age, head.unknown)


def continued(head: Head | None, fresh: Sequence[Observation]) -> Head | None:
    """What `rewrite` makes of the head when `fresh` (in order, at least one) says nothing new: all of it goes on with
    one state, without a gap, after what is known. None: there is more to it.
    """
    if head is None:
        first, fresh = fresh[0], fresh[1:]
        start = span_of(first, first.ts)
        head = Head(start.state, first.ts, first.ts, first.holds, start.share, 0.0, first.age, start.unknown)
    said, last, holds, age = head.observation, head.last, head.holds, head.age
    for seen in fresh:
        if seen.share != said.share or seen.unknown != said.unknown or not last < seen.ts <= last + holds:
            return None
        last, holds, age = seen.ts, seen.holds, seen.age
    return Head(head.state, head.since, last, holds, head.share, head.doubt, age, head.unknown)


def rewrite(
    nearby: Sequence[Span],
    head: Head | None,
    observations: Sequence[Observation],
    following: Observation | None,
    content: Sequence[Span] | None = None,
    doubt: float = 0.0,
) -> Patch:
    """Put `observations` into a timeline: in order, late, duplicate or correcting, all the same way.

    `nearby` are the stored closed spans that overlap or touch `[first observation, following)`; `head` the open
    end; `observations` is everything known from the first to the last new one, in order, old ones included;
    `following` the next known observation after them (None: they are the newest). `doubt` is the first one's.
    `content` is `lay(observations, following's instant or last's, doubt)` with its gaps attributed, when the caller has
    done so.
    """
    first, last = observations[0], observations[-1]
    stop = following.ts if following else last.ts
    laid = lay(observations, stop, doubt) if content is None else content
    # Nothing stored lies after the newest observation, so both cases are the same splice.
    spliced = splice(coalesce([*nearby, *closed_part(head)]), first.ts, stop, laid)
    if following is None or head is None:
        newest = doubt_between(observations[-2], last) if len(observations) > 1 else doubt
        return Patch(*_split(spliced, last, newest))
    return Patch(*_continued_at(spliced, last, following, head))


def _split(spans: list[Span], last: Observation, doubt: float) -> tuple[tuple[Span, ...], Head]:
    closed, head = make_head(spans, last, doubt)
    return tuple(closed), head


def _continued_at(
    spans: Sequence[Span], before: Observation | None, following: Observation, head: Head
) -> tuple[tuple[Span, ...], Head]:
    """`spans` and the head, of which what begins with `following` now has `before` before it."""
    doubt = doubt_between(before, following)
    # The head begins with it, or what its doubt is has not changed.
    newest = doubt if head.last == following.ts else head.doubt
    return _split(_doubting(spans, following.ts, doubt), head.observation, newest)


def replaced(
    nearby: Sequence[Span],
    head: Head | None,
    start: datetime,
    end: datetime,
    content: Sequence[Span],
    newest: Observation,
    doubt: float | None,
) -> Patch:
    """A timeline of which `[start, end)` becomes `content`, and the open end that of its `newest` observation.

    `nearby` are the stored closed spans that overlap or touch that range or lie after it; `head` is the open end as it
    was. What lies after the newest observation is cut off; `doubt` is that of a change which it may be (None: it is as
    it was).
    """
    existing = coalesce([*nearby, *closed_part(head)])
    if doubt is None:
        doubt = next((s.doubt for s in existing if s.start == newest.ts), 0.0)
    kept = _until(splice(existing, start, end, content), newest.ts)
    return Patch(*_split(coalesce(kept), newest, doubt))


def timeline(closed: Sequence[Span], head: Head | None, now: datetime, tail: GapReason | None) -> list[Span]:
    """The whole timeline up to `now`: closed spans, the head as far as it holds, then a gap with reason `tail`
    (None: not known yet).

    Before the first observation there is nothing. `now` may lie in the past: everything later is cut.
    """
    spans = list(closed)
    if head is not None:
        spans.append(head.until(min(head.expires, max(now, head.last))))
        if head.expires < now:
            spans.append(Span(head.expires, now, SpanState.GAP, tail, doubt=head.observation.unseen))
    known = (s if s.end < now else replace(s, end=now, doubt_after=0.0) for s in spans if s.start < now)
    return coalesce(known)


def attribute(spans: Sequence[Span], awake: Sequence[Interval], silent: GapReason) -> list[Span]:
    """Give every reasonless gap its reason, splitting it where the reason changes.

    `awake`: disjoint, in order, when our collector is known to have been at work. Then the other side was silent:
    `silent`. Otherwise we were blind: COLLECTOR_DOWN.
    """
    result: list[Span] = []
    for span in spans:
        if span.state is SpanState.GAP and span.reason is None:
            result.extend(_attributed(span, awake, silent))
        else:
            result.append(span)
    return coalesce(result)


def _attributed(gap: Span, awake: Sequence[Interval], silent: GapReason) -> list[Span]:
    pieces: list[Span] = []
    cursor = gap.start
    for watched in awake:
        watched_from, watched_to = max(watched.start, cursor), min(watched.end, gap.end)
        if watched_to <= watched_from:
            continue
        if cursor < watched_from:
            pieces.append(Span(cursor, watched_from, SpanState.GAP, GapReason.COLLECTOR_DOWN))
        pieces.append(Span(watched_from, watched_to, SpanState.GAP, silent))
        cursor = watched_to
    if cursor < gap.end:
        pieces.append(Span(cursor, gap.end, SpanState.GAP, GapReason.COLLECTOR_DOWN))
    return [replace(pieces[0], doubt=gap.doubt), *pieces[1:]]
