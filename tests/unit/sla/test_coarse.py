"""Kept by the minute: nothing is lost but the order within a minute, and a bounded number of spans is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla.coarse import by_minute
from ecpmon.sla.entries import Book
from ecpmon.sla.ledger import Ledger
from ecpmon.sla.minutes import MINUTE, day_of
from ecpmon.sla.spans import coalesce, lay
from ecpmon.sla.windows import doubted, evaluate, tally, unseen

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


# --- changes that nobody saw happen ---------------------------------------------------------------------------------

HOLDS = timedelta(seconds=30)


@st.composite
def looked(
    draw: st.DrawFn, shares: Sequence[float] = (0.0, 0.0, 1.0), holds: timedelta = HOLDS
) -> list[Span]:
    """What somebody knows who looks now and then, as old as that is. With several `shares` parts may be silent."""
    age, cursor = timedelta(seconds=draw(st.sampled_from([0, 3]))), draw(st.integers(0, 90))
    looks = st.tuples(
        st.sampled_from([3, 7, 10, 20, 30, 45, 60, 120]),
        st.sampled_from(shares),
        st.sampled_from([0, 0, 0.25]),
    )
    seen = []
    for wait, share, unknown in draw(st.lists(looks, min_size=2, max_size=40)):
        silent = unknown if len(shares) > 3 and share < 1 else 0.0
        seen.append(Observation(at(cursor), share, holds, age, silent))
        cursor += wait
    spans = lay(seen, at(cursor))
    return coalesce(
        replace(s, reason=GapReason.NOT_PUSHED) if s.state is GAP and s.reason is None else s for s in spans
    )


def must_hold(spans: Sequence[Span], start: datetime, end: datetime) -> tuple[float, float]:
    """How many seconds may have been down that are told up, and the other way round: what changes leave in doubt, as
    far as it is not down, up or unknown by what is told of that time."""
    early = late = 0.0
    for before, after in pairwise(spans):
        if not after.doubt or before.is_blind:
            continue
        since = max(after.start - timedelta(seconds=after.doubt), start)
        for told in spans:
            seconds = (min(told.end, after.start, end) - max(told.start, since)).total_seconds()
            if seconds > 0 and not told.is_blind:
                left = 1 - told.down_share - told.unknown_share
                early += seconds * min(doubted(before, after)[0], doubted(told, after)[0], left)
                late += seconds * min(doubted(before, after)[1], doubted(told, after)[1])
    return early, late


def check_doubts(spans: list[Span], begins: int, lasts: int) -> list[Span]:
    kept = by_minute(spans, every_day)
    start = at(60 * begins - 60)
    end = start + lasts * MINUTE
    least, most, found = must_hold(spans, start, end), unseen(spans, start, end), unseen(kept, start, end)
    some = 5e-6 * (lasts + 1)
    for low, high, told in zip(least, most, found, strict=True):
        # No wider than by what happens at the edges of the minutes at which a window begins and ends.
        assert low - 10 * some <= told <= high + 2 * HOLDS.total_seconds()
    before, after = tally(spans, start, end), tally(kept, start, end)
    assert (after.eligible, after.down, after.gap) == pytest.approx(
        (before.eligible, before.down, before.gap), abs=some
    )
    return kept


@settings(deadline=None, max_examples=150)
@given(looked(), st.integers(0, 45), st.integers(1, 45))
def test_windows_of_whole_minutes_are_in_doubt_by_what_they_were(
    spans: list[Span], begins: int, lasts: int
) -> None:
    kept = check_doubts(spans, begins, lasts)
    start = at(60 * begins - 60)
    end = start + lasts * MINUTE
    # To the microsecond, but for what lies in gaps as well.
    assert all(
        told <= exact + 1e-4
        for told, exact in zip(unseen(kept, start, end), unseen(spans, start, end), strict=True)
    )
    again = by_minute(kept, every_day)
    assert [(s.start, s.end, s.state) for s in again] == [(s.start, s.end, s.state) for s in kept]
    assert [s.doubt for s in again] == pytest.approx([s.doubt for s in kept], abs=1e-5)
    minutes = (spans[-1].end - spans[0].start) / MINUTE
    assert len(kept) <= (minutes + 2) * 8


@settings(deadline=None, max_examples=100)
@given(looked((0.0, 0.0, 1.0, 0.25, 0.5)), st.integers(0, 45), st.integers(1, 45))
def test_so_are_those_of_tenants_of_which_parts_are_down_or_silent(
    spans: list[Span], begins: int, lasts: int
) -> None:
    check_doubts(spans, begins, lasts)


@settings(deadline=None, max_examples=100)
@given(looked(), st.integers(1, 50))
def test_the_exact_figure_is_within_the_bounds_of_a_minute_by_minute_one(
    spans: list[Span], lasts: int
) -> None:
    start = spans[0].start.replace(second=0)
    end = start + lasts * MINUTE
    exact = evaluate("x", spans, start, end, 0.99)
    kept = evaluate("x", by_minute(spans, every_day), start, end, 0.99)
    if exact.availability is None:
        return
    assert exact.low is not None and exact.high is not None  # noqa: PT018
    assert kept.low is not None and kept.high is not None  # noqa: PT018
    assert kept.low - 1e-6 <= exact.tally.up / exact.tally.eligible <= kept.high + 1e-6


def test_a_minute_of_flaps_seen_every_five_seconds_is_half_down_and_may_be_anything() -> None:
    seen = [Observation(at(5 * n), float(n % 2), HOLDS, timedelta()) for n in range(49)]
    kept = by_minute(lay(seen, at(240)), every_day)
    result = evaluate("x", kept, at(60), at(180), 0.99)
    assert result.availability == pytest.approx(0.5)
    assert (result.low, result.high) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    assert len(kept) <= 4 * 4


# --- windows and planned work that begin and end within a minute ------------------------------------------------------

BOTH: Final = [TODAY, date(2026, 3, 2)]
some_edges = st.lists(st.floats(-30, 1_500).map(lambda s: round(s, 3)), min_size=4, max_size=4, unique=True)


def holds_what_the_spans_say(spans: list[Span], edges: list[float]) -> None:
    """By the minute a stretch is down by no more and no less than its exact timeline allows, planned work or not."""
    kept = by_minute(spans, every_day)
    (start, end), planned = sorted(map(at, edges[:2])), [Interval(*sorted(map(at, edges[2:])))]
    until = spans[-1].end
    for off in ([], planned):
        exact, told = tally(spans, start, end, off), tally(kept, start, end, off)
        assert told.eligible == pytest.approx(exact.eligible)
        early, late = unseen(kept, start, end, off, BOTH)
        assert told.up - early <= exact.up + 1e-3
        assert told.down - late <= exact.down + 1e-3
        if not off:
            least, most = must_hold(spans, start, end)
            assert max(told.up - early, 0) <= max(exact.up - least, 0) + 1e-3
            assert max(told.down - late, 0) <= max(exact.down - most, 0) + 1e-3
        known = Ledger(Book(kept, kept[0].start, until).mark, off, (), BOTH)
        first, last = max(start, kept[0].start), min(end, until)
        if first < last:
            expected = unseen(kept, first, last, off, BOTH)
            assert known.unseen(first, last) == pytest.approx(expected, abs=1e-5)


@settings(deadline=None, max_examples=80)
@given(timelines(), some_edges)
def test_a_window_that_cuts_a_minute_is_in_doubt_by_what_that_minute_may_have_been(
    spans: list[Span], edges: list[float]
) -> None:
    holds_what_the_spans_say(spans, edges)


@settings(deadline=None, max_examples=80)
@given(looked(), some_edges)
def test_so_it_is_where_changes_are_in_doubt_themselves(spans: list[Span], edges: list[float]) -> None:
    holds_what_the_spans_say(spans, edges)


@settings(deadline=None, max_examples=80)
@given(looked((0.0, 0.0, 1.0, 0.25, 0.5)), some_edges)
def test_and_where_parts_are_down_or_silent(spans: list[Span], edges: list[float]) -> None:
    holds_what_the_spans_say(spans, edges)


@pytest.mark.parametrize(
    ("begins", "bounds"), [(60, (30, 30)), (80, (10, 30)), (110, (0, 10)), (120, (0, 0))]
)
def test_of_a_minute_that_was_down_for_half_a_part_is_down_by_what_there_is_room_for(
    begins: int, bounds: tuple[float, float]
) -> None:
    kept = by_minute(line((UP, 65), (DOWN, 10), (UP, 10), (DOWN, 20), (UP, 200)), every_day)
    found = evaluate("x", kept, at(begins), at(180), 0.99, coarse=BOTH)
    assert found.low is not None and found.high is not None  # noqa: PT018
    down = [(180 - begins) * (1 - share) for share in (found.high, found.low)]
    assert down == [pytest.approx(bounds[0], abs=1e-6), pytest.approx(bounds[1], abs=1e-6)]
