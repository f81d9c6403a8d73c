"""What is recorded of one objective at every evaluation, in PromQL: whether it was seen, how much there was, and how
much of that was bad. Pure.

Of counters what each grew by since the evaluation before, as we count it: `increase()` extrapolates. Of a gauge an
evaluation at which a reading holds is one, and bad when that is over the threshold. A reading holds for as long as it
does with us, from the time of its sample on, whether a marker or silence follows; after that nothing is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ecpmon.alerts.promql import Rule, Sli, promql_duration, record
from ecpmon.model.objectives import Counters, Objective, Selector
from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.sla.matching import RESPONSE_TIME
from ecpmon.sla.selectors import write
from ecpmon.tenantlines import MAINTENANCE_GAUGE

# How long a series may have been away and still be counted on from.
_BEFORE: Final = "1h"
_PLAIN: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?", re.DOTALL)
SEEN: Final = "tenant:slo_objective_seen:on"
PLANNED: Final = "tenant:slo_objective_planned:on"
# Requests; of a gauge the evaluations at which it was known.
TOTAL: Final = "tenant:slo_objective_requests:increase"
BAD: Final = "tenant:slo_objective_bad:increase"
# Of all tenants, whatever their objectives.
_READING: Final = f"tenant:slo_reading:{RESPONSE_TIME}"
_TAKEN: Final = "tenant:slo_reading:timestamp"


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

    def recorded(self, name: str, label: str) -> str:
        """What was recorded of it by that name: an objective of the same name may be other tenants'."""
        matchers = ",".join(filter(None, (f'objective="{self.objective.name}"', self.matcher(label))))
        return f"{name}{{{matchers}}}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One value by tenant. `times`: when the samples behind it were taken, in seconds since 1970 by tenant; of several
    the oldest counts. `holds`: how long a reading does."""

    expression: str
    times: tuple[str, ...]
    holds: timedelta

    def taken(self, label: str) -> str:
        if len(self.times) == 1:
            return self.times[0]
        apart = (f'label_replace({text}, "part", "{n}", "", "")' for n, text in enumerate(self.times))
        return f"min by ({label}) (\n  " + "\n  or ".join(apart) + "\n)"


@dataclass(frozen=True, slots=True)
class Known:
    """What Prometheus knows of our metrics, by our names."""

    counters: Mapping[str, str]
    gauges: Mapping[str, Gauge] = field(default_factory=dict)


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


def objective_rules(counted: Counted, known: Known, sli: Sli) -> list[Rule]:
    """What is recorded for one objective at every evaluation. Raises NotPlain."""
    ours = counted.objective.counters
    planned = f"max by ({sli.label}) ({_gauge(sli.label, counted.matcher(sli.label))}) == 1"
    if ours is None:
        rules = _of_gauge(counted, known, sli, planned)
    else:
        rules = _of_counters(counted, ours, known, sli, planned)
    labels = {"objective": counted.objective.name}
    return [{**rule, "labels": labels} for rule in (record(PLANNED, planned), *rules)]


def _of_counters(counted: Counted, ours: Counters, known: Known, sli: Sli, planned: str) -> list[Rule]:
    label, own, selectors = sli.label, counted.matcher(sli.label), ours.selectors
    total = vector(selectors["total"], known.counters, own)
    part = vector(selectors["bad" if ours.part_is_bad else "good"], known.counters, own)
    limit = sli.interval.total_seconds() * STALENESS_FACTOR
    fresh = f"0 * (max by ({label}) (timestamp({total})) >= time() - {limit:g}) + 1"
    off = f"\nunless on ({label}) ({planned})"
    whole = counted.recorded(TOTAL, label)
    if ours.part_is_bad:
        # Where nothing is bad there need be no series of it.
        bad = f"({growth(part, sli)}\nor on ({label}) 0 * {whole})"
    else:
        # Where nobody counts what is good, nothing is known of it.
        bad = f"({whole} - on ({label}) {growth(part, sli)})"
    return [
        record(SEEN, f"({fresh}){off}"),
        record(TOTAL, f"{growth(total, sli)}{off}"),
        record(BAD, f"{bad}{off}"),
    ]


def reading_rules(gauge: Gauge, sli: Sli) -> list[Rule]:
    """The readings of a gauge and when they were taken, of all tenants.

    What is no number is no reading; of several series of a tenant the slowest counts.
    """
    by = sli.label
    return [
        record(_READING, f"max by ({by}) (({gauge.expression}) > -Inf < +Inf)"),
        record(_TAKEN, f"{gauge.taken(by)}\nand on ({by}) {_READING}"),
    ]


def _of_gauge(counted: Counted, known: Known, sli: Sli, planned: str) -> list[Rule]:
    gauge = known.gauges.get(RESPONSE_TIME)
    if gauge is None:
        raise NotPlain(f"{RESPONSE_TIME} is none of the metrics in sli.yaml")
    label, own, lasts = sli.label, counted.matcher(sli.label), promql_duration(gauge.holds)
    of = f"{{{own}}}" if own else ""
    reading, taken = (f"last_over_time({name}{of}[{lasts}])" for name in (_READING, _TAKEN))
    seen = counted.recorded(SEEN, label)
    holding = f"0 * ({taken} > time() - {gauge.holds.total_seconds():g}) + 1"
    return [
        record(SEEN, f"({holding})\nunless on ({label}) ({planned})"),
        record(TOTAL, seen),
        record(BAD, f"({reading} > bool {counted.objective.threshold_ms!r})\nand on ({label}) {seen}"),
    ]


def _gauge(label: str, matcher: str) -> str:
    if label == "tenant_id":
        return f"{MAINTENANCE_GAUGE}{{{matcher}}}" if matcher else MAINTENANCE_GAUGE
    return f'label_replace({MAINTENANCE_GAUGE}, "{label}", "$1", "tenant_id", "(.+)")'
