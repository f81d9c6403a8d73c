"""Kept by the minute: nothing is lost but the order within a minute, and a bounded number of spans is left."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.sla.coarse import MINUTE, by_minute, day_of
from ecpmon.sla.spans import coalesce
from ecpmon.sla.windows import tally

# Ten minutes before a midnight.
T0 = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP
TODAY = date(2026, 3, 1)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def line(*parts: tuple[SpanState, float]) -> list[Span]:
    spans, cursor = [], 0.0
    for state, seconds in parts:
        reason = GapReason.NOT_PUSHED if state is GAP else None
        spans.append(Span(at(cursor), at(cursor + seconds), state, reason))
        cursor += seconds
    return spans


@st.composite
def timelines(draw: st.DrawFn) -> list[Span]:
    cursor, spans = draw(st.integers(0, 90)), []
    kinds = st.tuples(
        st.sampled_from(SpanState),
        st.integers(1, 130),
        st.sampled_from([1.0, 0.25]),
        st.sampled_from(GapReason),
        st.sampled_from([0.0, 0.5]),
    )
    for state, seconds, share, reason, unknown in draw(st.lists(kinds, min_size=1, max_size=30)):
        spans.append(
            Span(
                at(cursor), at(cursor + seconds), state,
                reason if state is GAP else None, 1.0 if state is UP else share,
                unknown=unknown if state is DOWN and share < 1 else 0.0,
            )
        )  # fmt: skip
        cursor += seconds
    return coalesce(spans)


def why(span: Span) -> GapReason | None:
    return GapReason.PART_SILENT if span.unknown else span.reason


def every_day(_: date) -> bool:
    return True


def test_a_minute_of_flaps_is_down_in_the_share_that_it_was() -> None:
    spans = line((UP, 65), (DOWN, 5), (UP, 10), (DOWN, 10), (UP, 5), (GAP, 5), (UP, 200))
    assert by_minute(spans, every_day) == [
        Span(at(0), at(60), UP),
        # 15 of 55 seconds, and what nobody measured.
        Span(at(60), at(115), DOWN, share=15 / 55),
        Span(at(115), at(120), GAP, GapReason.NOT_PUSHED),
        Span(at(120), at(300), UP),
    ]


def test_what_was_unknown_in_part_is_a_gap_for_as_long_as_its_part() -> None:
    minute = [
        Span(at(0), at(20), UP),
        Span(at(20), at(40), GAP, GapReason.PART_SILENT, share=0.25),
        Span(at(40), at(60), DOWN, share=0.25, unknown=0.5),
    ]
    assert by_minute(minute, every_day) == [
        # 5 of 45 seconds; of the rest of the minute nobody knows.
        Span(at(0), at(45), DOWN, share=5 / 45),
        Span(at(45), at(60), GAP, GapReason.PART_SILENT),
    ]


def test_days_that_are_not_crowded_stay_exact() -> None:
    spans = line(*[(UP, 7), (DOWN, 8)] * 80)  # until ten past midnight
    kept = by_minute(spans, lambda day: day == TODAY)
    midnight = at(600)
    assert [s for s in kept if s.start >= midnight] == [s for s in spans if s.start >= midnight]
    assert len([s for s in kept if s.start < midnight]) <= 11


@given(timelines())
def test_every_minute_holds_what_it_held(spans: list[Span]) -> None:
    kept = by_minute(spans, every_day)
    start, end = spans[0].start, spans[-1].end
    assert (kept[0].start, kept[-1].end) == (start, end)
    minute = start.replace(second=0)
    while minute < end:
        before, after = tally(spans, minute, minute + MINUTE), tally(kept, minute, minute + MINUTE)
        assert (after.eligible, after.down, after.gap) == pytest.approx(
            (before.eligible, before.down, before.gap)
        )
        minute += MINUTE
    for reason in GapReason:
        of_reason = [sum(s.gap_seconds for s in line if why(s) is reason) for line in (spans, kept)]
        assert of_reason[0] == pytest.approx(of_reason[1])


@given(timelines())
def test_once_is_enough_and_a_bounded_number_of_spans_is_left(spans: list[Span]) -> None:
    kept = by_minute(spans, every_day)
    assert by_minute(kept, every_day) == kept
    minutes = (spans[-1].end - spans[0].start) / MINUTE
    assert len(kept) <= (minutes + 2) * (1 + len(GapReason))


@given(timelines(), st.integers(0, 3000))
def test_piece_by_piece_gives_the_same_totals(spans: list[Span], cut: int) -> None:
    """The minute that is not over is made whole again with every piece that comes."""
    middle = at(cut)
    first = by_minute([s for s in spans if s.end <= middle], every_day)
    rest = [s for s in spans if s.end > middle]
    together, whole = by_minute([*first, *rest], every_day), by_minute(spans, every_day)
    assert [(s.start, s.end, s.state, s.reason) for s in together] == [
        (s.start, s.end, s.state, s.reason) for s in whole
    ]
    assert [s.share for s in together] == pytest.approx([s.share for s in whole])


def test_the_day_is_that_of_utc() -> None:
    assert day_of(datetime.fromisoformat("2026-03-02T08:00:00+09:00")) == TODAY
