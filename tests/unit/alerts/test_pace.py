"""How fast messages may leave, and which are merged: bounded, in order, nothing without a place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.delivery import FanOut, Gate, Merged, Pace, Place, Placed, place

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
paces = st.builds(Pace, st.integers(1, 10), st.integers(1, 5000).map(lambda ms: timedelta(milliseconds=ms)))
pauses = st.lists(st.integers(0, 3000).map(lambda ms: timedelta(milliseconds=ms)), max_size=60)


@given(paces, pauses)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(pace: Pace, waits: list[timedelta]) -> None:
    now, busy, left = NOW, NOW, list[datetime]()
    for wait in waits:
        now += wait
        due, busy = pace.due(busy, now)
        assert due >= now
        left.append(due)
    assert left == sorted(left)
    for first in range(len(left)):
        for last in range(first, len(left)):
            assert last - first + 1 <= pace.burst + (left[last] - left[first]) / pace.interval + 1e-9


@given(paces, st.integers(0, 20))
def test_after_a_rest_a_whole_burst_leaves_at_once(pace: Pace, before: int) -> None:
    busy = NOW
    for _ in range(before):
        _, busy = pace.due(busy, NOW)
    now = busy
    for _ in range(pace.burst):
        due, busy = pace.due(busy, now)
        assert due == now
    assert pace.due(busy, now)[0] > now


place_of = st.builds(
    Place,
    receiver=st.sampled_from(["a", "b", "c"]),
    waiting=st.integers(0, 6),
    covering=st.none() | st.integers(1, 30),
    newest=st.none() | st.integers(1, 30),
)


@given(st.lists(place_of, max_size=30), st.sets(st.integers(1, 30)), st.integers(0, 8))
def test_what_is_merged_goes_into_what_nobody_has_seen_and_the_rest_leaves_in_time(
    places: list[Place], open_ones: set[int], busy_seconds: int
) -> None:
    limits = FanOut(Pace(3, SECOND), Pace(8, SECOND), waiting=4)
    gate = Gate({"a": NOW + busy_seconds * SECOND}, NOW, limits)
    found = place(places, frozenset(open_ones), gate, NOW, limits)
    assert len(found) == len(places)
    for one, where in zip(places, found, strict=True):
        if isinstance(where, Merged):
            assert where.into in open_ones & {one.covering, one.newest}
            assert where.into >= (one.covering or 0)
        else:
            assert where.due >= NOW
            # What had to wait, or joins a crowd, had nothing to be merged into.
            assert (where.due == NOW and one.waiting < limits.waiting) or not mergeable(one, open_ones)
    at_once = [
        one.receiver for one, w in zip(places, found, strict=True) if isinstance(w, Placed) and w.due == NOW
    ]
    assert len(at_once) <= limits.tenant.burst
    assert all(at_once.count(r) <= limits.receiver.burst for r in "abc")
    assert set(gate.changed) == ({""} if any(isinstance(w, Placed) for w in found) else set()) | {
        one.receiver for one, w in zip(places, found, strict=True) if isinstance(w, Placed)
    }


def mergeable(one: Place, open_ones: set[int]) -> bool:
    return any(
        n is not None and n in open_ones and n >= (one.covering or 0) for n in (one.covering, one.newest)
    )
