"""Which series an objective finds, and what cannot find any. Pure.

A series is (source, metric, labels). Only those count whose source is the objective's own, or else the tenant's
evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ecpmon.model.objectives import BOUND, UNITS, Counters, Objective, Selector
from ecpmon.model.samples import COMPONENT_LABEL, Source
from ecpmon.names import ERROR_RATE_METRIC, SERVICE_METRICS, UP_METRIC
from ecpmon.sla.selectors import write

Series = tuple[Source, str, Mapping[str, str]]
_Found = tuple[str, Mapping[str, str]]
RESPONSE_TIME: Final = "response_time"
# Series that a reply names of each role.
MAX_NAMED: Final = 5
# What is pushed with a component (`up.callbot`) has its name as a label.
_OF_COMPONENTS: Final = frozenset({UP_METRIC, ERROR_RATE_METRIC, *SERVICE_METRICS})


def metrics_of(objectives: Iterable[Objective]) -> set[str]:
    """The metrics that have to be looked for."""
    found = {RESPONSE_TIME}
    for objective in objectives:
        counters = objective.counters
        if counters is not None:
            found |= {counters.whole.metric, counters.part.metric}
    return found


class Matches:
    """What an objective finds among the series of a tenant whose evidence is of source `evidence`."""

    def __init__(self, objective: Objective, evidence: Source, series: Iterable[Series]) -> None:
        self._objective = objective
        self._source = objective.source or evidence
        self._series = [(metric, labels) for source, metric, labels in series if source is self._source]
        self._counters = objective.counters
        self.roles = self._found(self._counters)

    def _found(self, counters: Counters | None) -> dict[str, list[_Found]]:
        if counters is None:
            exact = [(m, labels) for m, labels in self._series if m == RESPONSE_TIME and not labels]
            return {RESPONSE_TIME: exact}
        whole, part = counters.whole, counters.part
        return {
            "total": [(m, ls) for m, ls in self._series if m == whole.metric and whole.matches(ls)],
            "bad" if counters.part_is_bad else "good": [
                (m, ls) for m, ls in self._series if m == part.metric and counters.is_part(ls)
            ],
        }

    def document(self) -> dict[str, Any]:
        """By role, how many series there are, and the names of the first."""
        return {
            role: {"series": len(found), "first": [_text(*each) for each in found[:MAX_NAMED]]}
            for role, found in self.roles.items()
        }

    def hints(self) -> list[str]:
        """What keeps the objective from having figures, or figures that mean something."""
        counters = self._counters
        if counters is None:
            if self.roles[RESPONSE_TIME]:
                return []
            return [
                f"nobody sends {RESPONSE_TIME}, which hardly any server exposes by itself;"
                " give a histogram to count requests within the threshold"
            ]
        whole, part = self.roles.values()
        if self._source is Source.PUSH and not all(
            self.roles[role] or _may_be_pushed_as_json(selector)
            for role, selector in counters.selectors.items()
        ):
            return ["what is pushed as JSON carries no labels: only what agents send can match"]
        if not whole:
            return [f"no series is {write(counters.whole)}: nothing is counted"]
        if part:
            return []
        if counters.bound is not None:
            return ["the histogram has no bucket that ends at the threshold: no figure is given"]
        named = [labels for metric, labels in self._series if metric == counters.part.metric]
        if any(counters.part.may_be_beside(labels) for labels in named):
            return [f"no series is {write(counters.part)} yet; it is taken to wait for its first event"]
        if named:
            return [
                f"no series of {counters.part.metric} has the labels asked for: no figure is given until one has"
            ]
        return [f"no metric is called {counters.part.metric}: no figure is given until there is one"]

    def refusals(self) -> list[tuple[str, str]]:
        """(field, why) of what cannot find anything."""
        counters = self._counters
        if counters is None:
            return []
        return [] if self._objective.histogram is None else self._off_bounds(counters)

    def _off_bounds(self, counters: Counters) -> list[tuple[str, str]]:
        """A threshold between two bounds cannot be counted."""
        objective = self._objective
        if self.roles["good"] or objective.threshold_ms is None or objective.unit is None:
            return []
        found = sorted(
            {
                bound / UNITS[objective.unit]
                for metric, labels in self._series
                if metric == counters.part.metric and counters.part.matches(labels)
                if (bound := _number(labels.get(BOUND, ""))) is not None
            }
        )
        if not found:
            return []
        below = [f"{b:g}" for b in found if b < objective.threshold_ms][-1:]
        above = [f"{b:g}" for b in found if b > objective.threshold_ms][:1]
        near = " and ".join([*below, *above])
        return [("threshold_ms", f"is no bound of the histogram; the nearest are {near} (ms)")]


def _number(text: str) -> float | None:
    """A bound; None for what is none, and for the one that everything is within."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None


def _text(metric: str, labels: Mapping[str, str]) -> str:
    return write(Selector.model_construct(metric=metric, labels=dict(labels)))


def _may_be_pushed_as_json(selector: Selector) -> bool:
    """Whether a series as it is pushed so can be meant: without labels, or with the component's name."""
    if selector.matches({}):
        return True
    return selector.metric in _OF_COMPONENTS and selector.labels.keys() <= {COMPONENT_LABEL}


def refused(
    objectives: Sequence[Objective], evidence: Source, series: Sequence[Series], where: str
) -> list[dict[str, str]]:
    """Bad fields, each with its path: `where` is that of an objective, with its place for `{}`."""
    return [
        {"field": where.format(place) + field, "message": why}
        for place, objective in enumerate(objectives)
        for field, why in Matches(objective, evidence, series).refusals()
    ]
