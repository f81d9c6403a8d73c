"""One truth for two evaluators: each timeline goes through ours and, with promtool, through the generated rules.

Timelines are in minutes of `up`, `down`, `gap`, observed every 30 s; maintenance lies over them. `flaky N/M` is one
failed observation of every M for N minutes. The table says when alerts stand (minutes), so that neither evaluator
judges itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecpmon.alerts.judgement import Facts, judge
from ecpmon.alerts.machine import advance
from ecpmon.alerts.past import Timeline
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.promql import Targets
from ecpmon.alerts.promrules import FILE_NAME, default_sli, render, shipped, targets_of
from ecpmon.local.packages import Binaries
from ecpmon.model.alerts import AlertRule, RuleKind, RuleState, RuleStatus, Severity
from ecpmon.model.availability import Observation, Span
from ecpmon.model.maintenance import Interval
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.names import SIM_TENANT_READY
from ecpmon.resources import data_dir
from ecpmon.sla.burn import BurnPolicy
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import exclude
from ecpmon.sla.spans import clip, lay
from ecpmon.tenantlines import MAINTENANCE_GAUGE, UP_GAUGE
from tests.waiting import PATIENCE

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(seconds=30)
MINUTE = timedelta(minutes=1)
INTERVALS = Intervals(STEP, STEP)
POLICIES = default_policies()
ALERTS = {"page": "ECPErrorBudgetBurnPage", "ticket": "ECPErrorBudgetBurnTicket"}
TENANT = Tenant(
    key=1, tenant_id="t", name=None, preset="small", is_demo=False, status=TenantStatus.RUNNING,
    service_requirements={}, resources=Resources(), sla_target=SlaTarget(availability="99.5%"),
    sli_source="prometheus", created_at=T0, updated_at=T0,
)  # fmt: skip
HOLDS = INTERVALS.holds(TENANT.evidence_source, TENANT)

Stretch = tuple[float, float]
"""From the first to the first no longer firing instant, in minutes."""


@dataclass(frozen=True)
class Case:
    sentence: str
    timeline: str
    page: tuple[Stretch, ...] = ()
    ticket: tuple[Stretch, ...] = ()
    shrink: int = 1
    maintenance: tuple[Stretch, ...] = ()

    @property
    def policies(self) -> dict[str, BurnPolicy]:
        """The shipped ones; shrunk, three days need not be played in full (promtool takes a minute for that)."""
        return POLICIES if self.shrink == 1 else {"ticket": shrunk(POLICIES["ticket"], self.shrink)}

    @property
    def rules(self) -> str:
        return render(self.policies, Targets(), default_sli())


def shrunk(policy: BurnPolicy, by: int) -> BurnPolicy:
    """Period and windows divided: the factors stay."""
    pairs = tuple(replace(pair, long=pair.long / by, short=pair.short / by) for pair in policy.pairs)
    return replace(policy, period=policy.period / by, pairs=pairs)


CASES = [
    Case("a short flap is no reason to wake anybody", "up 120, down 2, up 90"),
    Case("an outage within the first hour of history, and over by its end, never fires",
         "up 20, down 20, up 120"),
    Case("an outage that lasts into the second hour fires with the first full hour",
         "up 50, down 20, up 100", page=((60, 126),)),
    Case("a gap in health alone fires nothing", "up 400, gap 60, up 120"),
    Case("a gap after firing freezes the alert until the long window is measured again",
         "up 365, down 6, gap 30, up 90", page=((369.5, 455),)),
    Case("an outage after a gap waits for a measured hour, and the blind 6 h window then holds it",
         "up 300, gap 40, up 40, down 30, up 120", page=((394, 530),)),
    Case("a full outage after 6 h pages after 4.5 min and resolves on the long window; a second one pages as soon, and"
         " the 6 h pair holds it",
         "up 365, down 10, up 90, down 10, up 90", page=((369.5, 431), (469.5, 565))),
    Case("flapping around the factor: what was told once fires no second time, what is new does",
         "up 120" + ", down 1.5, up 19" * 9, page=((162.5, 180.5), (224, 242), (285.5, 303.5))),
    Case("a slow burn of 2 % is a ticket soon after the first full day, and none when it has left it; 1d as 12h",
         "flaky 750/50, up 190", ticket=((725, 940),), shrink=2),
    Case("an outage within maintenance wakes nobody", "up 120, down 10, up 60", maintenance=((118, 132),)),
    Case("after maintenance what is left of the long window counts as measured whole: 2 of 22 min are 9 %",
         "up 120, down 40, up 20, down 6, up 90", page=((182, 242),), maintenance=((120, 160),)),
    Case("two outages that only the longest ticket pair adds up; every window a twelfth, 3d as 6h",
         "up 200, down 1, up 169, down 1.5, up 228.5", ticket=((371.5, 561),), shrink=12),
]  # fmt: skip

# It pages, and is over soon: for what any case tells.
PAGING = next(case for case in CASES if case.timeline == "up 50, down 20, up 100")


def values_of(timeline: str) -> list[int | None]:
    """One value per step: 1 up, 0 down, None not observed."""
    values: list[int | None] = []
    for part in timeline.split(","):
        word, length = part.split()
        minutes, _, every = length.partition("/")
        count = round(timedelta(minutes=float(minutes)) / STEP)
        if word == "flaky":
            values += [0 if index % int(every) == int(every) - 1 else 1 for index in range(count)]
        else:
            values += [{"up": 1, "down": 0, "gap": None}[word]] * count
    return values


def our_spans(values: list[int | None]) -> list[Span]:
    seen = [Observation(T0 + i * STEP, v == 0, HOLDS) for i, v in enumerate(values) if v is not None]
    return lay(seen, T0 + len(values) * STEP)


def our_firings(
    values: list[int | None], policy: BurnPolicy, tenant: Tenant = TENANT, planned: Sequence[Stretch] = ()
) -> list[bool]:
    """State at every step, judged and advanced as the engine does it."""
    rule = AlertRule("r", tenant.tenant_id, "r", RuleKind.BURN_RATE, "", 0, Severity.PAGE, policy=policy.name)
    intervals = [Interval(T0 + a * MINUTE, T0 + b * MINUTE) for a, b in planned]
    spans, state, states = our_spans(values), RuleState(), list[bool]()
    for index in range(len(values)):
        now = T0 + index * STEP
        facts = Facts(tenant, now, Timeline(exclude(clip(spans, T0, now), intervals)), {}, INTERVALS)
        result = judge(rule, state, facts, {policy.name: policy}).result
        state, _ = advance(state, result, now, rule.for_)
        states.append(state.status is RuleStatus.FIRING)
    return states


def stretches(states: list[bool]) -> list[Stretch]:
    """Where `states` are true, in minutes."""
    found, start = list[Stretch](), 0
    for state, group in groupby(states):
        stop = start + len(list(group))
        if state:
            found.append((start * STEP / MINUTE, stop * STEP / MINUTE))
        start = stop
    return found


def notation(values: list[int | None]) -> str:
    """promtool's: `1x4` is five ones, `_x5` five times nothing."""
    runs = [(value, len(list(group))) for value, group in groupby(values)]
    return " ".join(f"_x{n}" if value is None else f"{value}x{n - 1}" for value, n in runs)


def instants(states: list[bool]) -> list[int]:
    """Every 10 min, and beside each change; nothing within one step of a change, where either is right."""
    changes = [i for i in range(1, len(states)) if states[i] != states[i - 1]]
    wanted = {*range(0, len(states), 20), *(c - 2 for c in changes), *(c + 1 for c in changes)}
    either = {i for c in changes for i in (c - 1, c)}
    return sorted(i for i in wanted - either if 0 <= i < len(states))


def expected_alert(rules_file: str, name: str, tenant_id: str) -> dict[str, Any]:
    rules = yaml.safe_load(rules_file)["groups"][0]["rules"]
    rule = next(rule for rule in rules if rule.get("alert") == name)
    annotations = {k: v.replace("{{ $labels.tenant_id }}", tenant_id) for k, v in rule["annotations"].items()}
    return {"exp_labels": {**rule["labels"], "tenant_id": tenant_id}, "exp_annotations": annotations}


def planned_values(planned: Sequence[Stretch], count: int) -> list[int | None]:
    """1 while maintenance is on, else 0, as our gauge has it."""
    minutes = [i * STEP / MINUTE for i in range(count)]
    return [int(any(a <= minute < b for a, b in planned)) for minute in minutes]


States = dict[tuple[str, str], list[bool]]
"""(tenant_id, policy) -> firing or not at every step."""


def promtool_test(
    rules: str,
    values: list[int | None],
    states: States,
    planned: Sequence[Stretch] = (),
    told_by: str = SIM_TENANT_READY,
) -> str:
    """A promtool test file: the timeline as a series of every tenant, the states as expected alerts."""
    tenants = sorted({tenant_id for tenant_id, _ in states})
    checks = [
        {
            "eval_time": f"{i * round(STEP.total_seconds())}s",
            "alertname": ALERTS[policy],
            "exp_alerts": [expected_alert(rules, ALERTS[policy], t) for t in tenants if states[t, policy][i]],
        }
        for policy in sorted({policy for _, policy in states})
        for i in sorted(set.intersection(*(set(instants(states[t, policy])) for t in tenants)))
    ]
    series = [
        {"series": f'{name}{{tenant_id="{t}"}}', "values": notation(shown)}
        for t in tenants
        for name, shown in (
            (told_by, values), (MAINTENANCE_GAUGE, planned_values(planned, len(values))),
        )
    ]  # fmt: skip
    test = {"interval": "30s", "input_series": series, "alert_rule_test": checks}
    document = {"rule_files": [FILE_NAME], "evaluation_interval": "30s", "tests": [test]}
    return yaml.safe_dump(document, sort_keys=False)


def run_promtool(binaries: Binaries, folder: Path, rules: str, test: str) -> subprocess.CompletedProcess[str]:
    (folder / FILE_NAME).write_text(rules, encoding="utf-8")
    (folder / "test.yml").write_text(test, encoding="utf-8")
    argv = [str(binaries.promtool), "test", "rules", "test.yml"]
    # It makes much garbage and keeps little: collecting later saves a fifth of its time.
    env = {**os.environ, "GOGC": "400"}
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=240, check=False, env=env)


Played = dict[str, "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="module")
def played(stack_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """What promtool says to every case, by its sentence. It uses one core: as many run as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def play(case: Case) -> subprocess.CompletedProcess[str]:
            values = values_of(case.timeline)
            test = promtool_test(case.rules, values, our_states(case), case.maintenance)
            return run_promtool(stack_binaries, tmp_path_factory.mktemp("case"), case.rules, test)

        yield {case.sentence: pool.submit(play, case) for case in CASES}


def test_cases_that_are_not_shrunk_run_the_shipped_file() -> None:
    assert CASES[0].rules == shipped()


def test_the_shipped_rule_files_pass_the_strictest_check(stack_binaries: Binaries) -> None:
    files = sorted(map(str, (data_dir("rules") / "prometheus").glob("*.yml")))
    argv = [str(stack_binaries.promtool), "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def our_states(case: Case) -> States:
    values = values_of(case.timeline)
    return {
        ("t", name): our_firings(values, policy, planned=case.maintenance)
        for name, policy in case.policies.items()
    }


@pytest.mark.timeout(300)  # promtool plays the long ones for half a minute on a quiet machine
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_both_evaluators_agree_within_one_interval(case: Case, played: Played) -> None:
    states = our_states(case)
    assert {policy: tuple(stretches(found)) for (_, policy), found in states.items()} == {
        name: getattr(case, name) for name in case.policies
    }
    done = played[case.sentence].result()
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def test_a_tenant_that_only_pushes_pages_as_others_do(stack_binaries: Binaries, tmp_path: Path) -> None:
    """Of it there is nothing in Prometheus but what ecpmon says."""
    case = PAGING
    values, states = values_of(case.timeline), our_states(case)
    done = run_promtool(
        stack_binaries, tmp_path, case.rules, promtool_test(case.rules, values, states, told_by=UP_GAUGE)
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def test_promtool_notices_a_disagreement_of_two_intervals(stack_binaries: Binaries, tmp_path: Path) -> None:
    case = PAGING
    values, states = values_of(case.timeline), our_states(case)
    late = {**states, ("t", "page"): [False] * 3 + states["t", "page"][:-3]}
    done = run_promtool(stack_binaries, tmp_path, case.rules, promtool_test(case.rules, values, late))
    assert done.returncode == 1, done.stdout + done.stderr


def test_of_two_tenants_in_one_outage_only_the_stricter_promise_fires(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    """Two minutes down: 2 % of the 99.9 % budget are gone after 52 s, of the 99 % budget after 8.6 min."""
    tenants = [
        TENANT.model_copy(update={"tenant_id": name, "sla_target": SlaTarget(availability=target)})
        for name, target in (("strict", "99.9%"), ("lax", "99%"))
    ]
    rules = render(POLICIES, targets_of(tenants), default_sli())
    values = values_of("up 120, down 2, up 90")
    states = {(t.tenant_id, "page"): our_firings(values, POLICIES["page"], t) for t in tenants}
    assert {t: stretches(found) for (t, _), found in states.items()} == {
        "strict": [(121.5, 181.5)],
        "lax": [],
    }
    done = run_promtool(stack_binaries, tmp_path, rules, promtool_test(rules, values, states))
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
    lax_too = {**states, ("lax", "page"): states["strict", "page"]}
    wrong = run_promtool(stack_binaries, tmp_path, rules, promtool_test(rules, values, lax_too))
    assert wrong.returncode == 1, wrong.stdout + wrong.stderr
