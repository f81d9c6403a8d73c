"""Increases of counters and minutes of counts, small enough to check by hand, and their laws."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.objectives import Counts
from ecpmon.sla.counters import (
    MINUTE,
    NOTHING,
    apart,
    latency_minutes,
    rewritten,
    running,
)
from ecpmon.sla.counters import request_minutes as counted
from ecpmon.sla.growth import Reading, increases
from ecpmon.sla.tracks import Track

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
HOLDS = timedelta(seconds=90)
END = T0 + timedelta(hours=1)


def readings(*points: tuple[float, float], holds: timedelta = HOLDS) -> list[Reading]:
    return [Reading(T0 + timedelta(seconds=s), v, holds) for s, v in points]


def request_minutes(
    total: list[list[Reading]], part: list[list[Reading]], part_is_bad: bool, start: datetime, end: datetime
) -> dict[datetime, Counts]:
    tracks = [Track(r) for r in total] + [Track(r, whole=False, part=True) for r in part]
    return dict(counted(tracks, part_is_bad, start, end).minutes)


def totals(found: dict[datetime, Counts]) -> dict[int, tuple[int, int]]:
    """minute -> (good, total) where anything was counted"""
    return {(m - T0) // MINUTE: (c.good, c.total) for m, c in sorted(found.items()) if c.good or c.total}


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], []),
        ([(0, 500)], []),  # what came before the first reading is unknown
        ([(0, 5), (10, 5)], [(0, False)]),
        ([(0, 5), (10, 8)], [(3, False)]),
        ([(0, 100), (10, 4)], [(4, True)]),  # a restart: the new value counts
        ([(0, 100), (10, 0), (20, 7)], [(0, True), (7, False)]),
        ([(0, 5), (10, nan), (600, 9)], [(4, False)]),  # an end that was none
        ([(0, 5), (86_400, 9)], [(4, False)]),  # nothing is lost in a gap
        ([(10, 8), (0, 5)], [(3, False)]),
        ([(0, 5), (10, 6), (10, 8), (0, 5)], [(3, False)]),
        ([(0, 1.2), (10, 2.9), (20, 3.1)], [(1, False), (1, False)]),  # whole numbers only
        ([(0, 5), (10, inf), (20, -3), (25, 1e16), (30, 6)], [(1, False)]),
    ],
)
def test_increases(points: list[tuple[float, float]], expected: list[tuple[int, bool]]) -> None:
    assert [(i.count, i.reset) for i in increases(readings(*points))] == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**53), min_size=2, max_size=40), st.randoms())
def test_without_a_restart_increases_add_up_to_last_minus_first(
    steps: list[int], draw: random.Random
) -> None:
    values = sorted(steps)
    given_readings = readings(*((i * 7.0, float(v)) for i, v in enumerate(values)))
    shuffled = [*given_readings, *draw.sample(given_readings, 1)]
    draw.shuffle(shuffled)
    found = increases(shuffled)
    assert sum(i.count for i in found) == values[-1] - values[0]
    assert not any(i.reset for i in found)


def test_series_are_added_up_each_with_its_own_restarts() -> None:
    one, other = readings((0, 100), (30, 110), (70, 5)), readings((0, 7), (30, 8), (70, 10))
    bad = readings((0, 1), (70, 3))
    found = request_minutes([one, other], [bad], True, T0, END)
    assert totals(found) == {0: (11, 11), 1: (5, 7)}
    good = request_minutes([one, other], [bad], False, T0, END)
    assert totals(good) == {0: (0, 11), 1: (2, 7)}


def test_observed_time_is_what_any_series_was_read_in() -> None:
    found = request_minutes([readings((0, 1), (200, 2)), readings((50, 1))], [], True, T0, END)
    observed = {(m - T0) // MINUTE: c.observed / 1e6 for m, c in found.items()}
    # 0–140 s, then 200–290 s.
    assert observed == {0: 60, 1: 60, 2: 20, 3: 40, 4: 50}


def test_a_staleness_marker_ends_observing_but_not_counting() -> None:
    found = request_minutes([readings((0, 1), (30, nan), (300, 5))], [], True, T0, END)
    assert totals(found) == {5: (4, 4)}
    assert sum(c.observed for c in found.values()) == (30 + 90) * 1_000_000


def test_only_what_lies_inside_is_counted_but_earlier_readings_are_the_base() -> None:
    series = [readings((0, 1), (70, 5), (130, 9))]
    assert totals(request_minutes(series, [], True, T0 + MINUTE, T0 + 2 * MINUTE)) == {1: (4, 4)}


def test_latency_is_the_share_of_time_within_the_target() -> None:
    found = latency_minutes(readings((0, 200), (30, 200.1), (90, 100)), 200, T0, END)
    assert {(m - T0) // MINUTE: (c.good / 1e6, c.total / 1e6) for m, c in found.items()} == {
        0: (30, 60),
        1: (30, 60),
        2: (60, 60),
    }
    assert all(c.total == c.observed for c in found.values())


minute_counts = st.dictionaries(
    st.integers(0, 59).map(lambda i: T0 + i * MINUTE),
    st.builds(Counts, st.integers(-5, 99), *(st.integers(0, n) for n in (99, 60_000_000, 10**9, 9))),
)


@settings(deadline=None)
@given(minute_counts, minute_counts, st.sets(st.integers(0, 59)))
def test_running_sums_come_apart_and_are_rewritten_minute_by_minute(
    old: dict[datetime, Counts], new: dict[datetime, Counts], places: set[int]
) -> None:
    sums = running(old, T0)
    assert {m: c for m, c in apart(sums, T0).items() if c != NOTHING} == {
        m: c for m, c in old.items() if c != NOTHING
    }
    touched = [T0 + i * MINUTE for i in places]
    expected = {**old, **{m: new.get(m, NOTHING) for m in touched}}
    assert rewritten(sums, T0, touched, new) == running(expected, T0)


@given(
    st.lists(
        st.tuples(
            st.integers(-100, 500), st.sampled_from([100.0, 199.0, 200.0, 201.0, 300.0, nan]),
            st.integers(1, 120),
        ),
        max_size=40,
    )
)  # fmt: skip
def test_a_reading_holds_until_the_next_one_however_many_are_alike(
    points: list[tuple[int, float, int]],
) -> None:
    given_ = [Reading(T0 + timedelta(seconds=s), v, timedelta(seconds=h)) for s, v, h in points]
    latest = sorted({r.ts: r for r in given_}.values(), key=lambda r: r.ts)
    expected: dict[int, list[int]] = {}
    for r, following in zip(latest, [*(n.ts for n in latest[1:]), END], strict=False):
        until = r.ts if r.is_marker else min(following, r.ts + r.holds, END)
        at = max(r.ts, T0)
        while at < until:
            cells = expected.setdefault((at - T0) // MINUTE, [0, 0])
            lasting = (min(until, T0 + ((at - T0) // MINUTE + 1) * MINUTE) - at) // timedelta(microseconds=1)
            cells[0] += lasting if r.value <= 200 else 0
            cells[1] += lasting
            at += timedelta(microseconds=lasting)
    found = latency_minutes(given_, 200, T0, END)
    assert {(m - T0) // MINUTE: [c.good, c.total] for m, c in found.items() if c.total} == expected
