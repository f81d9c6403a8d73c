"""The burn-rate policies about objectives of requests as Prometheus rules. Pure.

The same decision as `ecpmon.alerts.counted`. `increase()` is not used: it extrapolates. What a counter grew by is
recorded at every evaluation, as we count it: the difference to the reading before, and what it stands at after a fall.
Windows add these up. Where Prometheus cannot follow our counting is said in docs/alerts.md, and pinned by
`tests/integration/alerts/test_promtool_objectives.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ecpmon.alerts.counted import LEAST_FACTOR, fitting
from ecpmon.alerts.promql import Rule, Sli, promql_duration, record
from ecpmon.model.objectives import Objective, Selector
from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.sla.burn import BurnPolicy, WindowPair
from ecpmon.sla.selectors import write
from ecpmon.tenantlines import MAINTENANCE_GAUGE

# How long a series may have been away and still be counted on from.
_BEFORE: Final = "1h"
# How long Prometheus may be off and still know since when it measures and what fires. A guess: one day.
_MEMORY: Final = "1d"
_PLAIN: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?", re.DOTALL)
_SEEN: Final = "tenant:slo_objective_seen:on"
_PLANNED: Final = "tenant:slo_objective_planned:on"
_TOTAL: Final = "tenant:slo_objective_requests:increase"
_BAD: Final = "tenant:slo_objective_bad:increase"
_BAD_EVER: Final = "tenant:slo_objective_bad:total"
_FIRST_SEEN: Final = "tenant:slo_objective_first_seen:timestamp"
_HISTORY: Final = "tenant:slo_objective_history:seconds"
_TARGET: Final = "tenant:slo_objective_target:ratio"
_PERIOD: Final = "tenant:slo_objective_period:seconds"


@dataclass(frozen=True, slots=True)
class Counted:
    """An objective and whose it is: `tenants`, or everybody's but that of `others`."""

    objective: Objective
    tenants: tuple[str, ...] = ()
    others: tuple[str, ...] = field(default=())

    def matcher(self, label: str) -> str:
        """Of the tenants, empty for everybody."""
        if self.tenants:
            return f'{label}=~"{"|".join(self.tenants)}"'
        return f'{label}!~"{"|".join(self.others)}"' if self.others else ""


class NotPlain(ValueError):
    """Why an objective cannot be a Prometheus rule."""


def vector(selector: Selector, counters: Mapping[str, str], *more: str) -> str:
    """The series of a selector as Prometheus knows them; `counters`: our metric name -> expression; `more` matchers.

    Raises NotPlain where there is no such counter, or its expression is more than a selector.
    """
    expression = counters.get(selector.metric)
    if expression is None:
        raise NotPlain(f"{selector.metric} is none of the counters in sli.yaml")
    plain = _PLAIN.fullmatch(expression.strip())
    if plain is None:
        raise NotPlain(f"{expression} is more than a selector")
    own = write(selector).removeprefix(selector.metric).strip("{}")
    matchers = ",".join(filter(None, (plain[2], own, *more)))
    return f"{plain[1]}{{{matchers}}}" if matchers else plain[1]


def growth(series: str, sli: Sli) -> str:
    """What the series grew by since the evaluation before, by tenant: never extrapolated.

    A fall of 1 % or more is a restart; what falls by less has not grown.
    """
    before = f"last_over_time({series}[{_BEFORE}] offset {promql_duration(sli.interval)})"
    return f"sum by ({sli.label}) (\n  ({series} - {before}) >= 0\n  or {series} <= 0.99 * {before}\n)"


def objective_rules(counted: Counted, counters: Mapping[str, str], sli: Sli) -> list[Rule]:
    """What is recorded for one objective at every evaluation. Raises NotPlain."""
    objective, label = counted.objective, sli.label
    ours = objective.counters
    if ours is None:
        raise NotPlain("only counters of requests can be followed")
    own = counted.matcher(label)
    selectors = ours.selectors
    total = vector(selectors["total"], counters, own)
    part = vector(selectors["bad" if ours.part_is_bad else "good"], counters, own)
    planned = f"max by ({label}) ({_gauge(label, own)}) == 1"
    limit = sli.interval.total_seconds() * STALENESS_FACTOR
    fresh = f"0 * (max by ({label}) (timestamp({total})) >= time() - {limit:g}) + 1"
    off = f"\nunless on ({label}) ({planned})"
    whole = f'{_TOTAL}{{objective="{objective.name}"}}'
    if ours.part_is_bad:
        # Where nothing is bad there need be no series of it.
        bad = f"({growth(part, sli)}\nor on ({label}) 0 * {whole})"
    else:
        # Where nobody counts what is good, nothing is known of it.
        bad = f"({whole} - on ({label}) {growth(part, sli)})"
    rules = [
        record(_PLANNED, planned),
        record(_SEEN, f"({fresh}){off}"),
        record(_TOTAL, f"{growth(total, sli)}{off}"),
        record(_BAD, f"{bad}{off}"),
    ]
    return [{**rule, "labels": {"objective": objective.name}} for rule in rules]


def _gauge(label: str, matcher: str) -> str:
    if label == "tenant_id":
        return f"{MAINTENANCE_GAUGE}{{{matcher}}}" if matcher else MAINTENANCE_GAUGE
    return f'label_replace({MAINTENANCE_GAUGE}, "{label}", "$1", "tenant_id", "(.+)")'


def promise_rules(counted: Counted, policies: Mapping[str, BurnPolicy], sli: Sli) -> list[Rule]:
    """The target and the period of one objective."""
    objective = counted.objective
    policy = fitting(next(iter(policies.values())), objective.windows[0], events=True)
    own = ",".join(filter(None, (f'objective="{objective.name}"', counted.matcher(sli.label))))
    return [
        record(_TARGET, f"0 * {_HISTORY}{{{own}}} + {objective.target!r}"),
        record(_PERIOD, f"0 * {_HISTORY}{{{own}}} + {policy.period.total_seconds():.0f}"),
    ]


def history_rules(longest: timedelta) -> list[Rule]:
    """Since when an objective is counted, and all that was bad since; forgotten a longest window after it was seen."""
    known = f"count_over_time({_range(_SEEN, longest)})"
    before = f"last_over_time({_BAD_EVER}[{_MEMORY}])"
    return [
        record(_FIRST_SEEN, f"(last_over_time({_FIRST_SEEN}[{_MEMORY}]) or timestamp({_SEEN}))\nand {known}"),
        record(_HISTORY, f"time() - {_FIRST_SEEN}"),
        record(_BAD_EVER, f"({before} + {_BAD} or {before} or {_BAD})\nand {known}"),
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
        f"count_over_time({_range(_SEEN, window)}) * {every}",
        f"count_over_time({_range(_PLANNED, window)})",
    )
    covered = f"{seen} / ({length} - {every} * {planned})\nor {seen} / {length}"
    spent = f"{_bad(window)} / ({_requests(window)} > 0) / (1 - {_TARGET})"
    return [
        record(_requests(window), f"sum_over_time({_range(_TOTAL, window)})"),
        record(_bad(window), f"sum_over_time({_range(_BAD, window)})"),
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
    """Burn rate to exceed, for the period of each promise."""
    return f"{pair.budget_share:.12g} / {pair.long.total_seconds():g} * {_PERIOD}"


def _votes(pair: WindowPair) -> str:
    """With a full long window of history, and a promise on which the pair says something (see `counted.fitting`)."""
    long, factor = f"{pair.long.total_seconds():g}", _factor(pair)
    says = f"{factor} >= {LEAST_FACTOR!r} and {_PERIOD} >= {long} and (1 - {_TARGET}) * {factor} < 1"
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
        f"{_bad(pair.short)} >= {policy.min_bad_events}",
        f"{_untold(policy)} >= {policy.min_bad_events}",
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
    policies: Mapping[str, BurnPolicy], objectives: Sequence[Counted], counters: Mapping[str, str], sli: Sli
) -> list[Rule]:
    """All but the alerts, in the order of their evaluation. Raises NotPlain."""
    spans = windows(policies)
    return [
        *(rule for counted in objectives for rule in objective_rules(counted, counters, sli)),
        *history_rules(spans[-1]),
        *(rule for counted in objectives for rule in promise_rules(counted, policies, sli)),
        *(rule for window in spans for rule in window_rules(window, sli)),
        *(rule for name in sorted(policies) for rule in policy_rules(policies[name])),
    ]
