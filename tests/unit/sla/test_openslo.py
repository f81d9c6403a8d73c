"""OpenSLO v1: what is written reads back; what we would not do as written is refused with its path."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.errors import PayloadTooLarge, ValidationFailed
from ecpmon.model.objectives import OBJECTIVE_WINDOWS, Match, Objective, Selector
from ecpmon.sla import openslo, yamlstream
from ecpmon.sla.openslo import Promise, documents
from ecpmon.sla.openslo_reader import parse
from ecpmon.sla.periods import WINDOW_NAMES
from ecpmon.sla.selectors import SelectorError, read, write

PROMISE = Promise("acme", 0.995, "Asia/Seoul")
EXAMPLE = """
apiVersion: openslo/v1
kind: SLI
metadata:
  name: http
spec:
  ratioMetric:
    counter: true
    bad:
      metricSource:
        type: Prometheus
        spec:
          query: http_requests_total{code="503"}
    total:
      metricSource:
        type: Prometheus
        spec:
          query: http_requests_total
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout
  displayName: Checkout
spec:
  description: Checkout works
  service: acme
  indicatorRef: http
  timeWindow:
    - duration: 1M
      calendar:
        startTime: 2020-01-01 00:00:00
        timeZone: Asia/Seoul
  budgetingMethod: Occurrences
  objectives:
    - targetPercent: 99.9
"""

# What breaks quoting, in YAML and in PromQL, and some of everything else.
AWKWARD = "aZ09_:. -\"'\\{}[],=#&*!|>%@`~한é🙂"
printable = st.text(AWKWARD, min_size=1, max_size=12)
patterns = st.sampled_from(["5..|408", "", r"a\.b\"c", "[^\\\\]+", "(?i)x.*", "한+"])
selectors = st.builds(
    Selector,
    metric=printable | st.sampled_from(["up", "http:requests_total"]),
    labels=st.dictionaries(
        printable | st.sampled_from(["code", "pod"]),
        st.text(AWKWARD, max_size=12)
        | st.builds(lambda text: Match(ne=text), st.text(AWKWARD, max_size=12))
        | st.builds(
            lambda kind, pattern: Match.model_validate({kind: pattern}),
            st.sampled_from(["re", "nre"]),
            patterns,
        ),
        max_size=4,
    ),
)
targets = st.floats(1e-6, 1 - 1e-9)
windows = st.lists(st.sampled_from(OBJECTIVE_WINDOWS), min_size=1, unique=True)


@st.composite
def objectives(draw: st.DrawFn) -> Objective:
    fields: dict[str, Any] = {
        "name": draw(st.sampled_from(["a", "0-1", "checkout", "x" * 63, "1e3", "null", "on"])),
        "target": draw(targets),
        "windows": draw(windows),
        "display_name": draw(printable | st.just("")),
        "description": draw(st.text(AWKWARD + "\n\t\x85\u2028", max_size=30)),
        "source": draw(st.sampled_from([None, "push", "prometheus"])),
    }
    if draw(st.booleans()):
        part = draw(st.sampled_from(["good", "bad"]))
        fields |= {"kind": "requests", "total": draw(selectors), part: draw(selectors)}
    else:
        fields |= {"kind": "latency", "threshold_ms": draw(st.floats(0.001, 1e6))}
        if draw(st.booleans()):
            fields |= {"histogram": draw(selectors), "unit": draw(st.sampled_from(["s", "ms", "us"]))}
    return Objective.model_validate(fields)


@settings(deadline=None)
@given(st.lists(objectives(), max_size=3, unique_by=lambda o: o.name), targets)
def test_what_is_written_reads_back(given_objectives: list[Objective], target: float) -> None:
    promise = Promise("acme", target, "Europe/Berlin")
    text = yamlstream.dump(documents(promise, given_objectives))
    found = parse(yamlstream.load(text), promise)
    assert list(found.objectives) == given_objectives
    assert found.availability == target
    assert yamlstream.dump(documents(promise, found.objectives)) == text


@settings(deadline=None)
@given(selectors)
def test_selectors_read_back(selector: Selector) -> None:
    assert read(write(selector)) == selector


def test_windows_are_those_of_the_window_maths() -> None:
    assert OBJECTIVE_WINDOWS == WINDOW_NAMES


def test_a_hand_written_stream_with_a_referenced_sli() -> None:
    (found,) = parse(yamlstream.load(EXAMPLE), PROMISE).objectives
    assert found == Objective.model_validate(
        {
            "name": "checkout",
            "display_name": "Checkout",
            "description": "Checkout works",
            "kind": "requests",
            "target": 0.999,
            "windows": ("month",),
            "total": {"metric": "http_requests_total"},
            "bad": {"metric": "http_requests_total", "labels": {"code": "503"}},
        }
    )


def _changed(path: str, value: Any) -> list[Any]:
    """The example with one place changed; `...` takes it away."""
    found = copy.deepcopy(yamlstream.load(EXAMPLE))
    node: Any = found
    steps = [int(s) if s.isdigit() else s for s in path.split("/")]
    for step in steps[:-1]:
        node = node[step]
    if value is ...:
        del node[steps[-1]]
    else:
        node[steps[-1]] = value
    return found


@pytest.mark.parametrize(
    ("place", "value", "path"),
    [
        ("0/apiVersion", "openslo/v2", "[0].apiVersion"),
        ("0/kind", "DataSource", "[0].kind"),
        ("1/metadata/labels", {"team": "a"}, "[1].metadata.labels"),
        ("1/metadata/annotations", {"other/x": "y"}, "[1].metadata.annotations.other/x"),
        ("1/metadata/name", "Not A Name", "[1].name"),
        ("1/metadata/name", ..., "[1].metadata.name"),
        ("1/spec/service", "another", "[1].spec.service"),
        ("1/spec/alertPolicies", [{"kind": "AlertPolicy"}], "[1].spec.alertPolicies"),
        ("1/spec/budgetingMethod", "Timeslices", "[1].spec.budgetingMethod"),
        ("1/spec/indicatorRef", "nowhere", "[1].spec.indicatorRef"),
        ("1/spec/extra", 1, "[1].spec.extra"),
        ("1/spec/objectives", [], "[1].spec.objectives"),
        ("1/spec/objectives/0/target", 0.9, "[1].spec.objectives[0].target"),
        ("1/spec/objectives/0/targetPercent", 100, "[1].target"),
        ("1/spec/objectives/0/targetPercent", 0, "[1].target"),
        ("1/spec/objectives/0/targetPercent", float("nan"), "[1].target"),
        ("1/spec/objectives/0/targetPercent", True, "[1].spec.objectives[0].targetPercent"),
        ("1/spec/objectives/0/compositeWeight", 1, "[1].spec.objectives[0].compositeWeight"),
        ("1/spec/timeWindow/0/duration", "2M", "[1].spec.timeWindow[0].duration"),
        ("1/spec/timeWindow/0/isRolling", True, "[1].spec.timeWindow[0].isRolling"),
        ("1/spec/timeWindow/0/calendar/timeZone", "UTC", "[1].spec.timeWindow[0].calendar.timeZone"),
        ("1/spec/timeWindow/0/calendar/startTime", "2020-01-21 12:30:00",
         "[1].spec.timeWindow[0].calendar.startTime"),
        ("0/spec/ratioMetric/counter", False, "[0].spec.ratioMetric.counter"),
        ("0/spec/ratioMetric/raw", {}, "[0].spec.ratioMetric.raw"),
        ("0/spec/ratioMetric/total", ..., "[0].spec.ratioMetric"),
        ("0/spec/ratioMetric/total/metricSource/type", "Datadog", "[0].spec.ratioMetric.total.metricSource.type"),
        ("0/spec/ratioMetric/total/metricSource/metricSourceRef", "x",
         "[0].spec.ratioMetric.total.metricSource.metricSourceRef"),
        ("0/spec/ratioMetric/total/metricSource/metricSourceRef", "push", "[0].spec.ratioMetric"),
        ("0/spec/ratioMetric/total/metricSource/spec/query", "sum(rate(http_requests_total[5m]))",
         "[0].spec.ratioMetric.total.metricSource.spec.query"),
        ("0/spec/ratioMetric/total/metricSource/spec/query", 'http_requests_total{code=~5}',
         "[0].spec.ratioMetric.total.metricSource.spec.query"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_with_its_path(place: str, value: Any, path: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse(_changed(place, value), PROMISE)
    assert caught.value.details["fields"][0]["field"] == path


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"target": 0.99, "op": "lte", "value": 1, "timeSliceWindow": "1m"}, "[0].spec.objectives[0].op"),
        ({"target": 0.99, "op": "gte", "value": 2, "timeSliceWindow": "1m"}, "[0].spec.objectives[0].value"),
        ({"target": 0.99, "op": "gte", "value": 1, "timeSliceWindow": "5m"},
         "[0].spec.objectives[0].timeSliceWindow"),
        ({"target": 0.99, "op": "gte", "value": 1, "timeSliceWindow": "1m", "timeSliceTarget": 0.9},
         "[0].spec.objectives[0].timeSliceTarget"),
    ],
)  # fmt: skip
def test_availability_reads_only_as_we_write_it(change: dict[str, Any], path: str) -> None:
    found = documents(PROMISE, [])
    found[0]["spec"]["objectives"] = [change]
    with pytest.raises(ValidationFailed) as caught:
        parse(found, PROMISE)
    assert caught.value.details["fields"][0]["field"] == path


def test_an_sli_that_nobody_refers_to_is_not_swallowed() -> None:
    with pytest.raises(ValidationFailed, match="refers"):
        parse(yamlstream.load(EXAMPLE)[:1], PROMISE)
    with pytest.raises(ValidationFailed, match="twice"):
        parse([*yamlstream.load(EXAMPLE), yamlstream.load(EXAMPLE)[1]], PROMISE)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x",
        "a: 1\na: 2",
        "a: !!python/object/apply:os.system ['true']",
        "<<: {a: 1}",
        "? [a, b]\n: 1",
        "[" * 200 + "]" * 200,
        "---\n1\n" * 300,
        "a: [",
        "\x00",
        "a: !!timestamp soon",
        "a: !!int ''",
        "a: !!bool maybe",
    ],
)
def test_hostile_yaml_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        yamlstream.load(text)


def test_huge_yaml_is_not_parsed() -> None:
    with pytest.raises(PayloadTooLarge):
        yamlstream.load("#" * (yamlstream.MAX_CHARACTERS + 1))


@pytest.mark.parametrize(
    "query",
    ["", "{}", 'a{b="1"', 'a{b="1"} or c', 'a{b~"x"}', 'a{b=="x"}',
     'a{b="1",b="2"}', 'a{__name__="x"}', "a{b=1}", "a[5m]",
     '{"a","b"}', "9a", 'a{b="\\x41"}', "a" * 9000, 'a{"b"}'],
)  # fmt: skip
def test_queries_that_say_more_or_less_are_refused(query: str) -> None:
    with pytest.raises(SelectorError):
        read(query)


HISTOGRAM: dict[str, Any] = {
    "name": "fast", "kind": "latency", "target": 0.9, "threshold_ms": 250, "unit": "s",
    "histogram": {"metric": "http_seconds", "labels": {"handler": {"ne": "/health"}}},
}  # fmt: skip


def test_latency_by_a_histogram_is_a_ratio_of_its_counters() -> None:
    (found,) = documents(PROMISE, [Objective.model_validate(HISTOGRAM)])[1:]
    ratio = found["spec"]["indicator"]["spec"]["ratioMetric"]
    queries = {role: ratio[role]["metricSource"]["spec"]["query"] for role in ("good", "total")}
    assert queries == {
        "good": 'http_seconds_bucket{handler!="/health",le="0.25"}',
        "total": 'http_seconds_count{handler!="/health"}',
    }
    whole = Objective.model_validate({**HISTOGRAM, "threshold_ms": 2000})
    assert whole.counters is not None
    # Exporters write it in either way.
    assert write(whole.counters.selectors["good"]).endswith(r'le=~"2(\\.0)?"}')


@pytest.mark.parametrize("note", ["251 s", "250 ms", "250", "x s", "nan s", "250 s "])
def test_a_note_about_latency_that_the_ratio_does_not_bear_out_is_refused(note: str) -> None:
    found = documents(PROMISE, [Objective.model_validate(HISTOGRAM)])[1:]
    assert parse(found, PROMISE).objectives == (Objective.model_validate(HISTOGRAM),)
    found[0]["metadata"]["annotations"][openslo.LATENCY_NOTE] = note
    with pytest.raises(ValidationFailed):
        parse(found, PROMISE)


def test_the_written_stream_is_yaml_for_everybody() -> None:
    text = yamlstream.dump(documents(PROMISE, parse(yamlstream.load(EXAMPLE), PROMISE).objectives))
    kinds = [(d["apiVersion"], d["kind"], d["metadata"]["name"]) for d in yaml.safe_load_all(text)]
    assert kinds == [(openslo.VERSION, "SLO", "availability"), (openslo.VERSION, "SLO", "checkout")]


def test_a_target_of_hundreds_of_digits_is_refused() -> None:
    own = openslo.documents(Promise("acme", 0.995, "UTC"), [])
    own[0]["spec"]["objectives"][0]["target"] = 10**400
    own[0]["metadata"]["name"] = "other"
    with pytest.raises(ValidationFailed):
        parse(own, Promise("acme", 0.995, "UTC"))


def test_a_stream_of_very_many_values_is_refused_before_it_is_built() -> None:
    with pytest.raises(ValidationFailed, match="more than 20000 values; send it in parts"):
        yamlstream.load("- a: b\n" * 30_000)
    assert yamlstream.load("- a\n" * 10_000) == [["a"] * 10_000]
