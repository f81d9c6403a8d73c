"""Burn-rate alerts: factors, refusals, and decisions as a table."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.sla.burn import (
    BurnDecision,
    BurnPolicy,
    BurnReason,
    PolicyError,
    WindowBurn,
    WindowPair,
    check_policy,
    evaluate,
    reachable,
)

M5, M30, H1, H6, D1, D3 = (timedelta(minutes=m) for m in (5, 30, 60, 360, 1440, 4320))
PAGE = BurnPolicy(
    name="page",
    severity="page",
    period=timedelta(days=30),
    pairs=(WindowPair(0.02, H1, M5), WindowPair(0.05, H6, M30)),
    min_failed_observations=3,
    min_coverage=0.9,
    source="test",
)
TICKET = replace(
    PAGE, name="ticket", pairs=(WindowPair(0.1, D1, timedelta(hours=2)), WindowPair(0.1, D3, H6))
)
TARGET = 0.995
CALM = WindowBurn(0.0, 1.0, 0)
BAD = WindowBurn(50.0, 1.0, 20)
DARK = WindowBurn(None, 0.0, 0)
THIN = WindowBurn(50.0, 0.89, 20)


@pytest.mark.parametrize(
    ("days", "page", "ticket"),
    [(30, [14.4, 6], [3, 1]), (7, [3.36, 1.4], [0.7, 0.7 / 3]), (90, [43.2, 18], [9, 3])],
)
def test_factors_follow_the_period(days: int, page: list[float], ticket: list[float]) -> None:
    period = timedelta(days=days)
    assert [pair.factor(period) for pair in PAGE.pairs] == pytest.approx(page)
    assert [pair.factor(period) for pair in TICKET.pairs] == pytest.approx(ticket)


def decide(
    h1: WindowBurn = CALM,
    m5: WindowBurn = CALM,
    h6: WindowBurn = CALM,
    m30: WindowBurn = CALM,
    *,
    history: timedelta = D1,
    firing: bool = False,
) -> BurnDecision:
    windows = {H1: h1, M5: m5, H6: h6, M30: m30}
    return evaluate(PAGE, TARGET, windows.__getitem__, history, firing)


R = BurnReason
DECISIONS = {
    "nothing fails": (decide(), False, R.CALM),
    "both windows of the fast pair exceed": (decide(BAD, BAD), True, R.FIRED),
    "both windows of the slow pair exceed": (decide(h6=BAD, m30=BAD), True, R.FIRED),
    "only the long window exceeds: it is over": (decide(BAD, CALM), False, R.SHORT_WINDOW_CALM),
    "only the short window exceeds: not yet": (decide(CALM, BAD), False, R.CALM),
    "windows of different pairs exceed": (decide(h1=BAD, m30=BAD), False, R.SHORT_WINDOW_CALM),
    "exactly at the factor": (decide(replace(BAD, burn=14.4), BAD), False, R.CALM),
    "too few failed observations": (
        decide(BAD, replace(BAD, failed_observations=2)), False, R.TOO_FEW_FAILURES,
    ),
    "just enough failed observations": (decide(BAD, replace(BAD, failed_observations=3)), True, R.FIRED),
    "less history than any long window": (
        decide(BAD, BAD, BAD, BAD, history=timedelta(minutes=59)), False, R.NOT_ENOUGH_HISTORY,
    ),
    "a full long window of history": (decide(BAD, BAD, history=H1), True, R.FIRED),
    "history for the fast pair, only the slow one exceeds": (
        decide(h6=BAD, m30=BAD, history=timedelta(hours=5)), False, R.CALM,
    ),
    "long window not covered": (decide(THIN, BAD), None, R.LOW_COVERAGE),
    "short window not covered": (decide(BAD, THIN), None, R.LOW_COVERAGE),
    "covered just enough": (decide(replace(BAD, coverage=0.9), BAD), True, R.FIRED),
    "short window without data": (decide(BAD, DARK), None, R.NO_DATA),
    "long window calm, short blind: no need to know": (decide(CALM, DARK), False, R.CALM),
    "short window calm, long blind: no need to know": (decide(DARK, CALM), False, R.SHORT_WINDOW_CALM),
    "a burn of NaN": (decide(replace(BAD, burn=math.nan), BAD), None, R.NO_DATA),
    "one pair frozen, the other fires": (decide(THIN, THIN, BAD, BAD), True, R.FIRED),
    "one pair frozen, the other calm": (decide(THIN, THIN), None, R.LOW_COVERAGE),
    "firing, the short window recovered": (decide(BAD, CALM, firing=True), True, R.HOLDING),
    "firing, the long window exactly at the factor": (
        decide(replace(BAD, burn=14.4), CALM, firing=True), True, R.HOLDING,
    ),
    "firing, the long window fell": (
        decide(replace(BAD, burn=14.39), BAD, firing=True), False, R.RESOLVED,
    ),
    "firing, the slow pair still burns": (decide(h6=BAD, firing=True), True, R.HOLDING),
    "firing, the long window is not covered": (decide(THIN, CALM, firing=True), None, R.LOW_COVERAGE),
    "firing, the short window is dark": (decide(BAD, DARK, firing=True), True, R.HOLDING),
    "firing, the history vanished": (
        decide(history=timedelta(0), firing=True), None, R.NOT_ENOUGH_HISTORY,
    ),
    "firing, a young tenant recovered": (decide(h6=BAD, history=H1, firing=True), False, R.RESOLVED),
}  # fmt: skip


@pytest.mark.parametrize("sentence", DECISIONS)
def test_decisions(sentence: str) -> None:
    decision, fired, reason = DECISIONS[sentence]
    assert (decision.fired, decision.reason) == (fired, reason)


def test_the_decision_names_its_evidence() -> None:
    decision = decide(h6=BAD, m30=BAD)
    assert (decision.pair, decision.factor, decision.long) == (PAGE.pairs[1], pytest.approx(6), BAD)


@pytest.mark.parametrize(("minute", "fired"), [(4, False), (5, True)])
def test_a_full_outage_at_30_days_and_99_5_percent_is_seen_in_4_3_minutes(minute: int, fired: bool) -> None:
    """slo-practice.md: 4.3 min. The first half hour was up, then everything is down."""

    def burn(window: timedelta) -> WindowBurn:
        down = min(timedelta(minutes=minute), window)
        return WindowBurn(down / window / (1 - TARGET), 1.0, minute * 2)

    assert evaluate(PAGE, TARGET, burn, D1, firing=False).fired is fired


@pytest.mark.parametrize("target", [1.0, 1.5, 0.0, -0.1, math.nan, math.inf])
def test_targets_that_are_refused(target: float) -> None:
    with pytest.raises(PolicyError, match="between 0 and 100 %"):
        check_policy(PAGE, target)


def with_pair(**changes: object) -> BurnPolicy:
    return replace(PAGE, pairs=(replace(PAGE.pairs[0], **changes),))


@pytest.mark.parametrize(
    ("policy", "target", "message"),
    [
        (PAGE, 0.93, "14.4 is never exceeded: a full outage burns 14.28"),
        (PAGE.with_period(timedelta(days=90)), 0.97, "never exceeded"),
        (PAGE.with_period(timedelta(hours=3)), TARGET, "fit into the period"),
        (with_pair(short=timedelta(0)), TARGET, "under 60 s"),
        (with_pair(short=timedelta(seconds=59)), TARGET, "under 60 s"),
        (with_pair(short=H1), TARGET, "shorter than the long"),
        (with_pair(budget_share=0.0), TARGET, "budget share"),
        (with_pair(budget_share=math.nan), TARGET, "budget share"),
        (replace(PAGE, pairs=()), TARGET, "no window pairs"),
        (replace(PAGE, min_failed_observations=0), TARGET, "at least one failed"),
        (replace(PAGE, min_coverage=0.0), TARGET, "coverage"),
    ],
)
def test_policies_that_are_refused(policy: BurnPolicy, target: float, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        check_policy(policy, target)


def test_a_low_target_keeps_the_pairs_that_an_outage_can_reach() -> None:
    assert reachable(PAGE, 0.9).pairs == PAGE.pairs[1:]
    assert reachable(PAGE, TARGET) == PAGE
    with pytest.raises(PolicyError, match="never exceeded"):
        reachable(PAGE, 0.5)


burns = st.builds(
    WindowBurn, st.none() | st.floats(0, 200), st.floats(0, 1), st.integers(0, 10)
)  # fmt: skip


@given(burns, burns, burns, burns, st.booleans(), st.integers(0, 24))
def test_every_decision_has_evidence(
    h1: WindowBurn, m5: WindowBurn, h6: WindowBurn, m30: WindowBurn, firing: bool, hours: int
) -> None:
    decision = decide(h1, m5, h6, m30, history=timedelta(hours=hours), firing=firing)
    if decision.fired:
        assert decision.long.coverage >= PAGE.min_coverage
        assert decision.long.burn is not None
        assert decision.long.burn >= decision.factor
        assert timedelta(hours=hours) >= decision.pair.long
    if decision.fired is None:
        assert decision.reason in (R.LOW_COVERAGE, R.NO_DATA, R.NOT_ENOUGH_HISTORY)
