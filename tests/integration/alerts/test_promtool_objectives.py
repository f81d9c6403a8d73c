"""Objectives: one timeline of counters through our counting and, with promtool, through the generated rules.

A timeline is of requests and bad ones per 30 s, as counters that are read every 30 s. The table says when alerts stand
(minutes), so that neither evaluator judges itself. What Prometheus cannot follow is pinned with the values of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from ecpmon.alerts.backtest import replay_counted
from ecpmon.alerts.counted_past import CountedHistory
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.promindicators import Counted, Known
from ecpmon.alerts.promrules import default_counters, default_sli, render_objectives
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.local.packages import Binaries
from ecpmon.model.alerts import AlertRule, RuleKind, Severity
from ecpmon.model.objectives import Counts, Match, Objective, ObjectiveKind, Promised, Selector
from ecpmon.sla.burn import BurnPolicy
from ecpmon.sla.counters import NOTHING, request_minutes
from ecpmon.sla.growth import Reading, increases
from ecpmon.sla.tracks import Track
from tests.integration.alerts.test_promtool import expected_alert, planned_values, run_promtool
from tests.unit.alerts.test_counted import hours_of

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP, MINUTE = timedelta(seconds=30), timedelta(minutes=1)
HOLDS = timedelta(seconds=75)
POLICIES = default_policies()
(REQUESTS,) = [o for o in load_objectives() if o.name == "requests"]
PROMISED = Promised(1, 1, REQUESTS.target, "30d", events=True, first_at=T0)
TOTAL, BAD = "ecp_sim_requests_total", 'ecp_sim_requests_total{code="503"}'
Stretch = tuple[float, float]
Values = list[int | None]


@dataclass(frozen=True)
class Case:
    """`timeline`: `5 50/2` is five minutes with 50 requests every 30 s, two of them bad; `5 -`: nobody reads."""

    sentence: str
    timeline: str
    page: tuple[Stretch, ...] = ()
    ticket: tuple[Stretch, ...] = ()
    shrink: int = 1
    maintenance: tuple[Stretch, ...] = ()

    @property
    def policies(self) -> dict[str, BurnPolicy]:
        return {n: POLICIES[n] if self.shrink == 1 else shrunk(POLICIES[n], self.shrink) for n in self.names}

    @property
    def names(self) -> list[str]:
        return ["page", "ticket"] if self.shrink == 1 else ["ticket"]


CASES = [
    Case("a full outage pages after five minutes, and resolves on the hour",
         "365 50/0, 10 50/50, 70 50/0", page=((370, 432),)),
    Case("fewer than ten bad requests are no evidence, whatever their share",
         "70 1/0, 4 1/1, 60 1/0"),
    Case("without requests nothing is spent: the alert resolves when its hour is empty",
         "70 50/0, 5 50/50, 65 0/0", page=((75, 136),)),
    Case("a gap freezes what stands until the hour is measured again",
         "70 50/0, 6 50/50, 30 -, 60 50/0", page=((75, 161),)),
    Case("what was planned is in no window", "70 50/0, 10 50/50, 60 50/0", maintenance=((69, 81),)),
    Case("a slow burn is a ticket when a tenth of the budget is spent; 1d as 2h",
         "130 100/0, 70 100/3, 150 100/0", ticket=((191, 261),), shrink=12),
]  # fmt: skip


def shrunk(policy: BurnPolicy, by: int) -> BurnPolicy:
    """Windows and shares divided: the factors stay."""
    pairs = [
        replace(p, budget_share=p.budget_share / by, long=p.long / by, short=p.short / by)
        for p in policy.pairs
    ]
    return replace(policy, pairs=tuple(pairs))


def readings_of(timeline: str) -> tuple[Values, Values]:
    """The counters every 30 s: those that did not fail, and those that did."""
    fine, bad, good_values, bad_values = 0, 0, list[int | None]([0]), list[int | None]([0])
    for part in timeline.split(","):
        minutes, what = part.split()
        for _ in range(int(minutes) * 2):
            if what == "-":
                good_values.append(None)
                bad_values.append(None)
                continue
            total, failed = map(int, what.split("/"))
            fine, bad = fine + total - failed, bad + failed
            good_values.append(fine)
            bad_values.append(bad)
    return good_values, bad_values


def series(values: Values) -> list[Reading]:
    return [Reading(T0 + i * STEP, v, HOLDS) for i, v in enumerate(values) if v is not None]


def ours(case: Case, policy: BurnPolicy) -> list[bool]:
    """Whether it stands at every whole minute, by our own counting."""
    fine, bad = (series(v) for v in readings_of(case.timeline))
    length = len(readings_of(case.timeline)[0]) // 2
    tracks = [Track(fine), Track(bad, whole=True, part=True)]
    counted = request_minutes(tracks, True, T0, T0 + length * MINUTE).minutes
    minutes: list[Counts] = [counted.get(T0 + m * MINUTE, NOTHING) for m in range(length)]
    off = [(T0 + a * MINUTE, T0 + b * MINUTE) for a, b in case.maintenance]
    past = CountedHistory(PROMISED, hours_of(minutes), off, ZoneInfo("UTC"), STEP)
    rule = AlertRule("r", "t", "r", RuleKind.BURN_RATE, "", 0, Severity.PAGE, (), policy.name, "requests", 1)
    found = replay_counted(rule, past, T0, T0 + length * MINUTE, MINUTE, {policy.name: policy})
    stands = [False] * (length + 1)
    for firing in found.firings:
        begins = (firing.fired_at - T0) // MINUTE
        ends = length + 1 if firing.resolved_at is None else (firing.resolved_at - T0) // MINUTE
        stands[begins:ends] = [True] * (ends - begins)
    return stands


def stretches(states: list[bool]) -> tuple[Stretch, ...]:
    found, start = list[Stretch](), 0
    for state, group in groupby(states):
        stop = start + len(list(group))
        if state:
            found.append((start, stop))
        start = stop
    return tuple(found)


def notation(values: Values) -> str:
    return " ".join("_" if v is None else str(v) for v in values)


def instants(states: list[bool]) -> list[int]:
    """Minutes: every ten, and beside each change; nothing within a minute of one, where either is right."""
    changes = [i for i in range(1, len(states)) if states[i] != states[i - 1]]
    wanted = {*range(0, len(states), 10), *(c - 3 for c in changes), *(c + 2 for c in changes)}
    either = {i for c in changes for i in range(c - 2, c + 2)}
    return sorted(i for i in wanted - either if 0 <= i < len(states))


def rendered(
    policies: dict[str, BurnPolicy],
    objective: Objective = REQUESTS,
    counters: Mapping[str, str] | None = None,
) -> str:
    known = default_counters() if counters is None else counters
    text, why = render_objectives(policies, [Counted(objective)], Known(known), default_sli())
    assert why == {}
    return text


def alert_checks(rules: str, states: dict[str, list[bool]]) -> list[dict[str, Any]]:
    checks = []
    for policy, stands in states.items():
        name = f"ECPObjectiveBurn{policy.capitalize()}"
        alert = expected_alert(rules, name, "t")
        labels = {**alert["exp_labels"], "objective": "requests"}
        notes = {
            k: v.replace("{{ $labels.objective }}", "requests") for k, v in alert["exp_annotations"].items()
        }
        alert = {"exp_labels": labels, "exp_annotations": notes}
        checks += [
            {"eval_time": f"{i}m", "alertname": name, "exp_alerts": [alert] if stands[i] else []}
            for i in instants(stands)
        ]
    return checks


def document(rules: str, inputs: dict[str, Values], **tests: Any) -> str:
    given = [{"series": name, "values": notation(values)} for name, values in inputs.items()]
    body = {"interval": "30s", "input_series": given, **tests}
    return yaml.safe_dump(
        {"rule_files": ["slo_burn_rate.yml"], "evaluation_interval": "30s", "tests": [body]}, sort_keys=False
    )


def counters(fine: Values, bad: Values, planned: Sequence[Stretch] = ()) -> dict[str, Values]:
    return {
        'ecp_sim_requests_total{tenant_id="t",service="a",code="200"}': fine,
        'ecp_sim_requests_total{tenant_id="t",service="a",code="503"}': bad,
        'ecp_tenant_maintenance{tenant_id="t"}': planned_values(planned, len(fine)),
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_both_evaluators_agree_within_a_minute(case: Case, stack_binaries: Binaries, tmp_path: Path) -> None:
    states = {name: ours(case, policy) for name, policy in case.policies.items()}
    assert {name: stretches(found) for name, found in states.items()} == {
        name: getattr(case, name) for name in case.names
    }
    rules = rendered(case.policies)
    fine, bad = readings_of(case.timeline)
    test = document(rules, counters(fine, bad, case.maintenance), alert_rule_test=alert_checks(rules, states))
    done = run_promtool(stack_binaries, tmp_path, rules, test)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def sample(expression: str, minute: float, value: float | None, *, named: bool = True) -> dict[str, Any]:
    found = [] if value is None else [{"labels": '{objective="requests",tenant_id="t"}', "value": value}]
    if value is not None and named:
        found[0]["labels"] = expression + found[0]["labels"]
    return {"expr": expression, "eval_time": f"{minute * 60:g}s", "exp_samples": found}


def counted(values: Values) -> int:
    """What our counting says a counter grew by."""
    return sum(i.count for i in increases(series(values)))


def test_increase_extrapolates_where_we_count(stack_binaries: Binaries, tmp_path: Path) -> None:
    """A counter that grows by 10 once in five minutes: we count 10, as do the rules; `increase()` says 11.11."""
    values: Values = [5] * 7 + [15] * 4
    rules = rendered(POLICIES)
    test = document(
        rules,
        counters(values, [0] * 11),
        promql_expr_test=[
            sample("tenant:slo_objective_requests:sum_5m", 5, 10),
            {
                "expr": 'increase(ecp_sim_requests_total{code="200"}[299999ms])',
                "eval_time": "5m",
                "exp_samples": [
                    {"labels": '{code="200",service="a",tenant_id="t"}', "value": 10 * (299.999 / 270)}
                ],
            },
        ],
    )
    assert counted(values) == 10
    done = run_promtool(stack_binaries, tmp_path, rules, test)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def test_a_restart_and_what_came_after_it_are_counted_alike(stack_binaries: Binaries, tmp_path: Path) -> None:
    values: Values = [100, 110, 4, 9, None, None, 30, 31]
    rules = rendered(POLICIES)
    test = document(
        rules,
        counters(values, [0] * 8),
        promql_expr_test=[sample("tenant:slo_objective_requests:sum_5m", 3.5, 41)],
    )
    assert counted(values) == 10 + 4 + 5 + 21 + 1
    done = run_promtool(stack_binaries, tmp_path, rules, test)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def test_after_a_slight_fall_the_rules_count_what_was_counted_before_and_we_do_not(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """500, 499, 500 is a reading out of order. Prometheus knows the reading before, not where the counter had been."""
    values: Values = [480, 500, 499, 500, 510]
    rules = rendered(POLICIES)
    test = document(
        rules,
        counters(values, [0] * 5),
        promql_expr_test=[sample("tenant:slo_objective_requests:sum_5m", 2, 31)],
    )
    assert counted(values) == 30
    done = run_promtool(stack_binaries, tmp_path, rules, test)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def test_the_first_reading_of_errors_born_in_an_outage_counts_with_us_and_not_in_the_rules(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """Prometheus cannot tell a series that was born from one that somebody has renamed."""
    fine: Values = [0, 10, 20, 20, 20, 20]
    bad: Values = [None, None, None, 40, 50, 50]
    tracks = [Track(series(fine)), Track(series(bad), whole=True, part=True)]
    ours = request_minutes(tracks, True, T0, T0 + 3 * MINUTE).minutes.values()
    assert (sum(m.total for m in ours), sum(m.bad for m in ours)) == (70, 50)
    rules = rendered(POLICIES)
    test = document(
        rules,
        counters(fine, bad),
        promql_expr_test=[
            sample("tenant:slo_objective_requests:sum_5m", 2.5, 30),
            sample("tenant:slo_objective_bad:sum_5m", 2.5, 10),
        ],
    )
    done = run_promtool(stack_binaries, tmp_path, rules, test)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def test_regular_expressions_and_histograms_are_followed(stack_binaries: Binaries, tmp_path: Path) -> None:
    """Of 100 requests 30 fail with one of two codes, and 20 take longer than half a second."""
    inputs: dict[str, Values] = {
        'app_requests_total{tenant_id="t",code="200"}': [0, 35, 70],
        'app_requests_total{tenant_id="t",code="500"}': [0, 10, 20],
        'app_requests_total{tenant_id="t",code="503"}': [0, 5, 10],
        'app_latency_count{tenant_id="t"}': [0, 50, 100],
        'app_latency_bucket{tenant_id="t",le="0.5"}': [0, 40, 80],
        'app_latency_bucket{tenant_id="t",le="1"}': [0, 50, 100],
        'app_latency_bucket{tenant_id="t",le="+Inf"}': [0, 50, 100],
    }
    names = ("requests_total", "latency_count", "latency_bucket")
    failed = Selector(metric="requests_total", labels={"code": Match(re="5..")})
    requests = REQUESTS.model_copy(update={"bad": failed})
    latency = Objective(
        name="requests", kind=ObjectiveKind.LATENCY, target=0.99, histogram=Selector(metric="latency"), unit="s",
        threshold_ms=500,
    )  # fmt: skip
    for number, (objective, bad) in enumerate(((requests, 30), (latency, 20))):
        rules = rendered(POLICIES, objective, {name: f"app_{name}" for name in names})
        checks = [
            sample("tenant:slo_objective_requests:sum_5m", 1, 100),
            sample("tenant:slo_objective_bad:sum_5m", 1, bad),
        ]
        folder = tmp_path / str(number)
        folder.mkdir()
        done = run_promtool(stack_binaries, folder, rules, document(rules, inputs, promql_expr_test=checks))
        assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
