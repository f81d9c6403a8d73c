"""Work grows with what there is, not with the product of it: comparisons of instants are counted, not seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla import sums, windows
from ecpmon.sla.maintenance import exclude, is_within, touching
from ecpmon.sla.parts import Terms
from ecpmon.sla.spans import clip
from ecpmon.sla.statement_document import difference

T0 = datetime(2026, 3, 1, tzinfo=UTC)


class Counted(datetime):
    """An instant that counts how often instants are compared."""

    comparisons = 0

    def __lt__(self, other: Any) -> bool:
        Counted.comparisons += 1
        return super().__lt__(other)

    def __le__(self, other: Any) -> bool:
        Counted.comparisons += 1
        return super().__le__(other)

    def __gt__(self, other: Any) -> bool:
        Counted.comparisons += 1
        return super().__gt__(other)

    def __ge__(self, other: Any) -> bool:
        Counted.comparisons += 1
        return super().__ge__(other)


def at(seconds: float) -> Counted:
    moment = T0 + timedelta(seconds=seconds)
    return Counted(*moment.timetuple()[:6], moment.microsecond, tzinfo=UTC)


def flapping(count: int) -> list[Span]:
    """Up, down and gap by turns, ten seconds each."""
    states = list(SpanState)
    return [
        Span(
            at(10 * n), at(10 * n + 10), states[n % 3], GapReason.NOT_PUSHED if n % 3 == 2 else None, doubt=5.0
        )
        for n in range(count)
    ]  # fmt: skip


def planned(count: int) -> list[Interval]:
    """Seven seconds out of every ten, across the edges of the spans."""
    return [Interval(at(10 * n + 5), at(10 * n + 12)) for n in range(count)]


def steps(spans: Sequence[Span], maintenance: Sequence[Interval], end: datetime) -> None:
    """A plot of many points."""
    for n in range(len(spans) // 10):
        windows.tally(spans, at(100 * n), at(100 * n + 100), maintenance)


def window(spans: Sequence[Span], maintenance: Sequence[Interval], end: datetime) -> None:
    windows.evaluate("x", spans, at(0), end, 0.99, terms=Terms(maintenance))


def asked(spans: Sequence[Span], maintenance: Sequence[Interval], end: datetime) -> None:
    sums.intervals_for(end, Terms(maintenance))


Work = Callable[[Sequence[Span], Sequence[Interval], datetime], object]


@pytest.mark.parametrize(
    "work", [lambda s, m, _: exclude(s, m), window, steps, asked], ids=["exclude", "window", "plot", "asked"]
)
def test_twice_the_spans_and_twice_the_maintenance_cost_about_twice_the_comparisons(work: Work) -> None:
    counts = []
    for size in (1000, 2000):
        spans, maintenance, end = flapping(size), planned(size), at(10 * size)
        Counted.comparisons = 0
        work(spans, maintenance, end)
        counts.append(Counted.comparisons)
    # n log n is 2.2 times as much, n² four times.
    assert counts[0] > 0
    assert counts[1] < 2.6 * counts[0]


def test_a_difference_of_long_lists_compares_each_entry_once() -> None:
    class Entry(dict[str, Any]):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Entry.compared += 1
            return super().__eq__(other)

        __hash__ = None  # type: ignore[assignment]

    before = {"incidents": [Entry(start=n) for n in range(1000)]}
    after = {"incidents": [Entry(start=n) for n in range(1, 1001)]}
    changes = difference(before, after)["incidents"]
    assert changes == {"removed": [{"start": 0}], "added": [{"start": 1000}]}
    assert Entry.compared < 5000


# --- equal to the obvious way --------------------------------------------------------------------------------------

edges = st.lists(st.integers(0, 60), min_size=2, max_size=14, unique=True).map(sorted)
states = st.lists(st.sampled_from(SpanState), min_size=14, max_size=14)


def spans_of(instants: list[int], found: list[SpanState]) -> list[Span]:
    return [Span(at(a), at(b), state) for (a, b), state in zip(pairwise(instants), found, strict=False)]


def intervals_of(instants: list[int]) -> list[Interval]:
    return [Interval(at(a), at(b)) for a, b in zip(instants[::2], instants[1::2], strict=False)]


def seconds(spans: Sequence[Span]) -> dict[int, SpanState]:
    """Second -> state, one by one."""
    return {
        second: s.state
        for s in spans
        for second in range(int((s.start - T0).total_seconds()), int((s.end - T0).total_seconds()))
    }


@given(edges, states, edges)
def test_what_is_left_is_what_no_maintenance_covers_second_by_second(
    instants: list[int], found: list[SpanState], off: list[int]
) -> None:
    spans, maintenance = spans_of(instants, found), intervals_of(off)
    covered = seconds([Span(i.start, i.end, SpanState.UP) for i in maintenance])
    left = exclude(spans, maintenance)
    assert seconds(left) == {s: state for s, state in seconds(spans).items() if s not in covered}
    assert all(s.start < s.end for s in left)
    assert all(a.end <= b.start for a, b in pairwise(left))
    assert all(any(s.start <= k.start and k.end <= s.end for s in spans) for k in left)


@given(edges, states, st.integers(-2, 62), st.integers(-2, 62))
def test_a_clip_holds_what_overlaps(instants: list[int], found: list[SpanState], a: int, b: int) -> None:
    spans, start, end = spans_of(instants, found), min(a, b), max(a, b)
    expected = [
        replace(s, start=max(s.start, at(start)), end=min(s.end, at(end)))
        for s in spans
        if s.end > at(start) and s.start < at(end)
    ]
    assert clip(spans, at(start), at(end)) == expected


@given(edges, st.integers(-2, 62), st.integers(0, 20))
def test_look_ups_in_maintenance_find_what_a_search_finds(off: list[int], start: int, lasting: int) -> None:
    maintenance, a, b = intervals_of(off), at(start), at(start + lasting)
    assert is_within(a, b, maintenance) == any(i.start <= a and b <= i.end for i in maintenance)
    found = [Interval(max(i.start, a), min(i.end, b)) for i in maintenance if i.end > a and i.start < b]
    assert touching(maintenance, a, b) == found
