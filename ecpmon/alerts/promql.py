"""PromQL of the burn-rate policies: what is recorded, and when an alert stands. Pure.

One group evaluates all of it in order, so each rule sees what the ones before it recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.sla.burn import BurnPolicy, WindowPair
from ecpmon.tenantlines import MAINTENANCE_GAUGE, UP_GAUGE

DEFAULT_TARGET: Final = 0.995
# How long Prometheus may be off and still know since when it measures and what fires. A guess: one day.
_MEMORY: Final = "1d"
UP: Final = "tenant:slo_up:min"
_MAINTENANCE: Final = "tenant:slo_maintenance:on"
_TARGET: Final = "tenant:slo_target:ratio"
_FAILURES: Final = "tenant:slo_failed:total"
_FIRST_SEEN: Final = "tenant:slo_first_seen:timestamp"
_HISTORY: Final = "tenant:slo_history:seconds"

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sli:
    """`availability`: 1 = up, 0 = down; `age`: seconds; PromQL, one series per `label`. `interval`: evaluation."""

    availability: str
    age: str | None = None
    label: str = "tenant_id"
    interval: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Targets:
    """Fractions in (0, 1): `by_tenant`, else `default`."""

    by_tenant: Mapping[str, float] = field(default_factory=dict)
    default: float = DEFAULT_TARGET

    def groups(self) -> list[tuple[float, list[str]]]:
        """Every distinct target of `by_tenant` with its tenants, strictest first."""
        return [
            (target, sorted(tenant for tenant, own in self.by_tenant.items() if own == target))
            for target in sorted(set(self.by_tenant.values()), reverse=True)
        ]


def promql_duration(duration: timedelta) -> str:
    """`5m`, `1h`, `3d`: the largest unit that divides it; whole seconds only."""
    seconds = round(duration.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def windows(policies: Iterable[BurnPolicy]) -> list[timedelta]:
    return sorted(
        {window for policy in policies for pair in policy.pairs for window in (pair.long, pair.short)}
    )


def record(name: str, expr: str) -> Rule:
    return {"record": name, "expr": expr}


def _bad(window: timedelta) -> str:
    return f"tenant:slo_bad:ratio_{promql_duration(window)}"


def _burn(window: timedelta) -> str:
    return f"tenant:slo_burn:rate_{promql_duration(window)}"


def _coverage(window: timedelta) -> str:
    return f"tenant:slo_coverage:ratio_{promql_duration(window)}"


def _failed(window: timedelta) -> str:
    return f"tenant:slo_failed:count_{promql_duration(window)}"


def state(policy: BurnPolicy) -> str:
    return f"tenant:slo_{policy.name}:firing"


def _told(policy: BurnPolicy) -> str:
    return f"tenant:slo_{policy.name}_told:total"


def _untold(policy: BurnPolicy) -> str:
    return f"tenant:slo_{policy.name}_untold:count"


def _measured(window: timedelta) -> str:
    return f"tenant:slo_measured:seconds_{promql_duration(window)}"


def _range(name: str, window: timedelta) -> str:
    """Left-open in every version: Prometheus 2 counts a sample exactly one window old, Prometheus 3 does not."""
    return f"{name}[{round(window.total_seconds() * 1000) - 1}ms]"


def _fresh(sli: Sli) -> str:
    """The SLI without what is too old to be evidence: a gap stays a gap, whatever the lookback."""
    if sli.age is None:
        return f"({sli.availability})"
    limit = sli.interval.total_seconds() * STALENESS_FACTOR
    return f"({sli.availability})\nand on ({sli.label})\n(({sli.age}) <= {limit:g})"


def availability_rules(sli: Sli) -> list[Rule]:
    """When maintenance is on, and what counts: nobody is woken for what was planned.

    What ecpmon says of a tenant comes first, as it knows those that Prometheus does not see, such as who pushes. While
    it is away there is the SLI, no maintenance is known, and what is down is down.
    """
    by = sli.label
    told = f"min by ({by}) ({_labelled(UP_GAUGE, by)})"
    return [
        record(_MAINTENANCE, f"max by ({by}) ({_labelled(MAINTENANCE_GAUGE, by)}) == 1"),
        record(UP, f"({told}\nor\n{_fresh(sli)})\nunless on ({by}) {_MAINTENANCE}"),
    ]


def _labelled(gauge: str, by: str) -> str:
    """A gauge of ours, by the label that names the tenant."""
    return gauge if by == "tenant_id" else f'label_replace({gauge}, "{by}", "$1", "tenant_id", "(.+)")'


def window_rules(policies: list[BurnPolicy], sli: Sli) -> list[Rule]:
    """Bad time over measured time, how much was measured, and failures where a minimum is asked for."""
    rules = []
    for window in windows(policies):
        rules.append(record(_bad(window), f"1 - avg_over_time({_range(UP, window)})"))
        rules += _coverage_rules(window, sli)
    for short in sorted({pair.short for policy in policies for pair in policy.pairs}):
        failures = f"count_over_time({_range(UP, short)}) - sum_over_time({_range(UP, short)})"
        rules.append(record(_failed(short), failures))
    return rules


def _coverage_rules(window: timedelta, sli: Sli) -> list[Rule]:
    """Of the time that was not maintenance, how much was measured."""
    every, length = f"{sli.interval.total_seconds():g}", f"{window.total_seconds():g}"
    planned = f"count_over_time({_range(_MAINTENANCE, window)})"
    # In this order of operations 108 of 120 samples are 0.9 exactly.
    covered = f"{_measured(window)} / ({length} - {every} * {planned})\nor {_measured(window)} / {length}"
    return [
        record(_measured(window), f"count_over_time({_range(UP, window)}) * {every}"),
        record(_coverage(window), f"clamp_max(\n{covered}, 1)"),
    ]


def history_rules(policies: list[BurnPolicy], sli: Sli) -> list[Rule]:
    """Since when a tenant is measured; forgotten one longest window after its last measurement."""
    longest = _bad(windows(policies)[-1])
    seen = f"(last_over_time({_FIRST_SEEN}[{_MEMORY}]) or timestamp({UP}))\nand on ({sli.label}) {longest}"
    return [record(_FIRST_SEEN, seen), record(_HISTORY, f"time() - {_FIRST_SEEN}")]


def failure_rule(policies: list[BurnPolicy], sli: Sli) -> Rule:
    """Failed observations since the first one; forgotten as the history is."""
    before, failed = f"last_over_time({_FAILURES}[{_MEMORY}])", f"(1 - {UP})"
    total = f"({before} + on ({sli.label}) {failed} or {before} or {failed})"
    return record(_FAILURES, f"{total}\nand on ({sli.label}) {_bad(windows(policies)[-1])}")


def untold_rule(policy: BurnPolicy, sli: Sli) -> Rule:
    """Failures that the alert has not stood for yet: what it has told once does not fire it again."""
    told = f"(last_over_time({_told(policy)}[{_MEMORY}]) or 0 * {_FAILURES})"
    return record(_untold(policy), f"{_FAILURES} - on ({sli.label}) {told}")


def told_rule(policy: BurnPolicy, sli: Sli) -> Rule:
    """All failures so far while the alert stands; after that, those until it resolved."""
    kept = f"last_over_time({_told(policy)}[{_MEMORY}])"
    standing = f"{_FAILURES} and on ({sli.label}) {state(policy)} == 1"
    return record(_told(policy), f"(({standing}) or {kept})\nand on ({sli.label}) {_FAILURES}")


def target_rule(targets: Targets, sli: Sli) -> Rule:
    """The target of every measured tenant: one line per distinct target, the last one for everybody else."""
    named = [
        f'0 * {_HISTORY}{{{sli.label}=~"{"|".join(tenants)}"}} + {target!r}'
        for target, tenants in targets.groups()
    ]
    return record(_TARGET, "\nor\n".join([*named, f"0 * {_HISTORY} + {targets.default!r}"]))


def burn_rule(window: timedelta, sli: Sli) -> Rule:
    return record(_burn(window), f"{_bad(window)} / on ({sli.label}) (1 - {_TARGET})")


def _votes(pair: WindowPair, policy: BurnPolicy) -> str:
    """Tenants with a full long window of history and a target at which the factor can be exceeded."""
    factor = pair.factor(policy.period)
    return f"({_HISTORY} >= {pair.long.total_seconds():g} and {_TARGET} > 1 - 1 / {factor:.12g})"


def _trips(pair: WindowPair, policy: BurnPolicy, sli: Sli) -> str:
    factor, floor = f"{pair.factor(policy.period):.12g}", f"{policy.min_coverage:.12g}"
    # Of the failures in a window the untold ones count: the lesser of the two numbers.
    every, measured = f"{sli.interval.total_seconds():g}", _measured(pair.long)
    untold_burn = f"{_untold(policy)} * {every} / {measured} / (1 - {_TARGET})"
    conditions = (
        f"{_burn(pair.long)} > {factor}",
        f"{_burn(pair.short)} > {factor}",
        f"{untold_burn} > {factor}",
        f"{_coverage(pair.long)} >= {floor}",
        f"{_coverage(pair.short)} >= {floor}",
        f"{_failed(pair.short)} >= {policy.min_failed_observations}",
        f"{_untold(policy)} >= {policy.min_failed_observations}",
        _votes(pair, policy),
    )
    return "(" + " and ".join(conditions) + ")"


def _holds(pair: WindowPair, policy: BurnPolicy) -> str:
    """Only a long window that is well measured and calm lets go; a blind one freezes."""
    calm = (
        f"{_coverage(pair.long)} >= {policy.min_coverage:.12g}"
        f" and {_burn(pair.long)} < {pair.factor(policy.period):.12g}"
    )
    return f"({_votes(pair, policy)} unless ({calm}))"


def state_rule(policy: BurnPolicy, sli: Sli) -> Rule:
    """1 while the alert stands, else 0. Reads its own last value: it fires on both windows, resolves on one."""
    trips = "\n  or ".join(_trips(pair, policy, sli) for pair in policy.pairs)
    holds = "\n    or ".join(_holds(pair, policy) for pair in policy.pairs)
    voters = " or ".join(_votes(pair, policy) for pair in policy.pairs)
    before = f"last_over_time({state(policy)}[{_MEMORY}]) == 1"
    still = f"({before}) and (\n    {holds}\n    or ({_HISTORY} unless ({voters}))\n  )"
    stands = f"0 * (\n  {trips}\n  or ({still})\n) + 1"
    return record(state(policy), f"{stands}\nor on ({sli.label})\n0 * {_HISTORY}")
