"""Running sums give every figure that the spans give: outages, doubts and maintenance included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.windows import SlaStatus, Tally, WindowResult
from ecpmon.sla import incidents, ledger, windows
from ecpmon.sla.entries import Book
from ecpmon.sla.ledger import Ledger, edges_of, question, reached
from ecpmon.sla.maintenance import exclude
from ecpmon.sla.parts import Terms
from ecpmon.sla.spans import clip, coalesce

T0 = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 30, 9, tzinfo=UTC)
UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@st.composite
def timelines(draw: st.DrawFn, most: int = 14) -> list[Span]:
    """From some instant on, without a hole; lengths around the flap limit."""
    first = cursor = draw(st.integers(0, 200))
    spans = []
    for state, length, share, reason, unknown in draw(
        st.lists(
            st.tuples(
                st.sampled_from(SpanState),
                st.sampled_from([1, 5, 20, 59, 60, 61, 100, 400]),
                st.sampled_from([1.0, 1.0, 0.25, 0.75]),
                st.sampled_from(GapReason),
                st.sampled_from([0.0, 0.25]),
            ),
            min_size=1,
            max_size=most,
        )
    ):
        spans.append(
            Span(
                at(cursor), at(cursor + length), state,
                reason if state is GAP else None, 1.0 if state is UP else share,
                # Older than the state before it, with several observers.
                float(min(draw(st.sampled_from([0, 0.5, 5, 60, 400])), cursor - first)),
                unknown=unknown if state is DOWN and share < 1 else 0.0,
            )
        )  # fmt: skip
        cursor += length
    return coalesce(spans)


instants = st.lists(st.integers(-50, 1500), max_size=10, unique=True).map(sorted)


def intervals_of(edges: list[int]) -> list[Interval]:
    return [Interval(at(a), at(b)) for a, b in zip(edges[::2], edges[1::2], strict=False)]


def ledger_of(spans: list[Span], maintenance: list[Interval], until: datetime) -> Ledger:
    return Ledger(Book(spans, spans[0].start, until).mark, maintenance)


def nearly(seconds: Tally) -> object:
    return pytest.approx((seconds.eligible, seconds.down, seconds.gap, seconds.maintenance), abs=1e-6)


FLAPS = coalesce(
    [Span(at(0), at(5), DOWN), Span(at(5), at(30), UP, doubt=5), Span(at(30), at(40), DOWN, doubt=12.5)]
)


@settings(max_examples=400)
@given(
    timelines(),
    instants,
    st.integers(-60, 1600),
    st.integers(1, 1600),
    st.integers(1, 60),
)
@example(FLAPS, [], 10, 25, 5)
@example(FLAPS, [3, 35], 0, 100, 5)
@example(FLAPS, [25, 28], 7, 20, 5)
def test_any_stretch_is_as_the_spans_say(
    spans: list[Span], off: list[int], start: int, lasting: int, interval: int
) -> None:
    a, b = at(start), min(at(start + lasting), spans[-1].end)
    if a >= b:
        return
    maintenance, every = intervals_of(off), timedelta(seconds=interval)
    known = ledger_of(spans, maintenance, spans[-1].end)
    slow = windows.tally(spans, a, b, maintenance)
    fast = known.tally(a, b)
    assert (fast.eligible, fast.down, fast.gap, fast.maintenance) == nearly(slow)
    left = exclude(clip(spans, a, b), maintenance)
    expected = incidents.counted(incidents.incidents(spans, a, b, maintenance))
    found = known.outages(a, b)
    assert (found.count, found.over) == (expected.count, expected.over)
    assert found.seconds == pytest.approx(expected.seconds, abs=1e-6)
    assert known.unseen(a, b) == pytest.approx(windows.unseen(spans, a, b, maintenance), abs=1e-9)
    downs = [s for s in left if s.state is DOWN]
    assert known.failures(a, b, every) == max(len(downs), round(sum(s.seconds for s in downs) / interval))


def whole(
    spans: list[Span], start: datetime, end: datetime, off: list[Interval]
) -> list[tuple[int, int, int, int]]:
    """The outages with down time in `[start, end)` as anybody would count them, a second at a time: begin, end, seconds
    that count inside, and all of them; as known at `end`."""
    state = {}
    for span in spans:
        for n in range(int((span.start - T0).total_seconds()), int((span.end - T0).total_seconds())):
            state[n] = span.state
    first, last = (int((x - T0).total_seconds()) for x in (start, end))
    planned = {n for i in off for n in range(*(int((x - T0).total_seconds()) for x in (i.start, i.end)))}
    runs: list[list[int]] = []
    for n in sorted(n for n, s in state.items() if s is DOWN and n < last):
        near = runs and n - runs[-1][-1] - 1 < 60
        if near and not any(state[m] is GAP for m in range(runs[-1][-1], n)):
            runs[-1].append(n)
        else:
            runs.append([n])
    counts = [[n for n in run if n not in planned] for run in runs]
    return [
        (run[0], run[-1] + 1, sum(n >= first for n in own), len(own))
        for run, own in zip(runs, counts, strict=True)
        if any(n >= first for n in own)
    ]


@settings(max_examples=300)
@given(timelines(), instants, st.integers(-60, 1600), st.integers(1, 1600))
@example(FLAPS, [3, 35], 12, 100)
@example(FLAPS, [], 35, 100)
def test_incidents_are_whole_however_a_window_or_maintenance_cuts_them(
    spans: list[Span], off: list[int], start: int, lasting: int
) -> None:
    a, b = at(start), min(at(start + lasting), spans[-1].end)
    if a >= b:
        return
    maintenance = intervals_of(off)
    expected = whole(spans, a, b, maintenance)
    found = incidents.incidents(spans, a, b, maintenance)
    assert [(i.start, i.end, i.recovery_seconds) for i in found] == [
        (at(begin), at(end), seconds) for begin, end, _, seconds in expected
    ]
    assert [i.ongoing for i in found] == [at(end) == b for _, end, _, _ in expected]
    assert all(a <= i.counted.start < i.counted.end <= b for i in found)
    # What is charged inside is what the window is charged.
    assert sum(i.down_seconds for i in found) == pytest.approx(windows.tally(spans, a, b, maintenance).down)
    outages = ledger_of(spans, maintenance, spans[-1].end).outages(a, b)
    over = [seconds for _, end, _, seconds in expected if at(end) < b]
    assert (outages.count, outages.over) == (len(expected), len(over))
    assert outages.seconds == pytest.approx(sum(over), abs=1e-6)


def test_six_hours_of_short_outages_are_one_incident_that_recovers_after_its_down_time() -> None:
    hours, start = 6, at(86_400)
    minutes = [start + timedelta(minutes=n) for n in range(hours * 60)]
    flaps = [Span(m, m + timedelta(seconds=20), DOWN) for m in minutes]
    ups = [Span(m + timedelta(seconds=20), m + timedelta(minutes=1), UP) for m in minutes]
    spans = coalesce(
        [Span(T0, start, UP), *sorted([*flaps, *ups], key=lambda s: s.start), Span(at(108_000), NOW, UP)]
    )
    for begin in (T0, start + timedelta(hours=3), start + timedelta(hours=5, minutes=59)):
        found = ledger.evaluate(ledger_of(spans, [], NOW), "w", begin, NOW, 0.99, None, Terms())
        assert (found.failure_count, found.recovery_time_avg) == (1, 120 * 60)
        assert found == windows.evaluate("w", spans, begin, NOW, 0.99)


@given(timelines(), instants, st.integers(-60, 1600))
def test_what_the_alert_rules_read_is_as_the_spans_say(spans: list[Span], off: list[int], start: int) -> None:
    a, b = at(start), spans[-1].end
    if a >= b:
        return
    maintenance = intervals_of(off)
    known = ledger_of(spans, maintenance, b)
    left = exclude(clip(spans, a, b), maintenance)
    history = b - left[0].start if left else timedelta(0)
    assert known.history(a, b) == history
    silent = left[-1] if left and left[-1].state is GAP else None
    assert known.silence(a, b) == (pytest.approx(silent.seconds) if silent else None)


# Minutes before now, across a change to summer time, and the states between them.
MINUTES = st.lists(st.integers(0, 95 * 24 * 60), min_size=2, max_size=12, unique=True).map(sorted)


def ago(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


@given(
    MINUTES,
    st.lists(st.sampled_from(SpanState), min_size=12, max_size=12),
    st.lists(st.integers(-3000, 95 * 24 * 60), max_size=6, unique=True).map(sorted),
    st.sampled_from(Accounting),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Seoul"]),
    st.sampled_from([0.0, 52.5, 7200.0]),
    st.sampled_from(SlaStatus),
)
def test_windows_are_as_the_spans_say(
    edges: list[int],
    states: list[SpanState],
    planned: list[int],
    rule: Accounting,
    zone: str,
    doubt: float,
    before: SlaStatus,
) -> None:
    points = [ago(m) for m in reversed(edges)]
    spans = coalesce(
        Span(a, b, state, doubt=min(doubt, (points[n] - points[n - 1]).total_seconds()) if n else 0.0)
        for n, ((a, b), state) in enumerate(zip(pairwise(points), states, strict=False))
    )
    if spans[-1].end < NOW:
        spans = coalesce([*spans, Span(spans[-1].end, NOW, UP)])
    planned_at = [ago(m) for m in reversed(planned)]
    maintenance = [Interval(a, b) for a, b in zip(planned_at[::2], planned_at[1::2], strict=False)]
    terms = Terms(maintenance, rule, ZoneInfo(zone))
    previous = {"30d": before}
    book = Book(spans, spans[0].start, NOW)
    asked = question(NOW, terms)
    # Nothing but what was asked for is known.
    marks = {instant: book.mark(instant) for instant in asked.instants}
    further = edges_of(reached(marks[asked.instants[0]], asked.earlier))
    known = asked.known({instant: book.mark(instant) for instant in further} | marks)
    fast = ledger.standing(known, NOW, 0.995, previous, terms=terms)
    slow = windows.standing(spans, NOW, 0.995, previous, terms=terms)
    assert [_comparable(f) for f in fast] == [_comparable(s) for s in slow]


def _comparable(w: WindowResult) -> object:
    numbers = (
        *(getattr(w.tally, name) for name in Tally.__slots__),
        w.availability, w.availability_other_accounting, w.coverage, w.burn_rate, w.low, w.high,
        w.budget.total, w.budget.consumed, w.recovery_time_avg, w.time_between_failures_avg,
    )  # fmt: skip
    exact = (w.window, w.start, w.end, w.status, w.verdict, w.failure_count, w.projected_exhaustion is None)
    return exact, [None if n is None else pytest.approx(n, abs=1e-6) for n in numbers]
