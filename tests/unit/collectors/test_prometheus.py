"""Range queries: what is asked, what is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecpmon.collectors.prometheus import (
    MAX_POINTS,
    SETTLING,
    PrometheusCollector,
    assemble,
    parse,
    parse_counter,
    spans_to_ask,
    with_counters,
)
from ecpmon.collectors.rules import CounterRule, PrometheusRule
from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.samples import SeriesKey

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_values_are_taken_by_tenant_and_instant_and_nan_is_none() -> None:
    series = {"metric": {"tenant_id": "a"}, "values": [[T0.timestamp(), "1"], [at(15).timestamp(), "NaN"]]}
    nobody = {"metric": {}, "values": [[T0.timestamp(), "0"]]}
    assert parse([series, nobody], "tenant_id") == {("a", T0): 1.0}


@pytest.mark.parametrize(
    "lie",
    [None, {}, [{}], [{"metric": None, "values": []}], [{"metric": {}, "values": [["x", "1"]]}],
     [{"metric": {"tenant_id": "a"}, "values": [[1e400, "1"]]}], [{"metric": {}, "values": [[1]]}]],
)  # fmt: skip
def test_a_reply_that_is_no_matrix_is_an_error_not_an_outage(lie: object) -> None:
    with pytest.raises(MonitoringUnavailable):
        parse(lie, "tenant_id")


def test_availability_that_prometheus_only_remembers_is_no_evidence() -> None:
    answers = {"up": {("a", at(0)): 1.0, ("a", at(60)): 1.0}, "cpu_usage": {("a", at(60)): 40.0}}
    ages = {("a", at(0)): 3.0, ("a", at(60)): 63.0}
    frames = assemble(answers, ages, frozenset({"a"}), STEP)
    assert [(f.ts, {s.key.metric_name for s in f.samples}) for f in frames] == [
        (at(0), {"up"}),
        (at(60), {"cpu_usage"}),
    ]


def test_availability_of_a_missed_scrape_is_evidence_of_the_instant_it_was_made() -> None:
    instants = [at(0), at(15), at(30)]
    answers = {"up": dict.fromkeys((("a", ts) for ts in instants), 1.0)}
    # Floats, as `time() - timestamp(…)` gives them.
    ages = dict(zip(answers["up"], (4.2, 19.200000048, 34.199999809), strict=True))
    frames = assemble(answers, ages, frozenset({"a"}), STEP)
    assert {f.ts for f in frames} == {at(0), at(-4.2)}


def test_other_tenants_are_left_out() -> None:
    assert assemble({"up": {("stranger", T0): 1.0}}, None, frozenset({"a"}), STEP) == ()


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


def counter(value: str, **labels: str) -> dict[str, object]:
    return {"metric": {"tenant_id": "a", **labels}, "values": [[T0.timestamp(), value]]}


def test_counters_are_read_series_by_series() -> None:
    found, wrong = parse_counter(
        [counter("7", pod="x", node="1"), counter("5", pod="y"), counter("NaN", pod="z")],
        "tenant_id",
        "requests_total",
        ["pod"],
    )
    assert {k.labels: v for k, v in found["a", T0].items()} == {(("pod", "x"),): 7.0, (("pod", "y"),): 5.0}
    assert wrong == {}


def test_series_that_the_labels_do_not_tell_apart_cost_their_tenant_only() -> None:
    series = [counter("7", pod="x"), counter("5", pod="y"), counter("3", tenant_id="b")]
    found, wrong = parse_counter(series, "tenant_id", "requests_total", ["code"])
    assert [at[0] for at, values in found.items() if values] == ["b"]
    assert list(wrong) == [("a", "counter requests_total")]
    assert "do not tell its series apart" in wrong["a", "counter requests_total"]


@pytest.mark.parametrize("age", [1e308, -1e308, float("inf"), float("-inf"), 1e18])
def test_an_age_that_is_none_costs_its_tenant_its_evidence_only(age: float) -> None:
    up = {("a", at(0)): 1.0, ("b", at(0)): 1.0}
    frames = assemble({"up": up}, {("a", at(0)): age, ("b", at(0)): 1.0}, frozenset({"a", "b"}), STEP)
    assert [f.tenant_id for f in frames if f.samples] == ["b"]


@pytest.mark.parametrize("lie", [None, [3], [{}], [{"metric": {"tenant_id": "a"}, "values": 3}]])
def test_a_counter_that_is_no_matrix_is_an_error(lie: object) -> None:
    with pytest.raises(MonitoringUnavailable):
        parse_counter(lie, "tenant_id", "requests_total", ["code"])


def test_counters_join_the_frame_of_their_instant() -> None:
    frames = assemble({"up": {("a", at(0)): 1.0}}, None, frozenset({"a"}), STEP)
    key = SeriesKey("custom", "requests_total", (("pod", "x"),))
    counters = {("a", at(0)): {key: 7.0}, ("a", at(15)): {key: 9.0}, ("stranger", at(0)): {key: 1.0}}
    joined = with_counters(frames, counters, frozenset({"a"}))
    assert [(f.tenant_id, f.ts, {s.key.metric_name: s.value for s in f.samples}) for f in joined] == [
        ("a", at(0), {"up": 1.0, "requests_total": 7.0}),
        ("a", at(15), {"requests_total": 9.0}),
    ]


def test_a_counter_cannot_be_called_like_evidence() -> None:
    with pytest.raises(ValidationError, match="evidence"):
        PrometheusRule(availability="up", counters={"up": CounterRule(expression="x", labels=("service",))})
