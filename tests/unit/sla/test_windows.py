"""Window arithmetic on timelines small enough to check by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Interval
from ecpmon.model.windows import SlaStatus, Tally, Verdict
from ecpmon.sla.budgets import allowed, status
from ecpmon.sla.incidents import incidents
from ecpmon.sla.windows import availability, evaluate

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = 3600


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def timeline(*parts: tuple[str, float]) -> list[Span]:
    spans, start = [], 0.0
    for state, seconds in parts:
        reason = GapReason.COLLECTOR_DOWN if state == "gap" else None
        spans.append(Span(at(start), at(start + seconds), SpanState(state), reason))
        start += seconds
    return spans


def test_gaps_are_in_neither_share_but_in_the_bounds() -> None:
    spans = timeline(("up", 1800), ("down", 360), ("gap", 720), ("up", 720))
    found = evaluate("1h", spans, at(0), at(HOUR), 0.85)
    assert found.availability == pytest.approx(2520 / 2880)
    assert (found.low, found.high) == (pytest.approx(2520 / 3600), pytest.approx(3240 / 3600))
    assert found.coverage == pytest.approx(0.8)
    assert found.verdict is Verdict.UNDETERMINED


def test_the_verdict_is_certain_only_when_no_assumption_could_change_it() -> None:
    spans = timeline(("up", 3500), ("gap", 10), ("down", 90))
    assert evaluate("1h", spans, at(0), at(HOUR), 0.9).verdict is Verdict.MET
    assert evaluate("1h", spans, at(0), at(HOUR), 0.99).verdict is Verdict.BREACHED
    assert evaluate("1h", spans, at(0), at(HOUR), 0.974).verdict is Verdict.UNDETERMINED


def test_nothing_is_eligible_before_the_first_observation() -> None:
    found = evaluate("30d", timeline(("up", 600)), at(600) - timedelta(days=30), at(600), 0.995)
    assert found.tally.eligible == 600
    assert found.budget.total == pytest.approx(3.0)


def test_a_window_without_data_claims_nothing() -> None:
    found = evaluate("1h", [], at(0), at(HOUR), 0.995)
    assert (found.availability, found.low, found.burn_rate, found.status) == (
        None,
        None,
        None,
        SlaStatus.NO_DATA,
    )
    assert found.verdict is Verdict.UNDETERMINED


def test_99_5_percent_of_30_days_is_216_minutes_and_the_budget_goes_negative() -> None:
    days = 86_400
    spans = timeline(("up", 29 * days), ("down", days))
    found = evaluate("30d", spans, at(0), at(30 * days), 0.995)
    assert found.budget.total == pytest.approx(216 * 60)
    assert found.budget.remaining == pytest.approx(216 * 60 - days)
    assert found.burn_rate == pytest.approx((1 / 30) / 0.005)
    assert found.projected_exhaustion == at(30 * days)


def test_the_end_is_exclusive() -> None:
    spans = timeline(("up", HOUR), ("down", HOUR))
    assert evaluate("1h", spans, at(0), at(HOUR), 0.9).tally.down == 0


def test_exhaustion_is_projected_from_the_burn_rate() -> None:
    spans = timeline(("up", 3582), ("down", 18))  # burns 1.0: half a percent of the hour
    found = evaluate("1h", spans, at(0), at(7200), 0.99)
    # 36 s of budget, 18 used, at 18 s an hour the rest lasts an hour.
    assert found.projected_exhaustion is not None
    assert abs(found.projected_exhaustion - (at(7200) + timedelta(hours=1))) < timedelta(seconds=1)


def test_flaps_are_one_incident_but_a_gap_between_keeps_them_apart() -> None:
    flapping = timeline(("down", 30), ("up", 59), ("down", 30), ("up", 60), ("down", 5))
    assert [(i.start, i.down_seconds, i.ongoing) for i in incidents(flapping, at(0), at(184))] == [
        (at(0), 60, False),
        (at(179), 5, True),
    ]
    blind = timeline(("down", 30), ("gap", 10), ("down", 30))
    assert len(incidents(blind, at(0), at(70))) == 2


def test_maintenance_in_the_middle_of_an_outage_does_not_part_it() -> None:
    outage = timeline(("up", 100), ("down", 600), ("up", 100))
    [found] = incidents(outage, at(0), at(800), [Interval(at(50), at(200)), Interval(at(300), at(500))])
    assert (found.start, found.end, found.counted) == (at(100), at(700), Interval(at(200), at(700)))
    assert (found.down_seconds, found.recovery_seconds) == (300, 300)
    # What was planned from its begin to its end is no incident.
    assert incidents(outage, at(0), at(800), [Interval(at(50), at(700))]) == []


@pytest.mark.parametrize(
    ("remaining", "before", "expected"),
    [
        (0.30, None, "meeting"), (0.20, None, "at_risk"), (0.24, "at_risk", "at_risk"), (0.24, "meeting", "meeting"),
        (0.25, "at_risk", "meeting"), (-0.01, None, "violated"), (0.01, "violated", "violated"),
        (0.02, "violated", "at_risk"), (0.0, None, "at_risk"),
    ],
)  # fmt: skip
def test_status_has_hysteresis(remaining: float, before: str | None, expected: str) -> None:
    previous = SlaStatus(before) if before else None
    assert status(remaining, 1, previous) is SlaStatus(expected)


@given(
    st.lists(st.tuples(st.sampled_from(["up", "down", "gap"]), st.integers(1, 5000)), min_size=1, max_size=12)
)
def test_availability_lies_within_its_bounds_and_parts_add_up(parts: list[tuple[str, int]]) -> None:
    spans = timeline(*parts)
    end = spans[-1].end
    found = evaluate("x", spans, at(0), end, 0.995)
    tally = found.tally
    assert tally.up + tally.down + tally.gap == pytest.approx(tally.eligible)
    assert tally.eligible == pytest.approx((end - at(0)).total_seconds())
    if found.availability is not None:
        assert found.low is not None
        assert found.high is not None
        assert found.low - 1e-12 <= found.availability <= found.high + 1e-12


@pytest.mark.parametrize("nines", ["90", "99", "99.5", "99.9", "99.99", "99.999", "99.9999"])
def test_exactly_at_the_target_is_met_and_the_budget_spent_not_overspent(nines: str) -> None:
    target = float(Decimal(nines) / 100)
    # Thirty days of many outages of odd length that add up to the budget, to the microsecond.
    whole = 30 * 86_400 * 10**6
    left, parts = whole - int(whole * Decimal(nines) / 100), []
    while left > 0:
        piece = min(left, 7_777_777)
        parts += [("up", 1.234567), ("down", piece / 10**6)]
        left -= piece
        if len(parts) > 400:
            parts.append(("down", left / 10**6))
            left = 0
    spans, start = [], T0
    for state, seconds in parts:
        end = start + timedelta(microseconds=round(seconds * 10**6))
        spans.append(Span(start, end, SpanState(state)))
        start = end
    end = T0 + timedelta(days=30)
    spans.append(Span(start, end, SpanState.UP))
    found = evaluate("30d", spans, T0, end, target)
    assert (found.availability, found.verdict, found.budget.remaining) == (target, Verdict.MET, 0)
    assert found.status is SlaStatus.AT_RISK


def test_what_floats_leave_over_is_no_time() -> None:
    # All measured time down: 0.3 - 0.2 - 0.1 is less than nothing in floats.
    seconds = Tally(0.3, 0.1, 0.2)
    assert (seconds.up, availability(seconds)) == (0, 0)
    assert Tally(0.3, 0.0, 0.1 + 0.2).measured == 0


def test_a_calendar_period_is_not_exhausted_by_the_next_one() -> None:
    # Half of the allowed rate on the 21st: the budget would last for 60 days, and the month has 31.
    spans = timeline(("up", 20 * 86_400 - 4320), ("down", 4320))
    now, end = at(20 * 86_400), T0 + timedelta(days=31)
    assert evaluate("month", spans, T0, now, 0.995, period_end=end).projected_exhaustion is None
    assert evaluate("30d", spans, T0, now, 0.995).projected_exhaustion is not None
    early = timeline(("up", 86_400 - 4320), ("down", 4320))
    found = evaluate("month", early, T0, at(86_400), 0.995, period_end=end).projected_exhaustion
    assert found is not None
    assert found < end


def test_a_target_next_to_one_still_allows_something() -> None:
    assert allowed(0.9999999999999999) > 0
    assert allowed(0.9999) == 0.0001


@given(
    st.one_of(st.none(), st.floats(-2, 1)),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([SlaStatus.MEETING, SlaStatus.NO_DATA]),
)
def test_only_trouble_is_remembered(remaining: float | None, measured: float, before: SlaStatus) -> None:
    assert status(remaining, measured, before) is status(remaining, measured, None)
