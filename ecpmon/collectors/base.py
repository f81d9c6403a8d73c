"""What collectors have in common: the Protocol, and samples from named numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from ecpmon.model.samples import Frame, Sample, SeriesKey, Source, is_number
from ecpmon.model.tenants import Tenant
from ecpmon.ports.quarantine import Culprit
from ecpmon.sla.evidence import series_key


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pull brought. `until`: how far the source has now been read.

    `troubles`: what of which tenant cannot be made anything of, and why. The rest is taken.
    """

    frames: tuple[Frame, ...]
    until: datetime
    troubles: Mapping[Culprit, str] = field(default_factory=dict)


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
