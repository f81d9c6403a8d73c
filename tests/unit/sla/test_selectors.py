"""Selectors of objectives find the series that PromQL finds."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecpmon.model.objectives import Objective, Selector
from ecpmon.model.patterns import MAX_PATTERN
from ecpmon.model.samples import Source
from ecpmon.sla.matching import Matches, refused
from ecpmon.sla.selectors import SelectorError, read

texts = st.text("5034x\n", max_size=4)
# What Python's engine and RE2 read alike.
patterns = st.sampled_from(
    ["5..", "5..|408", "", ".*", ".+", "5(0|3)+", "[^5].*", "50|503", "4?0?", "(?i)X.*"]
)


def selector(**labels: Any) -> Selector:
    return Selector.model_validate({"metric": "m", "labels": labels})


@given(patterns, texts, texts)
def test_matchers_are_those_of_promql(pattern: str, wanted: str, text: str) -> None:
    whole = re.fullmatch(pattern, text, re.DOTALL) is not None
    for labels in ({"code": text}, {"code": text, "pod": "a"}, {} if text == "" else {"code": text}):
        assert selector(code={"re": pattern}).matches(labels) is whole
        assert selector(code={"nre": pattern}).matches(labels) is not whole
        assert selector(code=wanted).matches(labels) is (text == wanted)
        assert selector(code={"ne": wanted}).matches(labels) is (text != wanted)


def test_a_pattern_is_of_the_whole_text() -> None:
    server_errors = selector(code={"re": "5..|408"})
    codes = ("500", "503", "408", "200", "5000", "1500", "50", "4080")
    assert [c for c in codes if server_errors.matches({"code": c})] == ["500", "503", "408"]


def test_all_labels_have_to_match() -> None:
    both = selector(code={"re": "5.."}, handler={"nre": "/health.*"})
    assert both.matches({"code": "500", "handler": "/v1"})
    assert both.matches({"code": "500"})
    assert not both.matches({"code": "500", "handler": "/healthz"})
    assert not both.matches({"handler": "/v1"})


@pytest.mark.parametrize(
    "wanted",
    [{"re": "("}, {"re": "[z-a]"}, {"re": "a{1001}"}, {"re": "(a{1000}){1000}"}, {"re": r"(a)\1"}, {"re": "(?=a)"},
     {"re": r"\C"}, {"re": "x" * (MAX_PATTERN + 1)}, {"re": "a", "ne": "b"}, {}, {"re": None}, {"eq": "a"}, {"re": 5},
     5, ["a"], {"re": "\ud800"}],
)  # fmt: skip
def test_what_is_no_matcher_of_promql_is_refused(wanted: Any) -> None:
    with pytest.raises(ValidationError):
        selector(code=wanted)


@pytest.mark.parametrize("query", ['a{b=~"("}', 'a{b!~"[z-a]"}'])
def test_what_is_no_pattern_is_refused_in_a_query(query: str) -> None:
    with pytest.raises(SelectorError, match="at character"):
        read(query)


def test_no_pattern_takes_long() -> None:
    """What makes an engine that backtracks look for ages."""
    began = time.process_time()
    for pattern in ("(a*)*b", "(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)x", "(a?){200}a{200}"):
        assert not selector(code={"re": pattern}).matches({"code": "a" * 100 + "c"})
    assert time.process_time() - began < 1


FAST: dict[str, Any] = {
    "name": "fast", "kind": "latency", "target": 0.9, "threshold_ms": 250, "histogram": "h_bucket", "unit": "s"
}  # fmt: skip


def buckets(*bounds: str, **labels: str) -> list[tuple[Source, str, dict[str, str]]]:
    found = [(Source.PROMETHEUS, "h_bucket", {"le": b, **labels}) for b in bounds]
    return [*found, (Source.PROMETHEUS, "h_count", dict(labels))]


@pytest.mark.parametrize(
    ("threshold", "unit", "bounds"),
    [(250, "s", ["0.1", "0.25", "+Inf"]), (2000, "s", ["2.0"]), (2000, "s", ["2"]), (2000, "s", ["2e+00"]),
     (200, "ms", ["200.0"]), (0.5, "us", ["500"]), (300, "s", ["0.3"]), (8.192, "s", ["0.008192"])],
)  # fmt: skip
def test_a_bound_is_found_however_it_is_written(threshold: float, unit: str, bounds: list[str]) -> None:
    objective = Objective.model_validate({**FAST, "threshold_ms": threshold, "unit": unit})
    found = Matches(objective, Source.PROMETHEUS, buckets(*bounds))
    assert (len(found.roles["good"]), len(found.roles["total"])) == (1, 1)
    assert (found.refusals(), found.hints()) == ([], [])


def test_a_threshold_between_bounds_is_refused_with_the_nearest() -> None:
    series = buckets("0.1", "0.2", "0.5", "1.0", "+Inf")
    fields = refused([Objective.model_validate(FAST)], Source.PROMETHEUS, series, "objectives.{}.")
    assert fields == [
        {
            "field": "objectives.0.threshold_ms",
            "message": "is no bound of the histogram; the nearest are 200 and 500 (ms)",
        }
    ]
    slow = Objective.model_validate({**FAST, "threshold_ms": 5000})
    assert refused([slow], Source.PROMETHEUS, series, "")[0]["message"].endswith("the nearest are 1000 (ms)")
    # Nobody knows its bounds yet: it is said, not refused.
    unknown = Matches(Objective.model_validate(FAST), Source.PROMETHEUS, [])
    assert (unknown.refusals(), unknown.hints()) == ([], ["no series is h_count: nothing is counted"])


def test_labels_on_pushed_counters_are_told_unless_there_is_such_a_series() -> None:
    def told(objective: Objective, *series: Any, evidence: Source = Source.PUSH) -> bool:
        found = Matches(objective, evidence, series)
        assert found.refusals() == []
        return any("only what agents send" in hint for hint in found.hints())

    labelled = Objective.model_validate(
        {"name": "x", "kind": "requests", "target": 0.9, "total": {"metric": "t"},
         "bad": {"metric": "t", "labels": {"code": {"re": "5.."}}}}
    )  # fmt: skip
    assert told(labelled)
    assert not told(labelled, evidence=Source.PROMETHEUS)
    assert not told(labelled.model_copy(update={"source": Source.SIMULATOR}))
    assert not told(labelled, (Source.PUSH, "t", {"code": "500"}))
    assert told(Objective.model_validate(FAST))
    # A label that must be absent is.
    absent = labelled.model_copy(update={"bad": selector(code="", pod={"ne": "a"})})
    assert not told(absent)


def test_what_an_objective_finds_is_said() -> None:
    objective = Objective.model_validate(
        {"name": "x", "kind": "requests", "target": 0.9, "total": {"metric": "t"},
         "bad": {"metric": "e", "labels": {"code": {"re": "5.."}}}}
    )  # fmt: skip
    total = [(Source.PROMETHEUS, "t", {"code": str(c)}) for c in range(200, 209)]
    found = Matches(objective, Source.PROMETHEUS, [*total, (Source.PUSH, "e", {"code": "500"})])
    assert found.document() == {
        "total": {"series": 9, "first": [f't{{code="{c}"}}' for c in range(200, 205)]},
        "bad": {"series": 0, "first": []},
    }
    assert found.hints() == ["no metric is called e: no figure is given until there is one"]
    waiting = Matches(objective, Source.PROMETHEUS, [*total, (Source.PROMETHEUS, "e", {"code": "404"})])
    assert waiting.hints() == ['no series is e{code=~"5.."} yet; it is taken to wait for its first event']
    # What is not counted apart by that label never tells of it.
    for labels in ({}, {"status": "503"}, {"code": ""}):
        misspelt = Matches(objective, Source.PROMETHEUS, [*total, (Source.PROMETHEUS, "e", labels)])
        assert misspelt.hints() == [
            "no series of e has the labels asked for: no figure is given until one has"
        ]


def test_latency_of_a_gauge_that_nobody_sends_says_so() -> None:
    gauge = Objective.model_validate({"name": "x", "kind": "latency", "target": 0.9, "threshold_ms": 5})
    assert "histogram" in Matches(gauge, Source.PROMETHEUS, []).hints()[0]
    assert Matches(gauge, Source.PUSH, [(Source.PUSH, "response_time", {})]).hints() == []
