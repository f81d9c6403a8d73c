"""Windows of counted objectives, small enough to check by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ecpmon.app.objective_defaults import load_objectives
from ecpmon.errors import ValidationFailed
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.objectives import Counts, Objective, StoredObjective
from ecpmon.model.windows import SlaStatus, Verdict
from ecpmon.sla.parts import Part, Terms
from ecpmon.sla.ratios import Measured, Stretch, edges, evaluate, measure, standing, stretch

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPAN = Stretch("1h", T0, T0 + HOUR)
SECOND = 1_000_000


def measured(good: int, total: int, seconds: float = 3600) -> Measured:
    return Measured(Counts(good, total, int(seconds * SECOND)))


def test_a_window_that_was_observed_wholly() -> None:
    found = evaluate(SPAN, measured(985, 1000), T0, 0.99)
    assert (found.ratio, found.low, found.high) == (0.985, 0.985, 0.985)
    assert found.coverage == 1
    assert (found.verdict, found.status) == (Verdict.BREACHED, SlaStatus.VIOLATED)
    assert found.budget.total == pytest.approx(10)
    assert found.budget.consumed == 15
    assert found.budget.remaining == pytest.approx(-5)
    assert found.burn_rate == pytest.approx(1.5)
    assert found.projected_exhaustion == SPAN.end
    assert found.consistent


def test_what_was_not_observed_may_have_been_anything() -> None:
    # Half an hour unseen: as many requests again, all bad or all good.
    found = evaluate(SPAN, measured(999, 1000, 1800), T0, 0.99)
    assert found.coverage == 0.5
    assert (found.low, found.high) == (pytest.approx(999 / 2000), pytest.approx(1999 / 2000))
    assert found.verdict is Verdict.UNDETERMINED
    # So bad that nothing could mend it.
    assert evaluate(SPAN, measured(0, 1000, 1800), T0, 0.99).verdict is Verdict.BREACHED


def test_before_the_first_observation_nothing_is_eligible() -> None:
    found = evaluate(SPAN, measured(1000, 1000, 900), T0 + timedelta(minutes=45), 0.99)
    assert (found.eligible, found.coverage, found.verdict) == (900, 1, Verdict.MET)


@pytest.mark.parametrize("first", [None, T0, T0 + 2 * HOUR])
def test_a_window_without_requests_claims_nothing(first: datetime | None) -> None:
    found = evaluate(SPAN, measured(0, 0, 3600 if first == T0 else 0), first, 0.99)
    assert (found.ratio, found.low, found.high, found.burn_rate) == (None, None, None, None)
    assert (found.status, found.verdict) == (SlaStatus.NO_DATA, Verdict.UNDETERMINED)
    assert found.projected_exhaustion is None


def test_what_nobody_counts_is_no_perfection() -> None:
    found = evaluate(SPAN, measured(1000, 1000), T0, 0.99, known=False)
    assert (found.ratio, found.low, found.high, found.burn_rate) == (None, None, None, None)
    assert (found.status, found.verdict, found.coverage) == (SlaStatus.NO_DATA, Verdict.UNDETERMINED, 1)
    assert found.budget.remaining_fraction is None


def test_status_has_the_hysteresis_of_availability() -> None:
    spent = measured(10_000 - 79, 10_000)  # 21 % of a budget of 100 left
    assert evaluate(SPAN, spent, T0, 0.99).status is SlaStatus.MEETING
    assert evaluate(SPAN, spent, T0, 0.99, SlaStatus.AT_RISK).status is SlaStatus.AT_RISK
    gone = measured(10_000 - 99, 10_000)  # 1 % left
    assert evaluate(SPAN, gone, T0, 0.99).status is SlaStatus.AT_RISK
    assert evaluate(SPAN, gone, T0, 0.99, SlaStatus.VIOLATED).status is SlaStatus.VIOLATED


def test_projected_exhaustion_goes_on_as_it_went() -> None:
    found = evaluate(SPAN, measured(995, 1000), T0, 0.99)  # 5 of 10 in an hour
    assert found.projected_exhaustion == SPAN.end + HOUR
    assert evaluate(SPAN, measured(1000, 1000), T0, 0.99).projected_exhaustion is None


def test_maintenance_by_both_rules() -> None:
    span = Stretch("1h", T0, T0 + HOUR, ((T0, T0 + timedelta(minutes=6)),))
    given_counts = Measured(Counts(880, 1000, 3600 * SECOND), Counts(0, 100, 360 * SECOND))
    excluded = evaluate(span, given_counts, T0, 0.99)
    assert excluded.counts == Counts(880, 900, 3240 * SECOND)
    assert (excluded.eligible, excluded.coverage) == (3240, 1)
    assert excluded.ratio_other_accounting == pytest.approx(0.98)
    as_up = evaluate(span, given_counts, T0, 0.99, accounting=Accounting.COUNT_AS_UP)
    assert (as_up.ratio, as_up.eligible) == (pytest.approx(0.98), 3600)
    assert as_up.ratio_other_accounting == pytest.approx(880 / 900)


def test_what_lies_outside_of_the_service_hours_is_in_no_figure() -> None:
    minutes = [Counts(9, 10, 60 * SECOND) if i < 30 else Counts(10, 10, 60 * SECOND) for i in range(60)]
    before = {(1, T0 + timedelta(minutes=i)): sum(minutes[:i], Counts()) for i in range(61)}
    never = Interval(T0, T0 + timedelta(minutes=20))
    planned = Interval(T0 + timedelta(minutes=10), T0 + timedelta(minutes=25))
    terms = Terms((Interval(never.start, planned.end),), outside=(never,))
    span = stretch("1h", T0 + HOUR, terms)
    assert edges(1, [span]) <= before.keys()
    found = measure(1, span, before)
    excluded = evaluate(span, found, T0, 0.99)
    # Five minutes of maintenance, and five with errors.
    assert (excluded.counts.total, excluded.counts.bad, excluded.eligible) == (350, 5, 35 * 60)
    as_up = evaluate(span, found, T0, 0.99, accounting=Accounting.COUNT_AS_UP)
    assert (as_up.counts.total, as_up.counts.bad, as_up.eligible) == (400, 5, 40 * 60)
    assert (as_up.coverage, excluded.coverage) == (1, 1)


def test_counters_that_do_not_belong_together_are_flagged_not_clamped() -> None:
    found = evaluate(SPAN, measured(1100, 1000), T0, 0.99)
    assert found.ratio == 1.1
    assert not found.consistent
    assert not evaluate(SPAN, measured(-1, 1000), T0, 0.99).consistent


def test_windows_end_at_the_last_whole_minute_and_begin_at_one() -> None:
    now = datetime(2026, 3, 8, 9, 30, 59, 5, tzinfo=UTC)
    hour = stretch("1h", now, Terms())
    assert (hour.start, hour.end) == (
        datetime(2026, 3, 8, 8, 30, tzinfo=UTC), datetime(2026, 3, 8, 9, 30, tzinfo=UTC))  # fmt: skip
    month = stretch("month", now, Terms(zone=ZoneInfo("Asia/Seoul")))
    assert month.start == datetime(2026, 2, 28, 15, tzinfo=UTC)
    planned = Interval(now - timedelta(minutes=5), now - timedelta(minutes=2, seconds=58))
    inside = stretch("1h", now, Terms(maintenance=(planned,))).maintenance
    assert inside == ((datetime(2026, 3, 8, 9, 26, tzinfo=UTC), datetime(2026, 3, 8, 9, 29, tzinfo=UTC)),)


def test_a_month_of_another_version_begins_and_is_accounted_for_as_that_says() -> None:
    begins, now = datetime(2026, 3, 1, 5, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC)
    planned = Interval(begins + timedelta(hours=1), begins + timedelta(hours=2))
    theirs = Terms((planned,), Accounting.COUNT_AS_UP)
    terms = Terms(calendar={"month": (Part(begins, datetime(2026, 4, 1, tzinfo=UTC), 0.9, theirs),)})
    month, rolling = stretch("month", now, terms), stretch("24h", now, terms)
    assert (month.start, month.accounting) == (begins, Accounting.COUNT_AS_UP)
    assert month.maintenance == ((planned.start, planned.end),)
    assert (rolling.accounting, rolling.maintenance) == (Accounting.EXCLUDE, ())


counts = st.builds(Counts, st.integers(0, 50), st.integers(0, 50), st.integers(0, 60 * SECOND))


@settings(deadline=None)
@given(st.lists(counts, min_size=60, max_size=60), st.integers(0, 59), st.integers(0, 59))
def test_measuring_by_running_sums_equals_adding_up_minutes(minutes: list[Counts], a: int, b: int) -> None:
    low, high = sorted((a, b))
    pieces = ((T0 + timedelta(minutes=low), T0 + timedelta(minutes=high)),) if low < high else ()
    span = Stretch("1h", T0, T0 + HOUR, pieces)
    origin = Counts(7, 9, 11)
    before = {(1, T0 + timedelta(minutes=i)): sum(minutes[:i], origin) for i in range(61)}
    found = measure(1, span, before)
    assert edges(1, [span]) <= before.keys()
    assert found.whole == sum(minutes, Counts())
    assert found.maintenance == (sum(minutes[low:high], Counts()) if pieces else Counts())
    objective = Objective(name="x", kind="latency", target=0.9, threshold_ms=1.0)  # type: ignore[arg-type]
    stored = StoredObjective(1, "t", objective, False, T0)
    (result,) = standing(stored, [span], before, Accounting.EXCLUDE, {})
    assert result.counts == found.whole - found.maintenance
    if result.low is not None and result.high is not None and result.consistent:
        assert 0 <= result.low <= result.high <= 1


GOOD: dict[str, Any] = {
    "name": "x",
    "kind": "requests",
    "target": 0.99,
    "total": {"metric": "t"},
    "bad": {"metric": "b"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"target": 1}, {"target": 1.0}, {"target": 0}, {"target": float("nan")}, {"target": "0.9"}, {"target": True},
        {"target": -0.1}, {"target": 99.9}, {"target": None},
        {"name": "Upper"}, {"name": ""}, {"name": "availability"}, {"name": "a" * 64}, {"name": 5},
        {"kind": "other"}, {"total": None}, {"bad": None}, {"good": {"metric": "g"}}, {"threshold_ms": 5.0},
        {"total": {"metric": ""}}, {"total": {"metric": "a\nb"}}, {"total": {"metric": "t", "labels": {"a": 1}}},
        {"total": {"metric": "t", "matchers": []}}, {"windows": []}, {"windows": ["2h"]}, {"windows": ["1h", "1h"]},
        {"source": "nowhere"}, {"surprise": 1},
        {"kind": "latency"}, {"kind": "latency", "threshold_ms": 5.0},
    ],
)  # fmt: skip
def test_objectives_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    assert Objective.model_validate(GOOD).target == 0.99
    with pytest.raises(ValidationError):
        Objective.model_validate({**GOOD, **change})


@pytest.mark.parametrize("threshold", [0, -1, float("inf"), float("nan"), "200ms", None])
def test_thresholds_that_make_no_sense_are_refused(threshold: Any) -> None:
    with pytest.raises(ValidationError):
        Objective.model_validate({"name": "x", "kind": "latency", "target": 0.9, "threshold_ms": threshold})


def test_the_shipped_objectives_are_as_they_should_be() -> None:
    assert [o.name for o in load_objectives()] == ["requests", "latency"]


@pytest.mark.parametrize(
    "text",
    ["objectives: 3", "a: [", "objectives: [{name: x}]", "objectives: []\nmore: 1",
     "objectives: [{name: a, kind: latency, target: 0.9, threshold_ms: 5},"
     "{name: a, kind: latency, target: 0.9, threshold_ms: 5}]"],
)  # fmt: skip
def test_rules_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        load_objectives(text)


def test_the_example_of_the_documentation_is_one() -> None:
    text = (Path(__file__).parents[3] / "docs" / "objectives.md").read_text(encoding="utf-8")
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    assert Objective.model_validate({"name": "x", **example}).target == 0.999
