"""OTLP metrics (opentelemetry-proto 1.x), protobuf and JSON, as series. Pure.

https://opentelemetry.io/docs/specs/otlp. Names of metrics and attributes stay as they are: nothing is translated. Of a
resource's attributes those are labels that tell who it is: RESOURCE and the tenant's. A histogram becomes what one of
remote write becomes.

Deltas are added up (`agents.totals`), as objectives are counted by totals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from ecpmon.agents.histograms import CUSTOM, Histogram, Side
from ecpmon.agents.protobuf import (
    Malformed,
    Value,
    double,
    fields,
    number,
    packed,
    packed_doubles,
    packed_fixed,
    signed,
    span,
    text,
    zigzag,
)

RESOURCE: Final = ("service.name", "service.namespace", "service.instance.id")
# As the label of the tenant is called by who names attributes with dots.
TENANT_ATTRIBUTE: Final = "tenant.id"
_FINEST: Final = 8
_NO_VALUE: Final = 1  # of a point's flags
_NANO: Final = 1_000_000
Labels = dict[str, str]


class Temporality(IntEnum):
    UNSPECIFIED = 0
    DELTA = 1
    CUMULATIVE = 2


@dataclass(slots=True)
class Point:
    """Times in nanoseconds since 1970, 0: not said. `value` None: a histogram, or nothing was recorded.

    Of a histogram `counts` by `bounds`, one more than these; or with `scale` exponential buckets.
    """

    labels: Labels = field(default_factory=dict)
    start: int = 0
    time: int = 0
    value: float | None = None
    count: float = 0.0
    counts: list[float] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    scale: int | None = None
    zeros: float = 0.0
    zero_threshold: float = 0.0
    positive: tuple[int, list[int]] = (0, [])
    negative: tuple[int, list[int]] = (0, [])
    flags: int = 0
    exemplars: int = 0

    @property
    def ms(self) -> int:
        return self.time // _NANO

    @property
    def began(self) -> int:
        """When its counting began, in milliseconds; 0: not said."""
        return self.start // _NANO

    @property
    def ended(self) -> bool:
        return bool(self.flags & _NO_VALUE)

    @property
    def is_histogram(self) -> bool:
        return self.scale is not None or bool(self.counts)

    def histogram(self) -> Histogram:
        """As remote write has it."""
        made = Histogram(self.ms, count=self.count)
        if self.scale is None:
            made.schema, made.custom = CUSTOM, self.bounds
            made.positive = Side([(0, len(self.counts))], counts=self.counts)
            return made
        made.schema = min(self.scale, _FINEST)
        made.zero_threshold, made.zero_count = self.zero_threshold, self.zeros
        coarser = self.scale - made.schema
        made.positive, made.negative = _side(self.positive, coarser), _side(self.negative, coarser)
        return made


def _side(told: tuple[int, list[int]], coarser: int) -> Side:
    """Buckets of a finer scale become those that `coarser` halvings leave. Ours are told by their upper ends."""
    offset, counts = told
    if not counts:
        return Side()
    found: dict[int, float] = {}
    for place, count in enumerate(counts, offset):
        key = place >> coarser
        found[key] = found.get(key, 0.0) + count
    return Side([(min(found) + 1, len(found))], counts=[*found.values()])


@dataclass(slots=True)
class Metric:
    """`points` carry the labels of their resource as well."""

    name: str = ""
    temporality: int = Temporality.CUMULATIVE
    # Whether it only counts up; a sum that does not is a gauge.
    counts: bool = True
    points: list[Point] = field(default_factory=list)


# --- protobuf


def metrics_in(data: bytes, tenant_label: str) -> Iterator[Metric]:
    """`ExportMetricsServiceRequest`, metric by metric. Raises Malformed."""
    for which, value in fields(data, 0, len(data)):
        if which == 1:
            yield from _resource_metrics(data, value, tenant_label)


def _resource_metrics(data: bytes, value: Value, tenant_label: str) -> Iterator[Metric]:
    parts = [*fields(data, *span(value))]
    labels: Labels = {}
    for which, part in parts:
        if which == 1:
            labels |= _attributes(data, [v for w, v in fields(data, *span(part)) if w == 1])
    known = _told(labels, tenant_label)
    for which, part in parts:
        if which == 2:
            for inner, metric in fields(data, *span(part)):
                if inner == 2:
                    yield _metric(data, metric, known)


def _told(resource: Labels, tenant_label: str) -> Labels:
    wanted = (*RESOURCE, TENANT_ATTRIBUTE, tenant_label)
    return {name: value for name, value in resource.items() if name in wanted}


_GAUGE, _SUM, _HISTOGRAM, _EXPONENTIAL, _SUMMARY = 5, 7, 9, 10, 11


def _metric(data: bytes, value: Value, resource: Labels) -> Metric:
    made = Metric()
    for which, part in fields(data, *span(value)):
        if which == 1:
            made.name = text(data, part)
        elif which in (_GAUGE, _SUM, _HISTOGRAM, _EXPONENTIAL, _SUMMARY):
            made.counts = which not in (_GAUGE, _SUM)
            for inner, content in fields(data, *span(part)):
                if inner == 1:
                    made.points.append(_point(data, content, which, resource))
                elif inner == 2 and which != _GAUGE:
                    made.temporality = number(content)
                elif inner == 3 and which == _SUM:
                    made.counts = bool(number(content))
    return made


# Where the attributes of a point stand, and its flags and exemplars, by the kind of metric.
_ATTRIBUTES: Final = {_GAUGE: 7, _SUM: 7, _HISTOGRAM: 9, _EXPONENTIAL: 1, _SUMMARY: 7}
_FLAGS: Final = {_GAUGE: 8, _SUM: 8, _HISTOGRAM: 10, _EXPONENTIAL: 10, _SUMMARY: 8}
_EXEMPLARS: Final = {_GAUGE: 5, _SUM: 5, _HISTOGRAM: 8, _EXPONENTIAL: 11}


def _point(data: bytes, value: Value, kind: int, resource: Labels) -> Point:
    made, attributes = Point(), list[Value]()
    if kind == _EXPONENTIAL:
        made.scale = 0
    for which, part in fields(data, *span(value)):
        if which == _ATTRIBUTES[kind]:
            attributes.append(part)
        elif which == _FLAGS[kind]:
            made.flags = number(part)
        elif which == _EXEMPLARS.get(kind):
            made.exemplars += 1
        elif which == 2:
            made.start = number(part)
        elif which == 3:
            made.time = number(part)
        else:
            _VALUES[kind](made, data, which, part)
    made.labels = resource | _attributes(data, attributes)
    return made


def _of_number(made: Point, _: bytes, which: int, part: Value) -> None:
    if which == 4:
        made.value = double(part)
    elif which == 6:
        made.value = float(signed(part))


def _of_histogram(made: Point, data: bytes, which: int, part: Value) -> None:
    if which == 4:
        made.count = float(number(part))
    elif which == 6:
        made.counts += map(float, packed_fixed(data, part))
    elif which == 7:
        made.bounds += packed_doubles(data, part)


def _of_exponential(made: Point, data: bytes, which: int, part: Value) -> None:
    if which == 4:
        made.count = float(number(part))
    elif which == 6:
        made.scale = zigzag(number(part))
    elif which == 7:
        made.zeros = float(number(part))
    elif which == 8:
        made.positive = _buckets(data, part)
    elif which == 9:
        made.negative = _buckets(data, part)
    elif which == 14:
        made.zero_threshold = double(part)


def _of_summary(made: Point, _: bytes, which: int, part: Value) -> None:
    if which == 4:
        made.count = float(number(part))


_VALUES: Final = {
    _GAUGE: _of_number,
    _SUM: _of_number,
    _HISTOGRAM: _of_histogram,
    _EXPONENTIAL: _of_exponential,
    _SUMMARY: _of_summary,
}


def _buckets(data: bytes, value: Value) -> tuple[int, list[int]]:
    offset, counts = 0, list[int]()
    for which, part in fields(data, *span(value)):
        if which == 1:
            offset = zigzag(number(part))
        elif which == 2:
            counts += packed(data, part)
    return offset, counts


def _attributes(data: bytes, values: Sequence[Value]) -> Labels:
    found: Labels = {}
    for value in values:
        key, told = "", ""
        for which, part in fields(data, *span(value)):
            if which == 1:
                key = text(data, part)
            elif which == 2:
                told = _any(data, part)
        found[key] = told
    return found


def _any(data: bytes, value: Value) -> str:
    """A value that is one thing, as text; lists and the like are none that a label may have, and empty."""
    for which, part in fields(data, *span(value)):
        match which:
            case 1:
                return text(data, part)
            case 2:
                return "true" if number(part) else "false"
            case 3:
                return str(signed(part))
            case 4:
                return repr(double(part))
    return ""


# --- JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding)


def metrics_of(document: Any, tenant_label: str) -> Iterator[Metric]:
    """The same of JSON. Raises Malformed."""
    for resource in _listed(document, "resourceMetrics"):
        known = _told(_json_labels(_object(resource.get("resource", {}))), tenant_label)
        for scope in _listed(resource, "scopeMetrics"):
            for metric in _listed(scope, "metrics"):
                yield _json_metric(metric, known)


_KINDS: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_TEMPORALITIES: Final = {
    "AGGREGATION_TEMPORALITY_UNSPECIFIED": 0,
    "AGGREGATION_TEMPORALITY_DELTA": 1,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
}


def _json_metric(metric: Mapping[str, Any], resource: Labels) -> Metric:
    name = metric.get("name", "")
    if not isinstance(name, str):
        raise Malformed("a metric's name is no text")
    made = Metric(name)
    for kind in _KINDS:
        if kind in metric:
            told = _object(metric[kind])
            given = told.get("aggregationTemporality", Temporality.CUMULATIVE)
            made.temporality = _TEMPORALITIES.get(given, 0) if isinstance(given, str) else _whole(given)
            made.counts = kind not in ("gauge", "sum") or told.get("isMonotonic") is True
            exponential = kind == "exponentialHistogram"
            made.points += [_json_point(p, resource, exponential) for p in _listed(told, "dataPoints")]
    return made


def _json_point(point: Mapping[str, Any], resource: Labels, exponential: bool) -> Point:
    made = Point(
        resource | _json_labels(point),
        _whole(point.get("startTimeUnixNano", 0)),
        _whole(point.get("timeUnixNano", 0)),
        flags=_whole(point.get("flags", 0)),
        exemplars=len(_listed(point, "exemplars")),
        count=_number(point.get("count", 0)),
        counts=[_number(each) for each in _several(point, "bucketCounts")],
        bounds=[_number(each) for each in _several(point, "explicitBounds")],
    )
    given = point.get("asDouble", point.get("asInt"))
    made.value = None if given is None else _number(given)
    if exponential:
        made.scale = _whole(point.get("scale", 0))
        made.zeros, made.zero_threshold = (
            _number(point.get("zeroCount", 0)),
            _number(point.get("zeroThreshold", 0)),
        )
        made.positive, made.negative = (
            _json_buckets(point.get(side, {})) for side in ("positive", "negative")
        )
    return made


def _json_buckets(told: Any) -> tuple[int, list[int]]:
    found = _object(told)
    return _whole(found.get("offset", 0)), [_whole(each) for each in _several(found, "bucketCounts")]


def _json_labels(told: Mapping[str, Any]) -> Labels:
    found: Labels = {}
    for each in _listed(told, "attributes"):
        key, value = each.get("key"), _object(each.get("value", {}))
        if not isinstance(key, str):
            raise Malformed("an attribute's key is no text")
        found[key] = next((_said(kind, value[kind]) for kind in _SIMPLE if kind in value), "")
    return found


_SIMPLE: Final = ("stringValue", "boolValue", "intValue", "doubleValue")


def _said(kind: str, value: Any) -> str:
    if kind == "boolValue":
        return "true" if value is True else "false"
    return (
        str(_whole(value))
        if kind == "intValue"
        else repr(_number(value))
        if kind == "doubleValue"
        else str(value)
    )


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("what should be an object is none")
    return value


def _listed(value: Any, name: str) -> list[Mapping[str, Any]]:
    return [_object(each) for each in _several(_object(value), name)]


def _several(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise Malformed("what should be a list is none")
    return found


def _whole(value: Any) -> int:
    """64-bit numbers are texts in JSON."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise Malformed("what should be a whole number is none") from None


def _number(value: Any) -> float:
    """Also `NaN`, `Infinity` and `-Infinity` as texts."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise Malformed("what should be a number is none") from None
