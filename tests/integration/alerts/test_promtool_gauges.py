"""Objectives on a gauge, and promises of a week: one timeline through our counting and, with promtool, the rules.

As in `test_promtool_objectives`, the table says when alerts stand. All tenants of the table are one run of promtool,
which costs hardly more than one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ecpmon.alerts.backtest import replay_counted
from ecpmon.alerts.counted_past import CountedHistory
from ecpmon.alerts.promindicators import Counted, Known
from ecpmon.alerts.promrules import default_sli, render_objectives
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.app.rules import default_known, gauges_of
from ecpmon.collectors.rules import PrometheusRule
from ecpmon.local.packages import Binaries
from ecpmon.model.alerts import AlertRule, RuleKind, Severity
from ecpmon.model.objectives import Counts, Promised
from ecpmon.sla.burn import BurnPolicy
from ecpmon.sla.counters import NOTHING, latency_minutes, request_minutes
from ecpmon.sla.growth import Reading
from ecpmon.sla.tracks import Track
from tests.integration.alerts.test_promtool import expected_alert, planned_values, run_promtool
from tests.integration.alerts.test_promtool_objectives import (
    HOLDS,
    MINUTE,
    POLICIES,
    REQUESTS,
    STEP,
    T0,
    Stretch,
    document,
    instants,
    readings_of,
    series,
    shrunk,
    stretches,
)
from tests.unit.alerts.test_counted import hours_of

(LATENCY,) = [o for o in load_objectives() if o.name == "latency"]
GAUGE = "ecp_sim_tenant_response_seconds"
FAST, SLOW, MARKER = 0.1, 0.9, "stale"
Shown = list[float | str | None]
States = Mapping[tuple[str, str], list[bool]]
"""(tenant, objective) -> whether its alert stands at every whole minute."""


@dataclass(frozen=True)
class Case:
    """`5 slow` is five minutes of readings over the threshold, every 30 s; `5 -`: nobody reads. `marked`: instead of
    every third reading there is a marker."""

    tenant: str
    sentence: str
    timeline: str
    page: tuple[Stretch, ...] = ()
    marked: bool = False
    maintenance: tuple[Stretch, ...] = ()

    @property
    def values(self) -> Shown:
        found: Shown = []
        for part in self.timeline.split(","):
            minutes, what = part.split()
            found += [{"fast": FAST, "slow": SLOW, "-": None}[what]] * (int(minutes) * 2)
        return [MARKER if self.marked and i % 3 == 2 else v for i, v in enumerate(found)]


CASES = [
    Case("slow", "a fast burn pages, and resolves on the hour",
         "70 fast, 12 slow, 78 fast", page=((79, 134),)),
    Case("calm", "what burns slower than the factor pages nobody",
         "70 fast, 8 slow, 82 fast"),
    Case("gap", "silence is not good: it freezes what stands until the hour is measured again",
         "70 fast, 12 slow, 10 -, 68 fast", page=((79, 146),)),
    Case("silent", "who falls silent is not slow, nor had it been before",
         "70 fast, 90 -"),
    Case("late", "who was born late has no vote before its first full hour",
         "30 -, 40 fast, 25 slow, 65 fast", page=((90, 147),)),
    Case("marked", "a marker between readings ends none of them: it holds as long as it does without",
         "70 fast, 12 slow, 78 fast", page=((80, 134),), marked=True),
    Case("planned", "what was planned is in no window",
         "70 fast, 12 slow, 78 fast", maintenance=((69, 83),)),
]  # fmt: skip


def readings(values: Shown, step: timedelta = STEP) -> list[Reading]:
    """What the collector stores of it: neither silence nor a marker is a reading."""
    return [Reading(T0 + i * step, 1000 * v, HOLDS) for i, v in enumerate(values) if isinstance(v, float)]


def replayed(
    minutes: Sequence[Counts], promised: Promised, policy: BurnPolicy, planned: Sequence[Stretch] = ()
) -> list[bool]:
    """Whether the alert stands at every whole minute, by our own evaluator."""
    off = [(T0 + a * MINUTE, T0 + b * MINUTE) for a, b in planned]
    past = CountedHistory(promised, hours_of(minutes), off, ZoneInfo("UTC"), STEP)
    rule = AlertRule("r", "t", "r", RuleKind.BURN_RATE, "", 0, Severity.PAGE, (), policy.name, "latency", 1)
    found = replay_counted(rule, past, T0, T0 + len(minutes) * MINUTE, MINUTE, {policy.name: policy})
    stands = [False] * (len(minutes) + 1)
    for firing in found.firings:
        begins = (firing.fired_at - T0) // MINUTE
        ends = len(stands) if firing.resolved_at is None else (firing.resolved_at - T0) // MINUTE
        stands[begins:ends] = [True] * (ends - begins)
    return stands


def every_minute(counted: Mapping[datetime, Counts], length: int) -> list[Counts]:
    return [counted.get(T0 + m * MINUTE, NOTHING) for m in range(length)]


def ours(case: Case) -> list[bool]:
    given = readings(case.values)
    length = len(case.values) // 2
    counted = latency_minutes(given, float(LATENCY.threshold_ms or 0), T0, T0 + length * MINUTE)
    promised = Promised(1, 1, LATENCY.target, "30d", events=False, first_at=given[0].ts)
    return replayed(every_minute(counted, length), promised, POLICIES["page"], case.maintenance)


def rendered(policies: Mapping[str, BurnPolicy], *counted: Counted, known: Known | None = None) -> str:
    text, why = render_objectives(policies, counted, known or default_known(), default_sli())
    assert why == {}
    return text


def alert_checks(rules: str, policy: str, states: States) -> list[dict[str, Any]]:
    """At every minute that is looked at, and near to no change: who stands."""
    name, looked = f"ECPObjectiveBurn{policy.capitalize()}", set[int]()
    close = set[int]()
    for stands in states.values():
        looked |= set(instants(stands))
        changes = [i for i in range(1, len(stands)) if stands[i] != stands[i - 1]]
        close |= {i for c in changes for i in range(c - 2, c + 2)}

    def alert(tenant: str, objective: str) -> dict[str, Any]:
        found = expected_alert(rules, name, tenant)
        notes = {
            k: v.replace("{{ $labels.objective }}", objective) for k, v in found["exp_annotations"].items()
        }
        return {"exp_labels": {**found["exp_labels"], "objective": objective}, "exp_annotations": notes}

    return [
        {
            "eval_time": f"{i}m",
            "alertname": name,
            "exp_alerts": [alert(*whose) for whose, stands in states.items() if stands[i]],
        }
        for i in sorted(looked - close)
    ]


def agrees(binaries: Binaries, folder: Path, rules: str, test: str) -> None:
    done = run_promtool(binaries, folder, rules, test)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def sample(expression: str, minute: float, value: float, tenant: str, objective: str) -> dict[str, Any]:
    labels = f'{expression}{{objective="{objective}",tenant_id="{tenant}"}}'
    found = [{"labels": labels, "value": value}]
    return {"expr": labels, "eval_time": f"{minute * 60:g}s", "exp_samples": found}


def sums(minute: float, total: float, bad: float, tenant: str = "t", objective: str = "latency") -> list[Any]:
    return [
        sample("tenant:slo_objective_requests:sum_5m", minute, total, tenant, objective),
        sample("tenant:slo_objective_bad:sum_5m", minute, bad, tenant, objective),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_our_evaluator_says_of_a_gauge_what_the_table_does(case: Case) -> None:
    assert stretches(ours(case)) == case.page


@pytest.mark.timeout(300)
def test_both_evaluators_agree_on_gauges_within_a_minute(stack_binaries: Binaries, tmp_path: Path) -> None:
    rules = rendered({"page": POLICIES["page"]}, Counted(LATENCY))
    inputs: dict[str, Any] = {}
    for case in CASES:
        inputs[f'{GAUGE}{{tenant_id="{case.tenant}"}}'] = case.values
        inputs[f'ecp_tenant_maintenance{{tenant_id="{case.tenant}"}}'] = planned_values(
            case.maintenance, len(case.values)
        )
    checks = alert_checks(rules, "page", {(case.tenant, "latency"): ours(case) for case in CASES})
    assert {len(c["exp_alerts"]) for c in checks} == {0, 2, 3, 4}
    agrees(stack_binaries, tmp_path, rules, document(rules, inputs, alert_rule_test=checks))


@pytest.mark.timeout(300)
def test_a_week_has_a_ticket_for_what_its_promise_does_not_allow(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """1.5 times what is allowed: too slow for a ticket of a month, and too fast for a week; 1d as 2h."""
    policy = shrunk(POLICIES["ticket"], 12)
    fine, bad = readings_of("130 400/0, 90 400/3, 60 400/0")
    tracks = [Track(series(fine)), Track(series(bad), whole=True, part=True)]
    length = len(fine) // 2
    minutes = every_minute(request_minutes(tracks, True, T0, T0 + length * MINUTE).minutes, length)
    promised = Promised(1, 1, REQUESTS.target, "30d", events=True, first_at=T0)
    states = {
        ("t", name): replayed(minutes, replace(promised, window=window), policy)
        for name, window in (("weekly", "7d"), ("monthly", "30d"))
    }
    assert {name: stretches(stands) for (_, name), stands in states.items()} == {
        "weekly": ((211, 261),),
        "monthly": (),
    }
    objectives = [
        Counted(REQUESTS.model_copy(update={"name": name, "windows": (window,)}))
        for name, window in (("weekly", "7d"), ("monthly", "30d"))
    ]
    rules = rendered({"ticket": policy}, *objectives)
    inputs = {
        'ecp_sim_requests_total{tenant_id="t",code="200"}': fine,
        'ecp_sim_requests_total{tenant_id="t",code="503"}': bad,
    }
    checks = alert_checks(rules, "ticket", states)
    agrees(stack_binaries, tmp_path, rules, document(rules, inputs, alert_rule_test=checks))


def test_what_a_gauge_shows_between_evaluations_counts_with_us_and_not_in_the_rules(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """Read every 10 s, and slow at two readings of three: the rules look every 30 s, and always at the third."""
    values: Shown = [FAST, SLOW, SLOW] * 10
    counted = latency_minutes(readings(values, STEP / 3), 500, T0, T0 + 5 * MINUTE).values()
    assert sum(m.bad for m in counted) == 200e6
    assert sum(m.total for m in counted) == 300e6
    rules = rendered({"page": POLICIES["page"]}, Counted(LATENCY))
    inputs: dict[str, Any] = {f'{GAUGE}{{tenant_id="t"}}': values}
    test = document(rules, inputs, interval="10s", promql_expr_test=sums(4.5, 10, 0))
    agrees(stack_binaries, tmp_path, rules, test)


def test_before_silence_the_rules_count_whole_evaluations_and_we_the_time_a_reading_holds(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """Slow for a minute, half of it after a marker; then, from 165 s on, nothing holds until 240 s."""
    values: Shown = [FAST, SLOW, MARKER, FAST, None, None, None, None, FAST, FAST]
    counted = latency_minutes(readings(values), 500, T0, T0 + 5 * MINUTE).values()
    assert (sum(m.observed for m in counted), sum(m.bad for m in counted)) == (225e6, 60e6)
    rules = rendered({"page": POLICIES["page"]}, Counted(LATENCY))
    inputs: dict[str, Any] = {f'{GAUGE}{{tenant_id="t"}}': values}
    # 240 s, of which two evaluations are 60 s.
    test = document(rules, inputs, promql_expr_test=sums(4.5, 8, 2))
    agrees(stack_binaries, tmp_path, rules, test)


def test_of_several_selectors_the_oldest_says_how_long_a_reading_holds(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """A mean whose count is read no more is known for 75 s, though Prometheus repeats it for five minutes."""
    mean = "1000 * max by (tenant_id) (app_seconds_sum) / max by (tenant_id) (app_seconds_count)"
    rule = PrometheusRule(availability="up", metrics={"response_time": mean})
    rules = rendered(
        {"page": POLICIES["page"]}, Counted(LATENCY), known=Known({}, gauges_of(rule, default_sli().interval))
    )
    inputs: dict[str, Any] = {
        'app_seconds_sum{tenant_id="t"}': [SLOW] * 8 + [float("nan")] * 2,
        'app_seconds_count{tenant_id="t"}': [1, *[None] * 6, 1, 1, 1],
    }
    test = document(rules, inputs, promql_expr_test=[*sums(3, 3, 3), *sums(4.5, 6, 6)])
    agrees(stack_binaries, tmp_path, rules, test)


def test_a_tenants_own_objective_counts_beside_the_default_of_its_name(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """The default's rule wrote that nothing of its requests was bad, and what they grew by was refused then."""
    own = REQUESTS.model_copy(update={"target": 0.9})
    slower = LATENCY.model_copy(update={"threshold_ms": 2000.0})
    rules = rendered(
        {"page": POLICIES["page"]},
        Counted(LATENCY, others=("own",)), Counted(REQUESTS, others=("own",)),
        Counted(slower, ("own",)), Counted(own, ("own",)),
    )  # fmt: skip
    inputs: dict[str, Any] = {}
    for tenant in ("own", "other"):
        inputs |= {
            f'ecp_sim_requests_total{{tenant_id="{tenant}",code="200"}}': [0, 10, 20, 30],
            f'ecp_sim_requests_total{{tenant_id="{tenant}",code="503"}}': [0, 5, 10, 15],
            f'{GAUGE}{{tenant_id="{tenant}"}}': [SLOW] * 4,
        }
    # Of its own two seconds 900 ms are none too many.
    checks = [
        *sums(1.5, 45, 15, "own", "requests"), *sums(1.5, 4, 0, "own"),
        *sums(1.5, 45, 15, "other", "requests"), *sums(1.5, 4, 4, "other"),
    ]  # fmt: skip
    agrees(stack_binaries, tmp_path, rules, document(rules, inputs, promql_expr_test=checks))
