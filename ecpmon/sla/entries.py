"""From spans to entries of the running sums, one after the other. The database's triggers do the same. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.sums import Entry, Mark, OpenEnd, doubts_before, micros
from ecpmon.sla.incidents import FLAP_LIMIT

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def following(before: Entry | None, span: Span) -> Entry:
    """The entry of `span` (not up), which begins at the end of `before` or later."""
    is_down = span.state is SpanState.DOWN
    if before is None:
        return Entry(
            span.start, span.end, is_down, span.share, outage_at=span.start if is_down else None,
            outage_hard=0 if is_down else None, doubt=span.doubt, after=span.doubt_after, unknown=span.unknown,
        )  # fmt: skip
    apart = span.start - before.ends
    joins = micros(apart) if is_down and before.is_down and apart < FLAP_LIMIT else None
    adjacent = before.ends == span.start
    early, late = before.edge
    whole = before.length if before.is_down else 0
    hard = before.hard_before + whole
    return Entry(
        starts=span.start,
        ends=span.end,
        is_down=is_down,
        share=span.share,
        was=(before.share if before.is_down else -before.share) if adjacent else 0.0,
        joins=joins,
        outage_at=(span.start if joins is None else before.outage_at) if is_down else None,
        down_before=before.down_before + whole * before.share,
        gap_before=before.gap_before + before.length * before.blind,
        hard_before=hard,
        downs_before=before.downs_before + before.is_down,
        outages_before=before.outages_before + before.opens,
        outage_hard=(hard if joins is None else before.outage_hard) if is_down else None,
        early_before=before.early_before + early,
        # The change back to up, when the next span is not the one that follows.
        late_before=before.late_before
        + late
        + (0 if adjacent or not before.is_down else before.share * before.after),
        doubt=span.doubt,
        after=span.doubt_after,
        unknown=span.unknown,
    )


def with_head(mark: Mark, head: OpenEnd, until: datetime) -> Mark:
    """`mark`, read from closed entries only, with what the head adds after all of them, as known at `until`.

    Where an entry follows, what the head adds to the doubts is in them already.
    """
    if mark.next is not None:
        return mark.as_of(until)
    last, entries = mark.last, _open_entries(mark.last, head)
    while entries and entries[0].starts < mark.at:
        last = entries.pop(0)
    doubts = doubts_before(mark.at, entries, until)
    return Mark(mark.at, last, entries[0] if entries else None, *doubts).as_of(until)


def _open_entries(before: Entry | None, head: OpenEnd) -> list[Entry]:
    entries = []
    if head.state is not SpanState.UP:
        own = Span(
            head.since, head.expires, head.state, None, head.share, head.doubt, head.unseen, head.unknown
        )
        before = following(before, own)
        entries.append(before)
    return [*entries, following(before, Span(head.expires, _NEVER, SpanState.GAP, doubt=head.unseen))]


def unmarked(instants: Iterable[datetime], until: datetime) -> dict[datetime, Mark]:
    """The marks of a tenant that was never observed."""
    return {asked: Mark(until, None, None) for asked in instants}


class Book:
    """A whole timeline in memory, as entries: `mark` finds what the database finds."""

    def __init__(self, spans: Iterable[Span], first: datetime, until: datetime) -> None:
        """Spans in order and disjoint; nothing counts before `first` or after `until`."""
        self.entries: list[Entry] = []
        for span in spans:
            if span.state is not SpanState.UP:
                self.entries.append(following(self.entries[-1] if self.entries else None, span))
        self._starts = [entry.starts for entry in self.entries]
        self._first, self._until = first, until
        self._longest = timedelta(seconds=max((max(e.doubt, e.after) for e in self.entries), default=0.0))

    def mark(self, at: datetime) -> Mark:
        at = min(max(at, self._first), self._until)
        index = bisect_left(self._starts, at)
        # One more, to know whether the last of them is followed at once.
        beyond = bisect_left(self._starts, at + self._longest, lo=index) + 1
        return Mark(
            at,
            self.entries[index - 1] if index else None,
            self.entries[index] if index < len(self.entries) else None,
            *doubts_before(at, self.entries[index:beyond], self._until),
        ).as_of(self._until)
