"""Services with weights, each told by an agent of its own: wherever one is silent, the truth is within the bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Observation, Span, SpanState
from ecpmon.model.windows import Verdict
from ecpmon.sla.incidents import incidents
from ecpmon.sla.spans import lay
from ecpmon.sla.voices import Chorus, Policy, Told
from ecpmon.sla.windows import evaluate

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOLDS = 50.0
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 5.0}
SAMPLED = Policy("push", timedelta(seconds=HOLDS), WEIGHTS, age=timedelta())


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Agent:
    """What one service was found to be (down?), and when it really was down; seconds."""

    found: list[tuple[float, bool]]
    truth: list[tuple[float, float]]

    def down(self, start: float, end: float) -> float:
        return sum(max(min(b, end) - max(a, start), 0.0) for a, b in self.truth)


@st.composite
def agents(draw: st.DrawFn, offset: float, lasting: float = 400.0) -> Agent:
    """It looks every 20 s, and is silent now and then. Its service changes anywhere between two looks that disagree,
    and while nobody looks it does as it likes; before the first look as well."""
    share, when, down = st.floats(0.001, 0.999), offset, draw(st.booleans())
    found, edges = [(when, down)], [(-1.0, draw(st.booleans())), (offset * draw(share), down)]
    while when < lasting:
        step, following = draw(st.sampled_from([20.0, 20.0, 20.0, 60.0, 130.0])), draw(st.booleans())
        first, last = sorted((draw(share), draw(share)))
        if step > HOLDS:
            edges += [(when + first * step, not down), (when + last * step, following)]
        elif following != down:
            edges.append((when + first * step, following))
        when, down = when + step, following
        found.append((when, down))
    edges.append((when + 1.0, down))
    return Agent(found, [(a, b) for (a, is_down), (b, _) in pairwise(edges) if is_down])


def told_by(every: dict[str, Agent]) -> list[Told]:
    return sorted(
        (
            Told(at(when), {("up", name): down}, SAMPLED)
            for name, agent in every.items()
            for when, down in agent.found
        ),
        key=lambda t: t.ts,
    )


@settings(max_examples=300)
@given(agents(1.03), agents(7.41), agents(13.87), st.floats(1.03, 300))
def test_the_truth_is_within_the_bounds_whoever_falls_silent(
    a: Agent, b: Agent, c: Agent, start: float
) -> None:
    every, end = {"a": a, "b": b, "c": c}, 900.0
    spans = lay(Chorus().follow(told_by(every), until=at(end)), at(end))
    window = evaluate("x", spans, at(start), at(end), 0.995)
    actual = sum(WEIGHTS[name] * agent.down(start, end) for name, agent in every.items())
    assert window.low is not None
    assert window.high is not None
    truth = 1 - actual / sum(WEIGHTS.values()) / window.tally.eligible
    assert window.low - 1e-6 <= truth <= window.high + 1e-6
    # And what is measured is what was found of each, as long as that held.
    known = measured(every, start, end)
    assert (window.tally.down, window.tally.gap) == pytest.approx(known, abs=1e-4)


def measured(every: dict[str, Agent], start: float, end: float) -> tuple[float, float]:
    """Seconds that are down and unknown by their weights, of each service by itself."""
    down = gap = 0.0
    for name, agent in every.items():
        weight = WEIGHTS[name] / sum(WEIGHTS.values())
        held = [
            (max(when, start), min(following, when + HOLDS, end), is_down)
            for (when, is_down), (following, _) in pairwise([*agent.found, (1e9, False)])
        ]
        inside = [(until - since, is_down) for since, until, is_down in held if since < until]
        down += weight * sum(seconds for seconds, is_down in inside if is_down)
        gap += weight * (end - start - sum(seconds for seconds, _ in inside))
    return down, gap


def line(*parts: tuple[float, float, float]) -> list[Span]:
    """Of (seconds, share that is down, share that is unknown), each told every second as it happens."""
    seen, cursor = list[Observation](), 0.0
    for seconds, down, unknown in parts:
        seen.append(Observation(at(cursor), down, timedelta(seconds=seconds), None, unknown))
        cursor += seconds
    return lay(seen, at(cursor))


def test_a_gap_in_part_counts_by_its_part() -> None:
    spans = line((300, 0, 0), (100, 0, 0.25), (100, 0.5, 0.25), (500, 0, 0))
    assert [(s.state, s.reason, s.share, s.unknown) for s in spans] == [
        (SpanState.UP, None, 1.0, 0.0),
        (SpanState.GAP, GapReason.PART_SILENT, 0.25, 0.0),
        (SpanState.DOWN, None, 0.5, 0.25),
        (SpanState.UP, None, 1.0, 0.0),
    ]
    window = evaluate("x", spans, at(0), at(1000), 0.92)
    assert (window.tally.down, window.tally.gap) == (50.0, 50.0)
    assert window.availability == pytest.approx(900 / 950)
    assert window.coverage == 0.95
    # All that is unknown down, and all of it up.
    assert (window.low, window.high) == (0.9, 0.95)
    assert window.verdict is Verdict.UNDETERMINED
    assert evaluate("x", spans, at(0), at(1000), 0.96).verdict is Verdict.BREACHED
    assert evaluate("x", spans, at(0), at(1000), 0.9).verdict is Verdict.MET


def test_outages_that_a_gap_in_part_keeps_apart_are_two_and_a_down_time_beside_one_is_part_of_one() -> None:
    apart = line((100, 0, 0), (10, 0.5, 0), (20, 0, 0.25), (10, 0.5, 0.25), (60, 0, 0))
    assert [(i.start, i.end) for i in incidents(apart, at(0), at(200))] == [
        (at(100), at(110)),
        (at(130), at(140)),
    ]
    beside = line((100, 0, 0), (10, 0.5, 0), (20, 0.5, 0.25), (10, 0.5, 0), (60, 0, 0))
    [whole] = incidents(beside, at(0), at(200))
    assert (whole.start, whole.end, whole.down_seconds) == (at(100), at(140), 20.0)


@pytest.mark.parametrize(
    ("before", "after", "early", "late"),
    [
        # Up may have gone down before it fell silent, down may have come up.
        ((0, 0), (0, 0.25), 2.5, 0),
        ((0.25, 0), (0, 0.25), 2.5, 2.5),
        # What was unknown is in the gap already.
        ((0, 0.25), (0, 0), 0, 0),
        ((0, 0.25), (0.75, 0.25), 7.5, 0),
        ((0.75, 0.25), (0, 0.25), 2.5, 7.5),
    ],
)
def test_what_is_in_doubt_at_an_edge_is_what_may_have_changed(
    before: tuple[float, float], after: tuple[float, float], early: float, late: float
) -> None:
    seen = [
        Observation(at(10 * n), share, timedelta(seconds=20), timedelta(), unknown)
        for n, (share, unknown) in enumerate([before, before, after, after])
    ]
    window = evaluate("x", lay(seen, at(40)), at(0), at(40), 0.99)
    seconds = window.tally
    assert window.low is not None
    assert window.high is not None
    assert seconds.up - window.low * 40 == pytest.approx(min(early, seconds.up))
    assert window.high * 40 - seconds.up - seconds.gap == pytest.approx(late)


def blind(spans: Sequence[Span]) -> list[bool]:
    return [s.is_blind for s in spans]


def test_when_all_are_silent_nothing_is_known_whatever_was_silent_before() -> None:
    told = [Told(at(n * 20), {("up", "c"): False}, SAMPLED) for n in range(3)]
    spans = lay(Chorus().follow(told), at(200))
    assert blind(spans) == [False, True]
    assert (spans[0].share, spans[0].end, spans[1].doubt) == (0.375, at(90), HOLDS)
