"""Range queries: what is asked, what is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecpmon.collectors.prometheus import MAX_POINTS, PrometheusCollector, spans_to_ask
from ecpmon.collectors.questions import Answer, Question, answer_to, frames_of, questions_of, times_of
from ecpmon.collectors.rules import CounterRule, PrometheusRule
from ecpmon.model.samples import Frame
from ecpmon.sla.evidence import SETTLING

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)
A = frozenset({"a"})


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def matrix(points: Mapping[float, float | str], **labels: str) -> dict[str, Any]:
    """A series with points at so many seconds after T0."""
    return {"metric": labels, "values": [[at(s).timestamp(), str(v)] for s, v in points.items()]}


def taken(points: Mapping[float, float], **labels: str) -> dict[str, Any]:
    """When samples were taken, in seconds after T0."""
    return matrix({s: at(t).timestamp() for s, t in points.items()}, **labels)


UP = Question("availability", "ready", ("tenant_id",), "up", 15)
CPU = Question("metric cpu_usage", "cpu", ("tenant_id",), "cpu_usage", 15)
SERVED = Question(
    "counter requests_total", "x", ("tenant_id",), "requests_total", 15, counter=True, labels=("pod",)
)


def found(question: Question, series: Sequence[Any], *times: Sequence[Any]) -> Answer:
    known = [times_of(given, labels) for given, (_, labels) in zip(times, question.times, strict=True)]
    return answer_to(question, series, known)


def shown(*answers: Answer, wanted: frozenset[str] = A) -> list[tuple[float, dict[str, float]]]:
    frames: Sequence[Frame] = frames_of((a.readings for a in answers), wanted)
    return [((f.ts - T0).total_seconds(), {s.key.metric_name: s.value for s in f.samples}) for f in frames]


def test_values_are_stored_at_the_instant_at_which_they_were_measured() -> None:
    series = [matrix({0: 1, 15: "NaN", 30: 0}, tenant_id="a"), matrix({0: 0}), matrix({0: 0}, tenant_id="b")]
    answer = found(
        UP, series, [taken({0: -4.2, 15: 10.8, 30: 25.8}, tenant_id="a"), taken({0: 0}, tenant_id="b")]
    )
    assert shown(answer) == [(-4.2, {"up": 1.0}), (25.8, {"up": 0.0})]
    assert answer.troubles == {}


def test_what_prometheus_only_remembers_is_stored_once_and_then_not_at_all() -> None:
    instants = [15.0 * n for n in range(20)]
    # The target died after its scrape at 11 s; the lookback is five minutes.
    times = [taken(dict.fromkeys(instants, 11.0), tenant_id="a")]
    for question in (UP, CPU):
        answer = found(question, [matrix(dict.fromkeys(instants, 1), tenant_id="a")], times)
        assert [ts for ts, _ in shown(answer)] == [11.0]


def test_of_several_series_the_newest_and_of_several_selectors_the_oldest_says_when() -> None:
    ratio = Question("metric error_rate", "a / b", ("tenant_id",), "error_rate", 15)
    assert ratio.parts == (
        "a / b", "max by (tenant_id) (timestamp(a))", "max by (tenant_id) (timestamp(b))",
    )  # fmt: skip
    times = [[taken({0: -1}, tenant_id="a")], [taken({0: -7}, tenant_id="a")]]
    assert shown(found(ratio, [matrix({0: 0.5}, tenant_id="a")], *times)) == [(-7, {"error_rate": 0.5})]


def test_what_says_nothing_of_its_age_is_not_taken_and_told() -> None:
    answer = found(CPU, [matrix({0: 1}, tenant_id="a")], [])
    assert shown(answer) == []
    assert "age" in answer.troubles["a", "metric cpu_usage"]


def test_an_age_of_its_own_is_asked_for_instead() -> None:
    joined = Question(
        "metric cpu_usage", "cpu * on (pod) group_left x", ("tenant_id",), "cpu_usage", 15, age="time() - y"
    )
    assert joined.parts[1:] == ("time() - (time() - y\n)",)
    answer = found(joined, [matrix({0: 1}, tenant_id="a")], [taken({0: -3}, tenant_id="a")])
    assert shown(answer) == [(-3, {"cpu_usage": 1.0})]


@pytest.mark.parametrize("age", [1e308, -1e308, float("inf"), float("-inf"), 1e18, float("nan")])
def test_an_age_that_is_none_costs_its_tenant_its_evidence_only(age: float) -> None:
    series = [matrix({0: 1}, tenant_id="a"), matrix({0: 1}, tenant_id="b")]
    times = [matrix({0: age}, tenant_id="a"), taken({0: -1}, tenant_id="b")]
    frames = frames_of([found(UP, series, times).readings], frozenset({"a", "b"}))
    assert [f.tenant_id for f in frames] == ["b"]


def test_series_that_contradict_each_other_are_no_evidence_for_as_long_as_they_do() -> None:
    series = [
        matrix({0: 1, 15: 1}, tenant_id="a", pod="x"),
        matrix({0: 1, 15: 0, 30: 0}, tenant_id="a", pod="y"),
    ]
    answer = found(UP, series, [taken({0: 0, 15: 15, 30: 30}, tenant_id="a")])
    assert shown(answer) == [(0, {"up": 1.0}), (30, {"up": 0.0})]
    assert "contradict each other" in answer.troubles["a", "availability"]


def test_counters_are_read_series_by_series_each_with_its_own_time() -> None:
    series = [matrix({0: 7}, tenant_id="a", pod="x", node="1"), matrix({0: 5}, tenant_id="a", pod="y")]
    times = [taken({0: -1}, tenant_id="a", pod="x"), taken({0: -60}, tenant_id="a", pod="y")]
    answer = found(SERVED, series, times)
    [frame] = frames_of([answer.readings], A)
    assert [(s.key.labels, s.value) for s in frame.samples] == [((("pod", "x"),), 7.0)]
    assert answer.troubles == {}


def test_a_counter_whose_series_are_not_told_apart_is_left_out_for_as_long_and_for_its_tenant_only() -> None:
    counter = Question("counter x", "x", ("tenant_id",), "x", 15, counter=True, labels=("code",))
    series = [
        matrix({0: 7, 15: 8, 30: 9}, tenant_id="a", code="200", pod="x"),
        matrix({15: 2}, tenant_id="a", code="200", pod="y"),
        matrix({15: 1}, tenant_id="a", code="503", pod="x"),
        matrix({15: 4}, tenant_id="b", code="200"),
    ]
    times = [
        taken({s: s for s in (0, 15, 30)}, tenant_id=tenant, code=code)
        for tenant in "ab"
        for code in ("200", "503")
    ]
    answer = found(counter, series, times)
    assert shown(answer) == [(0, {"x": 7.0}), (30, {"x": 9.0})]
    assert shown(answer, wanted=frozenset("b")) == [(15, {"x": 4.0})]
    assert list(answer.troubles) == [("a", "counter x")]
    assert "do not tell its series apart" in answer.troubles["a", "counter x"]


def test_native_histograms_cost_their_tenant_what_they_are_in() -> None:
    native = {"metric": {"tenant_id": "a"}, "histograms": [[T0.timestamp(), {"count": "1"}]]}
    answer = found(CPU, [native, matrix({0: 4}, tenant_id="b")], [taken({0: 0}, tenant_id="b")])
    assert shown(answer, wanted=frozenset("ab")) == [(0, {"cpu_usage": 4.0})]
    assert list(answer.troubles) == [("a", "metric cpu_usage")]


@pytest.mark.parametrize(
    "lie",
    [3, {}, {"metric": None, "values": []}, {"metric": {}, "values": 3}, {"metric": {}, "values": [["x", "1"]]},
     {"metric": {}, "values": [[1]]}],
)  # fmt: skip
def test_a_series_that_is_none_is_an_error_not_an_outage(lie: object) -> None:
    with pytest.raises(ValueError, match="none"):
        answer_to(UP, [lie], [{}])


def test_evidence_is_asked_for_first_and_every_expression_with_its_age() -> None:
    rule = PrometheusRule.model_validate(
        {
            "availability": "min by (tenant_id) (ready)",
            "metrics": {"cpu_usage": {"expression": "cpu", "interval": 60}},
            "counters": {"x": {"expression": "x", "labels": ["code"]}},
        }
    )
    asked = questions_of(rule, 15)
    assert [q.subject for q in asked] == ["availability", "metric cpu_usage", "counter x"]
    assert [q.limit for q in asked] == [37.5, 150, 37.5]
    assert asked[2].parts == ("x", "max by (tenant_id, code) (timestamp(x))")


@pytest.mark.parametrize(
    "rule",
    [{"availability": "vector(1)"}, {"availability": "up", "metrics": {"a": "time()"}},
     {"availability": "up", "metrics": {"a": "b{"}}, {"availability": "up", "components": "1"},
     {"availability": "up", "counters": {"a": {"expression": "1", "labels": ["b"]}}},
     {"availability": "up", "age": "up)"}],
)  # fmt: skip
def test_rules_that_do_not_say_when_something_was_measured_are_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PrometheusRule.model_validate(rule)


@given(st.integers(0, 400_000), st.integers(0, 400_000))
def test_asked_ranges_are_aligned_gapless_and_within_the_limit(since: int, lasting: int) -> None:
    now = at(since + lasting)
    ranges = spans_to_ask(at(since), now, STEP, timedelta(days=7))
    expected = at(since)
    for start, end in ranges:
        assert start > expected
        assert (start - expected) <= STEP
        assert start.timestamp() % 15 == 0
        assert (end - start) / STEP < MAX_POINTS
        expected = end
    assert now - expected < STEP + SETTLING or not ranges


def test_nothing_is_asked_twice() -> None:
    assert spans_to_ask(at(15), at(20), STEP, timedelta(days=7)) == []
    assert spans_to_ask(at(15), at(32), STEP, timedelta(days=7)) == [(at(30), at(30))]


async def test_a_watermark_from_a_clock_that_ran_ahead_is_taken_back() -> None:
    rule = PrometheusRule(availability="up")
    collector = PrometheusCollector("http://127.0.0.1:9", rule, STEP, 1.0, timedelta(days=7))
    found = await collector.collect([], at(86_400), at(3_617))
    collector.close()
    assert found.until == at(3_617)
    assert spans_to_ask(found.until, at(3_632), STEP, timedelta(days=7)) == [(at(3_630), at(3_630))]


def test_a_counter_cannot_be_called_like_evidence() -> None:
    with pytest.raises(ValidationError, match="evidence"):
        PrometheusRule(availability="up", counters={"up": CounterRule(expression="x", labels=("service",))})
