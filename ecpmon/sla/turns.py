"""A minute that changed too often, laid so that its few changes say what was in doubt about all of them. Pure.

It is up, then down, and up again for a moment, and then unknown; the doubts of all changes of one kind are added up at
one of them. Windows of whole minutes get what the changes themselves would give them, to some microseconds.

Invariants:
- A doubt lies where it lay: before the minute began, or within it. Of several before it the longest says how far back
  all of them go: with weights that is wider, and never narrower wherever a window begins or ends.
- The minute ends with what it ended with, so that the change after it is about the same share of the tenant.
- The doubts of a minute that is laid again are what they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.sums import micros
from ecpmon.sla.spans import coalesce
from ecpmon.sla.windows import doubted

NO_TIME: Final = timedelta(0)
_TICK: Final = timedelta(microseconds=1)
# Of what changes so soon after a minute began the doubt lies before it: that is how it is laid.
_BEGINNING: Final = 3 * _TICK
# There is room in no less.
_ROOM: Final = 20 * _TICK
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UP: Final = Span(_NEVER, _NEVER, SpanState.UP)
_DOWN: Final = Span(_NEVER, _NEVER, SpanState.DOWN)


def lasting(pieces: Iterable[Span]) -> timedelta:
    return sum((p.end - p.start for p in pieces), NO_TIME)


@dataclass(frozen=True, slots=True)
class Doubts:
    """For how many microseconds the tenant may have been down, and up, before that was seen in a minute.

    Within it by the shares that the changes are about; before it began how far back, and the `share` of the tenant that
    all of these changes are about, as a window may begin or end anywhere in there.
    """

    early: int = 0
    late: int = 0
    early_before: int = 0
    late_before: int = 0
    share: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.early or self.late or self.early_before or self.late_before)


def doubts_of(pieces: Sequence[Span], before: Span | None) -> Doubts:
    """Of the changes in a minute, its first instant included. `before`: what touches it; before the first observation
    nothing counts, and in a gap everything does."""
    start, within, back, shares = pieces[0].start, [0.0, 0.0], [0, 0], [0.0, 0.0]
    for was, piece in pairwise(pieces if before is None else [before, *pieces]):
        if piece.doubt and not was.is_blind:
            since, doubt = micros(piece.start - start), micros(timedelta(seconds=piece.doubt))
            # What laying a minute moves is no time before it.
            earlier = doubt - since if doubt - since > micros(_ROOM) else 0
            inside = 0 if before is not None and since <= micros(_BEGINNING) else doubt - earlier
            for place, share in enumerate(doubted(was, piece)):
                within[place] += share * inside
                if share and earlier and before is not None and not before.is_blind:
                    back[place], shares[place] = max(back[place], earlier), shares[place] + share
    return Doubts(round(within[0]), round(within[1]), back[0], back[1], min(max(shares), 1.0))


class _Laid:
    """A minute while it is laid, one state after the other; `before`: what touches it."""

    def __init__(self, start: datetime, before: Span | None) -> None:
        self.spans: list[Span] = []
        self._start = start
        self._last = before

    @property
    def at(self) -> datetime:
        return self.spans[-1].end if self.spans else self._start

    def add(
        self, like: Span, length: timedelta = _TICK, early: int = 0, late: int = 0, *, before: bool = False
    ) -> None:
        """The next state, if it lasts; `early`, `late`: microseconds that are in doubt about it, of the whole tenant,
        and with `before` how far back before the minute."""
        if length <= NO_TIME:
            return
        span = replace(like, start=self.at, end=self.at + length, doubt=0.0, doubt_after=0.0)
        sooner, later = (0.0, 0.0) if self._last is None else doubted(self._last, span)
        since = micros(self.at - self._start)
        if before:
            doubt = max(early if sooner else 0.0, late if later else 0.0)
            doubt += since if doubt else 0.0
        else:
            # There is no more time in it: the rest lay in gaps, of which everything is in doubt already.
            doubt = min(max(early / sooner if sooner else 0.0, late / later if later else 0.0), since)
        self.spans.append(replace(span, doubt=doubt / 1e6))
        self._last = self.spans[-1]


def in_turn(
    pieces: Sequence[Span], before: Span | None, doubts: Doubts, gaps: Sequence[Span]
) -> list[Span] | None:
    """A minute, or what there is of it, with these `doubts` about its `pieces`. `gaps`: what of it is unknown.

    None: it is too short.
    """
    whole = lasting(pieces) - lasting(gaps)
    if whole + lasting(gaps) < _ROOM:
        return None
    laid = _Laid(pieces[0].start, before)
    weight = sum(micros(p.end - p.start) * p.down_share for p in pieces)
    # Floats may be a little less than the time they stand for.
    down = min(timedelta(microseconds=int(weight + 0.001)), whole)
    if down < _ROOM:
        _lay_gaps(laid, pieces[-1], before, doubts, gaps, whole)
    else:
        _lay_downs(laid, pieces[-1], before, doubts, gaps, whole, down)
    return coalesce(laid.spans)


def _was_down(before: Span | None) -> bool:
    return before is not None and before.state is SpanState.DOWN


def _lay_downs(
    laid: _Laid,
    last: Span,
    before: Span | None,
    doubts: Doubts,
    gaps: Sequence[Span],
    whole: timedelta,
    down: timedelta,
) -> None:
    """`down`: for how much of the `whole` that was measured the tenant was down, as if it had been so wholly."""
    _begin(laid, before, doubts, _DOWN)
    was_up = lasting(s for s in laid.spans if s.state is SpanState.UP)
    ends_down = last.state is SpanState.DOWN
    # It ends with what it ended with, for a moment where that is not what was laid last.
    moment = _TICK if doubts.late or not (ends_down or gaps) else NO_TIME
    at_end = NO_TIME
    if not last.is_blind and (gaps or (ends_down and (doubts.late or last.share < 1))):
        at_end = _TICK
    least = _TICK if doubts.early or doubts.late_before else NO_TIME
    wholly = ends_down and last.share == 1
    up = max(whole - down - was_up - moment - (NO_TIME if wholly else at_end), least)
    rest = whole - up - moment - at_end - lasting(laid.spans)
    laid.add(_UP, up, late=0 if _was_down(before) else doubts.late_before, before=True)
    laid.add(_DOWN, rest, early=doubts.early)
    laid.add(_UP, moment, late=doubts.late)
    for gap in gaps:
        laid.add(gap, gap.end - gap.start)
    laid.add(last, at_end)


def _lay_gaps(
    laid: _Laid,
    last: Span,
    before: Span | None,
    doubts: Doubts,
    gaps: Sequence[Span],
    whole: timedelta,
) -> None:
    """Nothing was down."""
    silent = _begin(laid, before, doubts, gaps[0]) if gaps else NO_TIME
    at_end = _TICK if not last.is_blind else NO_TIME
    laid.add(_UP, whole - at_end - lasting(s for s in laid.spans if s.state is SpanState.UP))
    for gap in gaps:
        laid.add(gap, gap.end - gap.start - silent, early=doubts.early)
        silent, doubts = NO_TIME, replace(doubts, early=0)
    laid.add(last, at_end)


def _begin(laid: _Laid, before: Span | None, doubts: Doubts, worst: Span) -> timedelta:
    """The doubts that lie before the minute; how long it is at its `worst` for that."""
    if not (doubts.early_before or doubts.late_before):
        return NO_TIME
    base = before.share if before is not None and before.state is worst.state else 0.0
    if before is not None and before.state is SpanState.DOWN:
        base = max(before.share - doubts.share, 0.0)
        laid.add(replace(_DOWN, share=base) if base else _UP, late=doubts.late_before, before=True)
        if not doubts.early_before:
            return NO_TIME
    laid.add(replace(worst, share=min(base + doubts.share, 1.0)), early=doubts.early_before, before=True)
    return _TICK
