"""OpenSLO v1 documents as objectives: read as written, or refused with the path. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from ecpmon.errors import ValidationFailed
from ecpmon.model.objectives import BOUND, BUCKETS, Objective, Selector
from ecpmon.sla.openslo import (
    ALERTS_NOTE,
    AVAILABILITY,
    CALENDAR,
    CALENDAR_START,
    LATENCY_NOTE,
    RESPONSE,
    SLICE,
    UP,
    VERSION,
    WINDOWS_NOTE,
    Promise,
)  # fmt: skip
from ecpmon.sla.openslo_indicators import Measure, indicator
from ecpmon.sla.openslo_node import NUMBER, Node, name_of, refuse

# Durations that we write, and others that mean the same.
_ROLLING: Final = {"1h": "1h", "24h": "24h", "1d": "24h", "7d": "7d", "1w": "7d", "30d": "30d", "90d": "90d"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What documents say. `availability` is the target they give the tenant's own objective, if they do."""

    objectives: tuple[Objective, ...]
    availability: float | None


def parse(found: Sequence[Any], promise: Promise | None = None) -> Parsed:
    """Objectives of SLO documents, with SLI documents they refer to. `promise`: whose they must be.

    Raises ValidationFailed with the path, such as `[0].spec.timeWindow[0].duration`.
    """
    nodes = [Node(document, f"[{index}]") for index, document in enumerate(found)]
    slos: list[Node] = []
    indicators: dict[str, Node] = {}
    for node in nodes:
        if node.get("apiVersion", str) != VERSION:
            raise refuse(node.at("apiVersion"), f"must be {VERSION}")
        kind = node.get("kind", str)
        if kind == "SLI":
            name = name_of(node.node("metadata"))[0]
            if name in indicators:
                raise refuse(node.at("metadata.name"), "is given twice")
            indicators[name] = node
        elif kind == "SLO":
            slos.append(node)
        else:
            raise refuse(node.at("kind"), "SLO and SLI are supported")
    reader = _SloReader(promise, indicators)
    objectives = [o for o in map(reader.read, slos) if o is not None]
    unused = indicators.keys() - reader.used
    if unused:
        raise refuse(indicators[min(unused)].path, "no SLO refers to this SLI")
    return Parsed(tuple(objectives), reader.availability)


class _SloReader:
    def __init__(self, promise: Promise | None, indicators: Mapping[str, Node]) -> None:
        self._promise = promise
        self._indicators = indicators
        self._measures: dict[str, Measure] = {}
        self._names: set[str] = set()
        self.availability: float | None = None

    @property
    def used(self) -> set[str]:
        """SLI documents that were referred to."""
        return set(self._measures)

    def read(self, slo: Node) -> Objective | None:
        """The objective of one SLO; None for the tenant's own availability."""
        name, shown, notes = name_of(slo.node("metadata"), notes=True)
        if name in self._names:
            raise refuse(slo.at("metadata.name"), "is given twice")
        self._names.add(name)
        spec = slo.node("spec")
        slo.done()
        description = spec.get("description", str, "")
        service = spec.get("service", str, None)
        if self._promise and service not in (None, self._promise.service):
            raise refuse(spec.at("service"), f"is another tenant; this one is {self._promise.service}")
        measure = self._measure(spec)
        window = self._window(spec)
        method, aim = spec.get("budgetingMethod", str), self._aim(spec)
        if spec.get("alertPolicies", list, []):
            raise refuse(spec.at("alertPolicies"), "is not supported; alerts are set apart")
        spec.done()
        target = _target(aim)
        noted = slo.at("metadata.annotations")
        windows = _windows(notes.get(WINDOWS_NOTE), window, noted)
        alerts = _alerts(notes.get(ALERTS_NOTE), noted)
        if name == AVAILABILITY:
            self._own(measure, method, aim, spec, windows)
            if not alerts:
                raise refuse(slo.at(f"metadata.annotations.{ALERTS_NOTE}"), "must be true for availability")
            self.availability = target
            return None
        fields = {"name": name, "display_name": shown, "description": description, "target": target}
        fields["alerts"] = alerts
        fields |= {"source": measure.source, **({"windows": windows} if windows else {})}
        fields |= self._kind(measure, method, aim, spec)
        aim.done()
        if LATENCY_NOTE in notes:
            return _by_histogram(fields, notes[LATENCY_NOTE], slo.path, f"{noted}.{LATENCY_NOTE}")
        return _objective(fields, slo.path)

    def _measure(self, spec: Node) -> Measure:
        if spec.has("indicator") == spec.has("indicatorRef"):
            raise refuse(spec.at("indicator"), "give either indicator or indicatorRef")
        if spec.has("indicator"):
            return indicator(spec.node("indicator"))
        name = spec.get("indicatorRef", str)
        if name not in self._indicators:
            raise refuse(spec.at("indicatorRef"), "no SLI of this name is in the documents")
        if name not in self._measures:
            self._measures[name] = indicator(self._indicators[name])
        return self._measures[name]

    def _window(self, spec: Node) -> str | None:
        if not spec.has("timeWindow"):
            return None
        given, path = spec.get("timeWindow", list), spec.at("timeWindow")
        if len(given) != 1:
            raise refuse(path, "must have exactly one item")
        window = Node(given[0], f"{path}[0]")
        duration, rolling = window.get("duration", str), window.get("isRolling", bool, None)
        calendar = window.node("calendar") if window.has("calendar") else None
        window.done()
        if calendar is None:
            if rolling is False:
                raise refuse(window.at("calendar"), "is required for a window that does not roll")
            return _look(_ROLLING, duration, window.at("duration"))
        if rolling:
            raise refuse(window.at("isRolling"), "must be false for a calendar window")
        self._calendar(calendar)
        return _look(CALENDAR, duration, window.at("duration"))

    def _calendar(self, calendar: Node) -> None:
        start, zone = calendar.get("startTime", str), calendar.get("timeZone", str)
        calendar.done()
        # January, so that it begins a quarter as well as a month.
        if not (start.endswith("-01-01 00:00:00") and len(start) == len(CALENDAR_START)):
            raise refuse(calendar.at("startTime"), f"must be a year's first midnight, as in {CALENDAR_START}")
        if self._promise and zone != self._promise.zone:
            raise refuse(calendar.at("timeZone"), f"must be the tenant's, {self._promise.zone}")

    def _aim(self, spec: Node) -> Node:
        given, path = spec.get("objectives", list), spec.at("objectives")
        if len(given) != 1:
            raise refuse(path, "must have exactly one item; make it several SLOs")
        return Node(given[0], f"{path}[0]")

    def _kind(self, measure: Measure, method: str, aim: Node, spec: Node) -> dict[str, Any]:
        """What depends on the kind of the objective."""
        if measure.threshold is None:
            if method != "Occurrences":
                raise refuse(spec.at("budgetingMethod"), "must be Occurrences for a ratio of counters")
            return {"kind": "requests", **measure.roles}
        if measure.threshold != Selector(metric=RESPONSE):
            raise refuse(measure.path, f"a threshold is supported on {RESPONSE} only, in milliseconds")
        _slices(method, aim, spec, "lte")
        return {"kind": "latency", "threshold_ms": float(aim.get("value", NUMBER))}

    def _own(
        self, measure: Measure, method: str, aim: Node, spec: Node, windows: tuple[str, ...] | None
    ) -> None:
        """The tenant's availability can be read as we write it, and no other way."""
        if measure.threshold != Selector(metric=UP) or measure.source is not None:
            raise refuse(measure.path, f"availability is the tenant's own: a threshold on {UP}")
        _slices(method, aim, spec, "gte")
        if aim.get("value", NUMBER) != 1:
            raise refuse(aim.at("value"), "must be 1")
        if windows not in (None, ("30d",)):
            raise refuse(spec.at("timeWindow"), "must be 30d for availability")
        aim.done()


def _slices(method: str, aim: Node, spec: Node, operator: str) -> None:
    if method != "RatioTimeslices":
        raise refuse(spec.at("budgetingMethod"), "must be RatioTimeslices: the share of time counts")
    if aim.get("timeSliceWindow", (str, int)) not in (SLICE, 1):
        raise refuse(aim.at("timeSliceWindow"), f"must be {SLICE}")
    if aim.get("op", str) != operator:
        raise refuse(aim.at("op"), f"must be {operator}")


def _look(known: Mapping[str, str], duration: str, path: str) -> str:
    if duration not in known:
        raise refuse(path, f"known are {', '.join(known)}")
    return known[duration]


def _windows(note: str | None, window: str | None, path: str) -> tuple[str, ...] | None:
    """All windows to evaluate: our note, whose first one must be the time window; else that one alone."""
    if note is None:
        return (window,) if window else None
    names = tuple(note.split(","))
    if window is not None and names[0] != window:
        raise refuse(f"{path}.{WINDOWS_NOTE}", "must begin with the time window")
    return names


def _alerts(note: str | None, path: str) -> bool:
    if note not in (None, "true", "false"):
        raise refuse(f"{path}.{ALERTS_NOTE}", "must be true or false, as text")
    return note != "false"


def _target(aim: Node) -> float:
    aim.get("displayName", str, None)
    if aim.has("target") == aim.has("targetPercent"):
        raise refuse(aim.at("target"), "give either target or targetPercent")
    if aim.has("target"):
        return float(Decimal(str(aim.get("target", NUMBER))))
    return float(Decimal(str(aim.get("targetPercent", NUMBER))) / 100)


def _by_histogram(fields: Mapping[str, Any], note: str, path: str, where: str) -> Objective:
    """Latency that was written as the ratio of a histogram's counters: exactly as we write it, or refused."""
    ratio = _objective(fields, path)
    threshold, _, unit = note.partition(" ")
    part = ratio.good
    if part is None or not part.metric.endswith(BUCKETS):
        raise refuse(where, "belongs to the ratio of a bucket and the count of a histogram")
    labels = {k: v for k, v in part.labels.items() if k != BOUND}
    histogram = Selector(metric=part.metric, labels=labels)
    kept = {k: v for k, v in fields.items() if k not in ("kind", "good", "total")}
    try:
        told = {"kind": "latency", "histogram": histogram.model_dump(exclude_none=True), "unit": unit}
        found = _objective({**kept, **told, "threshold_ms": float(threshold)}, where)
    except ValueError as error:
        raise refuse(where, "must be milliseconds and the histogram's unit, as in 250.0 s") from error
    if found.counters is None or found.counters.selectors != {"total": ratio.total, "good": part}:
        raise refuse(where, "does not say what the ratio says")
    return found


def _objective(fields: Mapping[str, Any], path: str) -> Objective:
    try:
        return Objective.model_validate(fields)
    except ValidationError as error:
        bad = [
            {
                "field": ".".join([path, *map(str, e["loc"])]),
                "message": e["msg"].removeprefix("Value error, "),
            }
            for e in error.errors()
        ]
        raise ValidationFailed(f"{bad[0]['field']}: {bad[0]['message']}", fields=bad) from error
