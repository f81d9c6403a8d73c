"""Services of one tenant that change in opposite directions: what they may have done meanwhile is within the bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.maintenance import Interval
from ecpmon.sla.crossings import TRACE
from ecpmon.sla.entries import Book
from ecpmon.sla.incidents import incidents
from ecpmon.sla.ledger import Ledger
from ecpmon.sla.maintenance import merged
from ecpmon.sla.parts import Terms
from ecpmon.sla.spans import lay
from ecpmon.sla.voices import Chorus, Policy, Told
from ecpmon.sla.windows import evaluate, unseen

T0 = datetime(2026, 3, 1, tzinfo=UTC)
EVERY, HOLDS = 10, 25
EQUAL = {"a": 1.0, "b": 1.0, "c": 1.0}
# Voice -> what was found (down?), by second.
Found = dict[tuple[str, str], dict[int, bool]]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def told_by(found: Found, policy: Policy) -> list[Told]:
    instants = sorted({second for own in found.values() for second in own})
    return [
        Told(at(n), votes, policy)
        for n in instants
        if (votes := policy.counted({voice: own[n] for voice, own in found.items() if n in own}))
    ]


def pushed(policy: Policy, **states: str) -> list[Told]:
    """Of each service what is found every ten seconds: u(p), d(own), - (not looked at)."""
    found: Found = {
        ("up", name): {EVERY * n: state == "d" for n, state in enumerate(states[name]) if state != "-"}
        for name in states
    }
    return told_by(found, policy)


def down_between(told: list[Told], start: float, end: float) -> tuple[float, float]:
    """Seconds of down time, by the bounds."""
    spans = lay(Chorus().follow(told), told[-1].ts + timedelta(microseconds=1))
    window = evaluate("x", spans, at(start), at(end), 0.99)
    assert window.low is not None
    assert window.high is not None
    eligible = window.tally.eligible
    return pytest.approx(eligible * (1 - window.high), abs=1e-3), pytest.approx(
        eligible * (1 - window.low), abs=1e-3
    )


ANY = Policy("push", timedelta(seconds=HOLDS), age=timedelta())
WEIGHTED = Policy("push", timedelta(seconds=HOLDS), {"a": 1.0, "b": 1.0}, age=timedelta())


@pytest.mark.parametrize(("policy", "bounds"), [(WEIGHTED, (0, 10)), (ANY, (0, 10))])
def test_one_service_that_comes_up_in_the_push_in_which_another_goes_down_is_in_doubt(
    policy: Policy, bounds: tuple[float, float]
) -> None:
    """Told to be down by the same share all the time; between 10 and 20 both may have been down, or neither."""
    told = pushed(policy, a="dduu", b="uudd")
    assert down_between(told, 10, 20) == bounds


def test_an_outage_that_is_handed_over_is_one_outage() -> None:
    for policy in (ANY, WEIGHTED):
        spans = lay(Chorus().follow(pushed(policy, a="uddduuuu", b="uuuudddu")), at(70))
        [outage] = incidents(spans, at(0), at(70))
        assert (outage.start, outage.end, outage.recovery_seconds) == (at(10), at(70), 60)


def test_who_stays_down_meanwhile_leaves_no_doubt() -> None:
    told = pushed(ANY, a="uddduuu", b="uuddddd", c="uuuuudd")
    spans = lay(Chorus().follow(told), at(60))
    assert [(s.start, s.share) for s in spans] == [(at(0), 1.0), (at(10), 1.0)]


def test_one_that_comes_up_between_the_looks_of_another_agent_is_in_doubt_since_its_own() -> None:
    found: Found = {
        ("up", "a"): {0: True, 10: True, 20: True, 30: False, 40: False},
        ("up", "b"): {5: False, 15: False, 25: True, 35: True, 45: True},
    }
    told = told_by(found, ANY)
    # a may have been up from 20 on, and b until 25.
    assert down_between(told, 5, 45) == (30, 40)


def test_kinds_of_evidence_about_one_service_hand_over_as_services_do() -> None:
    found: Found = {
        ("up", "a"): {0: True, 10: True, 20: False, 30: False},
        ("error_rate", "a"): {0: False, 10: False, 20: True, 30: True},
        ("up", "b"): dict.fromkeys((0, 10, 20, 30), False),
    }
    assert down_between(told_by(found, WEIGHTED), 10, 20) == (0, 5)
    assert down_between(told_by(found, ANY), 10, 20) == (0, 10)


def test_who_tells_changes_as_they_happen_passes_through_nothing() -> None:
    exact = Policy("push", timedelta(seconds=HOLDS), {"a": 1.0, "b": 1.0})
    spans = lay(Chorus().follow(pushed(exact, a="dduu", b="uudd")), at(30))
    assert [(s.share, s.seconds) for s in spans] == [(0.5, 30)]


def test_what_is_passed_through_lasts_for_microseconds() -> None:
    spans = lay(Chorus().follow(pushed(ANY, a="dduu", b="uudd")), at(30))
    assert [(s.share, s.seconds) for s in spans] == [(1.0, 20 - 1e-6), (TRACE, 1e-6), (1.0, 10)]
    assert unseen(spans, at(0), at(30)) == pytest.approx((0, 10), abs=1e-5)


# --- an oracle that asks at every half second what each service may have been


def may_be(own: Mapping[int, bool], when: float, end: int) -> tuple[bool, bool] | None:
    """(down?, up?) of what was found so; None: it was not looked at yet."""
    before = max((n for n in own if n <= when), default=None)
    after = min((n for n in own if n > when), default=None)
    if before is None:
        return None
    known = end < before + HOLDS if after is None else after - before <= HOLDS and own[after] is own[before]
    return (own[before], not own[before]) if known else (True, True)


def extremes(
    found: Found, weights: Mapping[str, float] | None, seconds: Iterable[int], end: int
) -> tuple[float, float]:
    """Seconds of down time, at least and at most, as known at `end`."""
    least = most = 0.0
    for second in seconds:
        parts: dict[str, list[tuple[bool, bool]]] = {part: [] for part in weights or ("",)}
        for (_, name), own in found.items():
            if (state := may_be(own, second + 0.5, end)) is not None:
                parts["" if weights is None else name].append(state)
        for part, states in parts.items():
            weight = 1.0 if weights is None else weights[part] / sum(weights.values())
            least += weight * (bool(states) and any(not up for _, up in states))
            most += weight * (not states or any(down for down, _ in states))
    return least, most


@st.composite
def agents(draw: st.DrawFn) -> Found:
    """Each looks every ten seconds, all in one push or each at its own time, and is silent now and then."""
    together, found = draw(st.booleans()), Found()
    for voice in [("up", "a"), ("up", "b"), ("up", "c"), *draw(st.sampled_from([[], [("error_rate", "b")]]))]:
        when, down, own = 0 if together else draw(st.integers(0, EVERY - 1)), draw(st.booleans()), {}
        for step, changes in draw(
            st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 3]), st.booleans()), min_size=3, max_size=9)
        ):
            own[when] = down
            when, down = when + step * EVERY, down is not changes
        found[voice] = own
    return found


def ends(found: Found) -> Iterator[tuple[int, int]]:
    """Windows: as far as anything was told, and a minute more."""
    newest = max(n for own in found.values() for n in own)
    begin = min(n for own in found.values() for n in own)
    yield begin, newest
    yield begin, newest + 60


@settings(max_examples=250)
@given(agents(), st.sampled_from([None, EQUAL, {"a": 1.0, "b": 2.0, "c": 5.0}]))
def test_the_truth_is_within_the_bounds_whichever_services_change_together(
    found: Found, weights: Mapping[str, float] | None
) -> None:
    policy = Policy("push", timedelta(seconds=HOLDS), weights, age=timedelta())
    for start, end in ends(found):
        if start >= end:
            continue
        told = told_by(found, policy)
        spans = lay(Chorus().follow(told, until=at(end)), at(end) + timedelta(microseconds=1))
        window = evaluate("x", spans, at(start), at(end), 0.99)
        if window.low is None or window.high is None:
            continue
        first = max(start, round((spans[0].start - T0).total_seconds()))
        least, most = extremes(found, weights, range(first, end), end)
        eligible = window.tally.eligible
        assert eligible * (1 - window.high) <= least + 1e-3
        assert most <= eligible * (1 - window.low) + 1e-3


@settings(max_examples=150)
@given(
    agents(),
    st.sampled_from([None, EQUAL, {"a": 1.0, "b": 2.0, "c": 5.0}]),
    st.lists(st.integers(0, 130), min_size=6, max_size=6, unique=True),
)
def test_the_truth_is_within_the_bounds_wherever_a_window_and_maintenance_begin_and_end(
    found: Found, weights: Mapping[str, float] | None, edges: list[int]
) -> None:
    """In the doubts of any number of changes, of three services and more."""
    policy = Policy("push", timedelta(seconds=HOLDS), weights, age=timedelta())
    newest = max(n for own in found.values() for n in own)
    spans = lay(
        Chorus().follow(told_by(found, policy), until=at(newest)), at(newest) + timedelta(microseconds=1)
    )
    start, end = sorted(edges[:2])
    off = [range(*sorted(pair)) for pair in (edges[2:4], edges[4:])]
    first, end = max(start, round((spans[0].start - T0).total_seconds())), min(end, newest)
    seconds = [n for n in range(first, end) if not any(n in planned for planned in off)]
    planned = merged(Interval(at(each.start), at(each.stop)) for each in off)
    if not seconds:
        return
    window = evaluate("x", spans, at(start), at(end), 0.99, terms=Terms(planned))
    assert window.low is not None
    assert window.high is not None
    least, most = extremes(found, weights, seconds, newest)
    assert len(seconds) * (1 - window.high) <= least + 1e-3
    assert most <= len(seconds) * (1 - window.low) + 1e-3
    ledger = Ledger(Book(spans, spans[0].start, at(newest + 1)).mark, planned)
    assert ledger.unseen(at(start), at(end)) == pytest.approx(
        unseen(spans, at(start), at(end), planned), abs=1e-6
    )
