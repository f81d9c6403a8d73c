"""What is asked of Prometheus, expression by expression, and what the answers become. Pure.

Invariants:
- A value carries the time of the sample it is made of: of several series the newest, of several selectors the oldest of
  these. What is older than its interval allows, or of unknown age, is not taken. So nothing that Prometheus repeats
  from memory is stored as if somebody had measured it.
- What is wrong with a tenant's part of an answer costs that tenant that part, and is told.
- Of two series that claim to be the same one, neither is believed where they differ.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

from ecpmon.collectors.natives import classic, natives_of
from ecpmon.collectors.promql import selectors
from ecpmon.collectors.rules import MetricRule, PrometheusRule
from ecpmon.model.objectives import BOUND, BUCKETS, COUNT
from ecpmon.model.samples import Columns, Frame, SeriesKey, Shapes, Source
from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.names import COMPONENT_SEPARATOR, UP_METRIC
from ecpmon.ports.faults import counter_subject
from ecpmon.ports.quarantine import Culprit
from ecpmon.sla.evidence import series_key

# The same series of a tenant come again and again.
_SHAPES: Final = Shapes()
# By so many seconds a sample may be younger than the instant it was asked for.
_CLOCK_SKEW: Final = 300.0
# Instants of the grid in seconds since 1970 -> value, and when its sample was taken.
Points = dict[float, tuple[float, float]]
# (tenant, series) -> points
Readings = dict[tuple[str, SeriesKey], Points]
# By the labels that were asked for, in their order: instants -> when the newest sample was taken.
Times = Mapping[tuple[str, ...], Mapping[float, float]]


@dataclass(frozen=True, slots=True)
class Question:
    """One expression. `subject` names it to people; `by`: the labels that say whose a series is.

    `name`: our metric. `component`: the label that names a service of the tenant. `counter`: read series by series,
    told apart by `labels`; a native histogram becomes its count and its `bounds`. `seconds`: how often its samples are
    taken. `age`: an expression by `by` that says how old they are, in seconds; without it the selectors do.
    """

    subject: str
    expression: str
    by: tuple[str, ...]
    name: str
    seconds: float
    component: str | None = None
    counter: bool = False
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    age: str | None = None
    # Whose it is, by the values of `by`; None: the first of these is the name of the tenant.
    owners: Mapping[tuple[str, ...], tuple[str, ...]] | None = None
    # What tenants are told when something is wrong with it; "": the subject.
    told: str = ""
    # Which part of a tenant's evidence it is, when that is made of several.
    part: str = ""

    @property
    def about(self) -> str:
        return self.told or self.subject

    def tenants(self, whose: tuple[str, ...]) -> tuple[str, ...]:
        if self.owners is None:
            return whose[:1] if all(whose) else ()
        return self.owners.get(whose, ())

    @property
    def limit(self) -> float:
        """How old in seconds a sample may be."""
        return self.seconds * STALENESS_FACTOR

    @property
    def fine(self) -> tuple[str, ...]:
        """All labels that are looked at."""
        return (*self.by, *((self.component,) if self.component else ()), *self.labels)

    @property
    def times(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Expressions that say when its samples were taken, and the labels by which they do."""
        if self.age is not None:
            return ((f"time() - ({self.age}\n)", self.by),)
        return tuple((s.age_by(self.fine), self.fine) for s in selectors(self.expression))

    @property
    def parts(self) -> tuple[str, ...]:
        """The expression, and then its `times`."""
        return (self.expression, *(text for text, _ in self.times))


def questions_of(rule: PrometheusRule, seconds: float) -> tuple[Question, ...]:
    """What the rules ask for all tenants; evidence first. `seconds`: how often samples are taken."""
    by = (rule.tenant_label,)

    def of(subject: str, name: str, given: MetricRule, component: str | None = None) -> Question:
        every = given.interval or seconds
        return Question(subject, given.expression, by, name, every, component, age=given.age)

    availability = MetricRule(expression=rule.availability, age=rule.age)
    found = [of("availability", UP_METRIC, availability)]
    if rule.components:
        found.append(of("components", UP_METRIC, MetricRule.of(rule.components), rule.component_label))
    found += [of(f"metric {name}", name, MetricRule.of(given)) for name, given in rule.metrics.items()]
    found += [
        of(f"service {name}", name, MetricRule.of(given), rule.component_label)
        for name, given in rule.services.items()
    ]
    found += [
        Question(
            counter_subject(name), each.expression, by, name, each.interval or seconds,
            counter=True, labels=each.labels, bounds=each.bounds, age=each.age,
        )
        for name, each in rule.counters.items()
    ]  # fmt: skip
    return tuple(found)


@dataclass(slots=True)
class Answer:
    """What one question brought: by tenant and series. `troubles`: what of which tenant was left out, and why.

    `part`: as the question has it.
    """

    part: str = ""
    readings: Readings = field(default_factory=dict)
    troubles: dict[Culprit, str] = field(default_factory=dict)


def times_of(result: Iterable[Any], labels: Sequence[str]) -> Times:
    """When the newest samples were taken, by these labels. Raises ValueError."""
    found: dict[tuple[str, ...], Mapping[float, float]] = {}
    for series in result:
        metric, points = _series(series)
        found[tuple(metric.get(name, "") for name in labels)] = dict(points)
    return found


def answer_to(question: Question, result: Iterable[Any], times: Sequence[Times]) -> Answer:
    """The values of a question, each with the time of its samples. `times`: in the order of the question's own.

    Raises ValueError for what is no series. Series without the labels of a tenant are nobody's.
    """
    answer = Answer(question.part)
    differing: dict[tuple[str, SeriesKey | None], set[float]] = defaultdict(set)
    for series in result:
        metric, points = _series(series)
        whose = tuple(metric.get(name, "") for name in question.by)
        component = metric.get(question.component, "") if question.component else ""
        if question.component and not component:
            continue
        own = _own_times(question, metric, whose, times)
        key = _key(question, metric, component)
        read, trouble = _read(question, series, key, points)
        for tenant in question.tenants(whose):
            for each, told in read.items():
                kept = answer.readings.setdefault((tenant, each), {})
                # A counter whose series cannot be told apart is wrong as a whole, and not in one of its labels.
                clashes = differing[tenant, None if question.counter else each]
                if _take(question, told, own, kept, clashes):
                    why = "when its samples were taken cannot be told: give an `age`"
                    answer.troubles[tenant, question.about] = why
            if trouble:
                answer.troubles[tenant, question.about] = trouble
    _forget(question, answer, differing)
    return answer


def _read(
    question: Question, series: Mapping[str, Any], key: SeriesKey, points: Sequence[tuple[float, float]]
) -> tuple[dict[SeriesKey, Sequence[tuple[float, float]]], str | None]:
    """What a series says, and what is wrong with it; of a native histogram what a classic one would.

    Raises ValueError.
    """
    natives = natives_of(series)
    if not natives:
        return {key: points}, None
    if not question.counter:
        return {key: points}, "a native histogram is no number"
    found: dict[SeriesKey, Sequence[tuple[float, float]]] = {key: points} if points else {}
    told, why = classic(natives, question.bounds)
    for bound, counts in told.items():
        name = f"{question.name}{COUNT if bound is None else BUCKETS}"
        labels = key.labels if bound is None else tuple(sorted((*key.labels, (BOUND, bound))))
        found[SeriesKey(series_key(name).metric_type, name, labels)] = counts
    return found, why


def _key(question: Question, metric: Mapping[str, str], component: str) -> SeriesKey:
    if not question.counter:
        return series_key(f"{question.name}{COMPONENT_SEPARATOR}{component}" if component else question.name)
    plain = series_key(question.name)
    kept = tuple(sorted((name, str(metric[name])) for name in question.labels if name in metric))
    return SeriesKey(plain.metric_type, plain.metric_name, kept)


def _own_times(
    question: Question, metric: Mapping[str, str], whose: tuple[str, ...], times: Sequence[Times]
) -> list[Mapping[float, float]]:
    """What the selectors say of this series, or else of its tenant: a label may come from elsewhere."""
    if question.age is not None:
        return [found for each in times if (found := each.get(whose))]
    exact = tuple(metric.get(name, "") for name in question.fine)
    bare = (*whose, *("" for _ in question.fine[len(whose) :]))
    return [found for each in times if (found := each.get(exact) or each.get(bare))]


def _take(
    question: Question,
    points: Sequence[tuple[float, float]],
    times: Sequence[Mapping[float, float]],
    kept: Points,
    differing: set[float],
) -> bool:
    """Add what is fresh to `kept`; whether there was something of unknown age."""
    unknown = False
    limit = question.limit
    for at, value in points:
        if not math.isfinite(value):
            continue
        known = [each[at] for each in times if at in each]
        if not known:
            unknown = True
            continue
        taken = min(known)
        # Compared as numbers: what a tenant's exporter says of its age may be any.
        if not -_CLOCK_SKEW <= at - taken <= limit:
            continue
        if at in kept and (question.counter or kept[at][0] != value):
            differing.add(at)
        kept[at] = value, taken
    return unknown


def _forget(
    question: Question, answer: Answer, differing: Mapping[tuple[str, SeriesKey | None], set[float]]
) -> None:
    """Leave out the instants at which there were several series for one."""
    several = {what: instants for what, instants in differing.items() if instants}
    if not several:
        return
    for (tenant, key), points in answer.readings.items():
        for at in several.get((tenant, None if question.counter else key), ()):
            points.pop(at, None)
    why = (
        f"the labels of the counter {question.name} do not tell its series apart"
        if question.counter
        else f"several series of {question.name} contradict each other: say what they make together"
    )
    answer.troubles.update({(tenant, question.about): why for tenant, _ in several})


def _series(series: Any) -> tuple[Mapping[str, str], list[tuple[float, float]]]:
    try:
        points = [(float(ts), float(value)) for ts, value in series.get("values", ())]
        return series["metric"] | {}, points
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError("Prometheus sent a series that is none") from error


def frames_of(answers: Iterable[Readings], wanted: frozenset[str]) -> tuple[Frame, ...]:
    """The values as frames, each at the instant at which its samples were taken, to the millisecond."""
    found: dict[tuple[int, str], dict[SeriesKey, float]] = defaultdict(dict)
    for readings in answers:
        for (tenant, key), points in readings.items():
            if tenant in wanted:
                for value, taken in points.values():
                    found[round(taken * 1000), tenant][key] = value
    return tuple(
        Frame(tenant, Source.PROMETHEUS, datetime.fromtimestamp(millis / 1000, UTC), _columns(values))
        for (millis, tenant), values in sorted(found.items(), key=itemgetter(0))
    )


def _columns(values: Mapping[SeriesKey, float]) -> Columns:
    return Columns(_SHAPES.of(tuple(values)), [*values.values()])
