"""The generated Prometheus rules about objectives: committed as generated, and about the right tenants and series."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml

from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.promindicators import Counted, Known, NotPlain, vector
from ecpmon.alerts.promql import Sli
from ecpmon.alerts.promrules import (
    OBJECTIVES_FILE,
    counted_of,
    default_sli,
    render_objectives,
)
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.app.rules import default_known, default_objectives, gauges_of
from ecpmon.collectors.rules import MetricRule, PrometheusRule
from ecpmon.model.objectives import Objective, ObjectiveKind, Selector, StoredObjective
from ecpmon.resources import data_dir
from ecpmon.sla.burn import PolicyError

POLICIES = default_policies()
COUNTERS = {"requests_total": 'http_requests_total{job="app"}', "errors_total": "http_errors_total"}


def requests(name: str = "checkout", **more: Any) -> Objective:
    given: dict[str, Any] = {
        "target": 0.999,
        "total": Selector(metric="requests_total"),
        "bad": Selector(metric="requests_total", labels={"code": "503"}),
    }
    return Objective(name=name, kind=ObjectiveKind.REQUESTS, **{**given, **more})


def rules_of(
    *counted: Counted, sli: Sli | None = None, known: Known | None = None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    text, why = render_objectives(POLICIES, counted, known or Known(COUNTERS), sli or Sli("up"))
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]], why


def test_the_committed_file_is_what_the_generator_writes() -> None:
    committed = (data_dir("rules") / "prometheus" / OBJECTIVES_FILE).read_text(encoding="utf-8")
    text, why = render_objectives(POLICIES, default_objectives(), default_known(), default_sli())
    assert committed == text, "run: ecpmon rules render --out rules/prometheus"
    assert why == {}


def test_a_selector_becomes_the_series_that_prometheus_has() -> None:
    total = Selector(metric="requests_total", labels={"code": "5", "path": 'a"b'})
    assert vector(total, COUNTERS, 'tenant_id="t"') == (
        'http_requests_total{job="app",code="5",path="a\\"b",tenant_id="t"}'
    )
    assert vector(Selector(metric="errors_total"), COUNTERS) == "http_errors_total"


@pytest.mark.parametrize(
    ("selector", "counters"),
    [("pushed_total", COUNTERS), ("sum", {"sum": "sum by (tenant_id) (x)"}), ("two", {"two": "a + b"})],
)
def test_what_prometheus_cannot_follow_is_named(selector: str, counters: dict[str, str]) -> None:
    with pytest.raises(NotPlain):
        vector(Selector(metric=selector), counters)


def test_an_objective_of_some_tenants_counts_their_series_and_the_default_those_of_others() -> None:
    rules, why = rules_of(Counted(requests(), ("a", "b")), Counted(requests(target=0.9), others=("a", "b")))
    assert why == {}
    (total,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_requests:increase"]
    mine, others = total.split("\n)\nunless")[0], total.split("\nor\n(")[1]
    assert 'http_requests_total{job="app",tenant_id=~"a|b"}' in mine
    assert 'http_requests_total{job="app",tenant_id!~"a|b"}' in others
    (target,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_target:ratio"]
    assert target == (
        '(0 * tenant:slo_objective_history:seconds{objective="checkout",tenant_id=~"a|b"} + 0.999)\nor\n'
        '(0 * tenant:slo_objective_history:seconds{objective="checkout",tenant_id!~"a|b"} + 0.9)'
    )


def test_good_requests_are_taken_from_all() -> None:
    rules, _ = rules_of(Counted(requests(bad=None, good=Selector(metric="errors_total"))))
    (bad,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_bad:increase"]
    assert bad.startswith('(tenant:slo_objective_requests:increase{objective="checkout"} - on (tenant_id)')
    assert "or on (tenant_id) 0 *" not in bad, "where nobody counts what is good, nothing is known to be bad"


def test_the_period_is_that_of_the_promise() -> None:
    rules, _ = rules_of(Counted(requests(windows=("7d",))))
    (period,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_period:seconds"]
    assert period.endswith("+ 604800")


def test_a_gauge_is_read_for_all_and_each_objective_looks_at_its_own_tenants() -> None:
    slow = Objective(name="latency", kind=ObjectiveKind.LATENCY, target=0.99, threshold_ms=250)
    slower = slow.model_copy(update={"threshold_ms": 900.0})
    rule = PrometheusRule(
        availability="up",
        metrics={"response_time": MetricRule(expression="mean by (tenant_id) (x) / y", age="z", interval=60)},
    )
    known = Known({}, gauges_of(rule, timedelta(seconds=30)))
    rules, why = rules_of(Counted(slow, ("a", "b")), Counted(slower, others=("a", "b")), known=known)
    assert why == {}
    assert [r["expr"] for r in rules if r.get("record") == "tenant:slo_reading:timestamp"] == [
        "time() - (z\n)\nand on (tenant_id) tenant:slo_reading:response_time"
    ]
    (bad,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_bad:increase"]
    assert [each.partition("\n")[0] for each in bad.split("\nor\n")] == [
        '((last_over_time(tenant:slo_reading:response_time{tenant_id=~"a|b"}[150s]) > bool 250.0)',
        '((last_over_time(tenant:slo_reading:response_time{tenant_id!~"a|b"}[150s]) > bool 900.0)',
    ]


def test_nothing_is_recorded_by_two_rules() -> None:
    """promtool takes that for a fault, and `ecpmon rules check` with it."""
    slow = Objective(name="slow", kind=ObjectiveKind.LATENCY, target=0.99, threshold_ms=250)
    known = Known(COUNTERS, default_known().gauges)
    own = Counted(requests(), ("a",))
    rules, _ = rules_of(own, Counted(requests(target=0.9), others=("a",)), Counted(slow), known=known)
    recorded = [(r["record"], str(r.get("labels"))) for r in rules if "record" in r]
    assert len(set(recorded)) == len(recorded)


def test_a_gauge_that_nobody_reads_is_named() -> None:
    slow = Objective(name="latency", kind=ObjectiveKind.LATENCY, target=0.99, threshold_ms=250)
    assert rules_of(Counted(slow)) == ([], {"latency": "response_time is none of the metrics in sli.yaml"})


def test_evidence_is_ten_requests_or_three_readings() -> None:
    slow = Objective(name="latency", kind=ObjectiveKind.LATENCY, target=0.99, threshold_ms=250)
    known = Known(COUNTERS, default_known().gauges)
    rules, _ = rules_of(Counted(requests()), Counted(slow), known=known)
    (least,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_evidence:min"]
    assert [each.rpartition("+ ")[2] for each in least.split("\nor\n")] == ["10)", "3)"]


def test_without_any_objective_that_can_be_followed_there_is_no_group() -> None:
    rules, why = rules_of(Counted(requests(total=Selector(metric="pushed_total"))))
    assert rules == []
    assert why == {"checkout": "pushed_total is none of the counters in sli.yaml"}


def test_a_tenant_that_is_none_is_refused() -> None:
    with pytest.raises(PolicyError, match="not the id of a tenant"):
        rules_of(Counted(requests(), ('a"} or vector(1) #',)))


def test_who_has_its_own_is_not_among_those_of_the_default() -> None:
    (default,) = [o for o in load_objectives() if o.name == "requests"]
    own = default.model_copy(update={"target": 0.9})
    silent = default.model_copy(update={"alerts": False})
    stored = {
        "a": [StoredObjective(1, "a", default, True, None)],
        "b": [StoredObjective(2, "b", own, False, None)],
        "c": [StoredObjective(3, "c", own, False, None)],
        "d": [StoredObjective(4, "d", silent, False, None)],
    }
    assert counted_of(stored) == [Counted(default, others=("b", "c", "d")), Counted(own, ("b", "c"))]
