"""What collectors have in common: the Protocol, and samples from named numbers.

A source says the same names of the same tenant again and again, so what they are called is looked at once: `samples_in`
knows them by all of them together, and gives columns. What is odd in any way is looked at number by number, each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from ecpmon.memory import Interned
from ecpmon.model.samples import (
    Columns,
    Frame,
    Sample,
    SeriesKey,
    Shape,
    Shapes,
    Source,
    all_in_range,
    is_number,
)
from ecpmon.model.tenants import Tenant
from ecpmon.names import ERROR_RATE_METRIC, UP_METRIC
from ecpmon.ports.quarantine import Culprit
from ecpmon.sla.evidence import series_key


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pull brought. `until`: how far the source has now been read.

    `troubles`: what of which tenant cannot be made anything of, and why. The rest is taken. `since`: from when on that
    was so. `detail`: what of the source did not answer. `refused`: none of it did, though it was there. `given_up`:
    stretches that will not be asked for again, in words.
    """

    frames: tuple[Frame, ...]
    until: datetime
    troubles: Mapping[Culprit, str] = field(default_factory=dict)
    since: datetime | None = None
    detail: str | None = None
    refused: bool = False
    given_up: tuple[str, ...] = ()


class Collector(Protocol):
    """One source that is pulled."""

    @property
    def source(self) -> Source: ...

    @property
    def interval(self) -> timedelta: ...

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        """Read what the source has to say about `tenants` after `watermark`.

        Raises MonitoringUnavailable when it does not answer, or answers with something that cannot be trusted.
        """
        ...


def samples_of(values: Mapping[str, Any]) -> tuple[Sample, ...]:
    """Named numbers as samples; what is not a finite number is left out. Too large ones the store refuses."""
    return tuple(Sample(series_key(name), float(value)) for name, value in values.items() if is_number(value))


def counters_of(given: Any) -> tuple[Sample, ...]:
    """Counters as `{metric, labels, value}`, one series each; what is none is left out."""
    found: dict[SeriesKey, float] = {}
    for each in given if isinstance(given, list) else ():
        if not isinstance(each, Mapping):
            continue
        name, labels, value = each.get("metric"), each.get("labels"), each.get("value")
        if not isinstance(name, str) or not isinstance(labels, Mapping) or not is_number(value):
            continue
        if all(isinstance(text, str) for pair in labels.items() for text in pair):
            plain = series_key(name)
            key = SeriesKey(plain.metric_type, plain.metric_name, tuple(sorted(labels.items())))
            found[key] = float(value)
    return tuple(Sample(key, value) for key, value in found.items())


_SHAPES: Final = Shapes()
# By the names of the numbers; of a counter: how many labels it has, its name, those of its labels, and their values.
_BY_NAMES: Final[Interned[Any, Shape]] = Interned()
_NUMBERS: Final = {int, float}


def samples_in(values: Mapping[str, Any], counters: Any = None) -> Sequence[Sample]:
    """`samples_of` of the values, and those of `counters_of` that are no named number and no evidence."""
    try:
        names, numbers = _flat(values, counters)
        shape = _BY_NAMES.get(names)
    except (TypeError, KeyError, AttributeError):
        return _checked(values, counters)
    if not _NUMBERS.issuperset(map(type, numbers)) or not all_in_range(numbers):
        return _checked(values, counters)
    if shape is None:
        found = _checked(values, counters)
        keys = tuple(s.key for s in found)
        if len(keys) != len(numbers) or len(set(keys)) != len(keys):
            return found
        shape = _BY_NAMES.put(names, _SHAPES.of(keys))
    return Columns(shape, [*map(float, numbers)])


def _flat(values: Mapping[str, Any], counters: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """What `_BY_NAMES` knows it by, and the numbers. Raises TypeError, KeyError or AttributeError for what is odd."""
    names: list[Any] = [*values]
    numbers = [*values.values()]
    for each in counters or ():
        labels = each["labels"]
        names += (len(labels), each["metric"], *labels, *labels.values())
        numbers.append(each["value"])
    return tuple(names), numbers


def _checked(values: Mapping[str, Any], counters: Any) -> tuple[Sample, ...]:
    return samples_of(values) + tuple(c for c in counters_of(counters) if not _is_evidence(c.key))


def _is_evidence(key: SeriesKey) -> bool:
    """A counter must not pose as readiness, nor as one of the named numbers."""
    return not key.labels or key.metric_name in (UP_METRIC, ERROR_RATE_METRIC)
