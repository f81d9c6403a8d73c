"""A timeline that changes too often to be kept to the instant is kept by the minute. Pure.

Nothing is lost but the order within a minute: each minute holds as much down time, gap and up time as before. It
becomes what was measured, down in the share that it was, and then what was not measured, a reason at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.sla.spans import coalesce

MINUTE: Final = timedelta(minutes=1)
_NOTHING: Final = timedelta(0)


def minute_before(at: datetime) -> datetime:
    """The whole minute at or before `at`."""
    return at.replace(second=0, microsecond=0)


def minute_after(at: datetime) -> datetime:
    """The whole minute at or after `at`."""
    whole = minute_before(at)
    return whole if whole == at else whole + MINUTE


def day_of(at: datetime) -> date:
    """The UTC day, which is what is kept by the minute or not."""
    return at.astimezone(UTC).date()


def by_minute(spans: Iterable[Span], is_coarse: Callable[[date], bool]) -> list[Span]:
    """`spans` (in order, without holes within a minute) with the minutes of coarse days made one measured part."""
    kept: list[Span] = []
    shared: list[Span] = []
    for piece in (piece for span in spans for piece in _pieces(span, is_coarse)):
        if shared and minute_before(shared[0].start) != minute_before(piece.start):
            kept.extend(_together(shared))
            shared = []
        if _shares_its_minute(piece) and is_coarse(day_of(piece.start)):
            shared.append(piece)
        else:
            kept.append(piece)
    return coalesce([*kept, *_together(shared)])


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


def _together(pieces: Sequence[Span]) -> list[Span]:
    """One minute, or what there is of it."""
    if len(pieces) < 2:
        return list(pieces)
    gaps = sorted(map(_unknown_part, filter(_is_unknown, pieces)), key=lambda p: p.reason or "")
    measured = [p for p in pieces if not p.is_blind]
    cursor, found = pieces[0].start, list[Span]()
    whole = sum((p.end - p.start for p in pieces), _NOTHING) - sum((g.end - g.start for g in gaps), _NOTHING)
    if measured and whole:
        down = sum(((p.end - p.start) * p.down_share for p in measured), _NOTHING)
        end = cursor + whole
        share = min(down / whole, 1.0)
        doubt = max(p.doubt for p in pieces)
        state = SpanState.DOWN if share else SpanState.UP
        found.append(Span(cursor, end, state, share=share or 1.0, doubt=doubt))
        cursor = end
    for gap in gaps:
        doubt = max(p.doubt for p in gaps)
        found.append(replace(gap, start=cursor, end=cursor + (gap.end - gap.start), doubt=doubt))
        cursor = found[-1].end
    return coalesce(found)


def _is_unknown(piece: Span) -> bool:
    return piece.unknown_share > 0


def _unknown_part(piece: Span) -> Span:
    """What is not known of a piece, as a gap in which nothing is."""
    lasting = (piece.end - piece.start) * piece.unknown_share
    reason = piece.reason if piece.state is SpanState.GAP else GapReason.PART_SILENT
    return Span(piece.start, piece.start + lasting, SpanState.GAP, reason, doubt=piece.doubt)
