"""Flap control as timelines on event time, and what has to hold for every one of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.alerts.flapping import flaps_by
from ecpmon.alerts.machine import advance, withdraw
from ecpmon.alerts.policy import flap_policy
from ecpmon.model.alerts import (
    AlertRule,
    FlapPolicy,
    Flaps,
    RuleKind,
    RuleState,
    RuleStatus,
    Severity,
    Transition,
    TransitionReason,
)
from ecpmon.settings import Settings
from ecpmon.storage.flaps import flaps_of, flaps_values

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(seconds=5)
POLICY = FlapPolicy(3, timedelta(minutes=10), timedelta(minutes=5))
CONDITION: dict[str, bool | None] = {"T": True, "f": False, "?": None}
CALM = round(POLICY.calm / STEP)


class Played:
    """A rule and the messages about it: seconds, what they say, how many changes they say were left out."""

    def __init__(self, policy: FlapPolicy | None = POLICY, wait: float = 0) -> None:
        self.policy, self.wait = policy, timedelta(seconds=wait)
        self.state = RuleState()
        self.changes = list[Transition]()
        self.now = T0 - STEP

    def play(self, script: str, step: timedelta = STEP) -> Played:
        for letter in script:
            self.now += step
            self.state, made = advance(self.state, CONDITION[letter], self.now, self.wait, flap=self.policy)
            self.changes += made
        return self

    @property
    def told(self) -> list[tuple[float, str]]:
        return [((c.at - T0).total_seconds(), says(c)) for c in self.changes if c.notifies]


def says(change: Transition) -> str:
    word = "firing" if change.new is RuleStatus.FIRING else "resolved"
    if change.reason is TransitionReason.CALMED:
        return f"calm, {word}, {change.untold} untold"
    return f"{word}, flaps" if change.flapping else word


def test_a_condition_that_changes_with_every_sample_tells_five_times_and_then_how_it_ended() -> None:
    played = Played().play("Tf" * 12)
    assert played.told == [
        (0, "firing"),
        (5, "resolved"),
        (10, "firing"),
        (15, "resolved"),
        (20, "firing, flaps"),
    ]
    assert played.state.flapping
    assert played.state.flaps.untold == 19
    assert played.state.status is RuleStatus.INACTIVE
    played.play("f" * CALM)
    assert played.told[5:] == [(115 + 300, "calm, resolved, 19 untold")]
    assert not played.state.flapping
    [calmed] = [c for c in played.changes if c.reason is TransitionReason.CALMED]
    assert calmed.started_at == T0 + 4 * STEP, "that of the firing that was told"


def test_an_outage_within_the_flapping_stands_as_firing_and_is_told_again_when_it_has_lasted() -> None:
    played = Played().play("Tf" * 4 + "T" * (CALM + 1))
    assert played.told[-1] == (40 + 300, "calm, firing, 4 untold")
    assert played.state.status is RuleStatus.FIRING
    assert played.play("f").told[-1] == (345, "resolved"), "and its end at once"


def test_after_the_calm_a_first_firing_is_told_at_once() -> None:
    played = Played().play("Tf" * 4 + "f" * (CALM + 1))
    calm = len(played.told)
    played.play("T")
    at = (played.now - T0).total_seconds()
    assert played.told[calm:] == [(at, "firing, flaps")], "it has fired too often lately"
    played = Played().play("Tf" * 4 + "f" * (2 * CALM + 1)).play("T")
    assert played.told[-1] == ((played.now - T0).total_seconds(), "firing"), "that was long ago"


def test_what_fires_seldom_does_not_flap() -> None:
    slow = Played().play("Tf" * 20, step=timedelta(minutes=3))
    assert [says for _, says in slow.told] == ["firing", "resolved"] * 20


def test_what_is_pending_only_does_not_flap() -> None:
    played = Played(wait=10).play("Tf" * 30)
    assert not played.told
    assert played.state.flaps == Flaps()


def test_a_blind_rule_calms_as_it_was_seen_last() -> None:
    played = Played().play("Tf" * 4 + "?" * CALM)
    assert played.told[-1] == (35 + 300, "calm, resolved, 3 untold")
    assert played.state.frozen


def test_without_flap_control_all_is_told_and_who_flaps_calms() -> None:
    assert len(Played(None).play("Tf" * 12).told) == 24
    played = Played().play("Tf" * 4)
    played.policy = None
    played.play("T")
    assert played.told[-1] == (40, "calm, firing, 4 untold")
    assert played.state.flaps == Flaps()


def test_a_clock_that_is_set_back_by_hours_does_not_keep_a_rule_flapping() -> None:
    played = Played().play("Tf" * 4)
    played.now -= timedelta(hours=3)
    played.play("f")
    assert played.told[-1][1] == "calm, resolved, 3 untold"


@pytest.mark.parametrize("script", ["TfTfTf", "TfTfT"])
def test_a_flapping_rule_that_is_deleted_ends_for_who_was_told(script: str) -> None:
    played = Played().play(script)
    anew, [end] = withdraw(played.state, played.now, TransitionReason.RULE_DELETED)
    assert end.notifies
    assert end.new is RuleStatus.INACTIVE
    assert end.untold == played.state.flaps.untold == len(script) - 5
    assert end.started_at == T0 + 4 * STEP
    assert anew == RuleState(evaluated_at=played.now)


@given(
    script=st.text("Tf?", max_size=80),
    stretches=st.lists(st.tuples(st.sampled_from("Tf?"), st.integers(1, 12)), max_size=8),
    firings=st.integers(2, 4),
    wait=st.sampled_from([0, 10]),
)
def test_nothing_of_an_outage_is_late_and_nothing_of_its_end_is_lost(
    script: str, stretches: list[tuple[str, int]], firings: int, wait: int
) -> None:
    policy = FlapPolicy(firings, 12 * STEP, 6 * STEP)
    played, switched, stands = Played(policy, wait), T0 - timedelta(days=1), False
    for letter in script + "".join(letter * count for letter, count in stretches):
        before, known = played.state, len(played.changes)
        played.play(letter)
        made = played.changes[known:]
        for change in made:
            fires = change.is_switch and change.new is RuleStatus.FIRING
            assert not fires or stands or change.notifies, "the first message of an outage"
            switched = change.at if change.is_switch else switched
            stands = change.new is RuleStatus.FIRING if change.notifies else stands
        if before.flapping:
            assert len([c for c in made if c.notifies]) <= 1
        if played.state.flapping:
            assert stands, "whoever was told of a flapping rule has an alert"
        if played.now - switched >= policy.calm:
            assert stands is (played.state.status is RuleStatus.FIRING), "the last state"
            assert not played.state.flapping
        assert flaps_of(json.loads(json.dumps(flaps_values(played.state.flaps)))) == played.state.flaps
        assert len(played.state.flaps.fired) <= firings

    switches = [c for c in played.changes if c.is_switch]
    left_out = sum(c.untold for c in played.changes if c.reason is TransitionReason.CALMED)
    assert len(switches) == sum(c.notifies for c in switches) + left_out + played.state.flaps.untold
    told = [c.at for c in played.changes if c.notifies]
    for first in told:
        assert sum(first <= at < first + policy.calm for at in told) <= 2 * firings + 1


@given(script=st.text("Tf?", max_size=60), wait=st.sampled_from([0, 10]))
def test_flap_control_changes_nothing_but_what_is_told(script: str, wait: int) -> None:
    with_it, without = Played(wait=wait).play(script), Played(None, wait).play(script)
    assert replace(with_it.state, flaps=Flaps()) == without.state
    changes = [c for c in with_it.changes if c.reason is not TransitionReason.CALMED]
    assert [replace(c, flapping=False, told=None) for c in changes] == without.changes


def test_it_is_about_rules_that_people_write() -> None:
    def rule(kind: RuleKind) -> AlertRule:
        return AlertRule("r", "t", "r", kind, "", 0, Severity.PAGE)

    assert flaps_by(rule(RuleKind.THRESHOLD), POLICY) is POLICY
    assert [flaps_by(rule(k), POLICY) for k in RuleKind if k is not RuleKind.THRESHOLD] == [None] * 3


def test_the_settings_say_when_a_rule_flaps_and_zero_switches_it_off() -> None:
    assert flap_policy(Settings()) == POLICY
    assert flap_policy(Settings(flap_firings=0)) is None
    with pytest.raises(ValueError, match="at least 2"):
        Settings(flap_firings=1)
