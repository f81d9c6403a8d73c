"""The burn-rate policies about objectives as Prometheus rules. Pure.

The same decision as `ecpmon.alerts.counted`, over windows that add up what `promindicators` records. Where Prometheus
cannot follow our counting is said in docs/alerts.md, and pinned by
`tests/integration/alerts/test_promtool_objectives.py` and `test_promtool_gauges.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from ecpmon.alerts.counted import LEAST_FACTOR, fitting
from ecpmon.alerts.promindicators import (
    BAD,
    PLANNED,
    SEEN,
    TOTAL,
    Counted,
    Known,
    objective_rules,
    reading_rules,
)
from ecpmon.alerts.promql import Rule, Sli, promql_duration, record
from ecpmon.sla.burn import BurnPolicy, WindowPair
from ecpmon.sla.matching import RESPONSE_TIME

# How long Prometheus may be off and still know since when it measures and what fires. A guess: one day.
_MEMORY: Final = "1d"
_BAD_EVER: Final = "tenant:slo_objective_bad:total"
_FIRST_SEEN: Final = "tenant:slo_objective_first_seen:timestamp"
_HISTORY: Final = "tenant:slo_objective_history:seconds"
_TARGET: Final = "tenant:slo_objective_target:ratio"
_PERIOD: Final = "tenant:slo_objective_period:seconds"
_LEAST: Final = "tenant:slo_objective_evidence:min"


def promise_rules(counted: Counted, policies: Mapping[str, BurnPolicy], sli: Sli) -> list[Rule]:
    """The target and the period of one objective, and how much in a short window is evidence."""
    objective = counted.objective
    events = objective.counters is not None
    policy = fitting(next(iter(policies.values())), objective.windows[0], events=events)
    history = counted.recorded(_HISTORY, sli.label)
    return [
        record(_TARGET, f"0 * {history} + {objective.target!r}"),
        record(_PERIOD, f"0 * {history} + {policy.period.total_seconds():.0f}"),
        record(_LEAST, f"0 * {history} + {policy.min_failed_observations}"),
    ]


def history_rules(longest: timedelta) -> list[Rule]:
    """Since when an objective is counted, and all that was bad since; forgotten a longest window after it was seen."""
    known = f"count_over_time({_range(SEEN, longest)})"
    before = f"last_over_time({_BAD_EVER}[{_MEMORY}])"
    return [
        record(_FIRST_SEEN, f"(last_over_time({_FIRST_SEEN}[{_MEMORY}]) or timestamp({SEEN}))\nand {known}"),
        record(_HISTORY, f"time() - {_FIRST_SEEN}"),
        record(_BAD_EVER, f"({before} + {BAD} or {before} or {BAD})\nand {known}"),
    ]


def _range(name: str, window: timedelta) -> str:
    """Left-open in every version: Prometheus 2 counts a sample exactly one window old, Prometheus 3 does not."""
    return f"{name}[{round(window.total_seconds() * 1000) - 1}ms]"


def _named(what: str, window: timedelta) -> str:
    return f"tenant:slo_objective_{what}_{promql_duration(window)}"


def _requests(window: timedelta) -> str:
    return _named("requests:sum", window)


def _bad(window: timedelta) -> str:
    return _named("bad:sum", window)


def _burn(window: timedelta) -> str:
    return _named("burn:rate", window)


def _coverage(window: timedelta) -> str:
    return _named("coverage:ratio", window)


def window_rules(window: timedelta, sli: Sli) -> list[Rule]:
    """Bad over all requests over what is allowed, and how much of the time that was not maintenance was seen.

    Where nobody asked, nothing of the budget was spent.
    """
    every, length = f"{sli.interval.total_seconds():g}", f"{window.total_seconds():g}"
    seen, planned = (
        f"count_over_time({_range(SEEN, window)}) * {every}",
        f"count_over_time({_range(PLANNED, window)})",
    )
    covered = f"{seen} / ({length} - {every} * {planned})\nor {seen} / {length}"
    spent = f"{_bad(window)} / ({_requests(window)} > 0) / (1 - {_TARGET})"
    return [
        record(_requests(window), f"sum_over_time({_range(TOTAL, window)})"),
        record(_bad(window), f"sum_over_time({_range(BAD, window)})"),
        record(_burn(window), f"{spent}\nor 0 * {_requests(window)}"),
        record(_coverage(window), f"clamp_max(\n{covered}, 1)"),
    ]


def state(policy: BurnPolicy) -> str:
    return f"tenant:slo_objective_{policy.name}:firing"


def _untold(policy: BurnPolicy) -> str:
    return f"tenant:slo_objective_{policy.name}_untold:count"


def _told(policy: BurnPolicy) -> str:
    return f"tenant:slo_objective_{policy.name}_told:total"


def _factor(pair: WindowPair) -> str:
    """Burn rate to exceed, for the period of each promise (see `counted.fitting`)."""
    share = f"{pair.budget_share:.12g} / {pair.long.total_seconds():g} * {_PERIOD}"
    return f"clamp_min({share}, {LEAST_FACTOR:g})"


def _votes(pair: WindowPair) -> str:
    """With a full long window of history, and a promise on which the pair says something (see `counted.fitting`)."""
    long, factor = f"{pair.long.total_seconds():g}", _factor(pair)
    says = f"{_PERIOD} >= {long} and (1 - {_TARGET}) * {factor} < 1"
    return f"({_HISTORY} >= {long} and {says})"


def _trips(pair: WindowPair, policy: BurnPolicy) -> str:
    factor, floor = _factor(pair), f"{policy.min_coverage:.12g}"
    conditions = (
        f"{_burn(pair.long)} > {factor}",
        f"{_burn(pair.short)} > {factor}",
        # Of what was bad in the window the untold counts: the lesser of the two numbers.
        f"{_untold(policy)} / {_requests(pair.long)} / (1 - {_TARGET}) > {factor}",
        f"{_coverage(pair.long)} >= {floor}",
        f"{_coverage(pair.short)} >= {floor}",
        f"{_bad(pair.short)} >= {_LEAST}",
        f"{_untold(policy)} >= {_LEAST}",
        _votes(pair),
    )
    return "(" + " and ".join(conditions) + ")"


def _holds(pair: WindowPair, policy: BurnPolicy) -> str:
    """Only a long window that is well measured and calm lets go; a blind one freezes."""
    calm = f"{_coverage(pair.long)} >= {policy.min_coverage:.12g} and {_burn(pair.long)} < {_factor(pair)}"
    return f"({_votes(pair)} unless ({calm}))"


def policy_rules(policy: BurnPolicy) -> list[Rule]:
    """What the alert has not stood for yet, whether it stands, and what it has stood for."""
    kept = f"last_over_time({_told(policy)}[{_MEMORY}])"
    trips = "\n  or ".join(_trips(pair, policy) for pair in policy.pairs)
    holds = "\n    or ".join(_holds(pair, policy) for pair in policy.pairs)
    voters = " or ".join(_votes(pair) for pair in policy.pairs)
    before = f"last_over_time({state(policy)}[{_MEMORY}]) == 1"
    still = f"({before}) and (\n    {holds}\n    or ({_HISTORY} unless ({voters}))\n  )"
    stands = f"0 * (\n  {trips}\n  or ({still})\n) + 1"
    standing = f"{_BAD_EVER} and {state(policy)} == 1"
    return [
        record(_untold(policy), f"{_BAD_EVER} - ({kept} or 0 * {_BAD_EVER})"),
        record(state(policy), f"{stands}\nor\n0 * {_HISTORY}"),
        record(_told(policy), f"(({standing}) or {kept})\nand {_BAD_EVER}"),
    ]


def windows(policies: Mapping[str, BurnPolicy]) -> list[timedelta]:
    """What the policies read."""
    return sorted({w for p in policies.values() for pair in p.pairs for w in (pair.long, pair.short)})


def rules(
    policies: Mapping[str, BurnPolicy], objectives: Sequence[Counted], known: Known, sli: Sli
) -> list[Rule]:
    """All but the alerts, in the order of their evaluation. Raises NotPlain."""
    spans = windows(policies)
    gauges = [known.gauges[RESPONSE_TIME]] if any(c.objective.counters is None for c in objectives) else []
    return [
        *(rule for gauge in gauges for rule in reading_rules(gauge, sli)),
        *_merged(rule for counted in objectives for rule in objective_rules(counted, known, sli)),
        *history_rules(spans[-1]),
        *_merged(rule for counted in objectives for rule in promise_rules(counted, policies, sli)),
        *(rule for window in spans for rule in window_rules(window, sli)),
        *(rule for name in sorted(policies) for rule in policy_rules(policies[name])),
    ]


def _merged(rules: Iterable[Rule]) -> list[Rule]:
    """One rule of those that record the same of different tenants or objectives: promtool refuses to have two."""
    alike: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        alike.setdefault((rule["record"], rule.get("labels", {}).get("objective", "")), []).append(rule)
    return [
        {**same[0], "expr": "\nor\n".join(f"({rule['expr']})" for rule in same)} if len(same) > 1 else same[0]
        for same in alike.values()
    ]
