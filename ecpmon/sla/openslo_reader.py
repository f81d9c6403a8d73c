"""OpenSLO v1 documents as objectives: read as written, or refused with the path. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from ecpmon.errors import ValidationFailed
from ecpmon.model.objectives import Objective, Selector
from ecpmon.model.samples import Source
from ecpmon.sla.openslo import (
    AVAILABILITY,
    CALENDAR,
    CALENDAR_START,
    RESPONSE,
    SLICE,
    UP,
    VERSION,
    WINDOWS_NOTE,
    Promise,
)  # fmt: skip
from ecpmon.sla.selectors import SelectorError, read

# Durations that we write, and others that mean the same.
_ROLLING: Final = {"1h": "1h", "24h": "24h", "1d": "24h", "7d": "7d", "1w": "7d", "30d": "30d", "90d": "90d"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What documents say. `availability` is the target they give the tenant's own objective, if they do."""

    objectives: tuple[Objective, ...]
    availability: float | None


def refuse(path: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"{path}: {message}", fields=[{"field": path, "message": message}])


class _Node:
    """A mapping of the document that knows its path and which of its keys nobody has asked for."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise refuse(path, "must be a mapping")
        self._value: dict[Any, Any] = value
        self.path = path
        self._left = set(value)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}"

    def has(self, key: str) -> bool:
        return key in self._value

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        self._left.discard(key)
        if key not in self._value:
            if default is ...:
                raise refuse(self.at(key), "is required")
            return default
        value = self._value[key]
        # A bool is an int, and never what is meant.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise refuse(self.at(key), "is of the wrong type")
        return value

    def node(self, key: str) -> _Node:
        return _Node(self.get(key, object), self.at(key))

    def done(self) -> None:
        """Nothing is ignored silently."""
        if self._left:
            raise refuse(self.at(str(min(map(str, self._left)))[:60]), "is not supported")


_NUMBER: Final = (int, float)


def parse(found: Sequence[Any], promise: Promise | None = None) -> Parsed:
    """Objectives of SLO documents, with SLI documents they refer to. `promise`: whose they must be.

    Raises ValidationFailed with the path, such as `[0].spec.timeWindow[0].duration`.
    """
    nodes = [_Node(document, f"[{index}]") for index, document in enumerate(found)]
    slos: list[_Node] = []
    indicators: dict[str, _Node] = {}
    for node in nodes:
        if node.get("apiVersion", str) != VERSION:
            raise refuse(node.at("apiVersion"), f"must be {VERSION}")
        kind = node.get("kind", str)
        if kind == "SLI":
            name = _name(node.node("metadata"))[0]
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


def _name(metadata: _Node, *, notes: bool = False) -> tuple[str, str, str | None]:
    """(name, display name, our note about windows)"""
    name, shown = metadata.get("name", str), metadata.get("displayName", str, "")
    note = None
    if notes and metadata.has("annotations"):
        annotations = metadata.node("annotations")
        note = annotations.get(WINDOWS_NOTE, str, None)
        annotations.done()
    metadata.done()
    return name, shown, note


@dataclass(slots=True)
class _Measure:
    """An SLI as read: either a ratio (`roles`) or a threshold on a metric."""

    roles: dict[str, Selector]
    threshold: Selector | None
    source: Source | None
    path: str


class _SloReader:
    def __init__(self, promise: Promise | None, indicators: Mapping[str, _Node]) -> None:
        self._promise = promise
        self._indicators = indicators
        self._measures: dict[str, _Measure] = {}
        self._names: set[str] = set()
        self.availability: float | None = None

    @property
    def used(self) -> set[str]:
        """SLI documents that were referred to."""
        return set(self._measures)

    def read(self, slo: _Node) -> Objective | None:
        """The objective of one SLO; None for the tenant's own availability."""
        name, shown, note = _name(slo.node("metadata"), notes=True)
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
        windows = _windows(note, window, slo.at("metadata.annotations"))
        if name == AVAILABILITY:
            self._own(measure, method, aim, spec, windows)
            self.availability = target
            return None
        fields = {"name": name, "display_name": shown, "description": description, "target": target}
        fields |= {"source": measure.source, **({"windows": windows} if windows else {})}
        fields |= self._kind(measure, method, aim, spec)
        aim.done()
        return _objective(fields, slo.path)

    def _measure(self, spec: _Node) -> _Measure:
        if spec.has("indicator") == spec.has("indicatorRef"):
            raise refuse(spec.at("indicator"), "give either indicator or indicatorRef")
        if spec.has("indicator"):
            return _indicator(spec.node("indicator"))
        name = spec.get("indicatorRef", str)
        if name not in self._indicators:
            raise refuse(spec.at("indicatorRef"), "no SLI of this name is in the documents")
        if name not in self._measures:
            self._measures[name] = _indicator(self._indicators[name])
        return self._measures[name]

    def _window(self, spec: _Node) -> str | None:
        if not spec.has("timeWindow"):
            return None
        given, path = spec.get("timeWindow", list), spec.at("timeWindow")
        if len(given) != 1:
            raise refuse(path, "must have exactly one item")
        window = _Node(given[0], f"{path}[0]")
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

    def _calendar(self, calendar: _Node) -> None:
        start, zone = calendar.get("startTime", str), calendar.get("timeZone", str)
        calendar.done()
        # January, so that it begins a quarter as well as a month.
        if not (start.endswith("-01-01 00:00:00") and len(start) == len(CALENDAR_START)):
            raise refuse(calendar.at("startTime"), f"must be a year's first midnight, as in {CALENDAR_START}")
        if self._promise and zone != self._promise.zone:
            raise refuse(calendar.at("timeZone"), f"must be the tenant's, {self._promise.zone}")

    def _aim(self, spec: _Node) -> _Node:
        given, path = spec.get("objectives", list), spec.at("objectives")
        if len(given) != 1:
            raise refuse(path, "must have exactly one item; make it several SLOs")
        return _Node(given[0], f"{path}[0]")

    def _kind(self, measure: _Measure, method: str, aim: _Node, spec: _Node) -> dict[str, Any]:
        """What depends on the kind of the objective."""
        if measure.threshold is None:
            if method != "Occurrences":
                raise refuse(spec.at("budgetingMethod"), "must be Occurrences for a ratio of counters")
            return {"kind": "requests", **{k: v.model_dump() for k, v in measure.roles.items()}}
        if measure.threshold != Selector(metric=RESPONSE):
            raise refuse(measure.path, f"a threshold is supported on {RESPONSE} only, in milliseconds")
        _slices(method, aim, spec, "lte")
        return {"kind": "latency", "threshold_ms": float(aim.get("value", _NUMBER))}

    def _own(
        self, measure: _Measure, method: str, aim: _Node, spec: _Node, windows: tuple[str, ...] | None
    ) -> None:
        """The tenant's availability can be read as we write it, and no other way."""
        if measure.threshold != Selector(metric=UP) or measure.source is not None:
            raise refuse(measure.path, f"availability is the tenant's own: a threshold on {UP}")
        _slices(method, aim, spec, "gte")
        if aim.get("value", _NUMBER) != 1:
            raise refuse(aim.at("value"), "must be 1")
        if windows not in (None, ("30d",)):
            raise refuse(spec.at("timeWindow"), "must be 30d for availability")
        aim.done()


def _slices(method: str, aim: _Node, spec: _Node, operator: str) -> None:
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


def _target(aim: _Node) -> float:
    aim.get("displayName", str, None)
    if aim.has("target") == aim.has("targetPercent"):
        raise refuse(aim.at("target"), "give either target or targetPercent")
    if aim.has("target"):
        return float(Decimal(str(aim.get("target", _NUMBER))))
    return float(Decimal(str(aim.get("targetPercent", _NUMBER))) / 100)


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


def _indicator(node: _Node) -> _Measure:
    """An SLI, inline or a document of its own."""
    node.get("apiVersion", str, None)
    node.get("kind", str, None)
    if node.has("metadata"):
        _name(node.node("metadata"))
    spec = node.node("spec")
    node.done()
    if spec.get("description", str, ""):
        raise refuse(spec.at("description"), "is not supported; describe the SLO")
    if spec.has("thresholdMetric") == spec.has("ratioMetric"):
        raise refuse(spec.path, "give either thresholdMetric or ratioMetric")
    if spec.has("thresholdMetric"):
        threshold = spec.node("thresholdMetric")
        spec.done()
        selector, source = _source(threshold)
        return _Measure({}, selector, source, threshold.path)
    ratio = spec.node("ratioMetric")
    spec.done()
    return _ratio(ratio)


def _ratio(ratio: _Node) -> _Measure:
    if ratio.get("counter", bool) is not True:
        raise refuse(ratio.at("counter"), "must be true: only counters are counted")
    roles: dict[str, Selector] = {}
    sources: set[Source | None] = set()
    for role in ("good", "bad", "total"):
        if ratio.has(role):
            roles[role], source = _source(ratio.node(role))
            sources.add(source)
    ratio.done()
    if "total" not in roles or ("good" in roles) == ("bad" in roles):
        raise refuse(ratio.path, "give total, and either good or bad")
    if len(sources) > 1:
        raise refuse(ratio.path, "all metrics must be of one source")
    return _Measure(roles, None, sources.pop(), ratio.path)


def _source(metric: _Node) -> tuple[Selector, Source | None]:
    source = metric.node("metricSource")
    metric.done()
    reference = source.get("metricSourceRef", str, None)
    if reference is not None and reference not in Source.__members__.values():
        raise refuse(source.at("metricSourceRef"), f"known are {', '.join(Source)}")
    if source.get("type", str, "Prometheus") != "Prometheus":
        raise refuse(source.at("type"), "must be Prometheus")
    spec = source.node("spec")
    source.done()
    query = spec.get("query", str)
    spec.done()
    try:
        return read(query), Source(reference) if reference else None
    except SelectorError as error:
        raise refuse(spec.at("query"), str(error)) from error
