"""From observations to spans: the availability timeline (data-and-sla.md §3).

An observation holds until the next one, at most its own `holds`; what nobody measured is a gap. All functions
are pure. `Head` is the still-open end of a timeline, so that a quiet month is one row and an observation that
changes nothing rewrites nothing.
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
    """The open end: `state` since `since`, last seen by an observation at `last`, good for `holds` after it."""

    state: SpanState
    since: datetime
    last: datetime
    holds: timedelta
    share: float = 1.0

    @property
    def expires(self) -> datetime:
        return self.last + self.holds

    @property
    def observation(self) -> Observation:
        return Observation(self.last, self.share if self.state is SpanState.DOWN else 0.0, self.holds)


@dataclass(frozen=True, slots=True)
class Patch:
    """What a stored timeline becomes: `spans` replace the closed spans that were handed in, `head` the head."""

    spans: tuple[Span, ...]
    head: Head


def span_of(seen: Observation, end: datetime) -> Span:
    """What an observation says about the time from it to `end`."""
    if seen.down:
        return Span(seen.ts, end, SpanState.DOWN, share=float(seen.share))
    return Span(seen.ts, end, SpanState.UP)


def _alike(one: Span, other: Span) -> bool:
    return one.state is other.state and one.reason is other.reason and one.share == other.share


def coalesce(spans: Iterable[Span]) -> list[Span]:
    """Spans in time order with touching neighbours of one state, reason and share made one."""
    merged: list[Span] = []
    for span in spans:
        if span.start >= span.end:
            continue
        last = merged[-1] if merged else None
        if last and last.end == span.start and _alike(last, span):
            merged[-1] = replace(last, end=span.end)
        else:
            merged.append(span)
    return merged


def lay(observations: Sequence[Observation], end: datetime) -> list[Span]:
    """Spans from the first observation to `end` (the next observation's time, or any later instant).

    `observations` are in time order with distinct times, all before `end` or at it. Gaps carry no reason yet:
    see `attribute`.
    """
    spans: list[Span] = []
    for index, seen in enumerate(observations):
        following = observations[index + 1].ts if index + 1 < len(observations) else end
        held_until = min(following, seen.ts + seen.holds)
        spans.append(span_of(seen, held_until))
        if held_until < following:
            spans.append(Span(held_until, following, SpanState.GAP))
    return coalesce(spans)


def clip(spans: Sequence[Span], start: datetime, end: datetime) -> list[Span]:
    """The parts of `spans` (disjoint, in order) inside `[start, end)`; costs what is inside."""
    first = bisect_right(spans, start, key=attrgetter("end"))
    after = bisect_left(spans, end, key=attrgetter("start"))
    inside = list(spans[first:after])
    # Only the first and the last can reach out.
    if inside and inside[0].start < start:
        inside[0] = replace(inside[0], start=start)
    if inside and inside[-1].end > end:
        inside[-1] = replace(inside[-1], end=end)
    return inside


def splice(existing: Sequence[Span], start: datetime, end: datetime, content: Sequence[Span]) -> list[Span]:
    """`existing` with `[start, end)` replaced by `content`, coalesced."""
    before = [replace(s, end=min(s.end, start)) for s in existing if s.start < start]
    after = [replace(s, start=max(s.start, end)) for s in existing if s.end > end]
    return coalesce([*before, *content, *after])


def closed_part(head: Head | None) -> list[Span]:
    """The part of the head that no later observation can change: from `since` to the last observation."""
    if head is None or head.since >= head.last:
        return []
    return [Span(head.since, head.last, head.state, share=head.share)]


def make_head(spans: list[Span], last: Observation) -> tuple[list[Span], Head]:
    """Take the head off a timeline that ends at the last observation."""
    head = span_of(last, last.ts)
    if spans and spans[-1].end == last.ts and _alike(spans[-1], head):
        return spans[:-1], Head(head.state, spans[-1].start, last.ts, last.holds, head.share)
    return spans, Head(head.state, last.ts, last.ts, last.holds, head.share)


def continued(head: Head | None, fresh: Sequence[Observation]) -> Head | None:
    """What `rewrite` makes of the head when `fresh` (in order, at least one) says nothing new: all of it goes on with
    one state, without a gap, after what is known. None: there is more to it.
    """
    if head is None:
        first, fresh = fresh[0], fresh[1:]
        start = span_of(first, first.ts)
        head = Head(start.state, first.ts, first.ts, first.holds, start.share)
    share, last, holds = head.observation.share, head.last, head.holds
    for seen in fresh:
        if seen.share != share or not last < seen.ts <= last + holds:
            return None
        last, holds = seen.ts, seen.holds
    return Head(head.state, head.since, last, holds, head.share)


def rewrite(
    nearby: Sequence[Span],
    head: Head | None,
    observations: Sequence[Observation],
    following: datetime | None,
    content: Sequence[Span] | None = None,
) -> Patch:
    """Put `observations` into a timeline: in order, late, duplicate or correcting, all the same way.

    `nearby` are the stored closed spans that overlap or touch `[first observation, following)`; `head` the open
    end; `observations` is everything known from the first to the last new one, in order, old ones included;
    `following` the time of the next known observation after them (None: they are the newest). `content` is
    `lay(observations, following or last)` with its gaps attributed, when the caller has done so.
    """
    first, last = observations[0], observations[-1]
    stop = following or last.ts
    laid = lay(observations, stop) if content is None else content
    existing = coalesce([*nearby, *closed_part(head)])
    # Nothing stored lies after the newest observation, so both cases are the same splice.
    newest = last if following is None or head is None else head.observation
    closed, new_head = make_head(splice(existing, first.ts, stop, laid), newest)
    return Patch(tuple(closed), new_head)


def retract(
    nearby: Sequence[Span],
    head: Head,
    start: datetime,
    following: datetime | None,
    content: Sequence[Span],
    previous: Observation | None,
) -> Patch:
    """Take an observation out: `[start, following)` becomes `content`, what the others say about that time.

    `start` is that of the `previous` observation, or the instant of the one taken out when there is none. `following`
    None: it was the newest, so the open end is the previous observation's. One of the two is known. `nearby` as for
    `rewrite`.
    """
    existing = coalesce([*nearby, *closed_part(head)])
    if following is not None:
        closed, new_head = make_head(splice(existing, start, following, content), head.observation)
    elif previous is not None:
        kept = [replace(s, end=min(s.end, previous.ts)) for s in existing if s.start < previous.ts]
        closed, new_head = make_head(coalesce(kept), previous)
    else:
        raise ValueError("the only observation cannot be taken out of a timeline")
    return Patch(tuple(closed), new_head)


def timeline(closed: Sequence[Span], head: Head | None, now: datetime, tail: GapReason | None) -> list[Span]:
    """The whole timeline up to `now`: closed spans, the head as far as it holds, then a gap with reason `tail`
    (None: not known yet).

    Before the first observation there is nothing. `now` may lie in the past: everything later is cut.
    """
    spans = list(closed)
    if head is not None:
        until = min(head.expires, max(now, head.last))
        spans.append(Span(head.since, until, head.state, share=head.share))
        if head.expires < now:
            spans.append(Span(head.expires, now, SpanState.GAP, tail))
    return coalesce(s if s.end <= now else replace(s, end=now) for s in spans if s.start < now)


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
    return pieces
