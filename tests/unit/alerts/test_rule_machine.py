"""The state machine as timelines: one letter per evaluation, ten seconds apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.alerts.machine import OUTAGE_TOLERANCE, OVERTAKEN, advance
from ecpmon.model.alerts import RuleState, RuleStatus, Transition, TransitionReason

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(seconds=10)
CONDITION: dict[str, bool | None] = {"T": True, "f": False, "?": None}
STATUS = {RuleStatus.INACTIVE: "i", RuleStatus.PENDING: "p", RuleStatus.FIRING: "F"}


def play(
    script: str, for_seconds: float, state: RuleState | None = None
) -> tuple[str, list[Transition], RuleState]:
    """The states after each evaluation, the transitions, and the last state."""
    state = state or RuleState()
    seen, changes = "", list[Transition]()
    for index, letter in enumerate(script):
        at = T0 + index * STEP
        state, made = advance(state, CONDITION[letter], at, timedelta(seconds=for_seconds))
        seen += STATUS[state.status]
        changes += made
    return seen, changes, state


@pytest.mark.parametrize(
    ("sentence", "for_seconds", "script", "expected"),
    [
        ("without for it fires at once and resolves at once", 0, "fTTf", "iFFi"),
        ("with for it is pending until it held that long", 20, "TTTT", "ppFF"),
        ("for is reached exactly, not an evaluation later", 30, "TTTT", "pppF"),
        ("a single false starts it over", 20, "TTfTTT", "ppippF"),
        ("firing resolves without a delay", 20, "TTTf", "ppFi"),
        ("blind before the first data it is inactive", 0, "???T", "iiiF"),
        ("blind while firing it goes on firing", 0, "T????", "FFFFF"),
        ("and resolves on the first good news", 0, "T??f", "FFFi"),
        ("blind while pending the clock stands still", 20, "TT??TT", "ppppp" + "F"),
        ("neither the step into nor out of blindness counts", 20, "T?T?TT", "pppppp"),
        ("blind forever it never fires", 10, "T" + "?" * 50, "p" * 51),
    ],
)
def test_timelines(sentence: str, for_seconds: float, script: str, expected: str) -> None:
    assert play(script, for_seconds)[0] == expected, sentence


def test_reasons_and_start_of_an_episode() -> None:
    _, changes, state = play("TTT?f", 20)
    assert [(change.reason, change.at) for change in changes] == [
        (TransitionReason.CONDITION_TRUE, T0),
        (TransitionReason.HELD_FOR, T0 + 2 * STEP),
        (TransitionReason.FROZEN, T0 + 3 * STEP),
        (TransitionReason.THAWED, T0 + 4 * STEP),
        (TransitionReason.RESOLVED, T0 + 4 * STEP),
    ]
    assert [change.started_at for change in changes if change.notifies] == [T0 + 2 * STEP] * 2
    assert state == RuleState(since=T0 + 4 * STEP, evaluated_at=T0 + 4 * STEP)


def test_only_firing_and_resolved_notify() -> None:
    _, changes, _ = play("TfT?TTTTf", 20)
    assert [change.reason for change in changes if change.notifies] == [
        TransitionReason.HELD_FOR,
        TransitionReason.RESOLVED,
    ]


def test_frozen_is_visible_with_its_start_and_reported_once() -> None:
    _, changes, state = play("f???", 0)
    assert state.frozen
    assert state.frozen_since == T0 + STEP
    assert [change.reason for change in changes] == [TransitionReason.FROZEN]


def test_the_value_is_kept_through_blindness() -> None:
    state, _ = advance(RuleState(), True, T0, timedelta(0), value=91.5)
    state, _ = advance(state, None, T0 + STEP, timedelta(0))
    assert state.value == 91.5


def test_for_goes_on_after_a_restart_and_counts_a_short_outage() -> None:
    _, _, state = play("T", 300)
    state, changes = advance(state, True, T0 + timedelta(minutes=5), timedelta(minutes=5))
    assert state.status is RuleStatus.FIRING
    assert changes[0].reason is TransitionReason.HELD_FOR
    assert state.pending_since == T0


def test_for_does_not_count_a_step_beyond_the_outage_tolerance() -> None:
    _, _, state = play("TT", 300)
    late = T0 + STEP + OUTAGE_TOLERANCE + timedelta(seconds=1)
    state, _ = advance(state, True, late, timedelta(minutes=5))
    assert (state.status, state.held) == (RuleStatus.PENDING, STEP)


def test_a_clock_that_steps_back_starts_the_pending_rule_over() -> None:
    _, _, state = play("TTT", 60)
    back = T0 - timedelta(days=1)
    state, _ = advance(state, True, back, timedelta(minutes=1))
    assert (state.status, state.pending_since, state.held) == (RuleStatus.PENDING, back, timedelta(0))
    state, _ = advance(state, True, back + timedelta(minutes=1), timedelta(minutes=1))
    assert state.status is RuleStatus.FIRING


def test_a_clock_that_steps_back_does_not_touch_a_firing_rule() -> None:
    _, _, firing = play("T", 0)
    state, changes = advance(firing, True, T0 - timedelta(hours=3), timedelta(0))
    assert (state.status, state.since, changes) == (RuleStatus.FIRING, T0, ())


@pytest.mark.parametrize("condition", [True, False, None])
@pytest.mark.parametrize(("script", "for_seconds"), [("T", 0), ("TT", 60), ("f", 0), ("T?", 0)])
def test_a_round_that_was_overtaken_changes_nothing(
    condition: bool | None, script: str, for_seconds: float
) -> None:
    """It began before the last one, and ended after it: what was pushed between the two it has not seen."""
    _, _, state = play(script, for_seconds)
    assert state.evaluated_at is not None
    for behind in (timedelta(milliseconds=30), OVERTAKEN):
        earlier = state.evaluated_at - behind
        assert advance(state, condition, earlier, timedelta(seconds=for_seconds)) == (state, ())
    assert advance(state, condition, state.evaluated_at - OVERTAKEN - STEP, timedelta(0))[0] != state


events = st.lists(
    st.tuples(st.floats(0.1, 120), st.sampled_from([True, True, True, False, None]), st.floats(0, 300)),
    max_size=40,
)


@given(events, st.floats(0, 300))
def test_it_never_fires_before_for_really_passed(
    steps: list[tuple[float, bool | None, float]], for_seconds: float
) -> None:
    """Real time only moves forward; the wall clock is set back between evaluations at will."""
    state, real, offset = RuleState(), timedelta(0), timedelta(0)
    true_since: timedelta | None = None
    for elapsed, condition, back in steps:
        real += timedelta(seconds=elapsed)
        offset += timedelta(seconds=back if back > 200 else 0)
        state, changes = advance(state, condition, T0 + real - offset, timedelta(seconds=for_seconds))
        if condition is False:
            true_since = None
        elif condition and true_since is None:
            true_since = real
        if any(change.new is RuleStatus.FIRING and change.notifies for change in changes):
            assert condition is True
            assert true_since is not None
            assert real - true_since >= timedelta(seconds=for_seconds)


@given(st.text(alphabet="Tf?", max_size=60), st.sampled_from([0, 10, 25, 60]))
def test_invariants_of_every_timeline(script: str, for_seconds: int) -> None:
    _, changes, state = play(script, for_seconds)
    moves = [change for change in changes if change.old is not change.new]
    assert all(first.new is second.old for first, second in pairwise(moves))
    told = [change.new is RuleStatus.FIRING for change in changes if change.notifies]
    assert told == [index % 2 == 0 for index in range(len(told))]
    assert state.frozen == (script[-1:] == "?")
    assert (state.pending_since is None) == (state.status is RuleStatus.INACTIVE)
