"""Incremental spans equal recomputation, whatever the order, duplicates or losses."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.sla.spans import (
    Head,
    Patch,
    attribute,
    clip,
    closed_part,
    coalesce,
    continued,
    doubt_between,
    lay,
    make_head,
    replaced,
    rewrite,
    timeline,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOLDS = timedelta(seconds=12.5)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def seen(seconds: float, *, down: bool = False, age: timedelta | None = None) -> Observation:
    return Observation(at(seconds), down, HOLDS, age)


def span(start: float, end: float, state: str, reason: GapReason | None = None) -> Span:
    return Span(at(start), at(end), SpanState(state), reason)


def looked(seconds: float, *, down: bool = False) -> Observation:
    """By an agent that told changes first, then looked now and then, and then asked for what others had found."""
    age = None if seconds < 100 else timedelta() if seconds < 250 else timedelta(seconds=3)
    return seen(seconds, down=down, age=age)


class StoredTimeline:
    """What storage does with patches, in memory: spans and a head, plus the raw observations."""

    def __init__(self) -> None:
        self.raw: dict[datetime, Observation] = {}
        self.closed: list[Span] = []
        self.head: Head | None = None

    def ingest(self, batch: list[Observation]) -> None:
        for observation in batch:
            self.raw[observation.ts] = observation
        first, last = min(o.ts for o in batch), max(o.ts for o in batch)
        doubt = 0.0
        if self.head and first > self.head.last:
            first, doubt = self.head.last, self.head.doubt  # in order: continue from the head
        elif self.head:
            doubt = doubt_between(self.before(first), self.raw[first])
        known = [self.raw[ts] for ts in sorted(self.raw) if first <= ts <= last]
        following = self.after(last)
        patch = self.taken(first, following.ts if following else last)
        self.put(rewrite(patch, self.head, known, following, doubt=doubt))

    def withdraw(self, gone: datetime) -> None:
        del self.raw[gone]
        before = self.before(gone)
        assert self.head
        start = before.ts if before else gone
        nearby = self.taken(start, self.head.last)
        known = [self.raw[ts] for ts in sorted(self.raw) if ts >= start]
        newest = known[-1]
        doubt = doubt_between(known[-2], newest) if len(known) > 1 else 0.0
        kept = next(
            (s.doubt for s in [*nearby, *closed_part(self.head)] if s.start == start), self.head.doubt
        )
        content = lay(known, newest.ts, kept)
        self.put(
            replaced(nearby, self.head, start, newest.ts, content, newest, doubt if len(known) > 1 else kept)
        )

    def before(self, at: datetime) -> Observation | None:
        return self.raw.get(max((ts for ts in self.raw if ts < at), default=at - timedelta(days=1)))

    def after(self, at: datetime) -> Observation | None:
        return self.raw.get(min((ts for ts in self.raw if ts > at), default=at - timedelta(days=1)))

    def taken(self, start: datetime, stop: datetime) -> list[Span]:
        nearby = [s for s in self.closed if s.end >= start and s.start <= stop]
        self.closed = [s for s in self.closed if s.end < start or s.start > stop]
        return nearby

    def put(self, patch: Patch) -> None:
        self.closed = sorted([*self.closed, *patch.spans], key=lambda s: s.start)
        self.head = patch.head


def recomputed(raw: dict[datetime, Observation]) -> tuple[list[Span], Head]:
    ordered = [raw[ts] for ts in sorted(raw)]
    doubt = doubt_between(ordered[-2], ordered[-1]) if len(ordered) > 1 else 0.0
    return make_head(lay(ordered, ordered[-1].ts), ordered[-1], doubt)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 120), st.booleans()), min_size=1, max_size=4),
        min_size=1,
        max_size=12,
    )
)
def test_incremental_equals_recomputation(batches: list[list[tuple[int, bool]]]) -> None:
    stored = StoredTimeline()
    for batch in batches:
        latest = {second * 3: down for second, down in batch}
        stored.ingest([looked(second, down=down) for second, down in latest.items()])
    closed, head = recomputed(stored.raw)
    assert stored.closed == closed
    assert stored.head == head


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.integers(0, 120), st.booleans(), min_size=2, max_size=20),
    st.lists(st.integers(0, 19), min_size=1, max_size=6),
)
def test_what_is_taken_out_leaves_what_the_others_say(states: dict[int, bool], out: list[int]) -> None:
    stored = StoredTimeline()
    stored.ingest([looked(3 * n, down=down) for n, down in sorted(states.items())])
    for index in out:
        if len(stored.raw) > 1:
            stored.withdraw(sorted(stored.raw)[index % len(stored.raw)])
    closed, head = recomputed(stored.raw)
    # Of what came before the first that is left storage knows that nothing was observed then.
    assert [s for s in stored.closed if s.start >= min(stored.raw)] == closed
    assert stored.head == head


def test_a_late_observation_narrows_the_doubt_of_the_change_after_it() -> None:
    stored = StoredTimeline()
    for second, down in ((0, False), (5, False), (10, True), (15, False), (20, False)):
        stored.ingest([seen(second, down=down, age=timedelta())])
    assert [(s.doubt, s.doubt_after) for s in stored.closed] == [(0, 5), (5, 5)]
    stored.ingest([seen(8, age=timedelta())])
    stored.ingest([seen(14, down=True, age=timedelta())])
    assert [(s.doubt, s.doubt_after) for s in stored.closed] == [(0, 2), (2, 1)]
    stored.withdraw(at(8))
    assert [(s.doubt, s.doubt_after) for s in stored.closed] == [(0, 5), (5, 1)]


@settings(max_examples=300, deadline=None)
@given(
    st.none() | st.booleans(),
    st.dictionaries(st.integers(1, 9), st.sampled_from([0, 0, 0, 0.5, 1]), min_size=1, max_size=5),
)
def test_what_goes_on_quickly_is_what_a_rewrite_makes_of_it(
    down: bool | None, later: dict[int, float]
) -> None:
    state, age = SpanState.DOWN if down else SpanState.UP, timedelta(seconds=1)
    known = None if down is None else Head(state, at(-60), at(0), HOLDS, 1.0, 7.0, age)
    fresh = [Observation(at(5 * n), later[n], HOLDS, age) for n in sorted(later)]
    after = continued(known, fresh)
    slow = rewrite([], known, [known.observation, *fresh] if known else fresh, None)
    if after is None:
        assert slow.spans
    else:
        assert (list(slow.spans), slow.head) == ([], after)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(0, 200), st.booleans(), min_size=1), st.integers(0, 300))
def test_a_timeline_is_gapless_ordered_and_maximal(raw: dict[int, bool], now: int) -> None:
    closed, head = recomputed({at(s): seen(s, down=d) for s, d in raw.items()})
    spans = timeline(closed, head, at(now), GapReason.NOT_PUSHED)
    for left, right in itertools.pairwise(spans):
        assert left.end == right.start
        assert (left.state, left.reason) != (right.state, right.reason)
    if spans:
        assert spans[0].start == at(min(raw))
        assert spans[-1].end == at(now)


def test_an_observation_holds_for_its_staleness_then_the_time_is_a_gap() -> None:
    assert lay([seen(0), seen(60, down=True)], at(65)) == [
        span(0, 12.5, "up"),
        span(12.5, 60, "gap"),
        span(60, 65, "down"),
    ]


def test_a_late_up_observation_inside_down_time_splits_it() -> None:
    stored = StoredTimeline()
    stored.ingest([seen(0, down=True)])
    stored.ingest([seen(10, down=True)])
    stored.ingest([seen(5)])
    assert stored.closed == [span(0, 5, "down"), span(5, 10, "up")]
    assert stored.head == Head(SpanState.DOWN, at(10), at(10), HOLDS)


def test_gaps_are_attributed_to_whoever_was_blind() -> None:
    gap = span(0, 60, "gap")
    awake = [Interval(at(0), at(22.5)), Interval(at(40), at(52.5))]
    assert attribute([gap], awake, GapReason.TARGET_FAILED) == [
        span(0, 22.5, "gap", GapReason.TARGET_FAILED),
        span(22.5, 40, "gap", GapReason.COLLECTOR_DOWN),
        span(40, 52.5, "gap", GapReason.TARGET_FAILED),
        span(52.5, 60, "gap", GapReason.COLLECTOR_DOWN),
    ]


@given(
    st.lists(st.integers(0, 100), unique=True).map(sorted),
    st.integers(0, 50),
    st.integers(51, 100),
)
def test_attribution_neither_adds_nor_loses_time(edges: list[int], start: int, end: int) -> None:
    awake = [Interval(at(a), at(b)) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    pieces = attribute([span(start, end, "gap")], awake, GapReason.TARGET_FAILED)
    assert coalesce([Span(p.start, p.end, p.state) for p in pieces]) == [span(start, end, "gap")]
    assert all(p.reason for p in pieces)


def test_clip_cuts_at_both_ends_and_drops_the_rest() -> None:
    spans = [span(0, 10, "up"), span(10, 20, "down"), span(20, 30, "up")]
    assert clip(spans, at(5), at(20)) == [span(5, 10, "up"), span(10, 20, "down")]
