"""The truth lies within the bounds wherever the changes were; they are as narrow as what was looked at allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import PushMode, Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.model.windows import Verdict, WindowResult
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import exclude
from ecpmon.sla.parts import Terms
from ecpmon.sla.spans import clip, lay
from ecpmon.sla.windows import evaluate

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOLDS = 12.5
LOOKED = timedelta()
UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def looked(seconds: float, *, down: bool = False, age: timedelta | None = LOOKED) -> Observation:
    return Observation(at(seconds), float(down), timedelta(seconds=HOLDS), age)


def known(seen: Sequence[Observation]) -> list[Span]:
    """The timeline; it ends with the last observation, and one more instant shows the edge to its state."""
    last = seen[-1].ts
    return lay(seen, last + timedelta(microseconds=1))


def told(spans: Sequence[Span], start: datetime, end: datetime, off: Sequence[Interval] = ()) -> WindowResult:
    return evaluate("x", spans, start, end, 0.995, terms=Terms(off))


def down_between(found: WindowResult) -> tuple[float, float]:
    """Seconds of down time, by the bounds."""
    assert found.low is not None
    assert found.high is not None
    eligible = found.tally.eligible
    return eligible * (1 - found.high), eligible * (1 - found.low)


@dataclass(frozen=True)
class Case:
    """What was seen, and when the tenant really was down."""

    seen: list[Observation]
    truth: list[Span]


share = st.floats(0, 1)


@st.composite
def watched(draw: st.DrawFn, age: float = 0.0) -> Case:
    """Found at instants up to `age` before they are told. The state changes anywhere between two that disagree; between
    two that agree there may be something else only when there is a gap between them.
    """
    down, told_at = draw(st.booleans()), 0.0
    found_at = told_at - draw(share) * age
    seen, edges = [looked(told_at, down=down, age=timedelta(seconds=age))], [(-60.0, down)]
    for spacing, following, when, one, other in draw(
        st.lists(
            st.tuples(st.floats(max(1.0, age), 40), st.booleans(), share, share, share),
            min_size=1,
            max_size=12,
        )
    ):
        told_next = told_at + spacing
        found_next = told_next - when * age
        first, last = sorted((one, other))
        between = found_next - found_at
        if down != following:
            edges.append((found_at + first * between, following))
        elif spacing > HOLDS:
            edges += [(found_at + first * between, not down), (found_at + last * between, down)]
        told_at, found_at, down = told_next, found_next, following
        seen.append(looked(told_at, down=down, age=timedelta(seconds=age)))
    edges.append((told_at + 1.0, down))
    truth = [
        Span(at(a), at(b), DOWN) for (a, is_down), (b, _) in pairwise(edges) if is_down and at(a) < at(b)
    ]
    return Case(seen, truth)


def holds_the_truth(case: Case, start: datetime, end: datetime, off: Sequence[Interval] = ()) -> None:
    found = told(known(case.seen), start, end, off)
    if found.low is None:
        return
    least, most = down_between(found)
    actual = sum(s.seconds for s in exclude(clip(case.truth, start, end), off))
    assert least - 1e-4 <= actual <= most + 1e-4


@settings(max_examples=400)
@given(watched(), st.lists(st.floats(-5, 500), max_size=6, unique=True).map(sorted), share, share)
def test_the_truth_is_within_the_bounds_of_any_stretch_wherever_the_changes_were(
    case: Case, edges: list[float], one: float, other: float
) -> None:
    whole = case.seen[-1].ts - T0
    first, last = sorted((one, other))
    off = [Interval(at(a), at(b)) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    for start, end in ((T0, T0 + whole), (T0 + first * whole, T0 + last * whole)):
        if start < end:
            holds_the_truth(case, start, end)
            holds_the_truth(case, start, end, off)


@settings(max_examples=400)
@given(watched(age=5.0))
def test_the_truth_is_within_the_bounds_of_what_a_store_had_found_before(case: Case) -> None:
    holds_the_truth(case, T0, case.seen[-1].ts + timedelta(microseconds=1))


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.sampled_from([4.9, 5.0, 5.1]))
def test_polls_in_time_leave_two_fifths_of_the_doubt_that_the_longest_silence_would(
    states: list[bool], every: float
) -> None:
    """Half of it and less: the width was 2.5 intervals for every change."""
    seen = [looked(every * n, down=down) for n, down in enumerate(states)]
    least, most = down_between(told(known(seen), T0, seen[-1].ts + timedelta(microseconds=1)))
    changes = sum(a != b for a, b in pairwise(states))
    assert most - least == pytest.approx(changes * every, abs=1e-4)
    assert most - least <= changes * HOLDS / 2


def test_a_change_that_is_told_as_it_happens_is_exact() -> None:
    seen = [looked(10 * n, down=n == 3, age=None) for n in range(6)]
    assert down_between(told(known(seen), T0, at(50))) == (pytest.approx(10), pytest.approx(10))


def test_a_silence_may_hide_an_outage_that_began_before_it() -> None:
    seen = [looked(s, down=s == 50) for s in (0, 10, 20, 50, 60, 70)]
    # Up until 32.5 as far as anybody knows; then nobody does until 50.
    assert down_between(told(known(seen), T0, at(70))) == (pytest.approx(0), pytest.approx(40))
    exact = [looked(s, down=s == 50, age=None) for s in (0, 10, 20, 50, 60, 70)]
    assert down_between(told(known(exact), T0, at(70))) == (pytest.approx(10), pytest.approx(27.5))


def test_the_doubt_within_planned_work_does_not_count() -> None:
    seen = [looked(10 * n, down=10 <= n < 12) for n in range(40)]
    spans = known(seen)
    inside = told(spans, T0, at(390), [Interval(at(80), at(200))])
    assert (inside.low, inside.high, inside.verdict) == (1.0, 1.0, Verdict.MET)
    # It may have gone down after 90, and up to 95 that was no planned time.
    partly = told(spans, T0, at(390), [Interval(at(95), at(200))])
    assert partly.low == pytest.approx(1 - 5 / 285)
    assert partly.high == 1.0


def test_a_stretch_that_begins_in_a_doubt_holds_what_of_it_is_left() -> None:
    spans = known([looked(s, down=s == 10) for s in (0, 10, 20, 30)])
    assert down_between(told(spans, at(4), at(30))) == (pytest.approx(0), pytest.approx(16))
    # It may have gone down from 0 on, also of what ends before that was seen.
    assert down_between(told(spans, at(0), at(6))) == (pytest.approx(0), pytest.approx(6))


def test_twenty_seconds_seen_by_one_sample_a_minute_are_within_the_bounds() -> None:
    """Told exact they were 60 s, with bounds of no width."""
    seen = [Observation(at(60 * n), float(n == 50), timedelta(seconds=150), LOOKED) for n in range(121)]
    found = told(known(seen), T0, at(7200))
    assert found.availability == pytest.approx(0.991667, abs=1e-6)
    assert down_between(found) == (pytest.approx(0), pytest.approx(120))


def test_what_lies_between_two_samples_that_agree_no_bound_holds() -> None:
    """20 s down and 40 s up in turns for 6 h, looked at each minute: as docs/sla.md says."""
    always_up = known([Observation(at(60 * n), 0.0, timedelta(seconds=150), LOOKED) for n in range(361)])
    assert down_between(told(always_up, T0, at(6 * 3600))) == (0.0, 0.0)


def test_shares_are_in_doubt_by_what_changes() -> None:
    seen = [
        Observation(at(10 * n), s, timedelta(seconds=60), LOOKED) for n, s in enumerate([0, 0.25, 1, 0, 0])
    ]
    # Worse by 0.25 and 0.75, better by 1: ten seconds for the whole tenant on each side.
    assert down_between(told(known(seen), T0, at(40))) == (pytest.approx(2.5), pytest.approx(22.5))


def test_a_gap_told_apart_by_its_reasons_has_one_doubt() -> None:
    from ecpmon.sla.spans import attribute

    spans = known([looked(s) for s in (0, 10, 60)])
    pieces = attribute(spans, [Interval(at(0), at(30))], GapReason.TARGET_FAILED)
    assert [(s.state, s.doubt) for s in pieces] == [(UP, 0), (GAP, 12.5), (GAP, 0), (UP, 0)]
    assert told(pieces, T0, at(60)).low == told(spans, T0, at(60)).low


@pytest.mark.parametrize(
    ("source", "mode", "age"),
    [
        ("push", "changes", None),
        ("push", "samples", 0),
        ("simulator", "changes", 0),
        ("prometheus", "changes", 0),
    ],
)
def test_who_looks_now_and_then_is_in_doubt(source: str, mode: str, age: float | None) -> None:
    tenant = Tenant(
        key=1, tenant_id="t", name=None, preset="small", is_demo=False, status=TenantStatus.RUNNING,
        service_requirements={}, resources=Resources(), sla_target=SlaTarget(availability="99.9%"),
        sli_source=source, push_mode=PushMode(mode), created_at=T0, updated_at=T0,
    )  # fmt: skip
    _, found = Intervals(timedelta(seconds=5), timedelta(seconds=15)).evidence(tenant)
    assert found == (None if age is None else timedelta(seconds=age))
