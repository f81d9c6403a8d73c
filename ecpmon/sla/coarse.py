"""A timeline that changes too often to be kept to the instant is kept by the minute. Pure.

Nothing is lost but the order within a minute: each minute holds as much down time, gap and up time as before. Where its
changes are exact it becomes what was measured, down in the share that it was, and then what was not measured, a reason
at a time. Where they may have gone unseen for a while it says for how long (`sla.turns`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.sla.minutes import MINUTE, day_of, minute_after, minute_before
from ecpmon.sla.spans import coalesce
from ecpmon.sla.turns import NO_TIME, doubts_of, in_turn, lasting


def by_minute(spans: Iterable[Span], is_coarse: Callable[[date], bool]) -> list[Span]:
    """`spans` (in order, without holes within a minute) with each minute of coarse days made one."""
    kept: list[Span] = []
    shared: list[Span] = []
    before: Span | None = None
    for piece in (piece for span in spans for piece in _pieces(span, is_coarse)):
        shares = _shares_its_minute(piece) and is_coarse(day_of(piece.start))
        if shared and not (shares and minute_before(shared[0].start) == minute_before(piece.start)):
            kept.extend(_together(shared, before))
            before, shared = shared[-1], []
        if shares:
            shared.append(piece)
        else:
            kept.append(piece)
            before = piece
    return coalesce([*kept, *_together(shared, before)])


def _shares_its_minute(piece: Span) -> bool:
    return piece.end - piece.start < MINUTE and minute_before(piece.start) + MINUTE >= piece.end


def _pieces(span: Span, is_coarse: Callable[[date], bool]) -> Iterator[Span]:
    """The first and the last minute of coarse days apart, if they are not whole."""
    start, end = span.start, span.end
    if is_coarse(day_of(start)) and start < (first := min(minute_after(start), end)):
        yield replace(span, end=first)
        start = first
    last = max(minute_before(end), start) if is_coarse(day_of(end)) else end
    if start < last:
        yield replace(span, start=start, end=last, doubt=span.doubt if start == span.start else 0.0)
    if last < end:
        yield replace(span, start=last, doubt=span.doubt if last == span.start else 0.0)


def _together(pieces: Sequence[Span], before: Span | None) -> list[Span]:
    """One minute, or what there is of it; `before`: what came before."""
    if len(pieces) < 2:
        return list(pieces)
    if before is not None and before.end != pieces[0].start:
        before = None
    gaps = _gaps(pieces)
    doubts = doubts_of(pieces, before)
    # Who looks now and then is in doubt about what follows as well: that depends on what the minute ended with.
    looks = doubts or any(p.doubt or p.doubt_after for p in pieces)
    laid = in_turn(pieces, before, doubts, gaps) if looks else None
    return laid or _in_shares(pieces, gaps)


def _in_shares(pieces: Sequence[Span], gaps: Sequence[Span]) -> list[Span]:
    """What was measured as one, and then the gaps; before it, if all of them were."""
    measured = [p for p in pieces if not p.is_blind]
    cursor, found = pieces[0].start, list[Span]()
    if measured == [pieces[-1]] and not pieces[-1].unknown_share:
        return coalesce([*_one_by_one(gaps, cursor), pieces[-1]])
    whole = lasting(pieces) - lasting(gaps)
    if measured and whole:
        down = sum(((p.end - p.start) * p.down_share for p in measured), NO_TIME)
        share = min(down / whole, 1.0)
        state = SpanState.DOWN if share else SpanState.UP
        found.append(Span(cursor, cursor + whole, state, share=share or 1.0))
        cursor = found[-1].end
    return coalesce([*found, *_one_by_one(gaps, cursor)])


def _one_by_one(gaps: Iterable[Span], start: datetime) -> Iterator[Span]:
    for gap in gaps:
        end = start + (gap.end - gap.start)
        yield replace(gap, start=start, end=end, doubt=0.0)
        start = end


def _gaps(pieces: Iterable[Span]) -> list[Span]:
    """What is unknown of them: one gap for each reason."""
    by_reason: dict[str, list[Span]] = {}
    for gap in map(_unknown_part, filter(_is_unknown, pieces)):
        by_reason.setdefault(gap.reason or "", []).append(gap)
    return [replace(g[0], end=g[0].start + lasting(g)) for _, g in sorted(by_reason.items())]


def _is_unknown(piece: Span) -> bool:
    return piece.unknown_share > 0


def _unknown_part(piece: Span) -> Span:
    """What is not known of a piece, as a gap in which nothing is."""
    lasting = (piece.end - piece.start) * piece.unknown_share
    reason = piece.reason if piece.state is SpanState.GAP else GapReason.PART_SILENT
    return Span(piece.start, piece.start + lasting, SpanState.GAP, reason, doubt=piece.doubt)
