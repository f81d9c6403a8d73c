"""Objectives as OpenSLO v1 (github.com/OpenSLO/OpenSLO) and back. Pure.

Requests, and latency by a histogram, are a `ratioMetric` of counters with `Occurrences`; other latency and availability
are a `thresholdMetric` whose share of time counts, which is `RatioTimeslices`. Whatever we would not do as written is
refused with its path.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ecpmon.model.objectives import Objective, Selector
from ecpmon.model.samples import Source
from ecpmon.sla.selectors import write

VERSION: Final = "openslo/v1"
AVAILABILITY: Final = "availability"
WINDOWS_NOTE: Final = "ecpmon/windows"
# "false" for an objective without alert rules.
ALERTS_NOTE: Final = "ecpmon/alerts"
# Of a ratio of a histogram's counters: threshold in milliseconds and unit of the histogram.
LATENCY_NOTE: Final = "ecpmon/latency"
SLICE: Final = "1m"
UP: Final = "up"
RESPONSE: Final = "response_time"
CALENDAR: Final = {"1M": "month", "1Q": "quarter"}
CALENDAR_START: Final = "2020-01-01 00:00:00"


@dataclass(frozen=True, slots=True)
class Promise:
    """A tenant as OpenSLO sees it. `target` of its availability, as a fraction; `zone` of its calendar."""

    service: str
    target: float
    zone: str


def documents(promise: Promise, objectives: Iterable[Objective]) -> list[dict[str, Any]]:
    """One SLO per objective, availability first."""
    return [_availability(promise), *(_slo(o, promise) for o in objectives)]


def _document(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    named = {"name": name, **{k: v for k, v in metadata.items() if v}}
    return {"apiVersion": VERSION, "kind": "SLO", "metadata": named, "spec": spec}


def _availability(promise: Promise) -> dict[str, Any]:
    spec = {
        "service": promise.service,
        "indicator": _threshold_indicator(AVAILABILITY, Selector(metric=UP), None),
        "timeWindow": _time_window("30d", promise.zone),
        "budgetingMethod": "RatioTimeslices",
        "objectives": [{"op": "gte", "value": 1, "target": promise.target, "timeSliceWindow": SLICE}],
    }
    return _document(AVAILABILITY, spec)


def _slo(objective: Objective, promise: Promise) -> dict[str, Any]:
    requests = objective.counters is not None
    threshold = {"op": "lte", "value": objective.threshold_ms, "timeSliceWindow": SLICE}
    spec = {
        **({"description": objective.description} if objective.description else {}),
        "service": promise.service,
        "indicator": _ratio_indicator(objective)
        if requests
        else _threshold_indicator(objective.name, Selector(metric=RESPONSE), objective.source),
        "timeWindow": _time_window(objective.windows[0], promise.zone),
        "budgetingMethod": "Occurrences" if requests else "RatioTimeslices",
        "objectives": [{"target": objective.target, **({} if requests else threshold)}],
    }
    notes = {WINDOWS_NOTE: ",".join(objective.windows)}
    if not objective.alerts:
        notes[ALERTS_NOTE] = "false"
    if objective.histogram is not None:
        notes[LATENCY_NOTE] = f"{objective.threshold_ms!r} {objective.unit}"
    return _document(objective.name, spec, displayName=objective.display_name, annotations=notes)


def _metric(selector: Selector, source: Source | None) -> dict[str, Any]:
    reference = {"metricSourceRef": source.value} if source else {}
    return {"metricSource": {**reference, "type": "Prometheus", "spec": {"query": write(selector)}}}


def _ratio_indicator(objective: Objective) -> dict[str, Any]:
    ratio: dict[str, Any] = {"counter": True}
    counters = objective.counters
    found = counters.selectors if counters is not None else {}
    for role in sorted(found):
        ratio[role] = _metric(found[role], objective.source)
    return {"metadata": {"name": objective.name}, "spec": {"ratioMetric": ratio}}


def _threshold_indicator(name: str, selector: Selector, source: Source | None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"thresholdMetric": _metric(selector, source)}}


def _time_window(window: str, zone: str) -> list[dict[str, Any]]:
    for duration, name in CALENDAR.items():
        if name == window:
            calendar = {"startTime": CALENDAR_START, "timeZone": zone}
            return [{"duration": duration, "calendar": calendar, "isRolling": False}]
    return [{"duration": window, "isRolling": True}]
