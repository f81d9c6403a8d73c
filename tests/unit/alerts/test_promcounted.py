"""The generated Prometheus rules about objectives: committed as generated, and about the right tenants and series."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.promcounted import Counted, NotPlain, vector
from ecpmon.alerts.promql import Sli
from ecpmon.alerts.promrules import (
    OBJECTIVES_FILE,
    counted_of,
    default_counters,
    default_sli,
    render_objectives,
)
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.app.rules import default_objectives
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


def rules_of(*counted: Counted, sli: Sli | None = None) -> tuple[list[dict[str, Any]], dict[str, str]]:
    text, why = render_objectives(POLICIES, counted, COUNTERS, sli or Sli("up"))
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]], why


def test_the_committed_file_is_what_the_generator_writes() -> None:
    committed = (data_dir("rules") / "prometheus" / OBJECTIVES_FILE).read_text(encoding="utf-8")
    text, why = render_objectives(POLICIES, default_objectives(), default_counters(), default_sli())
    assert committed == text, "run: ecpmon rules render --out rules/prometheus"
    assert set(why) == {"latency"}


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
    totals = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_requests:increase"]
    assert 'http_requests_total{job="app",tenant_id=~"a|b"}' in totals[0]
    assert 'http_requests_total{job="app",tenant_id!~"a|b"}' in totals[1]
    targets = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_target:ratio"]
    assert ["0.999" in targets[0], "0.9" in targets[1]] == [True, True]


def test_good_requests_are_taken_from_all() -> None:
    rules, _ = rules_of(Counted(requests(bad=None, good=Selector(metric="errors_total"))))
    (bad,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_bad:increase"]
    assert bad.startswith('(tenant:slo_objective_requests:increase{objective="checkout"} - on (tenant_id)')
    assert "or on (tenant_id) 0 *" not in bad, "where nobody counts what is good, nothing is known to be bad"


def test_the_period_is_that_of_the_promise() -> None:
    rules, _ = rules_of(Counted(requests(windows=("7d",))))
    (period,) = [r["expr"] for r in rules if r.get("record") == "tenant:slo_objective_period:seconds"]
    assert period.endswith("+ 604800")


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
