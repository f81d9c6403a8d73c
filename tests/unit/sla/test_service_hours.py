"""Figures with service hours: what lies outside is neither eligible nor charged, by whichever way they are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.hours import DAY_NAMES
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.windows import SlaStatus, Tally, WindowFigures
from ecpmon.sla import ledger, sums, windows
from ecpmon.sla.entries import Book
from ecpmon.sla.hours import outside, parse, since
from ecpmon.sla.ledger import edges_of, question, reached
from ecpmon.sla.maintenance import merged, without
from ecpmon.sla.parts import Terms
from ecpmon.sla.periods import LONGEST_WINDOW
from ecpmon.sla.spans import coalesce

UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP
# Two days after a change to summer time.
NOW = datetime(2026, 3, 30, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OFFICE = {"weekly": {key: ["08:00-18:00"] for key in DAY_NAMES[:5]}, "holidays": ["2026-03-27"]}
NIGHT = {"weekly": {"fri": ["22:00-06:00"], "sun": ["00:00-24:00"]}}
ZONES = ["UTC", "Europe/Berlin", "Asia/Seoul"]


def ago(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


def terms_with(document: dict[str, Any], zone: str, planned: list[Interval], rule: Accounting) -> Terms:
    never = outside(parse(document, NOW.date()), ZoneInfo(zone), NOW - LONGEST_WINDOW, NOW + LONGEST_WINDOW)
    return Terms(merged([*planned, *never]), rule, ZoneInfo(zone), outside=never)


# Minutes before now, and the states between them; minutes at which maintenance begins and ends by turns.
EDGES = st.lists(st.integers(0, 95 * 24 * 60), min_size=2, max_size=30, unique=True).map(sorted)
STATES = st.lists(st.sampled_from(SpanState), min_size=30, max_size=30)
PLANNED = st.lists(st.integers(-3000, 95 * 24 * 60), max_size=12, unique=True).map(sorted)
DOCUMENTS = st.sampled_from([OFFICE, NIGHT])


def timeline(edges: list[int], states: list[SpanState], doubt: float = 0.0) -> list[Span]:
    points = [ago(m) for m in reversed(edges)]
    spans = coalesce(
        Span(a, b, state, doubt=min(doubt, (points[n] - points[n - 1]).total_seconds()) if n else 0.0)
        for n, ((a, b), state) in enumerate(zip(pairwise(points), states, strict=False))
    )
    return spans if spans[-1].end == NOW else coalesce([*spans, Span(spans[-1].end, NOW, UP)])


def intervals_of(planned: list[int]) -> list[Interval]:
    at = [ago(m) for m in reversed(planned)]
    return [Interval(a, b) for a, b in zip(at[::2], at[1::2], strict=False)]


def comparable(w: WindowFigures, *more: str) -> object:
    numbers = (
        *(getattr(w.tally, name) for name in Tally.__slots__ if name not in ("early", "late")),
        w.availability, w.availability_other_accounting, w.coverage, w.burn_rate, w.budget.total, w.budget.consumed,
        *(getattr(w, name) for name in more),
    )  # fmt: skip
    exact = (w.window, w.start, w.end, w.status, w.projected_exhaustion is None)
    return exact, [None if n is None else pytest.approx(n, abs=1e-6) for n in numbers]


@settings(deadline=None)
@given(
    EDGES,
    STATES,
    PLANNED,
    DOCUMENTS,
    st.sampled_from(Accounting),
    st.sampled_from(ZONES),
    st.sampled_from([0.0, 90.0]),
)
def test_sums_with_hours_maintenance_and_gaps_are_as_the_spans_say(
    edges: list[int], states: list[SpanState], planned: list[int], document: dict[str, Any], rule: Accounting,
    zone: str, doubt: float,
) -> None:  # fmt: skip
    spans, previous = timeline(edges, states, doubt), {"30d": SlaStatus.MEETING}
    terms = terms_with(document, zone, intervals_of(planned), rule)
    slow = windows.standing(spans, NOW, 0.995, previous, terms=terms)

    book, asked = Book(spans, spans[0].start, NOW), question(NOW, terms)
    marks = {instant: book.mark(instant) for instant in asked.instants}
    further = edges_of(reached(marks[asked.instants[0]], asked.earlier))
    known = asked.known({instant: book.mark(instant) for instant in further} | marks)
    fast = ledger.standing(known, NOW, 0.995, previous, terms=terms)
    more = ("low", "high", "verdict", "failure_count", "recovery_time_avg", "time_between_failures_avg")
    for ours, theirs in zip(fast, slow, strict=True):
        assert comparable(ours, *more[:2]) == comparable(theirs, *more[:2])
        assert (ours.verdict, ours.failure_count) == (theirs.verdict, theirs.failure_count)
        assert ours.recovery_time_avg == pytest.approx(theirs.recovery_time_avg, abs=1e-6)

    found = {i: windows.tally(spans, i.start, i.end) for i in sums.intervals_for(NOW, terms)}
    totals = sums.standing(found, NOW, 0.995, previous, terms)
    assert [comparable(f) for f in totals] == [comparable(s) for s in slow]


@settings(max_examples=60, deadline=None)
@given(st.data(), DOCUMENTS, st.sampled_from(Accounting), st.sampled_from(ZONES))
def test_a_week_is_as_it_is_counted_minute_by_minute(
    data: st.DataObject, document: dict[str, Any], rule: Accounting, zone: str
) -> None:
    minutes = 7 * 24 * 60
    within = st.lists(st.integers(0, minutes), max_size=10, unique=True).map(sorted)
    edges = data.draw(st.lists(st.integers(0, minutes), min_size=2, max_size=20, unique=True).map(sorted))
    spans, planned = timeline(edges, data.draw(STATES)), intervals_of(data.draw(within))
    terms = terms_with(document, zone, planned, rule)
    [week] = windows.standing(spans, NOW, 0.995, names=["7d"], terms=terms)

    def held(start: datetime, end: datetime) -> range:
        """The minutes of the week, by their number before now."""
        return range(max((NOW - end) // MINUTE, 0), min((NOW - start) // MINUTE, minutes))

    states = {minute: span.state for span in spans for minute in held(span.start, span.end)}
    never = {minute for part in terms.outside for minute in held(part.start, part.end)}
    off = {minute for part in planned for minute in held(part.start, part.end)} - never
    eligible = [state for minute, state in states.items() if minute not in never and minute not in off]
    counted = {
        "eligible": len(eligible),
        "down": eligible.count(DOWN),
        "gap": eligible.count(GAP),
        "maintenance": len(states.keys() & off),
        "outside": len(states.keys() & never),
    }
    as_up = counted["maintenance"] if rule is Accounting.COUNT_AS_UP else 0
    assert week.tally.eligible == 60 * (counted["eligible"] + as_up)
    for name in ("down", "gap", "maintenance", "outside"):
        assert getattr(week.tally, name) == 60 * counted[name]
    assert week.budget.consumed == 60 * counted["down"]
    assert week.budget.total == pytest.approx(0.005 * 60 * (counted["eligible"] + as_up))


@pytest.mark.parametrize("rule", Accounting)
def test_an_outage_by_night_costs_nothing(rule: Accounting) -> None:
    night = datetime(2026, 3, 17, 22, tzinfo=UTC)
    spans = [
        Span(ago(60 * 24 * 60), night, UP), Span(night, night + timedelta(hours=5), DOWN),
        Span(night + timedelta(hours=5), NOW, UP),
    ]  # fmt: skip
    terms = terms_with(OFFICE, "UTC", [Interval(night, night + timedelta(hours=1))], rule)
    for w in windows.standing(spans, NOW, 0.995, terms=terms):
        assert (w.availability or 1.0, w.tally.down, w.failure_count, w.tally.maintenance) == (1.0, 0, 0, 0)
        assert w.budget.consumed == 0
    [month] = windows.standing(spans, NOW, 0.995, names=["month"], terms=terms)
    # 22 weekdays of March without the holiday, of ten hours each: the budget of the whole month.
    assert month.budget.total == pytest.approx(0.005 * 21 * 36_000)


def test_an_outage_that_goes_on_over_night_is_charged_for_its_working_hours() -> None:
    begun = datetime(2026, 3, 17, 17, 50, tzinfo=UTC)
    over = datetime(2026, 3, 18, 8, 30, tzinfo=UTC)
    spans = [Span(ago(60 * 24 * 60), begun, UP), Span(begun, over, DOWN), Span(over, NOW, UP)]
    terms = terms_with(OFFICE, "UTC", [], Accounting.EXCLUDE)
    [month] = windows.standing(spans, NOW, 0.995, names=["30d"], terms=terms)
    assert month.tally.down == 40 * 60


@given(
    st.lists(st.integers(0, 3000), max_size=20, unique=True).map(sorted),
    st.integers(0, 3000),
    st.integers(1, 4000),
)
def test_a_window_is_as_long_in_service_hours(edges: list[int], now: int, length: int) -> None:
    start = NOW
    off = [
        Interval(start + a * MINUTE, start + b * MINUTE)
        for a, b in zip(edges[::2], edges[1::2], strict=False)
    ]
    end = start + now * MINUTE
    most = timedelta(minutes=5000)
    found = since(off, end, length * MINUTE, most)
    served = [
        at for at in range(now - 5000, now) if not any(i.start <= start + at * MINUTE < i.end for i in off)
    ]
    if length >= len(served):
        assert found == end - max(most, length * MINUTE)
    else:
        assert found == start + served[-length] * MINUTE


@given(
    st.lists(st.integers(0, 60), max_size=12, unique=True),
    st.lists(st.integers(0, 60), max_size=12, unique=True),
)
def test_intervals_without_others_hold_what_only_they_hold(ours: list[int], theirs: list[int]) -> None:
    def made(edges: list[int]) -> list[Interval]:
        at = sorted(edges)
        return [Interval(ago(-a), ago(-b)) for a, b in zip(at[::2], at[1::2], strict=False)]

    def held(intervals: list[Interval]) -> set[datetime]:
        return {ago(-m) for m in range(60) if any(i.start <= ago(-m) < i.end for i in intervals)}

    left = without(made(ours), made(theirs))
    assert held(left) == held(made(ours)) - held(made(theirs))
    assert all(a.end <= b.start for a, b in pairwise(left))
    assert all(i.start < i.end for i in left)
