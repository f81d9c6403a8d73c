"""What an Alertmanager is told, beside a model of one: it holds what it was told until `endsAt`, and may forget."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.alerts.forwarding import HOLDS, RESEND, Telling, due, is_over, posting
from ecpmon.alerts.message import rule_labels
from ecpmon.model.alerts import AlertRule, RuleKind, Severity
from ecpmon.model.standing_alerts import ENDED, Identity, ToldAlert

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
TURN = timedelta(seconds=5)
ONE = Identity("acme", "3f9c", "slow", "warning", None)
OTHER = Identity("acme", "77aa", "burning", "page", "latency")


def firing(identity: Identity, since: datetime = T0) -> ToldAlert:
    return ToldAlert(identity, since, None, "cpu > 80", 91.25)


@dataclass
class Alertmanager:
    """labels -> (startsAt, endsAt)"""

    held: dict[Identity, tuple[datetime, datetime]] = field(default_factory=dict)

    def take(self, alerts: list[ToldAlert], now: datetime) -> None:
        self.held.update({a.identity: (a.starts_at, a.ends_at or now + HOLDS) for a in alerts})

    def shows(self, now: datetime) -> set[Identity]:
        return {identity for identity, (_, ends) in self.held.items() if ends > now}


@dataclass
class Timeline:
    """We and one Alertmanager; `step` is a turn of the job."""

    now: datetime = T0
    told: dict[Identity, Telling] = field(default_factory=dict)
    standing: dict[Identity, ToldAlert] = field(default_factory=dict)
    there: Alertmanager = field(default_factory=Alertmanager)

    def step(self, *, reached: bool = True) -> list[ToldAlert]:
        self.now += TURN
        self.standing = {i: a for i, a in self.standing.items() if not is_over(a, self.now)}
        self.told = {i: last for i, last in self.told.items() if not is_over(last.alert, self.now)}
        alerts = due(self.told, self.standing, self.now)
        if reached:
            self.told.update({a.identity: Telling(a, self.now) for a in alerts})
            self.there.take(alerts, self.now)
        return alerts

    def switch(self, identity: Identity) -> None:
        fires = identity in self.standing and self.standing[identity].ends_at is None
        ended = ToldAlert(identity, self.now, self.now)
        self.standing[identity] = ended if fires else firing(identity, self.now)

    @property
    def fires(self) -> set[Identity]:
        return {i for i, a in self.standing.items() if a.ends_at is None}


DOINGS = st.sampled_from(["turn", "turn", "turn", "missed", "one", "other", "gone", "restart", "crash"])


@given(st.lists(DOINGS, max_size=120))
def test_after_every_turn_that_reaches_it_it_shows_what_fires(doings: list[str]) -> None:
    line = Timeline()
    for doing in doings:
        match doing:
            case "one" | "other":
                line.switch(ONE if doing == "one" else OTHER)
            case "gone":  # its tenant was deleted
                line.standing.pop(ONE, None)
            case "restart":
                line.told.clear()
            case "crash":  # of Alertmanager's, seen by the next turn
                line.there.held.clear()
                line.told.clear()
            case "missed":
                line.step(reached=False)
            case "turn":
                line.step()
                # What is gone and was told by a process that is gone too ends when its time is over.
                left = line.there.shows(line.now) - line.fires
                assert line.fires <= line.there.shows(line.now)
                assert left <= ({ONE} if {"gone", "restart"} <= set(doings) else set())


def test_what_goes_on_is_told_once_a_minute_and_never_lapses() -> None:
    line = Timeline(standing={ONE: firing(ONE)})
    told = [bool(line.step()) for _ in range(600)]
    assert told.count(True) == 600 * TURN // RESEND
    assert ONE in line.there.shows(line.now)


def test_an_end_is_told_for_five_minutes_and_then_forgotten() -> None:
    line = Timeline(standing={ONE: firing(ONE)})
    line.step()
    line.switch(ONE)
    ended = [line.step() for _ in range(120)]
    told = [alerts[0].ends_at for alerts in ended if alerts]
    assert told == [T0 + TURN] * int(ENDED / RESEND)
    assert line.told == {}


def test_who_is_away_for_longer_than_it_holds_sees_it_end_by_itself() -> None:
    line = Timeline(standing={ONE: firing(ONE)})
    line.step()
    assert line.there.shows(line.now + HOLDS - TURN) == {ONE}
    assert line.there.shows(line.now + HOLDS) == set()


def test_a_clock_that_stepped_back_makes_nobody_wait() -> None:
    line = Timeline(standing={ONE: firing(ONE)})
    line.step()
    line.now -= timedelta(hours=1)
    assert [a.identity for a in line.step()] == [ONE]


@pytest.mark.parametrize("objective", [None, "latency"])
def test_its_labels_are_those_of_webhooks(objective: str | None) -> None:
    rule = AlertRule(
        "3f9c", "acme", "slow", RuleKind.THRESHOLD, "cpu > 80", 0, Severity.WARNING, objective=objective
    )
    assert Identity("acme", "3f9c", "slow", "warning", objective).labels == rule_labels(rule)


def test_a_posted_alert_says_what_it_is_about_and_until_when_it_holds() -> None:
    assert posting(firing(ONE), "http://ecpmon.example/", T0 + TURN) == {
        "labels": ONE.labels,
        "annotations": {
            "summary": "slow is firing for acme: cpu > 80",
            "condition": "cpu > 80",
            "current_value": "91.25",
        },
        "startsAt": "2026-03-02T09:00:00Z",
        "endsAt": "2026-03-02T09:04:05Z",
        "generatorURL": "http://ecpmon.example/api/v1/tenants/acme/alerts/3f9c",
    }
    ended = posting(ToldAlert(ONE, T0, T0 + TURN), "http://ecpmon.example", T0 + RESEND)
    assert (ended["endsAt"], ended["annotations"]) == (
        "2026-03-02T09:00:05Z",
        {"summary": "slow is resolved for acme"},
    )
