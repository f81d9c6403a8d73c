"""A timeline that crosses over as bytes is the one that was read."""

from __future__ import annotations

import pickle
import struct
from datetime import UTC, datetime, timedelta

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla.packed import NOTHING, ORIGIN, PackedTimeline
from ecpmon.sla.spans import Head

T0 = datetime(2026, 3, 1, 0, 0, 0, 250_000, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def packed(*spans: Span) -> bytes:
    """As the database writes it."""
    rows = []
    for s in spans:
        letters = s.state.value[:1] + (s.reason.value[:1] if s.reason else " ")
        begin, end = ((t - ORIGIN) // timedelta(microseconds=1) for t in (s.start, s.end))
        rows.append(
            struct.pack(">qqdddd2s", begin, end, s.share, s.doubt, s.doubt_after, s.unknown, letters.encode())
        )
    return b"".join(rows)


CLOSED = [
    Span(at(0), at(10), SpanState.UP, doubt_after=2.5),
    Span(at(10), at(20), SpanState.DOWN, share=0.25, doubt=2.5, doubt_after=5.0),
    Span(at(20), at(30), SpanState.GAP, GapReason.NOT_PUSHED, doubt=5.0),
    Span(at(30), at(31), SpanState.GAP, GapReason.TARGET_FAILED),
    Span(at(31), at(32), SpanState.GAP, GapReason.COLLECTOR_DOWN),
    Span(at(32), at(33), SpanState.GAP, GapReason.PART_SILENT, share=0.25),
    Span(at(33), at(34), SpanState.DOWN, share=0.25, unknown=0.5),
]


def test_every_state_reason_and_share_comes_out_as_it_went_in() -> None:
    timeline = PackedTimeline(packed(*CLOSED), None, at(100))
    assert pickle.loads(pickle.dumps(timeline)).open() == CLOSED
    assert len(timeline) == len(CLOSED)


def test_the_open_end_holds_as_long_as_it_does_and_is_a_gap_afterwards() -> None:
    head = Head(SpanState.UP, at(34), at(40), timedelta(seconds=5))
    held = PackedTimeline(packed(*CLOSED), head, at(42))
    assert held.tail is None
    assert held.open()[-1] == Span(at(34), at(42), SpanState.UP)
    over = PackedTimeline(packed(*CLOSED), head, at(60))
    assert over.tail == Interval(at(45), at(60))
    assert over.open()[-1] == Span(at(45), at(60), SpanState.GAP)
    awake = [Interval(at(50), at(70))]
    told = PackedTimeline(packed(*CLOSED), head, at(60), awake, GapReason.NOT_PUSHED).open()
    assert [s.reason for s in told[-2:]] == [GapReason.COLLECTOR_DOWN, GapReason.NOT_PUSHED]


def test_troubles_are_the_newest_that_are_not_up() -> None:
    timeline = PackedTimeline(packed(*CLOSED), None, at(100))
    assert timeline.troubles(at(20), 100) == CLOSED[2:]
    assert timeline.troubles(at(0), 2) == CLOSED[-2:]
    assert NOTHING.troubles(at(0), 2) == NOTHING.open() == []
